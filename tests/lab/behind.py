"""What stands behind the proxy: the service that nginx asks about logins, and servers that greet and take all.

nginx sends the name, the mechanism and the secret as headers and is told yes or no (ngx_mail_auth_http_module).
"""

import hashlib
import hmac
import http.server
import socketserver
import threading
import urllib.parse

with open("/lab/src/users.tsv") as file:
    PASSWORD_OF = dict(row.rstrip("\n").split("\t") for row in file)
PORTS = {"imap": 1143, "pop3": 1110, "smtp": 1587}


class Judge(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        user, secret = (urllib.parse.unquote(self.headers[name] or "") for name in ("Auth-User", "Auth-Pass"))
        method, salt = self.headers["Auth-Method"], self.headers["Auth-Salt"] or ""
        known = PASSWORD_OF.get(user)
        wanted = known
        if known and method == "apop":
            wanted = hashlib.md5((salt + known).encode()).hexdigest()
        elif known and method == "cram-md5":
            wanted = hmac.new(known.encode(), salt.encode(), "md5").hexdigest()
        accepted = known is not None and secret == wanted
        print(f"judge user={user} method={method} protocol={self.headers['Auth-Protocol']} "
              f"tls={self.headers['Auth-SSL'] or 'off'} verdict={'accepted' if accepted else 'rejected'}", flush=True)
        self.send_response(200)
        self.send_header("Auth-Status", "OK" if accepted else "Invalid login or password")
        self.send_header("Auth-Server", "127.0.0.1")
        self.send_header("Auth-Port", str(PORTS[self.headers["Auth-Protocol"]]))
        if accepted and method in ("apop", "cram-md5"):
            self.send_header("Auth-Pass", known)
        if not accepted:
            self.send_header("Auth-Wait", "1")
        self.end_headers()

    def log_message(self, *_):
        pass


class Yes(socketserver.StreamRequestHandler):
    """Takes whatever it is told, in its protocol's words."""

    def handle(self):
        protocol = self.server.protocol
        say = {"imap": b"* OK ready\r\n", "pop3": b"+OK ready\r\n", "smtp": b"220 behind.lab.example ESMTP\r\n"}
        self.wfile.write(say[protocol])
        in_letter = in_literal = False
        tag = b""
        for line in self.rfile:
            words = line.split()
            if protocol == "imap":
                if line.rstrip().endswith(b"}"):
                    tag = tag if in_literal else words[0]
                    in_literal = True
                    self.wfile.write(b"+ go on\r\n")
                elif in_literal:
                    in_literal = False
                    self.wfile.write(tag + b" OK done\r\n")
                elif len(words) > 1 and words[1].upper() == b"LOGOUT":
                    self.wfile.write(b"* BYE\r\n" + words[0] + b" OK bye\r\n")
                    return
                elif len(words) > 1:
                    self.wfile.write(words[0] + b" OK done\r\n")
            elif protocol == "pop3":
                self.wfile.write(b"+OK\r\n")
                if words[:1] == [b"QUIT"]:
                    return
            elif in_letter:
                if line == b".\r\n":
                    in_letter = False
                    self.wfile.write(b"250 gone\r\n")
            else:
                verb = words[0].upper() if words else b""
                in_letter = verb == b"DATA"
                self.wfile.write({b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(verb, b"250 ok\r\n"))
                if verb == b"QUIT":
                    return


socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer.daemon_threads = True
for protocol, port in PORTS.items():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Yes)
    server.protocol = protocol
    threading.Thread(target=server.serve_forever, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", 8008), Judge).serve_forever()
