"""Starts a program for each connection, with the connection as its standard input and output.

    inetd.py ADDRESS PORT USER PROGRAM...
"""

import os
import pwd
import socket
import sys

address, port, user, *program = sys.argv[1:]
account = pwd.getpwnam(user)
listener = socket.create_server((address, int(port)))
while True:
    peer, _ = listener.accept()
    child = os.fork()
    if child:
        peer.close()
        os.waitpid(child, 0)
        continue
    if os.fork():
        os._exit(0)
    os.dup2(peer.fileno(), 0)
    os.dup2(peer.fileno(), 1)
    os.initgroups(user, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.environ.update(HOME=account.pw_dir, USER=user)
    os.chdir(account.pw_dir)
    os.execv(program[0], program)
