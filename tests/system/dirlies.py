"""dirlies - a directory that is none: an LDAP server that promises answers of gigabytes, sends entries, referrals and
answers to nobody without end, sends a byte now and then, or terminal commands for its words. Each request has its
answer in the time that is configured, the process that asks stays as small as it was, and a good answer is taken
after each of them. Run by dirlies.sh."""

import os
import re
import socket
import subprocess
import sys
import threading
import time

import inside
from inside import NET, PARTNER, POOL1, T, edge
from sipnet import RUN, Door, request

SERVER, PORT = NET + ".7.1", 3389
LARGER = 120        # MiB that the process may have been larger than it is, in a sanitizer's build too
PATIENCE = 20


def tlv(tag, body):
    return bytes([tag]) + (bytes([len(body)]) if len(body) < 128 else b"\x84" + len(body).to_bytes(4, "big")) + body


def message(number, op):
    return tlv(0x30, tlv(2, number.to_bytes(4, "big")) + op)


def result(tag, code=0, words=b""):
    return tlv(tag, tlv(10, bytes([code])) + tlv(4, b"") + tlv(4, words))


def entry(**attributes):
    all_of = b"".join(tlv(0x30, tlv(4, b"msRTCSIP-" + name.encode()) + tlv(0x31, tlv(4, value))) for name, value in attributes.items())
    return tlv(0x64, tlv(4, b"cn=bob,dc=example,dc=com") + tlv(0x30, all_of))


BOB = entry(PrimaryUserAddress=b"sip:bob@example.com", PrimaryHomeServer=b"pool.int.example.com", UserEnabled=b"TRUE",
            InternetAccessEnabled=b"TRUE", FederationEnabled=b"TRUE", OptionFlags=b"1")


class Liar:
    """Answers as `mood` says."""

    def __init__(self):
        self.mood = "good"
        self.sock = socket.create_server((SERVER, PORT))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            conn, _ = self.sock.accept()
            threading.Thread(target=self.serve, args=(conn, self.mood), daemon=True).start()

    def serve(self, conn, mood):
        try:
            with conn, conn.makefile("rb") as f:
                while mood == self.mood:
                    head = f.read(2)
                    if len(head) < 2:
                        return
                    n = head[1] if head[1] < 128 else int.from_bytes(f.read(head[1] & 127), "big")
                    body = f.read(n)
                    number, op = int.from_bytes(body[2:2 + body[1]], "big"), body[2 + body[1]]
                    if op == 0x60:
                        self.bound(conn, number, mood)
                    elif op == 0x63:
                        self.found(conn, number, mood)
        except OSError:
            pass

    def forever(self, conn, data, mood, wait=0.0):
        while mood == self.mood:
            conn.sendall(data)
            time.sleep(wait)

    def bound(self, conn, number, mood):
        if mood == "entries before we are let in":
            self.forever(conn, message(number, BOB) * 200, mood)
        conn.sendall(message(number, result(0x61)))

    def found(self, conn, number, mood):
        good = message(number, BOB) + message(number, result(0x65))
        if mood == "good":
            conn.sendall(good)
        elif mood == "an answer of two gigabytes":
            conn.sendall(b"\x30\x84\x7f\xff\xff\xf0" + tlv(2, number.to_bytes(4, "big")))
            self.forever(conn, bytes(1 << 20), mood)
        elif mood == "entries without end":
            self.forever(conn, message(number, BOB) * 200, mood)
        elif mood == "referrals without end":
            self.forever(conn, message(number, tlv(0x73, tlv(4, b"ldap://192.0.2.1/dc=x"))) * 500, mood)
        elif mood == "answers to nobody":
            self.forever(conn, message(number + 1000, BOB) * 200, mood)
        elif mood == "a byte now and then":
            for byte in good:
                conn.sendall(bytes([byte]))
                time.sleep(0.1)
        elif mood == "nothing":
            self.forever(conn, b"", mood, 0.05)
        elif mood == "commands for a terminal":
            conn.sendall(message(number, result(0x65, 80, b"\x1b[2J\nevent=forged \xff" * 20)))


def largest(director):
    """MiB that the process which asks the directory has had at most."""
    def children(pid):
        out = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(pid)], capture_output=True, text=True).stdout
        return [(int(line.split()[0]), line.split()[1]) for line in out.splitlines()]

    below = [pid for pid, name in children(director.authd()) if name == "directory"]
    below += [pid for parent in list(below) for pid, name in children(parent)]
    return max(int(re.search(r"VmHWM:\s+(\d+)", open("/proc/%d/status" % pid).read()).group(1)) for pid in below) >> 10


def main():
    inside.prepare()
    liar = Liar()
    director = inside.Director("lies", """
directory = { homes = "ldap"; ttl = 1; negative_ttl = 1; stale = 0; timeout = 2500; };
ldap = { servers = [ "ldap://%s:%d" ]; starttls = false; bind = "anonymous"; bases = [ "dc=example,dc=com" ];
         server_timeout = 1500; pause = 1; };
""" % (SERVER, PORT))
    door, conn = Door(POOL1 + ":5061", "pool"), edge()
    pool = []

    def pool_answers():
        while True:
            try:
                pool.append(door.accept(1000))
                while True:
                    got = pool[-1].recv(1000)
                    pool[-1].send(got.reply(200))
            except Exception:
                return
    threading.Thread(target=pool_answers, daemon=True).start()

    def ask():
        conn.send(request("MESSAGE", "sip:bob@example.com", "sip:eve@partner.example", headers=[PARTNER]))
        return conn.recv(PATIENCE).status

    def comes_back():
        """What was said is forgotten after a second, and a server that failed is asked again after as much."""
        end = time.monotonic() + PATIENCE
        while ask() != 200:
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    try:
        T.check("a good answer is taken", comes_back())
        before = largest(director)
        for mood in ("an answer of two gigabytes", "entries without end", "referrals without end", "answers to nobody",
                     "entries before we are let in", "a byte now and then", "nothing", "commands for a terminal"):
            liar.mood = mood
            end = time.monotonic() + PATIENCE
            while (got := ask()) == 200 and time.monotonic() < end:
                time.sleep(0.1)     # remembered from before
            T.check("%s: the sender is told" % mood, got == 504, got)
            liar.mood = "good"
            T.check("  and a good answer is taken after it", comes_back())
        T.check("what came was counted, and the log says so", director.logged("event=ldap-down", "bytes came"))
        T.check("the log has each line of ours alone", not re.search(r"^event=forged|\x1b", director.log(), re.M))
        T.check("the process that asks has stayed small", largest(director) < before + LARGER, "%d MiB, %d before" %
                (largest(director), before))
    finally:
        conn.close()
        for c in pool:
            c.close()
        director.stop()
    log = open(os.path.join(RUN, "lies", "log"), errors="replace").read()
    T.check("no sanitizer complained", "Sanitizer" not in log and "runtime error" not in log)
    sys.exit(1 if T.failed else 0)


if __name__ == "__main__":
    main()
