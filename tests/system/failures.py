"""failures - what the edge needs breaks: next hops that hang, flap or are black
holes, descriptors, memory, disk, and the process itself. Each request that was sent
is counted: it has an answer, or its connection was closed. Run by failures.sh."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import crowd_tools
from crowd_tools import Asker, Inside, asks, give_all, limited, metric, proxy_of, until
from hostile import DIRECTOR, NET, POLICY, T, USERS, World, config, run
from sipnet import BUILD, RUN, Closed, Door, Edge, Silent, dial, request



class Load(crowd_tools.Load):
    """Users of the edge, who ask one after the other."""

    def __init__(self, users=4):
        super().__init__(lambda: Asker(dial(USERS)), users)


LIMITS = "request = 2; failover = 1; connect = 1; user_rate = 0; sign_in = 300;"


def next_hop():
    world = World("next-hop", LIMITS)

    def hung():
        """It takes connections and bytes, and says nothing."""
        world.inside()
        load = Load()
        good = until(lambda: load.answered(504) >= 4)
        return load.end() or good or "no 504"
    T.run("a next hop that hangs: every request has its answer", hung)
    inside = Inside(world)
    world.director.close()
    T.run("one that speaks again is used again", lambda: until(lambda: asks(dial(USERS)).status == 200, 20))

    def flapping():
        load, breaks = Load(), 0
        end = time.monotonic() + 6
        while time.monotonic() < end:
            time.sleep(0.3)
            for conn in inside.conns[-1:]:
                try:
                    conn.sock.shutdown(socket.SHUT_RDWR)
                    breaks += 1
                except OSError:
                    pass
        return load.end() or (breaks > 3 and load.answered() > 10) or "%d breaks, %r" % (breaks, load.statuses)
    T.run("a next hop that comes and goes: every request has its answer", flapping)
    T.run("and then it serves", lambda: until(lambda: asks(dial(USERS)).status == 200, 20))
    inside.end()
    for conn in inside.conns:
        conn.close()
    world.door.close()

    def gone():
        """Nobody listens there."""
        load = Load()
        good = until(lambda: load.answered(504) >= 4)
        return load.end() or (good and world.edge.logged("reason=hop-unreachable")) or "no 504: %r" % load.statuses
    T.run("all Directors are gone: every request has its answer", gone)

    def black_hole():
        """Nobody answers a SYN: the queue of who listens there is full."""
        host, port = DIRECTOR, 5061
        hole = socket.socket()
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind((host, port))
        hole.listen(0)
        fill = []
        for _ in range(3):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((host, port))
            fill.append(s)
        load = Load()
        good = until(lambda: load.answered(504) >= 4, 15)
        wrong = load.end()
        give_all(fill + [hole])
        return wrong or good or "no 504: %r" % load.statuses
    T.run("a black hole: every request has its answer", black_hole)
    world.door = Door(DIRECTOR + ":5061", "director")
    inside = Inside(world)
    T.run("and then it serves again", lambda: until(lambda: asks(dial(USERS)).status == 200, 20))
    inside.end()
    world.end()


def descriptors():
    world = World("descriptors", LIMITS + "handshake = 30;", program=limited("few-files", "-n 48"))
    inside, edge, old = Inside(world), world.edge, dial(USERS)
    T.check("it serves, and tells how many it may have", asks(old).status == 200 and metric(edge, 'sallyport_limit{limit="files"}') == 48)
    def exhausted():
        more = [socket.create_connection(tuple(USERS.rsplit(":", 1))) for _ in range(60)]
        if not edge.logged("event=accept-failed"):
            return "not told"
        if asks(old).status != 200 or metric(edge, 'sallyport_limit_hits_total{limit="files"}') == 0:
            return "who is there is not served, or it is not counted"
        late = threading.Timer(0.5, give_all, (more,))
        late.start()
        # it waits in the queue until there is room, and is served then
        return asks(dial(USERS)).status == 200
    T.run("no descriptors: who is there is served, who comes waits until there are some", exhausted)
    inside.end()
    world.end()


def disk():
    full = os.path.join(RUN, "full")
    os.makedirs(full, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=777", "tmpfs", full], stderr=subprocess.DEVNULL).returncode:
        print("skip no disk can be mounted here", flush=True)
        return
    door = None
    try:
        door = Door(DIRECTOR + ":5061", "director")
        text = config(LIMITS).replace('log = { level = "info"; refusals = 0; };',
                                      'log = { level = "info"; refusals = 0; };\nsession_log = { file = "%s/sessions"; };' % full)
        edge = Edge("disk", text, POLICY)
        world = type("W", (), {"door": door})
        inside = Inside(world)

        def runs_full():
            with open(os.path.join(full, "filler"), "wb", buffering=0) as f:
                try:
                    while f.write(b"x" * 1024):
                        pass
                except OSError:
                    pass
            load = Load()
            lost = until(lambda: load.answered() > 100 and
                         metric(edge, 'sallyport_session_lines_total{result="failed"}') > 0)
            wrong = load.end()
            if wrong or not lost or set(load.statuses) != {200}:
                return wrong or "lines lost: %s, %r" % (lost, load.statuses)
            os.unlink(os.path.join(full, "filler"))
            before = metric(edge, 'sallyport_session_lines_total{result="ok"}')
            asks(dial(USERS))
            return until(lambda: metric(edge, 'sallyport_session_lines_total{result="ok"}') > before) or "no lines when there is room again"
        T.run("a full disk: all are served, lost lines are counted, and lines are written when there is room", runs_full)
        inside.end()
        T.check("disk: the edge ends in order", edge.stop() == 0)
    finally:
        if door:
            door.close()
        subprocess.run(["umount", "-l", full], check=True)


def killed():
    world = World("killed", LIMITS, workers=2)
    inside, load = Inside(world), Load()
    T.check("it serves under load", until(lambda: load.answered() > 50))

    def proxy():
        for _ in range(3):
            before, was = load.answered(), proxy_of(world.edge)
            os.kill(was, signal.SIGKILL)
            if not until(lambda: load.answered() > before + 20, 20):
                return "it does not serve again"
        return True
    T.run("the proxy is killed three times under load, and serves again", proxy)

    def whole():
        edge = world.edge
        edge.proc.send_signal(signal.SIGKILL)
        edge.proc.wait()
        edge.stop()
        before = load.answered()
        world.edge = Edge("killed", config(LIMITS, 2), POLICY)
        return until(lambda: load.answered() > before + 20, 20) or "it does not serve again"
    T.run("kill -9 of the whole under load, and a start: it serves again", whole)
    T.run("of all requests none was lost: answered, or the connection closed", load.end)
    inside.end()
    world.end()


def memory():
    if crowd_tools.sanitized():
        return      # its allocator ends the process in its own way, and needs far more than it is asked for
    def data_of(edge):
        with open("/proc/%d/status" % proxy_of(edge)) as f:
            return [int(line.split()[1]) for line in f if line.startswith("VmData")][0]
    limits = LIMITS + "message = 60; message_size = 2000000;"
    world = World("measured", limits)
    used = data_of(world.edge)
    world.edge.stop()
    world.door.close()
    # some 20 MiB more than it has when nobody is there
    world = World("memory", limits, program=limited("little-memory", "-d %d" % (used + 20000)))
    inside, load, was = Inside(world), Load(), proxy_of(world.edge)
    T.check("it serves with little memory", until(lambda: load.answered() > 20))

    out_of_memory(world, load, was, "no memory")
    inside.end()
    world.end()


def out_of_memory(world, load, was, what):
    """Messages that are begun and never end, until the proxy cannot keep them any more."""
    def out():
        conns, before = [], load.answered()
        try:
            for _ in range(60):
                conns.append(dial(USERS))
                conns[-1].send(request(body=b"x" * 1500000)[:-10])
        except (OSError, Closed, Silent):
            pass
        gone = until(lambda: not os.path.exists("/proc/%d" % was))
        give_all(c.sock for c in conns)
        return (gone and until(lambda: load.answered() > before + 20, 20)) or "gone: %s" % gone
    T.run(what + ": the proxy ends, another takes its place and serves", out)
    T.run("of all requests none was lost: answered, or the connection closed", load.end)


class Cgroup:
    """A group of processes with so much memory. None of the kernel's that can be used here: available is false."""

    def __init__(self, name):
        name = "sallyport-%s-%d" % (name, os.getpid())
        for top, limit, usage, more in (("/sys/fs/cgroup", "memory.max", "memory.current", "memory.swap.max"),
                                        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", None)):
            self.dir, self.limit, self.usage = os.path.join(top, name), os.path.join(top, name, limit), os.path.join(top, name, usage)
            self.available = False
            try:
                os.mkdir(self.dir)
                if more and os.path.exists(os.path.join(self.dir, more)):
                    self.write(os.path.join(self.dir, more), "0")
                self.bound(32 << 20)
                self.available = self.is_enforced()
                self.bound(1 << 40)
            except OSError:
                pass
            if self.available:
                return
            self.end()

    @staticmethod
    def write(path, text):
        with open(path, "w") as f:
            f.write(text)

    def bound(self, n):
        self.write(self.limit, str(n))

    def used(self):
        with open(self.usage) as f:
            return int(f.read())

    def enter(self):
        return "echo $$ >'%s/cgroup.procs' || exit 1" % self.dir

    def is_enforced(self):
        """Some kernels let one write it, and do nothing."""
        hungry = '%s -c "x = bytearray(100 << 20)"' % sys.executable
        return subprocess.run(["sh", "-c", "%s; exec %s" % (self.enter(), hungry)], stderr=subprocess.DEVNULL).returncode != 0

    def end(self):
        try:
            os.rmdir(self.dir)
        except OSError:
            pass


def cgroup():
    """The same with all processes in one group, of which the kernel chooses who has to go."""
    if crowd_tools.sanitized():
        return
    group = Cgroup("edge")
    if not group.available:
        print("# no control group with a limit of memory can be made here; the limit of the data segment stands for it", flush=True)
        return
    program = os.path.join(RUN, "in-a-group")
    with open(program, "w") as f:
        f.write('#!/bin/sh\n%s\nexec "%s/sallyport-edge" "$@"\n' % (group.enter(), BUILD))
    os.chmod(program, 0o755)
    world = World("cgroup", LIMITS + "message = 60; message_size = 2000000;", program=program)
    try:
        inside, load, was = Inside(world), Load(), proxy_of(world.edge)
        T.check("it serves in its group", until(lambda: load.answered() > 20))
        group.bound(group.used() + (24 << 20))
        out_of_memory(world, load, was, "no memory in its group")
        inside.end()
        world.end()
    finally:
        world.edge.stop()
        until(lambda: group.end() or not os.path.exists(group.dir))


def mail():
    """Requests to users whose connections are other workers', and end meanwhile."""
    world = World("mail", LIMITS, workers=4)
    inside, over = Inside(world), threading.Event()
    asked, wrong, rng = set(), [], random.Random(7)
    T.check("every worker has its link to the Director", until(lambda: len(inside.conns) == 4))

    def user(n):
        name, turn = "sip:u%d@example.com" % n, 0
        while not over.is_set():
            turn += 1
            try:
                c = dial(USERS)
                if asks(c, method="REGISTER", uri="sip:example.com", sender=name, to=name,
                        headers=["Contact: <%s;transport=tls>" % name]).status != 200:
                    wrong.append("REGISTER")
                # with these it is done; the rest find it gone, or going
                for _ in range(turn * 7 % 23):
                    m = c.recv(0.5)
                    c.send(m.reply(200))
            except (Silent, Closed):
                pass
            except OSError as e:
                wrong.append(repr(e))
            finally:
                c.close()

    threads = [threading.Thread(target=user, args=(n,), daemon=True) for n in range(6)]
    for t in threads:
        t.start()
    until(lambda: len(inside.paths) == 6)
    end = time.monotonic() + 6
    while time.monotonic() < end:
        for name, (_, path) in list(inside.paths.items()):
            call = "mail-%d" % len(asked)
            conn = rng.choice(inside.conns)
            with conn.lock:
                conn.send(request("MESSAGE", name, "sip:bob@example.com", to=name, call=call, headers=["Route: " + path]))
            asked.add(call)
        time.sleep(0.005)
    everything = until(lambda: asked == set(inside.answers), 15)
    over.set()
    for t in threads:
        t.join()
    by_status = {}
    for status in inside.answers.values():
        by_status[status] = by_status.get(status, 0) + 1
    print("# %d asked: %r" % (len(asked), by_status), flush=True)
    T.check("requests to connections that end meanwhile: each has one answer", everything and not wrong,
            "(%d without, %r)" % (len(asked - set(inside.answers)), wrong[:1]))
    T.check("some found their user, and some did not", by_status.get(200, 0) > 20 and len(by_status) > 1, repr(by_status))
    T.check("nothing is left in flight", until(lambda: metric(world.edge, "sallyport_transactions") == 0, 40) or
            metric(world.edge, "sallyport_transactions"))
    inside.end()
    world.end()


class Names(threading.Thread):
    """A DNS server that has no names, and says so while it speaks."""

    def __init__(self, addr):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((addr, 53))
        self.sock.settimeout(0.1)
        self.over, self.mute, self.asked = False, False, 0
        self.start()

    def run(self):
        while not self.over:
            try:
                q, who = self.sock.recvfrom(4096)
            except socket.timeout:
                continue
            except OSError:
                return
            self.asked += 1
            if not self.mute:   # QR, RD, RA, NXDOMAIN; the question, and nothing more
                end = q.index(b"\0", 12) + 5
                self.sock.sendto(q[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + q[12:end], who)

    def end(self):
        self.over = True
        self.join()
        self.sock.close()


def dns():
    """Those inside write to domains that only DNS can tell where they are, while users outside are served."""
    door = Door(DIRECTOR + ":5061", "director")
    edge = Edge("dns", config(LIMITS + "held = 40; held_per_domain = 5;").replace("timeout = 100;", "timeout = 1500;"), POLICY + "discovery = true; open_federation = true;\n")
    world = type("W", (), {"door": door})
    inside, names, load, serial = Inside(world), Names(NET + ".9.9"), Load(), [0]
    T.check("the edge serves under load", until(lambda: load.answered() > 20))

    def writes(n, domains):
        """n requests to so many domains, at once; the statuses of all."""
        asked, conn = [], inside.conns[0]
        for _ in range(n):
            serial[0] += 1
            asked.append("dns-%d" % serial[0])
            to = "sip:x@d%d-%d.example" % (serial[0] % domains, n)
            with conn.lock:
                conn.send(request("MESSAGE", to, "sip:bob@example.com", to=to, call=asked[-1]))
        if not until(lambda: all(c in inside.answers for c in asked), 30):
            return {"none": sum(c not in inside.answers for c in asked)}
        return {s: [inside.answers[c] for c in asked].count(s) for s in {inside.answers[c] for c in asked}}

    def phase(what, good, domains=150, n=150):
        before, got = load.answered(), writes(n, domains)
        passing = until(lambda: load.answered() > before + 20)
        T.check(what, good(got) and passing and sum(got.values()) == n, repr(got))
    def because(reason):
        return sum("reason=" + reason in line for line in edge.log().split("\n"))
    phase("DNS answers: who is not there is said to be", lambda got: got == {504: 35} and because("srv-missing") == 35, n=35)
    names.mute = True
    # the first of them may be over before the last has come
    phase("DNS is silent: all are answered, 40 after a while, the rest at once", lambda got: set(got) == {503, 504} and
          40 <= got[504] <= 80 and because("srv-failed") == got[504], n=151)
    phase("  of one domain no more than 5 wait", lambda got: set(got) == {503, 504} and 5 <= got[504] <= 10, domains=1, n=40)
    T.check("  which is counted", metric(edge, 'sallyport_limit_hits_total{limit="held"}') >= 100 and because("dns-busy") >= 100)
    names.end()
    phase("DNS is gone: all are answered", lambda got: set(got) <= {503, 504}, n=152)
    names, missing = Names(NET + ".9.9"), because("srv-missing")
    phase("DNS is back: who is not there is said to be", lambda got: got == {504: 34} and because("srv-missing") == missing + 34, n=34)
    wrong = load.end()
    T.check("the others were served all the while", wrong is None and set(load.statuses) == {200} and load.closed == 0,
            (wrong, load.statuses, load.closed))
    names.end()
    inside.end()
    for c in inside.conns:
        c.close()
    door.close()
    T.check("dns: the edge ends in order", edge.stop() == 0)


sys.exit(run(dict(next_hop=next_hop, descriptors=descriptors, disk=disk, killed=killed, memory=memory, cgroup=cgroup, mail=mail, dns=dns)))
