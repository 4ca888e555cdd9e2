"""dircrowd - what crowd.py shows of the edge, of the Director: its limits on connections and
messages, at the limit and one past it; and a good client beside each attack, whose service is
measured. Run by dircrowd.sh."""

import os
import signal
import socket
import sys
import threading
import time

import inside
from crowd_tools import GENEROUS, Inside, asks, ended, give_all, hello, hits, left, metric, plain, stays, until
from inside import CLIENTS, NAME, NET, POOL1, SERVERS, T, USER, digest, edge
from sipnet import Closed, Door, Silent, dial, request
import sipnet

BOTH = CLIENTS.rsplit(":", 1)[0] + ":5069"
HERE, NEAR, AWAY = NET + ".40.1", NET + ".40.77", NET + ".41.1"      # two of one block, one of another
BOB = "sip:bob@example.com"


class World:
    """A Director, and a pool behind it that answers."""

    def __init__(self, name, limits="", timers="", clients_door="", more="", pool=True, program="sallyport-director",
                 both=False):
        self.name, self.program = name, program
        self.doors = '( { listen = "%s"; admits = "servers"; }, { listen = "%s"; admits = "clients"; %s }%s )' % (
            SERVERS, CLIENTS, clients_door, ', { listen = "%s"; admits = "both"; }' % BOTH if both else "")
        self.extra = 'control = { socket = "%s"; }; limits = { %s }; %s' % (
            os.path.join(sipnet.RUN, name, "director.sock"), limits, more)
        # one worker, so that one limit counts all
        self.change = ("timers = { drain = 3; connect = 2; };\n", "timers = { drain = 0; connect = 2; %s };\n" % timers)
        self.door = Door(POOL1 + ":5061", "pool") if pool else None
        self.pool = Inside(self) if pool else None
        self.begin()

    def begin(self):
        self.director = inside.Director(self.name, self.extra, doors=self.doors, change=self.change, program=self.program)
        self.director.socket = "director.sock"

    def end(self):
        lived = self.director.alive()
        if self.pool:       # whose connections would be waited for
            self.pool.end()
            for c in self.pool.conns:
                c.close()
            self.door.close()
        status = self.director.stop()
        log = self.director.log()
        found = [line for line in log.split("\n") if "Sanitizer" in line or "runtime error:" in line]
        T.check("%s: the Director lived, and ends in order" % self.name, lived and status == 0, "(%s)" % status)
        T.check("%s: no sanitizer complained" % self.name, not found, found[:3])


class User:
    """Somebody who signs in with Digest, request by request, on one connection."""

    def __init__(self, name="alice", conn=None, source=None):
        self.name, self.behind, self.nc = name, conn is not None, 0
        self.conn = conn or dial(CLIENTS, NAME, source=source)
        self.cid = "ms-received-cid=%X" % id(self)
        self.challenged()

    def headers(self):
        return [USER] if self.behind else []

    def via(self):
        return "192.0.2.7:5061;ms-received-port=5061;" + self.cid if self.behind else "192.0.2.7:5061"

    def challenged(self):
        got = asks(self.conn, method="REGISTER", uri="sip:example.com", sender="sip:%s@example.com" % self.name,
                   headers=self.headers(), via_host=self.via())
        if got.status != 401:
            raise RuntimeError("no challenge: " + got.start)
        self.challenge, self.nc = got, 0

    def message(self, method="MESSAGE", uri=BOB, headers=(), **kw):
        self.nc += 1
        return request(method, uri, "sip:%s@example.com" % self.name, via_host=self.via(), headers=self.headers() + [
            digest(self.challenge, method, uri, user=self.name, nc=self.nc)] + list(headers), **kw)

    def asks(self, **kw):
        self.conn.send(self.message(**kw))
        while True:
            m = self.conn.recv()
            if m.status >= 200:
                return m

    def close(self):
        self.conn.close()


# ---- at the limit, and one past it ----

def connections():
    world = World("connections", "connections = 34; connections_block = 5; connections_server = 3;", "handshake = 30;",
                  clients_door="connections = 9;", pool=False, both=True)
    d = world.director

    def block():
        held, there = stays(6, lambda: plain(HERE, CLIENTS))
        other = plain(NEAR, BOTH)
        if there != [True] * 5 + [False] or not ended(other, GENEROUS):
            return there
        if not d.logged("reason=connection-limit", 'detail="connections-block"', count=2) or hits(d, "connections-block") != 2:
            return "not told"
        held[0].close()
        left(d, 4)
        held += [plain(HERE, CLIENTS)] + [plain(AWAY, CLIENTS) for _ in range(4)]
        good = not any(ended(s, 0.1) for s in held[6:])
        give_all(held)
        return good or "no room was made, or another block is counted as well"
    T.run("5 connections of one block are let in, over all doors, the sixth is not, and room is made by who leaves", block)
    left(d, 0)

    def apart():
        """Clients of a block leave its servers their places, and the other way round."""
        held = [plain(HERE, CLIENTS) for _ in range(5)]
        servers = [dial(SERVERS, NAME, "edge-inner", source=HERE) for _ in range(3)] + \
            [dial(SERVERS, NAME, "pool2", source=NEAR) for _ in range(3)]
        if any(ended(s, 0.05) for s in held) or any(c.closed(0.1) for c in servers):
            return "the servers' door, with clients in the block"
        strangers, there = stays(6, lambda: plain(HERE, SERVERS))       # they prove nothing
        if there != [True] * 5 + [False] or any(c.closed(0.05) for c in servers):
            return "who proves nothing at the servers' door", there
        give_all(held)
        left(d, 11)
        held = [plain(HERE, CLIENTS) for _ in range(5)]
        good = not any(ended(s, 0.1) for s in held) and ended(plain(HERE, CLIENTS), GENEROUS)
        give_all(held + strangers + [c.sock for c in servers])
        return good or "clients, with servers in the block"
    T.run("clients of a block leave its servers their places, servers leave them theirs, and who proves nothing has 5 as well", apart)
    left(d, 0)

    def both():
        """At a door for both, where nobody can know before the handshake."""
        servers = [dial(BOTH, NAME, "edge-inner", source=HERE) for _ in range(3)]
        held = [plain(HERE, BOTH) for _ in range(5)]
        if any(ended(s, 0.1) for s in held) or not ended(plain(HERE, BOTH), GENEROUS) or any(c.closed(0.05) for c in servers):
            return "servers that have proved it take places of clients"
        near = [plain(POOL1.rsplit(".", 1)[0] + ".77", BOTH) for _ in range(5)]
        if not ended(plain(POOL1.rsplit(".", 1)[0] + ".78", BOTH), GENEROUS):
            return "the block of the pool is not full"
        pool = dial(BOTH, NAME, "pool", source=POOL1)
        good = not pool.closed(0.2)
        give_all(held + near + [c.sock for c in servers + [pool]])
        return good or "the pool, at its own address, was turned away"
    T.run("at a door for both, servers that have proved it take no client's place, and come to prove it at their addresses", both)
    left(d, 0)

    def door():
        there = [plain(NET + ".%d.1" % (50 + i), CLIENTS) for i in range(9)]
        if any(ended(s, 0.1) for s in there):
            return "fewer"
        good = ended(plain(NET + ".70.1", CLIENTS), GENEROUS) and hits(d, "connections-door") == 1
        edge().close()      # the other door has its own
        give_all(there)
        return good or "a tenth"
    T.run("9 connections of one door are let in, the tenth is not", door)
    left(d, 0)

    def server():
        edges = [dial(SERVERS, NAME, "edge-inner", source=NET + ".%d.4" % i) for i in range(50, 53)]
        fourth = dial(SERVERS, NAME, "edge-inner", source=NET + ".53.4")
        if not fourth.closed() or any(not e.quiet(0.05) for e in edges):
            return "a fourth"
        fourth.close()
        if hits(d, "connections-partner") != 1:
            return "not counted"
        other = dial(SERVERS, NAME, "pool", source=NET + ".54.4")
        edges[0].close()
        left(d, 3)
        edges += [other, dial(SERVERS, NAME, "edge-inner", source=NET + ".55.4")]
        good = not edges[-1].closed(0.3)
        give_all(e.sock for e in edges)
        return good or "no room was made"
    T.run("3 connections of one edge are let in, whatever addresses they come from, and the fourth is not", server)
    left(d, 0)

    def moved():
        """By a reload: whoever is there stays, and has its place elsewhere."""
        servers = [dial(BOTH, NAME, "edge-inner", source=HERE) for _ in range(3)]

        def named(was, now, what):
            with open(os.path.join(d.dir, "director.conf")) as f:
                text = f.read()
            d.write("director.conf", text.replace(was, now))
            d.hup()
            return until(lambda: metric(d, 'sallyport_connections{door="inner",class="%s"}' % what) == 3)

        def free(n):
            held.extend(plain(HERE, BOTH) for _ in range(n))
            return not any(ended(s, 0.1) for s in held) and ended(plain(HERE, BOTH), GENEROUS)

        held = []
        if not named('"edge.int.', '"edge9.int.', "client") or not free(2):
            return "servers that are named no more have no places of their block"
        if not named('"edge9.int.', '"edge.int.', "edge") or not free(3):
            return "those that are named again have places of their block still"
        good = dial(BOTH, NAME, "edge-inner", source=AWAY).closed() and not any(c.closed(0.05) for c in servers)
        give_all(held + [c.sock for c in servers])
        left(d, 0)
        held = []
        if not good or not free(5):
            return "and not all of it was given back", good
        give_all(held)
        return True
    T.run("a reload moves servers that are none any more to the places of their block, and back", moved)
    left(d, 0)
    world.end()

    world = World("whole", "connections = 34; connections_block = 0;", "handshake = 30;", pool=False)
    d = world.director

    def whole():
        # 34, of which two are kept for servers
        held = [plain(HERE, CLIENTS) for _ in range(32)]
        if any(ended(s, 0.02) for s in held):
            return "fewer"
        if not ended(plain(HERE, CLIENTS), GENEROUS) or hits(d, "connections") != 1:
            return "one more"
        edges = [edge() for _ in range(2)]
        good = not any(e.closed(0.1) for e in edges) and ended(plain(HERE, SERVERS), GENEROUS)
        give_all(held + [e.sock for e in edges])
        return good or "the places of servers"
    T.run("32 clients are let in where 34 connections are, and then two servers, and nobody more", whole)
    left(d, 0)
    T.run("and then it serves as before", lambda: User().asks(uri="sip:nobody@example.com").status == 404)
    world.end()

    world = World("handshakes", "handshakes = 8;", "handshake = 30; signin = 2;", pool=False)
    d = world.director

    def handshakes():
        held, there = stays(9, lambda: plain(HERE, CLIENTS))
        if there != [False] + [True] * 8 or hits(d, "handshakes") != 1 or not d.logged("reason=connection-limit"):
            return there, hits(d, "handshakes")
        # who means it gets through all the same
        good = asks(dial(CLIENTS, NAME), uri="sip:nobody@example.com").status == 401
        give_all(held)
        return good
    T.run("8 handshakes may be in progress; the oldest gives way to a ninth", handshakes)

    def never_signs_in():
        u = User()
        good, server = u.conn.closed(GENEROUS + 2), edge()
        u.close()
        good = good and d.logged("reason=unauthenticated-timeout") and hits(d, "sign-in-time") > 0
        stays_ = not server.closed(2.5)
        server.close()
        return good and stays_ or (good, stays_)
    T.run("who has not signed in after 2 seconds is cut; servers need not", never_signs_in)
    world.end()


def messages():
    world = World("messages", "user_rate = 5; burst = 4; user_requests = 16; transactions = 80;", "request = 60;")
    d, pool = world.director, world.pool
    room = 5 * 4 - 5 * 4 // 8       # an eighth is for dialogs

    def measured(makers, n):
        """So many at once, of (connection, what makes a request) in turn; and one more when it may."""
        begin, said = time.monotonic(), [makers[i % len(makers)] for i in range(n)]
        for conn, make in makers:
            conn.send(b"".join(make() for c, _ in said if c is conn))
        got = [conn.recv() for conn, _ in said]
        took = time.monotonic() - begin
        refused = [m for m in got if m.status == 503]
        if not refused or not room - 2 <= n - len(refused) <= room + took * 5 + 1:
            return "%d of %d served, %d expected, in %.1f s" % (n - len(refused), n, room, took)
        if any(int(m.get("Retry-After") or 0) < 1 for m in refused):
            return "no Retry-After"
        time.sleep(max(int(m.get("Retry-After")) for m in refused) + 0.3)
        conn, make = makers[0]
        conn.send(make())
        return conn.recv().status != 503 or "not served after waiting"

    def stranger():
        return measured([(dial(CLIENTS, NAME), lambda: request(sender="sip:eve@example.com"))], 48)
    T.run("a client's connection may send its burst at once, then is told to wait", stranger)
    T.check("and it is counted", hits(d, "message-rate") > 0 and d.logged("reason=rate-limit"))

    def user():
        link = edge()
        who = [User(conn=link), User(conn=edge()), User()]
        verdict = measured([(u.conn, u.message) for u in who], 48)
        # another user on the very same connection of the edge is not concerned
        other = User("bob", conn=link).asks(uri="sip:alice@example.com").status
        for u in who:
            u.close()
        return verdict if verdict is not True else other == 200 or other
    T.run("a user has one rate, over two edges' connections and one of her own", user)

    def in_flight():
        u = User("bob")
        for n in range(16):
            u.conn.send(u.message(uri="sip:alice@example.com", headers=["X-Hold: yes"]))
            if n % 4 == 3:
                time.sleep(0.3)     # below the rate
        end = time.monotonic() + GENEROUS
        while pool.held < 16 and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.5)
        over = u.asks(uri="sip:alice@example.com", headers=["X-Hold: yes"])
        if over.status != 503 or not over.get("Retry-After") or not d.logged("reason=in-flight-limit"):
            return over.start, pool.held
        return (pool.held, hits(d, "transactions-link")) == (16, 1) or (pool.held, hits(d, "transactions-link"))
    T.run("16 requests of one client's connection may wait for their answers, one more is refused", in_flight)

    def of_a_server():
        """80 in all: 16 are there, a server may have 41, and the last 16th is for dialogs."""
        held = pool.held
        far, other = dial(SERVERS, NAME, "pool2"), dial(SERVERS, NAME, "pool2")
        def says(conn, n, **kw):
            for _ in range(n):
                conn.send(request("MESSAGE", "sip:alice@example.com", "sip:dora@example.org", headers=["X-Hold: yes"], **kw))
        says(far, 41)
        before = hits(d, "transactions-link")
        over = asks(far, uri="sip:alice@example.com", sender="sip:dora@example.org")
        if over.status != 503 or hits(d, "transactions-link") != before + 1:
            return over.start
        end = time.monotonic() + GENEROUS
        while pool.held < held + 41 and time.monotonic() < end:
            time.sleep(0.02)
        says(other, 75 - metric(d, "sallyport_transactions"))
        full = asks(other, uri="sip:alice@example.com", sender="sip:dora@example.org")
        if full.status != 503 or not full.get("Retry-After") or hits(d, "transactions") != 1 or not d.logged("reason=overload"):
            return full.start, metric(d, "sallyport_transactions")
        # new clients are not let in, an edge is, and what is in a dialog goes on
        if not ended(plain(AWAY, CLIENTS), GENEROUS) or edge().closed(0.1):
            return "shed in the wrong order"
        going_on = asks(other, uri="sip:alice@example.com", sender="sip:dora@example.org", to_tag="x")
        return going_on.status == 200 or going_on.start
    T.run("one server may have half of all requests in flight; the last places are for what is in progress", of_a_server)
    world.end()


def questions():
    """authd stands still: so many requests wait for it, and not one more."""
    world = World("questions", "questions = 5;", more="")
    d = world.director
    u, links = User(), [edge() for _ in range(6)]
    for_authd = d.authd()
    os.kill(for_authd, signal.SIGSTOP)
    try:
        for link in links[:5]:
            link.send(request(uri=BOB, sender="sip:carol@contoso.example", headers=[inside.PARTNER]))
        over = asks(links[5], uri=BOB, sender="sip:carol@contoso.example", headers=[inside.PARTNER])
        T.check("5 requests may wait for what the directory says, a sixth is refused at once",
                over.status == 500 and d.logged("reason=auth-unavailable") and hits(d, "held") == 1, over.start)
    finally:
        os.kill(for_authd, signal.SIGCONT)
    T.check("and these have their answers", [link.recv().status for link in links[:5]] == [200] * 5)
    T.run("and then it serves as before", lambda: u.asks().status == 200)
    give_all([u.conn.sock] + [link.sock for link in links])
    world.end()


# ---- beside the attack ----

class Good:
    """A client that keeps a connection, one that connects anew each time, and an edge's user."""

    def __init__(self):
        self.over, self.slow, self.wrong, self.asked = False, 0.0, [], 0
        self.old, self.outside = User("bob", source=HERE), User("bob", conn=edge())
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.keeps, self.comes, self.is_outside)]
        for t in self.threads:
            t.start()

    def timed(self, what, fn):
        begin = time.monotonic()
        try:
            status = fn()
            if status != 200:
                self.wrong.append("%s: %s" % (what, status))
        except Exception as e:
            self.wrong.append("%s: %r" % (what, e))
        self.slow = max(self.slow, time.monotonic() - begin)
        self.asked += 1

    def keeps(self):
        while not self.over:
            self.timed("the old connection", lambda: self.old.asks(uri="sip:alice@example.com").status)
            time.sleep(0.1)

    def is_outside(self):
        while not self.over:
            self.timed("behind an edge", lambda: self.outside.asks(uri="sip:alice@example.com").status)
            time.sleep(0.1)

    def comes(self):
        def anew():
            u = User("bob", source=NEAR)
            try:
                return u.asks(uri="sip:alice@example.com").status
            finally:
                u.close()
        while not self.over:
            self.timed("a new connection", anew)
            time.sleep(0.1)

    def end(self):
        self.over = True
        for t in self.threads:
            t.join()
        self.old.close()
        self.outside.close()
        if self.wrong:
            return "%d of %d went wrong: %s" % (len(self.wrong), self.asked, self.wrong[0])
        if self.slow > GENEROUS:
            return "%.1f s for an answer" % self.slow
        return self.asked >= 6 or "it asked %d times only" % self.asked


def attacker(n, block=100):
    """Addresses of many blocks."""
    return "%s.%d.%d" % (NET, block + n % 100, 1 + n % 200)


def beside():
    world = World("beside", "connections = 600; connections_block = 30; handshakes = 200; queue = 256; user_rate = 40; burst = 5;",
                  "handshake = 2; first_message = 2; message = 1; signin = 300; request = 10;")
    d, pool = world.director, world.pool

    def during(attack, seconds=1.5):
        good, end = Good(), time.monotonic() + seconds
        try:
            told = attack(end)
        finally:
            verdict = good.end()
        return verdict if verdict is not True else told

    def connection_flood(end):
        socks = []
        while time.monotonic() < end:
            socks += [plain(NET + ".45.%d" % (1 + len(socks) % 250), CLIENTS) for _ in range(10)]
            if len(socks) > 500:
                give_all(socks[:100])
                del socks[:100]
            time.sleep(0.01)
        give_all(socks)
        return hits(d, "connections-block") > 0 or "no limit was reached"
    T.run("a flood of connections of one block", lambda: during(connection_flood))

    def half_open(end):
        socks, n = [], 0
        while time.monotonic() < end or (len(socks) < 250 and time.monotonic() < end + GENEROUS):
            for door in (CLIENTS, SERVERS):
                s = plain(attacker(n), door)
                try:
                    s.send(b"\x16\x03\x01")
                except OSError:
                    pass
                socks.append(s)
                n += 1
            time.sleep(0.01)
        give_all(socks)
        return hits(d, "handshakes") > 0 or "no limit was reached"
    T.run("handshakes begun from many blocks at both doors, and left so", lambda: during(half_open))

    def slow_handshakes(end):
        bytes_, socks, at = hello(NAME), [plain(attacker(i), CLIENTS) for i in range(30)], 0
        while time.monotonic() < end + 3 and not all(ended(s, 0) for s in socks):
            for s in socks:
                try:
                    s.send(bytes_[at:at + 1])
                except OSError:
                    pass
            at += 1
            time.sleep(0.05)
        gone = sum(ended(s, GENEROUS) for s in socks)
        give_all(socks)
        return gone == 30 and d.logged("reason=handshake-timeout") or "%d of 30 were cut" % gone
    T.run("handshakes byte by byte", lambda: during(slow_handshakes))

    def slow_writers(body):
        def attack(end):
            whole = request(body=b"x" * 3000)
            begun = whole[:-2900] if body else b"\r\n".join(whole.split(b"\r\n")[:3])
            conns = [dial(CLIENTS, NAME, source=attacker(i)) for i in range(20)]
            before = hits(d, "message-time")
            for c in conns:
                c.send(begun)
            while time.monotonic() < end + 1:
                for c in conns:
                    try:
                        c.send(b"x")
                    except (Closed, Silent):
                        pass
                time.sleep(0.1)
            gone = sum(c.closed(GENEROUS) for c in conns)
            give_all(c.sock for c in conns)
            return gone == 20 and hits(d, "message-time") == before + 20 or "%d of 20 were cut" % gone
        return attack
    T.run("heads byte by byte", lambda: during(slow_writers(False)))
    T.run("bodies byte by byte", lambda: during(slow_writers(True)))

    def silent(end):
        conns = [dial(CLIENTS, NAME, source=attacker(i)) for i in range(20)]
        gone = sum(c.closed(GENEROUS + 3) for c in conns)
        return gone == 20 and d.logged("reason=first-message-timeout") or "%d of 20 were cut" % gone
    T.run("connections without a word", lambda: during(silent))

    def slow_readers(end):
        """They ask for answers, which they do not read."""
        conns = []
        for i in range(4):
            c = dial(CLIENTS, NAME, source=attacker(i))
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            conns.append(c)
        before, cut = hits(d, "write-queue"), 0
        # an answer copies the Via, so what comes in goes out again
        big = request(sender="sip:deaf@example.com", via_host="192.0.2.7:5061;x=" + "y" * 3000)
        while cut < 4 and time.monotonic() < end + 60:
            for c in conns:
                try:
                    c.send(big * 10)
                except (Closed, Silent):
                    pass
            cut = hits(d, "write-queue") - before
        give_all(c.sock for c in conns)
        return cut == 4 or "%d were cut" % cut
    T.run("clients who do not read", lambda: during(slow_readers))

    def message_flood(end):
        u = User("alice", source=attacker(1))
        sent = refused = 0
        while time.monotonic() < end:
            u.conn.send(b"".join(u.message() for _ in range(50)))
            sent += 50
            for _ in range(50):
                refused += u.conn.recv().status == 503
        u.close()
        return refused > sent / 3 or "%d sent, %d refused" % (sent, refused)
    T.run("one user who floods with messages; each has its answer", lambda: during(message_flood))

    def deaf_server(end):
        """A server that asks and asks, and reads nothing."""
        far = dial(SERVERS, NAME, "pool2")
        far.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        before = hits(d, "link-queue")
        big = request("MESSAGE", "sip:nobody@example.com", "sip:dora@example.org",
                      via_host="192.0.2.7:5061;x=" + "y" * 3000) * 10
        while hits(d, "link-queue") == before and time.monotonic() < end + 60:
            try:
                far.send(big)
            except (Closed, Silent):
                break
        far.close()
        return hits(d, "link-queue") > before or "it was not cut"
    T.run("a server that does not read", lambda: during(deaf_server))
    T.run("and then the Director serves as before", lambda: User("bob").asks(uri="sip:alice@example.com").status == 200)
    world.end()


GROUPS = dict(connections=connections, messages=messages, questions=questions, beside=beside)


def main(groups):
    inside.prepare()
    for name in sys.argv[1:] or groups:
        begin = time.monotonic()
        try:
            groups[name]()
        except Exception as e:  # whatever went wrong is the test's result
            T.check("%s came to its end" % name, False, "(%s: %s)" % (type(e).__name__, e))
        finally:
            for e in list(sipnet.Edge.running):
                e.stop()
            for door in Door.opened:
                door.close()
        print("# %s: %.1f s" % (name, time.monotonic() - begin), flush=True)
    sys.exit(1 if T.failed else 0)


if __name__ == "__main__":
    main(GROUPS)
