"""clock - the clock on the wall jumps by years, forwards and backwards, while requests pass: what is under way,
connected or signed in stays so, time-outs last as long as they should, and certificates count by what
the clock says. Run by clock.sh."""

import mmap
import os
import struct
import sys
import time

from sipnet import BUILD, RUN

DAY = 86400
JUMPS = (("400 days forwards", 400 * DAY), ("800 days backwards", -400 * DAY), ("400 days forwards, to what is right", 0))


class Clock:
    """What a program sees that is started by way of this."""

    def __init__(self, program):
        path = os.path.join(RUN, "jump")
        with open(path, "wb") as f:
            f.write(bytes(8))
        with open(path, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), 8)
        self.program = os.path.join(RUN, "moved-" + program)
        with open(self.program, "w") as f:
            f.write('#!/bin/sh\nLD_PRELOAD="%s" SALLYPORT_CLOCK_JUMP="%s" exec "%s/%s" "$@"\n' % (
                os.environ["CLOCKJUMP"], path, BUILD, program))
        os.chmod(self.program, 0o755)

    def set(self, seconds):
        struct.pack_into("=q", self.page, 0, seconds)


def year_of(daemon):
    """Of the newest line in its log."""
    lines = [line for line in daemon.log().split("\n") if line[:4].isdigit()]
    return int(lines[-1][:4])


def edge():
    from crowd_tools import Asker, Inside, Load, asks, until
    from hostile import PARTNERS, T, USERS, World, pki
    from sipnet import Closed, dial, request

    pki()
    clock = Clock("sallyport-edge")
    carol = "sip:carol@contoso.example"

    def partner():
        return dial(PARTNERS, cert="partner-edge-outer")

    def comes(why):
        """A partner who connects now: is it let in, and if not, why?"""
        try:
            c = partner()
            c.send(request(sender=carol))
            status = c.recv().status
            c.close()
            return why is None and status == 200 or status
        except (Closed, OSError) as e:
            return why is not None and world.edge.logged("reason=" + why) or repr(e)

    world = World("edge", "user_rate = 0; sign_in = 60; idle = 60; request = 8; first_message = 60;", program=clock.program)
    inside, year = Inside(world), time.gmtime().tm_year
    load = Load(lambda: Asker(dial(USERS)))
    old = partner()
    T.check("a partner is there", asks(old, sender=carol).status == 200)
    held, asked = dial(USERS), time.monotonic()
    held.send(request(headers=["X-Hold: yes"]))
    quiet = dial(USERS)
    for (what, seconds), why in zip(JUMPS, ("certificate-expired", "certificate-not-yet-valid", None)):
        clock.set(seconds)
        before = load.answered()
        T.check("%s: requests pass" % what, until(lambda: load.answered() > before + 30))
        T.check("  on connections from before, too", asks(old, sender=carol).status == 200)
        T.run("  a partner who comes now is judged by it (%s)" % (why or "let in"), lambda: comes(why))
        T.check("  the log shows it", (year_of(world.edge) != year) == (seconds != 0), year_of(world.edge))
    T.check("who says nothing yet has the time that it has", not quiet.closed(0.1) and asks(quiet).status == 200)
    early = not held.quiet(max(0.0, asked + 6.5 - time.monotonic()))
    T.check("a request without an answer has its 504 when its time is over, not before", not early and held.recv().status == 504)
    took = time.monotonic() - asked
    T.check("  and not long after", took < 20, took)
    wrong = load.end()
    T.check("each request has had its answer, and no connection was closed", wrong is None and load.closed == 0 and
            set(load.statuses) == {200}, (wrong, load.closed, load.statuses))
    for c in (old, held, quiet):
        c.close()
    inside.end()
    world.end()
    return T


def director():
    import signing
    from crowd_tools import Inside, asks
    from signing import Client
    from sipnet import Door

    T = signing.T
    signing.prepare()
    clock = Clock("sallyport-director")
    door = Door(signing.POOL + ":5061", "pool")
    pool = Inside(type("W", (), {"door": door}))
    d = signing.Director("clock", "ntlm = { timestamp = true; };", program=clock.program)
    conn = signing.edge()

    def signs_in(name):
        c = Client(conn, name)
        c.conn.send(c.answer(c.challenge()))
        got = c.conn.recv()
        return c if got.status == 200 and c.sa.is_right(got) else got.start

    alice = signs_in("alice")
    T.check("alice signs in", isinstance(alice, Client), alice)
    begun = Client(conn, "bob")
    challenge = begun.challenge()
    for what, seconds in JUMPS:
        clock.set(seconds)
        got = alice.ask(alice.signed("MESSAGE", "sip:bob@example.com"))
        T.check("%s: she is signed in still" % what, got.status == 200 and alice.sa.is_right(got), got.start)
        other = signs_in("bob")
        T.check("  bob signs in anew", isinstance(other, Client), other)
        got = other.ask(other.signed("MESSAGE", "sip:alice@example.com")) if isinstance(other, Client) else None
        T.check("  and writes", got is not None and got.status == 200)
    begun.conn.send(begun.answer(challenge))
    T.check("a handshake that was begun before is brought to its end", begun.conn.recv().status == 200)
    T.check("nobody was refused", "event=refused" not in d.log(), [line for line in d.log().split("\n") if "event=refused" in line][:2])
    conn.close()
    pool.end()
    for c in pool.conns:
        c.close()
    door.close()
    T.check("the Director ends in order", d.stop() == 0)
    return T


import sipnet
try:
    tests = {"edge": edge, "director": director}[sys.argv[1]]()
finally:
    for e in list(sipnet.Edge.running):
        e.stop()
sys.exit(1 if tests.failed else 0)
