"""crowd_tools - a Director that answers, and what is asked of an edge, for the tests under load."""

import os
import re
import select
import socket
import ssl
import subprocess
import threading
import time

from sipnet import BUILD, RUN, Closed, Silent, client_context, request

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


# ---- what breaks ----

def sanitized():
    """A build whose allocator and loader are not the machine's."""
    symbols = subprocess.run(["nm", os.path.join(BUILD, "sallyport-edge")], capture_output=True).stdout
    return any(mark in symbols for mark in (b"__asan_init", b"__tsan_init"))


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def proxy_of(daemon):
    """The process that faces the network: the one with most sockets."""
    def sockets(pid):
        try:
            return sum("socket:" in os.readlink("/proc/%s/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%s/fd" % pid))
        except OSError:
            return 0
    pid = daemon.proc.pid
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return max((int(p) for p in f.read().split()), key=sockets)


def limited(name, what, program="sallyport-edge"):
    """The program, with less than it would like to have."""
    path = os.path.join(RUN, name)
    with open(path, "w") as f:
        f.write('#!/bin/sh\nulimit %s || exit 1\nexec "%s/%s" "$@"\n' % (what, BUILD, program))
    os.chmod(path, 0o755)
    return path


class Asker:
    """A connection that asks, and is told a status."""

    def __init__(self, conn):
        self.conn = conn

    def ask(self):
        return asks(self.conn).status

    def close(self):
        self.conn.close()


class Load:
    """Users who ask one after the other, each on a connection of its own, and anew when it ends."""

    def __init__(self, connect, users=4):
        """connect() makes something that has ask() and close()."""
        self.over, self.asked, self.statuses, self.closed, self.lost, self.connect = False, 0, {}, 0, 0, connect
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.user, daemon=True) for _ in range(users)]
        for t in self.threads:
            t.start()

    def user(self):
        conn = None
        while not self.over:
            try:
                conn = conn or self.connect()
            except (OSError, Closed):
                time.sleep(0.05)
                continue
            outcome = None
            try:
                outcome = conn.ask()
            except Closed:
                outcome = "closed"
            except Silent:
                outcome = "lost"
            with self.lock:
                self.asked += 1
                if outcome == "closed":
                    self.closed += 1
                elif outcome == "lost":
                    self.lost += 1
                else:
                    self.statuses[outcome] = self.statuses.get(outcome, 0) + 1
            if outcome in ("closed", "lost"):
                conn.close()
                conn = None
            time.sleep(0.01)
        if conn is not None:
            conn.close()

    def answered(self, status=200):
        with self.lock:
            return self.statuses.get(status, 0)

    def end(self):
        """None if none was lost."""
        self.over = True
        for t in self.threads:
            t.join()
        print("# %d asked: %r, %d closed, %d lost" % (self.asked, self.statuses, self.closed, self.lost), flush=True)
        if self.lost or self.asked != sum(self.statuses.values()) + self.closed or not self.asked:
            return "%d of %d lost" % (self.lost, self.asked)
        return None
