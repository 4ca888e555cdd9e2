"""ldapload - partners write to users of a Director, known ones and ones that nobody has, until they are told to
stop; then it is said what came of each request. For ldap.sh.

usage: ldapload DIRECTOR:PORT PKI FILE

FILE is written now and then: "asked N known N unknown N late N lost N", where known and unknown are
answers about users who are there and who are not, and late those that there was no directory for."""

import os
import signal
import sys
import threading
import time

import sipnet
from sipnet import Closed, Silent, dial, request

MARK = ("ms-edge-proxy-message-trust: ms-source-type=DirectPartner;ms-ep-fqdn=edge.int.example.com;"
        "ms-source-verified-user=verified;ms-source-network=federation")
where, sipnet.PKI, path = sys.argv[1:]
counts = {"asked": 0, "known": 0, "unknown": 0, "late": 0, "closed": 0, "lost": 0, "other": 0}
lock, over = threading.Lock(), threading.Event()


def one(conn, user):
    conn.send(request("MESSAGE", "sip:%s@example.com" % user, "sip:x@contoso.example", headers=[MARK]))
    status = conn.recv(30).status
    # bob's pool says that he is not there; who has no entry is not found; 504 and 500: nobody could say
    return {480: "known", 404: "unknown", 504: "late", 500: "late"}.get(status, "other")


def partner(n):
    conn, turn = None, 0
    while not over.is_set():
        try:
            conn = conn or dial(where, "director.int.example.com", "edge-inner")
        except (OSError, Closed):
            time.sleep(0.05)
            continue
        turn += 1
        try:
            what = one(conn, "bob" if turn % 2 else "none%d-%d" % (n, turn))
        except Closed:
            what, conn = "closed", None
        except Silent:
            what, conn = "lost", None
        with lock:
            counts["asked"] += 1
            counts[what] += 1
        time.sleep(0.02)


def tell():
    with lock:
        text = " ".join("%s %d" % item for item in counts.items()) + "\n"
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


signal.signal(signal.SIGTERM, lambda *_: over.set())
threads = [threading.Thread(target=partner, args=(n,)) for n in range(6)]
for t in threads:
    t.start()
while not over.wait(0.1):
    tell()
for t in threads:
    t.join()
tell()
