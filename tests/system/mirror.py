"""mirror - the edge is no open relay, no mirror and no amplifier, and believes
no answer that was not asked for. Run by mirror.sh."""

import select
import socket
import sys
import time

from hostile import ELSEWHERE, T, World, run
from sipnet import Closed, Message, Silent, request

CAROL, BOB, ALICE = "sip:carol@contoso.example", "sip:bob@example.com", "sip:alice@example.com"
HERE = "director.int.example.com:5061"


class Trap:
    """Sockets at the address where nothing may be sent."""

    def __init__(self):
        self.socks = []
        for port in (443, 5060, 5061, 6666):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                s = socket.socket(socket.AF_INET, kind)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((ELSEWHERE, port))
                if kind == socket.SOCK_STREAM:
                    s.listen(8)
                self.socks.append(s)

    def sprung(self):
        return bool(select.select(self.socks, [], [], 0)[0])

    def close(self):
        for s in self.socks:
            s.close()


def mirror():
    world, trap = World("mirror", limits="request = 2; failover = 1; connect = 1;"), Trap()
    world.serves()
    director = world.director
    user, partner = world.user(), world.partner()
    partner.send(request("OPTIONS", sender=CAROL))
    director.send(director.recv().reply(200))
    partner.recv()

    odd = {
        "Request-URI": dict(uri="sip:bob@%s" % ELSEWHERE),
        "Request-URI with a port": dict(uri="sip:bob@%s:5061;transport=tcp" % ELSEWHERE),
        "Request-URI without a user": dict(uri="sip:%s" % ELSEWHERE),
        "maddr of the Request-URI": dict(uri="sip:bob@example.com;maddr=%s;transport=udp" % ELSEWHERE),
        "a percent-hack": dict(uri="sip:bob%%40example.com@%s" % ELSEWHERE),
        "Route": dict(headers=["Route: <sip:%s;lr>" % ELSEWHERE]),
        "Route without lr": dict(headers=["Route: <sip:%s>" % ELSEWHERE]),
        "Route by UDP": dict(headers=["Route: <sip:%s:5060;transport=udp;lr>" % ELSEWHERE]),
        "Route behind ours": dict(headers=["Route: <sip:sip.example.com:443;lr>, <sip:%s;lr>" % ELSEWHERE]),
        "maddr of a Route with our name": dict(headers=["Route: <sip:sip.example.com;maddr=%s;lr>" % ELSEWHERE]),
        "Route in a dialog": dict(to_tag="x", headers=["Route: <sip:%s;lr>" % ELSEWHERE]),
        "Via": dict(via_host=ELSEWHERE + ":5061"),
        "Via's received": dict(via_host="192.0.2.7:5061;received=%s" % ELSEWHERE),
        "Via's received and rport": dict(via_host="192.0.2.7:5061;rport=6666;received=%s" % ELSEWHERE),
        "Via's maddr": dict(via_host="192.0.2.7:5061;maddr=%s;ttl=16" % ELSEWHERE),
        "a second Via": dict(headers=["Via: SIP/2.0/UDP %s:5060;branch=z9hG4bKx" % ELSEWHERE]),
        "Record-Route": dict(headers=["Record-Route: <sip:%s;lr>" % ELSEWHERE]),
        "Path": dict(method="REGISTER", uri="sip:example.com", headers=["Path: <sip:%s;lr>" % ELSEWHERE, "Supported: path"]),
        "Service-Route": dict(headers=["Service-Route: <sip:%s;lr>" % ELSEWHERE]),
        "Contact": dict(method="INVITE", headers=["Contact: <sip:bob@%s:5060>" % ELSEWHERE]),
        "Refer-To": dict(method="REFER", headers=["Refer-To: <sip:bob@%s>" % ELSEWHERE]),
        "Reply-To and Alert-Info": dict(headers=["Reply-To: <sip:%s>" % ELSEWHERE, "Alert-Info: <http://%s:5060/>" % ELSEWHERE]),
        "ACK's Request-URI": dict(method="ACK", uri="sip:bob@%s" % ELSEWHERE, to_tag="x"),
        "ACK's Route": dict(method="ACK", to_tag="x", headers=["Route: <sip:%s;lr>" % ELSEWHERE]),
        "CANCEL's Route": dict(method="CANCEL", headers=["Route: <sip:%s;lr>" % ELSEWHERE]),
        "BENOTIFY's Route": dict(method="BENOTIFY", headers=["Route: <sip:%s;lr>" % ELSEWHERE]),
        "seventy Vias": dict(headers=["Via: SIP/2.0/UDP %s;branch=z9hG4bK%d" % (ELSEWHERE, i) for i in range(60)]),
        "thirty Contacts": dict(method="REGISTER", uri="sip:example.com",
                                headers=["Contact: " + ", ".join("<sip:%d@%s>" % (i, ELSEWHERE) for i in range(30))]),
    }

    def one(conn, far, sender, to, parts):
        """Sends it and an ordinary one behind; counts what came through, and who answered."""
        parts = dict(parts)
        first, last = "odd-%f" % time.monotonic(), "last-%f" % time.monotonic()
        parts.setdefault("uri", to)
        conn.send(request(sender=sender, to=to, call=first, **parts))
        conn.send(request("INFO", uri=to, sender=sender, call=last))
        copies, answers = 0, 0
        while True:
            m = far.recv()
            if m.status:
                continue
            if m.method == "ACK" and copies:
                continue        # of our own 200, hop by hop
            far.send(m.reply(200, headers=["Contact: <sip:x@%s>" % ELSEWHERE]) if m.method not in ("ACK", "BENOTIFY") else b"")
            if m.get("Call-ID") == last:
                break
            copies += 1
        while True:
            r = conn.recv()
            if r.get("Call-ID") == last:
                break
            answers += r.status >= 200
        expected = 0 if parts.get("method") in ("ACK", "BENOTIFY") else 1
        return (copies <= 1 and answers == expected and not trap.sprung()) or "%d copies, %d answers" % (copies, answers)

    for what, parts in odd.items():
        T.run("user, %s: at most one copy, inward; the answer on the connection" % what,
              lambda p=parts: one(user, director, ALICE, BOB, p))
        T.run("partner, %s" % what, lambda p=parts: one(partner, director, CAROL, BOB, p))
        if "uri" not in parts and "Vias" not in what:
            T.run("inside, %s: only to the partner that policy chose" % what, lambda p=parts: one(director, partner, ALICE, CAROL, p))

    def stray():
        """Responses that nobody asked for, from every side, with the address in every place."""
        for conn in (user, partner, director):
            for via in ("SIP/2.0/TLS %s:5061;branch=z9hG4bKx" % ELSEWHERE,
                        "SIP/2.0/TLS edge.int.example.com:5061;branch=z9hG4bKsp00000000000000000100000000",
                        "SIP/2.0/TLS sip.example.com:443;branch=z9hG4bKspff000000000000ff0100000000;received=%s" % ELSEWHERE):
                conn.send("SIP/2.0 200 OK\r\nVia: %s\r\nVia: SIP/2.0/UDP %s:5060;branch=z9hG4bKy\r\nFrom: <%s>;tag=1\r\nTo: <%s>;tag=2\r\n"
                          "Call-ID: stray\r\nCSeq: 1 INVITE\r\nContact: <sip:%s>\r\nContent-Length: 0\r\n\r\n" % (via, ELSEWHERE, ALICE, BOB, ELSEWHERE))
        good = world.serves(user)
        return good if good is not True else (not trap.sprung() and partner.quiet(0) and world.edge.logged("reason=stray-response", count=6))
    T.run("stray responses go nowhere", stray)
    T.check("in all of this nobody was called elsewhere", not trap.sprung())

    def through_loops():
        """A partner that sends everything straight back, and one that changes it a little each time."""
        rounds = 0
        user.send(request(uri=BOB, sender=ALICE, call="loop"))
        m = director.recv()
        director.send(Message(m.raw).raw)       # back to where it came from
        r = director.recv()
        if r.status not in (403, 404, 482):
            return r.start
        director.send(m.reply(200))
        user.recv()
        partner.send(request(uri=BOB, sender=CAROL, call="spiral"))
        while rounds < 100:
            if not select.select([director.sock, partner.sock], [], [], 5)[0]:
                return "silence after %d rounds" % rounds
            if partner.buffer or not partner.quiet(0):
                got = partner.recv()
                return (got.status in (400, 482, 483) and 1 < rounds <= 71) or "%s after %d" % (got.start, rounds)
            while director.buffer or not director.quiet(0):
                m = director.recv()
                if m.status:
                    return "the Director got %s" % m.start
                rounds += 1
                partner.send(m.raw.replace(b"sip:bob", b"sip:bob%d" % rounds, 1))
        return "no end after %d rounds" % rounds
    T.run("loops and spirals end", through_loops)
    trap.close()
    world.end()


def answers():
    world = World("answers", limits="request = 3; invite = 10; invite_first = 3; failover = 1; message = 1;")
    world.serves()
    director = world.director
    state = {"far": None}

    def far():
        c = state["far"]
        if c is not None:
            try:
                if not c.buffer:
                    c._more(0)
            except Silent:
                pass
            except Closed:
                c = None
        if c is None:
            c = world.partner()
            c.send(request("OPTIONS", sender=CAROL))
            director.send(director.recv().reply(200))
            c.recv()
        state["far"] = c
        return c

    def ask(method="MESSAGE", **parts):
        c = far()
        director.send(request(method, uri=CAROL, sender=BOB, via_host=HERE, **parts))
        return c, c.recv()

    def changed(change, **parts):
        """An answer that was tampered with does not pass; the true one behind it does."""
        c, m = ask(**parts)
        bad, good = m.reply(200, "Forged"), m.reply(480, "True")
        evil = change(bad)
        if evil == bad:
            return "nothing is changed"
        c.send(evil + good)
        r = director.recv()
        return (r.status == 480 and director.quiet(0.02)) or r.raw

    def sub(a, b):
        return lambda raw: raw.replace(a, b, 1)

    def vias(edit):
        def change(raw):
            head, _, body = raw.partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            all_vias = [x for x in lines if x.startswith(b"Via:")]
            rest = [x for x in lines[1:] if not x.startswith(b"Via:")]
            return b"\r\n".join([lines[0]] + edit(all_vias) + rest) + b"\r\n\r\n" + body
        return change
    foreign = b"Via: SIP/2.0/TLS %s:5061;branch=z9hG4bKforeign" % ELSEWHERE.encode()

    for what, change, parts in (
            ("another From tag", sub(b";tag=a1", b";tag=zz"), {}),
            ("no From tag", sub(b";tag=a1", b""), {}),
            ("another Call-ID", sub(b"Call-ID: ", b"Call-ID: x"), {}),
            ("another CSeq number", sub(b"CSeq: 1 ", b"CSeq: 2 "), {}),
            ("another CSeq method", sub(b" MESSAGE\r\n", b" INFO\r\n"), {}),
            ("another To tag in a dialog", sub(b";tag=mine", b";tag=other"), dict(to_tag="mine")),
            ("a foreign Via under ours", vias(lambda v: v[:1] + [foreign] + v[1:]), {}),
            ("a foreign Via in place of the sender's", vias(lambda v: v[:1] + [foreign]), {}),
            ("a foreign Via behind all", vias(lambda v: v + [foreign]), {}),
            ("a foreign Via on ours' line", vias(lambda v: [v[0] + b", " + foreign[5:]] + v[1:]), {}),
            ("our Via alone", vias(lambda v: v[:1]), {}),
            ("the Vias the other way round", vias(lambda v: v[::-1]), {}),
            ("our Via twice", vias(lambda v: v[:1] + v), {}),
            ("no Via", vias(lambda v: []), {}),
            ("another port in the sender's Via", sub(HERE.encode(), b"director.int.example.com:6666"), {}),
            ("another branch in the sender's Via", sub(b"branch=z9hG4bKt", b"branch=z9hG4bKu"), {}),
            ("a digit changed in our branch", vias(lambda v: [v[0].replace(b"z9hG4bKsp00", b"z9hG4bKsp01")] + v[1:]), {}),
            ("our branch in capitals", vias(lambda v: [v[0].replace(b"z9hG4bKsp", b"Z9HG4BKSP")] + v[1:]), {}),
            ("two Call-IDs", sub(b"Call-ID:", b"i: x\r\nCall-ID:"), {}),
            ("CSeq past its range", sub(b"CSeq: 1", b"CSeq: 4294967297"), {})):
        T.run("an answer with %s is dropped, the true one passes" % what, lambda c=change, p=parts: changed(c, **p))

    def reformatted():
        c, m = ask()
        raw = m.reply(200)
        v = [x[5:] for x in raw.split(b"\r\n") if x.startswith(b"Via: ")]
        c.send(vias(lambda _: [b"v:  " + b",\r\n ".join(x.strip() for x in v)])(raw).replace(HERE.encode(), HERE.upper().encode()))
        return director.recv().status == 200
    T.run("Vias on one line, folded, in capitals are the same Vias", reformatted)

    def of_another():
        c, one = ask()
        _, two = ask()
        # the first one's answer with the second one's branch
        c.send(one.reply(200, "Forged").replace(one.all("Via")[0].encode(), two.all("Via")[0].encode(), 1))
        c.send(two.reply(202, "Two") + one.reply(201, "One"))
        return [director.recv().status, director.recv().status] == [202, 201]
    T.run("an answer cannot be given to another request", of_another)

    def by_another():
        c, m = ask()
        user = world.user()
        user.send(m.reply(200, "Forged"))
        good = world.serves(user)
        c.send(m.reply(480))
        r = director.recv()
        return good is True and r.status == 480 or "%s %s" % (good, r.start)
    T.run("nor by another peer", by_another)

    def flood():
        c, m = ask("INVITE", headers=["Contact: <sip:bob@192.0.2.9>"])
        if director.recv().status != 100:
            return "no 100"
        ringing = m.reply(180, "Ringing")
        for _ in range(40):
            c.send(ringing * 50)
        began = time.monotonic()
        user = world.user()
        user.send(request(call="beside"))
        count = 0
        while True:
            got = director.recv()
            if got.get("Call-ID") == "beside" and not got.status:
                director.send(got.reply(200))
                break
            count += 1
        took = time.monotonic() - began
        if user.recv().status != 200 or took > 5:
            return "a good client waited %.1f s" % took
        c.send(m.reply(200, headers=["Contact: <sip:c@192.0.2.9>"]))
        while True:
            r = director.recv()
            if r.status == 200:
                break
            count += 1
        return count <= 100 or "%d provisional answers came through" % count
    T.run("of 2,000 provisional answers 100 pass, and the final one", flood)

    def many_2xx():
        c, m = ask("INVITE", headers=["Contact: <sip:bob@192.0.2.9>"])
        director.recv()
        c.send(b"".join(m.reply(200, to_tag="fork%d" % i) for i in range(500)))
        _, after = ask()
        c.send(after.reply(480))
        count = 0
        while True:
            r = director.recv()
            if r.status == 480:
                break
            count += 1
        return 1 < count <= 101 or count
    T.run("further 2xx pass, but not without end", many_2xx)

    def finished():
        c, m = ask()
        c.send(m.reply(200) + m.reply(200) + m.reply(404) + m.reply(180))
        _, after = ask()
        c.send(after.reply(480))
        return [director.recv().status, director.recv().status] == [200, 480]
    T.run("answers to what is finished are dropped", finished)

    def after_cancel():
        branch = "z9hG4bKcancelled"
        c, m = ask("INVITE", branch=branch, call="cancelled", headers=["Contact: <sip:bob@192.0.2.9>"])
        c.send(m.reply(180))
        director.send(request("CANCEL", uri=CAROL, sender=BOB, via_host=HERE, branch=branch, call="cancelled"))
        seen = [director.recv().status for _ in range(3)]
        cancel = c.recv()
        c.send(cancel.reply(200) + m.reply(200, headers=["Contact: <sip:c@192.0.2.9>"]) + m.reply(487))
        ack = c.recv()
        _, after = ask()
        c.send(after.reply(480))
        seen += [director.recv().status, director.recv().status]
        return (sorted(seen[:3]) == [100, 180, 200] and cancel.method == "CANCEL" and ack.method == "ACK" and
                seen[3:] == [200, 480]) or seen
    T.run("a 2xx after the CANCEL comes back; the 487 behind it does not, and is acknowledged", after_cancel)

    def giant():
        c, m = ask()
        try:
            c.send(m.reply(200, headers=["X: " + "a" * 1000000]))
        except Closed:
            pass
        ended = c.closed(3)
        c.close()
        r = director.recv()
        return (ended and r.status in (502, 504)) or r.start
    T.run("an answer with a header of a megabyte costs its connection; the asker hears of it", giant)

    def large():
        c, m = ask()
        c.send(m.reply(200, headers=["X: " + "a" * 7000, "Y: " + "b" * 5000]))
        r = director.recv()
        return r.status == 200 and len(r.get("X")) == 7000
    T.run("one just within the limits passes", large)

    def unfinished():
        c, m = ask()
        c.send(m.reply(200, body=b"x" * 500)[:-200])
        ended = c.closed(4)
        c.close()
        return (ended and director.recv().status in (502, 504)) or "not closed"
    T.run("one that never ends costs its connection; the asker hears of it", unfinished)

    def challenge():
        c, m = ask()
        c.send(m.reply(401, headers=["WWW-Authenticate: Digest realm=\"example.com\", nonce=\"x\"", "Proxy-Authenticate: Digest realm=\"y\", nonce=\"x\""]))
        r = director.recv()
        return r.status == 401 and r.get("WWW-Authenticate") is None and r.get("Proxy-Authenticate") is None or r.raw
    T.run("nobody outside asks our users for a password", challenge)

    def redirect():
        trap = Trap()
        c, m = ask()
        c.send(m.reply(302, headers=["Contact: <sip:%s>" % ELSEWHERE]))
        r = director.recv()
        sprung = trap.sprung()
        trap.close()
        return (r.status == 302 and not sprung) or r.raw
    T.run("a redirection is told, not followed", redirect)

    def unavailable():
        c, m = ask()
        c.send(m.reply(503, "Service Unavailable", headers=["Retry-After: 86400"]))
        return director.recv().status == 500
    T.run("a 503 is the partner's own and comes as 500", unavailable)

    T.run("a good client is served as before", world.serves)
    world.end()


sys.exit(run(dict(mirror=mirror, answers=answers)))
