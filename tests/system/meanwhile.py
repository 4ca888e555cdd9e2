"""meanwhile - an edge and a Director of four workers carry messages, from worker to worker too, while everything else
is done that one thread has to tell another: reloads with other certificates, policies committed, blocked and tried,
partners paused, users changed, traces begun and broken off, logs opened again, and all that may be looked at. Every
request has one answer. What this is for is a build with the sanitizer for threads; it shows something in any other,
too. Run by meanwhile.sh."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import dirlives
import hostile
import signing
import sipnet
from crowd_tools import Asker, Inside, Load, asks, metric, until
from hostile import NET, PARTNERS, POLICY, T, USERS, World
from sipnet import BUILD, PKI, RUN, TOP, Closed, Silent, dial, request

ROUNDS = 3          # of everything, at the least
PATIENCE = 120      # for so many, with a sanitizer on a busy machine
HEP = NET + ".9.5"
TRACED = 12


class Certificates:
    """One of two behind paths that do not change, as whoever renews them puts them there."""

    def __init__(self, name, dns):
        self.name, self.now = name, 0
        for i in range(2):
            subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI, "cert", "%s%d" % (name, i), "--dns", dns],
                           check=True, stdout=subprocess.DEVNULL)
        for i in range(2):
            for kind in ("pem", "key"):
                os.chown("%s/%s%d.%s" % (PKI, name, i, kind), os.stat("%s/%s.pem" % (PKI, name)).st_uid, -1)

    def renew(self):
        self.now = 1 - self.now
        for kind in ("pem", "key"):
            fresh = "%s/%s.%s.next" % (PKI, self.name, kind)
            os.symlink("%s%d.%s" % (self.name, self.now, kind), fresh)
            os.rename(fresh, "%s/%s.%s" % (PKI, self.name, kind))


class Doing(threading.Thread):
    """Goes through a list of things to do, again and again; each is a function that says whether it went well."""

    def __init__(self, steps):
        super().__init__(daemon=True)
        self.steps, self.rounds, self.over, self.wrong = steps, 0, False, []
        self.start()

    def run(self):
        while not self.over:
            for step in self.steps:
                try:
                    got = step()
                except Exception as e:
                    got = repr(e)
                if got is not True:
                    self.wrong.append(got)
            self.rounds += 1


class Daemon:
    """How to ask one."""

    def __init__(self, daemon, name):
        self.daemon, self.socket = daemon, os.path.join(daemon.dir, name)

    def command(self, *words):
        return [os.path.join(BUILD, "sallyportctl"), "--socket", self.socket] + list(words)

    def ask(self, *words):
        p = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=PATIENCE)
        return p.returncode == 0 or (words, p.returncode, p.stdout[-300:], p.stderr[-300:])

    def asks(self, *words):
        return lambda: self.ask(*words)

    def hangs_up(self):
        """A reload that the control socket knows nothing of."""
        before = self.daemon.log().count("event=reloaded")
        self.daemon.hup()
        return until(lambda: self.daemon.log().count("event=reloaded") > before, PATIENCE) or "HUP"

    def traces(self, *words):
        """Until it has seen enough, which proves that it is told."""
        return self.ask("trace", "--count", str(TRACED), *words)

    def breaks_off(self):
        """A trace that is interrupted while messages come."""
        t = subprocess.Popen(self.command("trace", "--heads"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        first = t.stdout.readline()
        t.send_signal(signal.SIGINT)
        t.communicate(timeout=PATIENCE)
        return first != b"" or "a trace that never began"


def all_done(what, doing):
    """Everybody was through with everything a few times; and nothing went wrong in it."""
    done = until(lambda: all(d.rounds >= ROUNDS for d in doing), PATIENCE)
    for d in doing:
        d.over = True
    for d in doing:
        d.join(PATIENCE)
    wrong = [w for d in doing for w in d.wrong]
    T.check("%s: all of it was done, %d times at the least, and went well" % (what, ROUNDS), done and not wrong,
            (["%d rounds" % d.rounds for d in doing], wrong[:2]))


class Crossing:
    """The Director writes to users over any of its connections, whichever worker has the user's; some hang up meanwhile."""

    def __init__(self, inside):
        self.inside, self.over, self.asked, self.wrong, self.answered = inside, False, set(), [], 0
        self.threads = [threading.Thread(target=self.user, args=(n,), daemon=True) for n in range(8)]
        for t in self.threads:
            t.start()
        if not until(lambda: len(inside.paths) == 8, PATIENCE):
            raise RuntimeError("not all have signed in")
        self.writer = threading.Thread(target=self.writes, daemon=True)
        self.writer.start()

    def user(self, n):
        """The first four stay, the others come and go."""
        name, turn = "sip:u%d@example.com" % n, 0
        while not self.over:
            turn, c = turn + 1, None
            try:
                c = dial(USERS)
                if asks(c, method="REGISTER", uri="sip:example.com", sender=name, to=name,
                        headers=["Contact: <%s;transport=tls>" % name]).status != 200:
                    self.wrong.append("REGISTER")
                left = turn * 7 % 23 if n >= 4 else 1 << 30
                while left > 0 and not self.over:
                    try:
                        m = c.recv(0.5)
                    except Silent:
                        continue
                    c.send(m.reply(200))
                    left -= 1
            except Closed:
                pass
            except OSError as e:
                self.wrong.append(repr(e))
            finally:
                if c is not None:
                    c.close()

    def writes(self):
        rng = random.Random(7)
        while not self.over:
            # so many may be on their way
            if len(self.asked) - len(self.inside.answers) > 64:
                time.sleep(0.002)
                continue
            for name, (_, path) in list(self.inside.paths.items()):
                call, conn = "meanwhile-%d" % len(self.asked), rng.choice(self.inside.conns)
                self.asked.add(call)
                with conn.lock:
                    conn.send(request("MESSAGE", name, "sip:bob@example.com", to=name, call=call, headers=["Route: " + path]))
            time.sleep(0.002)

    def end(self):
        self.over = True
        self.writer.join()
        everything = until(lambda: self.asked == set(self.inside.answers), PATIENCE)
        for t in self.threads:
            t.join()
        by_status = {}
        for status in self.inside.answers.values():
            by_status[status] = by_status.get(status, 0) + 1
        print("# %d asked: %r" % (len(self.asked), by_status), flush=True)
        T.check("what goes to users of any worker has one answer each", everything and not self.wrong,
                "(%d without, %r)" % (len(self.asked - set(self.inside.answers)), self.wrong[:1]))
        T.check("most found their user, and some found nobody", by_status.get(200, 0) > len(self.asked) / 2 and
                len(by_status) > 1 and set(by_status) <= {200, 430, 480}, repr(by_status))


class PartnerAsker(Asker):
    def __init__(self):
        super().__init__(dial(PARTNERS, cert="partner-edge-outer"))

    def ask(self):
        return asks(self.conn, sender="sip:carol@contoso.example").status


def on_workers(edge):
    """How many workers have connections."""
    return len([n for n in range(4) if metric(edge, 'sallyport_worker_connections{worker="%d"}' % n) > 1])


def edge():
    homer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    homer.bind((HEP, 9060))
    renewed = [Certificates("edge-outer", "sip.example.com"), Certificates("edge-inner", "edge.int.example.com")]
    sessions = os.path.join(RUN, "sessions")
    more = hostile.config("request = 60; failover = 30; user_rate = 0; partner_rate = 0; sign_in = 300;", workers=4) + (
        'session_log = { file = "%s"; };\nhep = { server = "%s:9060"; };\n' % (sessions, HEP))
    config, hostile.config = hostile.config, lambda *_: more
    try:
        world = World("edge")
    finally:
        hostile.config = config
    e, inside, ctl = world.edge, Inside(world), Daemon(world.edge, "edge.sock")
    store = ["--store", os.path.join(e.dir, "store"), "--policy", os.path.join(e.dir, "policy.conf"), "--author", "carol"]
    e.write("candidate", POLICY + 'blocked = [ "tried.example" ];\n')

    def renews():
        for c in renewed:
            c.renew()
        return ctl.ask("reload")

    def tries():
        # by a name of its own: what is blocked meanwhile is another's
        for words in (("candidate", "set", os.path.join(e.dir, "candidate")), ("shadow", "start"), ("shadow", "status"),
                      ("shadow", "stop"), ("discard",)):
            got = ctl.ask("policy", *words, *store, *(["--candidate", "tried"] if words[0] != "shadow" or words[1] != "status" else []))
            if got is not True:
                return got
        return True

    T.check("every worker has its link to the Director", until(lambda: len(inside.conns) >= 4, PATIENCE))
    crossing = Crossing(inside)
    loads = [Load(lambda: Asker(dial(USERS)), 4), Load(PartnerAsker, 4)]
    T.check("connections are with every worker", until(lambda: on_workers(e) == 4, PATIENCE))
    all_done("an edge", [
        Doing([renews, ctl.hangs_up, ctl.asks("block", "spam.example", *store), ctl.asks("reopen-logs"), tries,
               ctl.asks("unblock", "spam.example", *store), ctl.asks("partner", "pause", "Contoso", *store),
               ctl.asks("partner", "resume", "Contoso", *store)]),
        Doing([ctl.asks("status"), ctl.asks("connections"), ctl.asks("metrics"), ctl.asks("certs", "--all"),
               ctl.asks("partner", "list"), ctl.asks("discovered", "list"), ctl.asks("connections", "--class", "remote-user")]),
        Doing([ctl.traces, ctl.breaks_off, lambda: ctl.traces("--partner", "Contoso", "--json")])])
    for what, load, statuses in (("users", loads[0], {200}), ("a partner who is paused now and then", loads[1], {200, 480})):
        lost = load.end()
        T.check("%s: every request has its answer, and no connection ends" % what, lost is None and load.closed == 0 and
                load.answered() > 20 and set(load.statuses) <= statuses, (lost, load.closed, load.statuses))
    crossing.end()
    T.check("nothing is left in flight", until(lambda: metric(e, "sallyport_transactions") == 0, 60) or
            metric(e, "sallyport_transactions"))
    T.check("the ends of requests are in the session log", os.path.getsize(sessions) > 10000)
    homer.settimeout(10)
    T.check("copies came to Homer", homer.recv(65536)[:4] == b"HEP3")
    homer.close()
    inside.end()
    world.end()


class Walker(dirlives.User):
    """Its edge has two connections to the Director, and its requests come by one or the other."""

    other = None

    def ask(self, data):
        if self.other is None:
            try:
                self.other = signing.edge()
            except (OSError, Closed):
                return super().ask(data)
        self.conn, self.other = self.other, self.conn
        return super().ask(data)

    def hang_up(self):
        if self.other is not None:
            self.other.close()
        self.other = None
        super().hang_up()


def director():
    signing.user("add", "carol@example.com", "--pool", "pool.int.example.com", password="secret\n")
    renewed = Certificates("director", signing.NAME)
    pool = dirlives.Pool()
    pool.start()
    d = signing.Director("director", 'limits = { user_rate = 0; };\nsession_log = { file = "%s/director.sessions"; };' % RUN, workers=4)
    ctl, was, users = Daemon(d, "director.sock"), dirlives.User, ["--users", os.path.join(RUN, "users")]
    dirlives.User = Walker
    try:
        load = dirlives.Load()
    finally:
        dirlives.User = was
    T.check("users sign in, and write over two connections each", load.goes_on(), repr((load.outcomes, load.other)))

    def changes(*words):
        p = subprocess.run([os.path.join(BUILD, "sallyportctl"), "user"] + list(words) + users, capture_output=True, text=True)
        return p.returncode == 0 or (words, p.stderr)

    def renews():
        renewed.renew()
        return ctl.ask("reload")

    all_done("a Director", [
        Doing([renews, ctl.hangs_up, lambda: changes("set", "carol@example.com", "--disabled"), ctl.asks("reopen-logs"),
               lambda: changes("set", "carol@example.com", "--enabled")]),
        Doing([ctl.asks("status"), ctl.asks("connections"), ctl.asks("signed-in"), ctl.asks("pools"), ctl.asks("metrics"),
               ctl.asks("certs")]),
        Doing([ctl.traces, ctl.breaks_off, lambda: ctl.traces("--user", "alice@example.com", "--json")])])
    load.report("a Director meanwhile", (200, 401), closed=False)
    T.check("  and messages passed", load.of("written") > 50, repr(load.other))
    T.check("  its sessions are in the log", os.path.getsize(os.path.join(RUN, "director.sessions")) > 1000)
    T.check("the Director ends in order", d.alive() and d.stop() == 0)
    log = d.log()
    T.check("the Director: no sanitizer complained", "Sanitizer" not in log and "runtime error:" not in log)
    pool.stop()


def main():
    os.makedirs(RUN, exist_ok=True)
    signing.prepare()
    for fn in (edge, director):
        try:
            fn()
        except Exception as e:  # whatever went wrong is the test's result
            T.check("%s came to its end" % fn.__name__, False, "(%s: %s)" % (type(e).__name__, e))
        finally:
            for running in list(sipnet.Edge.running):
                running.stop()
            for door in sipnet.Door.opened:
                door.close()
    return 1 if T.failed or dirlives.T.failed else 0


sys.exit(main())
