"""crowd - the limits on connections and messages, at the limit and one past it; and
a good client beside each attack, whose service is measured. Run by crowd.sh."""

import socket
import ssl
import sys
import threading
import time

from hostile import INNER, NET, PARTNERS, T, USERS, World, run
from crowd_tools import GENEROUS, Inside, asks, ended, give_all, hello, hits, left, metric, plain, stays
from sipnet import Closed, Silent, client_context, dial, request

HERE, NEAR, AWAY = NET + ".40.1", NET + ".40.77", NET + ".41.1"      # two of one block, one of another
CAROL = "sip:carol@contoso.example"


# ---- at the limit, and one past it ----

def connections():
    world = World("connections", "connections = 34; connections_block = 5; connections_partner = 3; handshake = 30;",
                  users_door="connections = 9;")
    edge = world.edge
    world.inside()
    left(edge, 1)

    def block():
        held, there = stays(6, lambda: plain(HERE, USERS))
        other = plain(NEAR, USERS)
        if there != [True] * 5 + [False] or not ended(other, GENEROUS):
            return there
        if not edge.logged("reason=connection-limit", 'detail="connections-block"', count=2) or hits(edge, "connections-block") != 2:
            return "not told"
        held[0].close()
        left(edge, 5)
        held += [plain(HERE, USERS)] + [plain(AWAY, USERS) for _ in range(4)]
        good = not any(ended(s, 0.1) for s in held[6:])
        give_all(held)
        return good or "no room was made, or another block is counted as well"
    T.run("5 connections of one block are let in, the sixth is not, and room is made by who leaves", block)
    left(edge, 1)

    def door():
        there = [plain(NET + ".%d.1" % (50 + i), USERS) for i in range(9)]
        if any(ended(s, 0.1) for s in there):
            return "fewer"
        good = ended(plain(NET + ".70.1", USERS), GENEROUS) and hits(edge, "connections-door") == 1
        # the other door has its own
        dial(PARTNERS, cert="partner-edge-outer", source=NET + ".70.1").close()
        give_all(there)
        return good or "a tenth"
    T.run("9 connections of one door are let in, the tenth is not", door)
    left(edge, 1)

    def partner():
        peers = [dial(PARTNERS, cert="partner-edge-outer", source=NET + ".%d.4" % i) for i in range(50, 53)]
        fourth = dial(PARTNERS, cert="partner-edge-outer", source=NET + ".53.4")
        if not fourth.closed() or any(not p.quiet(0.05) for p in peers):
            return "a fourth"
        if hits(edge, "connections-partner") != 1:
            return "not counted"
        peers[0].close()
        left(edge, 3)
        peers.append(dial(PARTNERS, cert="partner-edge-outer", source=NET + ".54.4"))
        good = not peers[-1].closed(0.3)
        give_all(p.sock for p in peers)
        return good or "no room was made"
    T.run("3 connections of one partner are let in, whatever addresses they come from, and the fourth is not", partner)
    left(edge, 1)

    def whole():
        # 34, of which two are kept for those inside, and one is the Director's
        held = [plain(NET + ".%d.1" % (50 + i), PARTNERS) for i in range(31)]
        if any(ended(s, 0.02) for s in held):
            return "fewer"
        good = ended(plain(NET + ".90.1", PARTNERS), GENEROUS) and hits(edge, "connections") == 1
        give_all(held)
        return good or "one more"
    T.run("31 strangers are let in where 34 connections are, and the next is not", whole)
    left(edge, 1)
    T.run("and then the edge serves as before", world.serves)
    world.end()


def messages():
    world = World("messages", "user_rate = 5; burst = 4; user_requests = 16; partner_rate = 10; partner_requests = 60; sign_in = 300;")
    edge, inside = world.edge, Inside(world)

    def burst_of(conn, n, **kw):
        """So many, eight at a time without a pause: how many were served, the refusals, and the seconds."""
        begin, got = time.monotonic(), []
        while len(got) < n:
            some = min(8, n - len(got))
            conn.send(b"".join(request(**kw) for _ in range(some)))
            while some > 0:
                m = conn.recv()
                if m.status >= 200:
                    got.append(m)
                    some -= 1
        served, refused = [m for m in got if m.status == 200], [m for m in got if m.status == 503]
        return len(served), refused, time.monotonic() - begin

    def of(conn, rate, n, **kw):
        # a burst of 4 seconds, of which an eighth is for dialogs
        room = rate * 4 - rate * 4 // 8
        served, refused, took = burst_of(conn, n, **kw)
        if served + len(refused) != n:
            return "%d of %d answered" % (served + len(refused), n)
        if not room - 1 <= served <= room + took * rate + 1:
            return "%d served, %d expected, in %.1f s" % (served, room, took)
        if not refused:
            return "none of %d refused in %.1f s" % (n, took)
        if any(int(m.get("Retry-After") or 0) < 1 for m in refused):
            return "no Retry-After"
        # who waits as long as it was told is served
        time.sleep(max(int(m.get("Retry-After")) for m in refused) + 0.3)
        return asks(conn, **kw).status == 200 or "not served after waiting"
    T.run("a connection may send its burst at once, then is told to wait", lambda: of(dial(USERS), 5, 24))
    T.check("and it is counted", hits(edge, "message-rate") > 0 and edge.logged("reason=rate-limit"))
    T.run("a partner may send its burst at once, then is told to wait",
          lambda: of(dial(PARTNERS, cert="partner-edge-outer"), 10, 50, sender=CAROL))

    def shared():
        time.sleep(1)
        users = [dial(USERS) for _ in range(3)]
        for u in users:
            if asks(u, method="REGISTER", uri="sip:example.com", sender="sip:eve@example.com", to="sip:eve@example.com",
                    headers=["Contact: <sip:eve@192.0.2.9;transport=tls>"]).status != 200:
                return "REGISTER"
        begin, served = time.monotonic(), 0
        for u in users:
            for _ in range(10):
                u.send(request())
        for u in users:
            served += sum(u.recv().status == 200 for _ in range(10))
        took = time.monotonic() - begin
        if served > 20 + took * 5 + 1:
            return "%d served of one user's three connections" % served
        # somebody who merely claims to be her does not use up what is hers, and is served
        return asks(dial(USERS), sender="sip:eve@example.com").status == 200
    T.run("a user who signed in thrice has one rate", shared)

    def waiting():
        u = dial(USERS)
        for n in range(16):
            u.send(request(headers=["X-Hold: yes"]))
        over = asks(u, headers=["X-Hold: yes"])
        if over.status != 503 or not over.get("Retry-After") or not edge.logged("reason=in-flight-limit"):
            return over.start
        other, end = asks(dial(USERS)).status, time.monotonic() + GENEROUS
        while inside.held < 16 and time.monotonic() < end:
            time.sleep(0.02)
        return (inside.held, other, hits(edge, "transactions-link")) == (16, 200, 1) or (inside.held, other, hits(edge, "transactions-link"))
    T.run("16 requests of one connection may wait for their answers, one more is refused, others are served", waiting)
    inside.end()
    world.end()


# ---- beside the attack ----

class Good:
    """A client that keeps a connection and says something now and then, and one that connects anew each time."""

    def __init__(self, newcomers=True):
        self.over, self.slow, self.wrong, self.asked, self.came = False, 0.0, [], 0, 0
        self.threads = [threading.Thread(target=self.keeps, daemon=True)]
        if newcomers:
            self.threads.append(threading.Thread(target=self.comes, daemon=True))
        self.old = dial(USERS, source=HERE)
        if asks(self.old, method="REGISTER", uri="sip:example.com", sender="sip:good@example.com", to="sip:good@example.com",
                headers=["Contact: <sip:good@192.0.2.9;transport=tls>"]).status != 200:
            raise RuntimeError("REGISTER")
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

    def keeps(self):
        while not self.over:
            self.timed("the old connection", lambda: asks(self.old, sender="sip:good@example.com").status)
            self.asked += 1
            time.sleep(0.05)

    def comes(self):
        def anew():
            c = dial(USERS, source=NEAR)
            try:
                return asks(c, sender="sip:good@example.com").status
            finally:
                c.close()
        while not self.over:
            self.timed("a new connection", anew)
            self.came += 1
            time.sleep(0.1)

    def end(self):
        self.over = True
        for t in self.threads:
            t.join()
        self.old.close()
        if self.wrong:
            return "%d of %d went wrong: %s" % (len(self.wrong), self.asked + self.came, self.wrong[0])
        if self.slow > GENEROUS:
            return "%.1f s for an answer" % self.slow
        if self.asked < 3:
            return "it asked %d times only" % self.asked
        return True


def attacker(n, block=100):
    """Addresses of many blocks."""
    return "%s.%d.%d" % (NET, block + n % 100, 1 + n % 200)


def beside():
    world = World("beside", "connections = 600; connections_block = 30; handshakes = 200; handshake = 3; first_message = 3;"
                  " message = 2; user_queue = 64; user_rate = 40; burst = 5; sign_in = 300; request = 10; link_queue = 256; partner_rate = 60;", workers=2)
    edge, inside = world.edge, Inside(world)
    first = b"\r\n".join(request().split(b"\r\n")[:3])

    def during(attack, seconds=2.5):
        good, end = Good(), time.monotonic() + seconds
        try:
            told = attack(end)
        finally:
            verdict = good.end()
        return verdict if verdict is not True else told

    def connection_flood(end):
        socks = []
        while time.monotonic() < end:
            socks += [plain(NET + ".45.%d" % (1 + len(socks) % 250), USERS) for _ in range(10)]
            if len(socks) > 500:
                give_all(socks[:100])
                del socks[:100]
            time.sleep(0.01)
        give_all(socks)
        return hits(edge, "connections-block") > 0 or "no limit was reached"
    T.run("a flood of connections of one block", lambda: during(connection_flood))

    def half_open(end):
        socks, n = [], 0
        while time.monotonic() < end:
            for n in range(n, n + 3):
                try:
                    s = plain(attacker(n), USERS)
                    s.send(b"\x16\x03\x01")
                    socks.append(s)
                except OSError:
                    pass
            n += 1
            time.sleep(0.01)
        give_all(socks)
        return hits(edge, "handshakes") > 0 or "no limit was reached"
    T.run("handshakes begun from many blocks, and left so", lambda: during(half_open))

    def slow_handshakes(end):
        bytes_, socks, at = hello(), [plain(attacker(i), USERS) for i in range(30)], 0
        while time.monotonic() < end + 2:
            for s in socks:
                try:
                    s.send(bytes_[at:at + 1])
                except OSError:
                    pass
            at += 1
            time.sleep(0.05)
        gone = sum(ended(s, 0) for s in socks)
        give_all(socks)
        return gone == 30 and edge.logged("reason=handshake-timeout") or "%d of 30 were cut" % gone
    T.run("handshakes byte by byte", lambda: during(slow_handshakes))

    def handshake_flood(end):
        made = [0]

        def shake():
            n = 0
            while time.monotonic() < end:
                n += 1
                try:
                    dial(USERS, source=attacker(n)).close()
                    made[0] += 1
                except (OSError, Closed):
                    pass
        threads = [threading.Thread(target=shake) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return made[0] > 20 or "%d were made" % made[0]
    T.run("whole handshakes, one after the other", lambda: during(handshake_flood))

    def slow_writers(body):
        def attack(end):
            whole = request(body=b"x" * 3000)
            begun = whole[:-2900] if body else first
            conns = [dial(USERS, source=attacker(i)) for i in range(20)]
            for c in conns:
                c.send(begun)
            while time.monotonic() < end + 1:
                for c in conns:
                    try:
                        c.send(b"x")
                    except (Closed, Silent):
                        pass
                time.sleep(0.1)
            gone = sum(c.closed(1) for c in conns)
            give_all(c.sock for c in conns)
            return gone == 20 and hits(edge, "message-time") >= 20 or "%d of 20 were cut" % gone
        return attack
    T.run("heads byte by byte", lambda: during(slow_writers(False)))
    T.run("bodies byte by byte", lambda: during(slow_writers(True)))

    def silent(end):
        conns = [dial(USERS, source=attacker(i)) for i in range(20)]
        gone = sum(c.closed(GENEROUS + 3) for c in conns)
        return gone == 20 and edge.logged("reason=first-message-timeout") or "%d of 20 were cut" % gone
    T.run("connections without a word", lambda: during(silent))

    def slow_readers(end):
        conns = []
        for i in range(6):
            c = dial(USERS, source=attacker(i))
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            user = "sip:deaf%d@example.com" % i
            asks(c, method="REGISTER", uri="sip:example.com", sender=user, to=user,
                 headers=["Contact: <%s;transport=tls>" % user])
            conns.append(user)
            conns.append(c)
        before, n = hits(edge, "write-queue"), 0
        # A queue of the kernel's, as large as 4 MB each, comes before ours.
        while hits(edge, "write-queue") < before + 6 and time.monotonic() < end + 60:
            for user in conns[::2] * 10:
                inside.notify(user)
                n += 1
        give_all(c.sock for c in conns[1::2])
        return hits(edge, "write-queue") == before + 6 or "%d cut after %d" % (hits(edge, "write-queue") - before, n)
    T.run("users who do not read", lambda: during(slow_readers))

    def message_flood(end):
        c = dial(USERS, source=attacker(1))
        sent = got = refused = 0
        while time.monotonic() < end:
            c.send(b"".join(request(sender="sip:loud@example.com") for _ in range(50)))
            sent += 50
            for _ in range(50):
                refused += c.recv().status == 503
                got += 1
        c.close()
        return got == sent and refused > sent / 2 or "%d of %d answered, %d refused" % (got, sent, refused)
    T.run("one user who floods with messages; each has its answer", lambda: during(message_flood))

    # ---- at the door for partners, and at the inner one

    def partners_half_open(end):
        socks, before = [], hits(edge, "handshakes")
        while time.monotonic() < end or (len(socks) < 300 and time.monotonic() < end + GENEROUS):
            for n in range(len(socks), len(socks) + 4):
                s = plain(attacker(n), (PARTNERS, INNER)[n % 2])
                try:
                    s.send(b"\x16\x03\x01")
                except OSError:
                    pass
                socks.append(s)
            time.sleep(0.01)
        over = hits(edge, "handshakes") - before
        give_all(socks)
        return over > 0 or "no limit was reached"
    T.run("handshakes begun at the door for partners and at the inner one", lambda: during(partners_half_open, 1.5))

    def deaf(addr, name, cert, uri, sender):
        """A server that asks and asks, and reads no answer."""
        def attack(end):
            c = dial(addr, name, cert=cert, source=attacker(3))
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            before = hits(edge, "link-queue")
            big = request(uri=uri, sender=sender, via_host="192.0.2.7:5061;x=" + "y" * 3000) * 10
            while hits(edge, "link-queue") == before and time.monotonic() < end + 60:
                try:
                    c.send(big)
                except (Closed, Silent):
                    break
            c.close()
            return hits(edge, "link-queue") > before or "no limit was reached"
        return attack
    T.run("a partner who does not read", lambda: during(deaf(PARTNERS, "sip.example.com", "partner-edge-outer",
                                                             "sip:bob@elsewhere.example", CAROL), 1.0))
    T.run("a server inside that does not read", lambda: during(deaf(INNER, "edge.int.example.com", "director",
                                                                     "sip:x@nowhere.example", "sip:bob@example.com"), 1.0))

    def slow_partners(end):
        conns = [dial(PARTNERS, cert="partner-edge-outer", source=attacker(i)) for i in range(10)]
        conns += [dial(INNER, "edge.int.example.com", cert="director", source=attacker(i)) for i in range(10)]
        before = hits(edge, "message-time")
        for c in conns:
            c.send(first)
        gone = sum(c.closed(GENEROUS + 2) for c in conns)
        give_all(c.sock for c in conns)
        return gone == 20 and hits(edge, "message-time") == before + 20 or "%d of 20 were cut" % gone
    T.run("messages that partners and servers inside begin and never end", lambda: during(slow_partners, 0.5))

    def partner_flood(end):
        c = dial(PARTNERS, cert="partner-edge-outer", source=attacker(1))
        sent = refused = 0
        while time.monotonic() < end:
            c.send(b"".join(request(sender=CAROL) for _ in range(100)))
            sent += 100
            for _ in range(100):
                refused += c.recv().status == 503
        c.close()
        return refused > sent / 3 or "%d sent, %d refused" % (sent, refused)
    T.run("a partner who floods with messages; each has its answer", lambda: during(partner_flood, 1.5))

    def tiny_records(end):
        inner, outer, raw, done = ssl.MemoryBIO(), ssl.MemoryBIO(), plain(attacker(2), USERS), 0
        tls, answers = client_context().wrap_bio(inner, outer, server_hostname="sip.example.com"), b""
        raw.settimeout(GENEROUS)
        while True:
            try:
                tls.do_handshake()
                raw.sendall(outer.read())
                break
            except ssl.SSLWantReadError:
                raw.sendall(outer.read())
                inner.write(raw.recv(65536))
        while time.monotonic() < end:
            for byte in request(body=b"x" * 10000):
                tls.write(bytes([byte]))
            raw.sendall(outer.read())
            done += 1
        while answers.count(b"SIP/2.0 ") < done:
            inner.write(raw.recv(65536))
            while True:
                try:
                    answers += tls.read(65536)
                except ssl.SSLWantReadError:
                    break
        raw.close()
        return answers.count(b"SIP/2.0 200") >= min(done, 100) or answers[:40]
    T.run("messages in records of one byte", lambda: during(tiny_records))
    T.run("and then the edge serves as before", lambda: asks(dial(USERS)).status == 200)
    inside.end()
    world.end()


sys.exit(run(dict(connections=connections, messages=messages, beside=beside)))
