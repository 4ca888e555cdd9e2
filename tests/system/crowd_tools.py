"""crowd_tools - a Director that answers, and what is asked of an edge, for the tests under load."""

import os
import re
import select
import socket
import ssl
import subprocess
import threading
import time

from sipnet import BUILD, Closed, Silent, client_context, request

GENEROUS = 5.0      # seconds; more than any noise


class Locked:
    """A TLS socket that one thread reads and others write: OpenSSL wants one at a time."""

    def __init__(self, sock):
        self.sock, self.lock = sock, threading.Lock()

    def recv(self, n):
        with self.lock:
            return self.sock.recv(n)

    def send(self, data):
        with self.lock:
            return self.sock.send(data)

    def __getattr__(self, name):
        return getattr(self.sock, name)


class Inside:
    """The Director's ends: 200 to all but what says X-Hold; keeps the Paths of who registers."""

    def __init__(self, world):
        self.door, self.paths, self.held, self.conns, self.over = world.door, {}, 0, [], False
        self.answers = {}       # final responses to what was said here, by Call-ID
        self.threads = [threading.Thread(target=self.accepts, daemon=True)]
        self.threads[0].start()

    def accepts(self):
        while not self.over:
            try:
                conn = self.door.accept(0.2)
            except (Silent, OSError):
                continue
            conn.sock, conn.lock = Locked(conn.sock), threading.Lock()
            self.conns.append(conn)
            self.threads.append(threading.Thread(target=self.serves, args=(conn,), daemon=True))
            self.threads[-1].start()

    def serves(self, conn):
        while not self.over:
            try:
                m = conn.recv(0.2)
            except Silent:
                continue
            except Closed:
                return
            if m.status:
                if m.status >= 200:
                    self.answers[m.get("Call-ID")] = m.status
                continue
            if m.method == "REGISTER":
                self.paths[m.get("From").split("<")[1].split(">")[0]] = (conn, m.get("Path"))
            if m.get("X-Hold"):
                self.held += 1
            elif m.method not in ("ACK", "BENOTIFY"):
                with conn.lock:
                    conn.send(m.reply(200))

    def notify(self, user):
        conn, path = self.paths[user]
        with conn.lock:
            conn.send(request("BENOTIFY", user, "sip:bob@example.com", to=user, headers=["Route: " + path, "Event: x"], body=b"x" * 20000))

    def end(self):
        self.over = True
        for t in self.threads:
            t.join()


def metric(edge, name):
    socket_ = os.path.join(edge.dir, getattr(edge, "socket", "edge.sock"))
    text = subprocess.run([os.path.join(BUILD, "sallyportctl"), "--socket", socket_, "metrics"],
                          check=True, capture_output=True, text=True).stdout
    found = re.search(r"^%s (\d+)$" % re.escape(name), text, re.M)
    return int(found.group(1)) if found else 0


def asks(conn, **kw):
    """The final status of a request."""
    conn.send(request(**kw))
    while True:
        m = conn.recv()
        if m.status >= 200:
            return m


def give_all(socks):
    for s in socks:
        try:
            s.close()
        except OSError:
            pass


def hits(edge, limit):
    return metric(edge, 'sallyport_limit_hits_total{limit="%s"}' % limit)


def plain(source, addr):
    """A TCP connection and no more; None if it is closed at once."""
    host, port = addr.rsplit(":", 1)
    s = socket.socket()
    s.bind((source, 0))
    s.connect((host, int(port)))
    return s


def ended(s, seconds):
    """Does the far end close it in that time?"""
    try:
        return bool(select.select([s], [], [], seconds)[0]) and s.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def stays(n, make, seconds=0.3):
    """n of them, one after the other; which of them stay."""
    all_ = [make() for _ in range(n)]
    time_out = time.monotonic() + GENEROUS
    while time.monotonic() < time_out and not any(ended(s, 0) for s in all_):
        time.sleep(0.02)
    return all_, [not ended(s, seconds if s is all_[-1] else 0) for s in all_]


def left(edge, n):
    """Waits until so many connections are left; one of them is the Director's."""
    end = time.monotonic() + GENEROUS
    while metric(edge, 'sallyport_worker_connections{worker="0"}') != n:
        if time.monotonic() > end:
            raise RuntimeError("who left is counted still")
        time.sleep(0.02)


def hello(name="sip.example.com"):
    """The first bytes of a handshake."""
    out = ssl.MemoryBIO()
    tls = client_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()
