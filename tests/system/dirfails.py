"""dirfails - what the Director needs breaks: pools that hang, flap, are killed or are black holes, all of
them at once, descriptors, and the whole of it with kill -9. Each request that was sent is counted: it has an
answer, or its connection was closed. What becomes of its processes one by one is in dirlives.py. Run by dirfails.sh."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import crowd_tools
import dircrowd
import inside
import sipnet
from crowd_tools import Inside, give_all, limited, metric, until
from dircrowd import User, World
from inside import CLIENTS, POOL1, POOL2, T, edge
from sipnet import RUN, Closed, Door, Silent, dial

LIMITS = "user_rate = 0;"
TIMERS = "request = 2; failover = 1; signin = 300;"
PATIENCE = 20


class Someone(User):
    """Bob, with a password for each request, and anew when it is asked for."""

    def __init__(self, name="bob", uri="sip:alice@example.com", outside=False):
        self.uri = uri
        super().__init__(name, conn=edge() if outside else None)

    def ask(self):
        status = self.asks(uri=self.uri).status
        if status == 401:
            self.challenged()
        return status


class Load(crowd_tools.Load):
    """Clients inside, and remote users behind an edge, in turn."""

    def __init__(self, users=4):
        self.turn = 0
        super().__init__(self.someone, users)

    def someone(self):
        self.turn += 1
        try:
            return Someone(outside=self.turn % 2 == 0)
        except (Silent, RuntimeError) as e:     # it was not begun, so that nothing is lost
            raise Closed(str(e))


def serves():
    who = None
    try:
        who = Someone()
        return who.ask() == 200
    except (OSError, Closed, Silent, RuntimeError):
        return False
    finally:
        if who:
            who.close()


class Pools:
    """Both pools' doors, and what answers there."""

    def __init__(self):
        self.up = []

    def begin(self):
        for addr, cert in ((POOL1, "pool"), (POOL2, "pool2")):
            world = type("W", (), {"door": Door(addr + ":5061", cert)})
            self.up.append(Inside(world))

    def links(self):
        return [c for p in self.up for c in p.conns]

    def end(self):
        for p in self.up:
            p.end()
            p.door.close()
        for c in self.links():
            c.close()
        self.up = []


def pools():
    world, them = World("pools", LIMITS, TIMERS, pool=False), Pools()
    d = world.director

    def gone():
        """Nobody listens at either."""
        load = Load()
        good = until(lambda: load.answered(504) >= 8, PATIENCE)
        other = Someone("alice", "sip:dora@example.org")
        status = other.ask()
        other.close()
        return load.end() or (good and status == 504 and d.logged("reason=hop-unreachable")) or (load.statuses, status)
    T.run("all pools are gone: every request has its answer", gone)
    them.begin()
    T.run("they are used as soon as they are there", lambda: until(serves, PATIENCE))

    def killed():
        load, before = Load(), 0
        good = until(lambda: load.answered() > 20, PATIENCE)
        for _ in range(3):
            before = load.answered()
            them.end()
            them.begin()
            good = good and until(lambda: load.answered() > before + 10, PATIENCE)
        return load.end() or good or load.statuses
    T.run("pools that end and begin anew, three times: every request has its answer", killed)

    def flapping():
        load, breaks = Load(), 0
        end = time.monotonic() + 3
        while time.monotonic() < end:
            time.sleep(0.3)
            for conn in them.links()[-2:]:
                try:
                    conn.sock.shutdown(socket.SHUT_RDWR)
                    breaks += 1
                except OSError:
                    pass
        return load.end() or (breaks > 3 and load.answered() > 10) or "%d breaks, %r" % (breaks, load.statuses)
    T.run("pools whose connections come and go: every request has its answer", flapping)
    T.run("and then it serves", lambda: until(serves, PATIENCE))
    them.end()

    def hung():
        """They take connections and bytes, and say nothing."""
        doors = [Door(POOL1 + ":5061", "pool"), Door(POOL2 + ":5061", "pool2")]
        taken, over = [], []

        def takes():
            while not over:
                try:
                    taken.append(doors[0].accept(0.2))
                except (Silent, OSError):
                    pass
        thread = threading.Thread(target=takes, daemon=True)
        thread.start()
        load = Load()
        good = until(lambda: load.answered(504) >= 4 and d.logged("reason=hop-timeout", timeout=0), PATIENCE)
        wrong = load.end()
        over.append(True)
        thread.join()
        give_all(c.sock for c in taken)
        for door in doors:
            door.close()
        return wrong or good or "no 504: %r" % load.statuses
    T.run("pools that hang: every request has its answer", hung)

    def black_hole():
        """Nobody answers a SYN: the queue of who listens there is full."""
        hole = socket.socket()
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind((POOL1, 5061))
        hole.listen(0)
        fill = []
        for _ in range(3):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((POOL1, 5061))
            fill.append(s)
        load = Load()
        good = until(lambda: load.answered(504) >= 4, PATIENCE)
        wrong = load.end()
        give_all(fill + [hole])
        return wrong or good or "no 504: %r" % load.statuses
    T.run("a black hole: every request has its answer", black_hole)
    them.begin()
    T.run("and then it serves again", lambda: until(serves, PATIENCE))
    T.check("nothing is left in flight", until(lambda: metric(d, "sallyport_transactions") == 0, 40))
    them.end()
    world.end()


def descriptors():
    world = World("descriptors", LIMITS + "connections_block = 0;", TIMERS + "handshake = 30;",
                  program=limited("few-files", "-n 64", "sallyport-director"))
    d, old = world.director, Someone()
    T.check("it serves, and tells how many it may have", old.ask() == 200 and metric(d, 'sallyport_limit{limit="files"}') == 64)

    def exhausted():
        more = [socket.create_connection(tuple(CLIENTS.rsplit(":", 1))) for _ in range(80)]
        if not d.logged("event=accept-failed"):
            return "not told"
        if old.ask() != 200 or metric(d, 'sallyport_limit_hits_total{limit="files"}') == 0:
            return "who is there is not served, or it is not counted"
        late = threading.Timer(0.5, give_all, (more,))
        late.start()
        # it waits in the queue until there is room, and is served then
        return serves()
    T.run("no descriptors: who is there is served, who comes waits until there are some", exhausted)
    old.close()
    world.end()


def killed():
    """The master, and with it everything, in the middle of the work."""
    world, load = World("killed", LIMITS, TIMERS), Load()
    T.check("it serves under load", until(lambda: load.answered() > 50, PATIENCE))

    def whole():
        for _ in range(2):
            d = world.director
            children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(d.proc.pid)], capture_output=True, text=True).stdout.split()
            d.proc.send_signal(signal.SIGKILL)
            d.proc.wait()
            # a part of it that stayed would answer with what nobody renews
            if not until(lambda: not any(os.path.exists("/proc/%s" % pid) for pid in children), PATIENCE):
                return "something is left"
            d.stop()
            before = load.answered()
            world.begin()
            if not until(lambda: load.answered() > before + 20, PATIENCE):
                return "it does not serve again"
        return True
    T.run("kill -9 of the master under load, twice: the rest ends, and a start serves again", whole)
    T.run("of all requests none was lost: answered, or the connection closed", load.end)
    world.end()


GROUPS = dict(pools=pools, descriptors=descriptors, killed=killed)

if __name__ == "__main__":
    dircrowd.main(GROUPS)
