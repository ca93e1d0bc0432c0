"""The signs of mail software in recordings: how servers greet and what they offer, how clients begin.

    signs.py FILE.pcap...            the signs, one connection after the other
    signs.py --dialogue FILE.pcap    all lines of a recording until TLS begins

Reads classic pcap of Ethernet and expects the packets in order, as the laboratory records them.
"""

import collections
import re
import struct
import sys


def segments(path):
    """(source, target, octets, begins) of each TCP segment over IPv4."""
    with open(path, "rb") as file:
        data = file.read()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at + 16 <= len(data):
        size = struct.unpack(f"{order}I", data[at + 8 : at + 12])[0]
        frame = data[at + 16 : at + 16 + size]
        at += 16 + size
        if frame[12:14] != b"\x08\x00":
            continue
        packet = frame[14:]
        head = (packet[0] & 15) * 4
        length = struct.unpack(">H", packet[2:4])[0]
        tcp = packet[head:length]
        ports = struct.unpack(">HH", tcp[:4])
        number = struct.unpack(">I", tcp[4:8])[0]
        source, target = (packet[12:16], ports[0]), (packet[16:20], ports[1])
        yield source, target, number, tcp[(tcp[12] >> 4) * 4 :], tcp[13] & 0x12 == 2


def connections(path):
    """Each connection as a list of (is_client, octets), until TLS begins."""
    found, clients, seen = collections.OrderedDict(), {}, {}
    for source, target, number, octets, begins in segments(path):
        key = frozenset((source, target))
        if begins:
            clients[key] = source
            found[key] = []
        if key not in found or not octets or seen.get((key, source), -1) >= number:
            continue
        seen[key, source] = number
        if found[key] and found[key][-1][0] == "tls":
            continue
        if octets[0] == 22 and octets[1] == 3:
            found[key].append(("tls", octets))
            continue
        found[key].append((source == clients[key], octets))
    return list(found.values())


def text(octets):
    return octets.decode("utf-8", "backslashreplace").rstrip("\r\n")


def shown(line):
    """Without what may be a secret, and short."""
    line = re.sub(r"(?i)^(PASS|AUTHINFO PASS) .*", r"\1 ...", line)
    line = re.sub(r"(?i)^(\S+ LOGIN) .*", r"\1 ...", line)
    line = re.sub(r"(?i)^((?:\S+ )?(?:AUTH|AUTHENTICATE) \S+) .*", r"\1 ...", line)
    return line if len(line) < 700 else line[:700] + " ..."


def signs(talk):
    """The greeting, then each capability reply, and the client's first lines."""
    server, client = [], []
    for is_client, octets in talk:
        if is_client == "tls":
            break
        lines = text(octets).split("\r\n")
        if is_client:
            client += lines
        elif not server or any(re.search(r"CAPA|^250-|SASL|^\* ID|IMPLEMENTATION", line) for line in lines):
            server += lines
    return server, client


if __name__ == "__main__":
    if sys.argv[1] == "--dialogue":
        for talk in connections(sys.argv[2]):
            for is_client, octets in talk:
                if is_client == "tls":
                    print("   (TLS)")
                    continue
                for line in text(octets).split("\r\n"):
                    print("C: " if is_client else "S: ", line, sep="")
            print()
    else:
        for path in sys.argv[1:]:
            for talk in connections(path):
                server, client = signs(talk)
                print(f"== {path}")
                for line in server:
                    print("  S:", shown(line))
                for line in client[:4]:
                    print("  C:", shown(line))
