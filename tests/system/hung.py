"""hung - each process of the Director and of the edge is stopped (SIGSTOP) while users sign in and write, and a worker turns
in a circle for ever: whoever does not answer is killed and replaced, and every request has an answer or its connection was
closed. When all of the machine stands still for a while, nobody is. Run by hung.sh."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import signing
import sipnet
from dirlives import PATIENCE, Load, Pool, digest
from fenced import Family, children, until
from signing import MARK, NET, PKI, Client, Director, edge
from sipnet import BUILD, Closed, Door, Edge, Silent, Tests, dial, request

T = Tests()
HUNG = 4        # seconds; see timers.hung
LONG = 120      # for what takes a few times HUNG, in a sanitizer's build on a busy machine
PARTNER = ("ms-edge-proxy-message-trust: ms-source-type=DirectPartner;ms-ep-fqdn=edge.int.example.com;"
           "ms-source-verified-user=verified;ms-source-network=federation")
USERS_DOOR, INNER, INSIDE = NET + ".8.1:443", NET + ".9.1", NET + ".9.2"


def counted(daemon, what):
    """By process, what the metrics have counted."""
    text = subprocess.run([os.path.join(BUILD, "sallyportctl"), "--socket", os.path.join(daemon.dir, "control.sock"), "metrics"],
                          capture_output=True, text=True).stdout
    found = re.findall(r'^sallyport_process_%s_total\{process="(\w+)"\} (\d+)$' % what, text, re.M)
    return {name: int(n) for name, n in found if n != "0"}


class Hung(Director):
    def __init__(self, name, extra=""):
        super().__init__(name, 'limits = { user_rate = 0; };' + extra, timers="hung = %d;" % HUNG)
        os.symlink("director.sock", os.path.join(self.dir, "control.sock"))


class Relatives(Family):
    """With those that authd keeps, and their keepers."""

    def __init__(self, daemon):
        super().__init__(daemon)
        kept = children(self.authd) if self.authd else {}
        self.keeper = {s["Name"]: pid for pid, s in kept.items()}
        self.helper = {name: next(iter(children(pid)), None) for name, pid in self.keeper.items()}


def stopped(daemon, role, pid, back):
    """That process does not run any more: it is found, named, counted, killed, and there is another."""
    hung, again = counted(daemon, "hung").get(role, 0), counted(daemon, "restarts").get(role, 0)
    said = daemon.log().count("event=process-hung process=%s " % role)
    begin = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    T.check("%s is stopped: the log says that it hangs" % role, daemon.logged("event=process-hung process=%s " % role, count=said + 1, timeout=LONG))
    T.check("  not before its time", time.monotonic() - begin > HUNG - HUNG / 4, time.monotonic() - begin)
    T.check("  it is gone, and there is another", until(lambda: not os.path.exists("/proc/%d" % pid) and back(), LONG))
    T.check("  the metrics have counted both, once", until(lambda: counted(daemon, "hung").get(role, 0) == hung + 1 and
                                                            counted(daemon, "restarts").get(role, 0) == again + 1, LONG),
            (counted(daemon, "hung"), counted(daemon, "restarts")))


# ---- the Director ----

def shakes_hands():
    try:
        edge().close()
        return True
    except (OSError, Closed, Silent):
        return False


def plain(director):
    load = Load()
    T.check("users sign in and write", load.goes_on())
    for role in ("keyd", "authd", "proxy"):
        before, since = Family(director), load.of("signed in")
        stopped(director, role, getattr(before, role), lambda: getattr(Family(director), role) not in (None, getattr(before, role)))
        T.check("  handshakes work", until(shakes_hands, LONG))
        T.check("  users write on", load.goes_on(since if role == "proxy" else None), repr(load.other))
        after = Family(director)
        T.check("  nobody else was replaced", all(getattr(after, other) == getattr(before, other) for other in ("keyd", "proxy")
                                                   if other != role), (before.all, after.all))
    load.stop()
    ended = load.outcomes.get("closed", 0)
    answers = {s: n for s, n in load.outcomes.items() if isinstance(s, int)}
    T.check("of %d requests each was answered or its connection closed, none lost" % load.asked,
            sum(answers.values()) + ended == load.asked and set(answers) <= {200, 401, 500, 503, 504}, repr(load.outcomes))
    T.check("every answer to a signed message was signed", load.of("unsigned") == 0, repr(load.other))


def standing(director):
    """The master alone, and then all of it, does not run for longer than anybody may be silent."""
    before = Family(director)
    hung, master = counted(director, "hung"), director.proc.pid
    for name, pids in (("the master", [master]), ("all of it", [master] + list(before.all))):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(HUNG + 2)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.2)     # the master first: it finds everybody silent
        load = Load(2)
        T.check("%s stood still for %d seconds: users sign in and write" % (name, HUNG + 2), load.goes_on())
        load.stop()
        T.check("  and nobody was taken to hang", counted(director, "hung") == hung and Family(director).all.keys() == before.all.keys(),
                (counted(director, "hung"), Family(director).all))


def restarting(director):
    """One that hangs when the daemon is to end does not keep it."""
    os.kill(Family(director).keyd, signal.SIGSTOP)
    director.proc.send_signal(signal.SIGTERM)
    T.check("with a keyd that hangs, the Director ends all the same", until(lambda: director.proc.poll() is not None, LONG) and
            not Family(director).all)
    director.stop()


# ---- who asks LDAP and winbind ----

HELPERS = """
directory = { homes = "both"; timeout = 800; negative_ttl = 1; };
ldap = { servers = [ "ldaps://%s" ]; trust = "%s/ca.pem"; bases = [ "dc=example" ]; server_timeout = 200; pause = 1; };
ntlm = { accounts = "winbind"; domains = [ "CORP=example.com" ]; };
winbind = { timeout = 800; };
guessing = { user_and_source = 0; source = 0; user = 0; };
""" % (NET + ".7.9", PKI)


class Strangers(threading.Thread):
    """Somebody who needs the process that asks LDAP, or winbind: refused, each time, and in time."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.name_, self.over, self.asked, self.answers, self.longest = name, False, 0, {}, 0

    def ask(self, conn):
        if self.name_ == "directory":
            conn.send(request("MESSAGE", "sip:nobody%d@example.com" % self.asked, "sip:x@contoso.example", headers=[PARTNER]))
        else:
            a = Client(conn)
            challenge = a.challenge()
            conn.send(a.answer(challenge, login="nobody%d" % self.asked, domain="CORP"))
        return conn.recv(PATIENCE)

    def run(self):
        while not self.over:
            conn = None
            begin = time.monotonic()
            try:
                conn = edge()
                self.asked += 1
                got = self.ask(conn).status
            except AssertionError:      # refused where it would have been asked for a password
                got = 500
            except (Closed, Silent, OSError) as e:
                got = repr(e)
            if conn:
                conn.close()
                self.answers[got] = self.answers.get(got, 0) + 1
            self.longest = max(self.longest, time.monotonic() - begin)
            time.sleep(0.05)


def signs_in():
    """Alice, who needs neither."""
    try:
        conn = edge()
        send = ["REGISTER", "sip:example.com", "sip:alice@example.com"]
        conn.send(request(*send, headers=[MARK]))
        challenge = [v for v in conn.recv(PATIENCE).all("WWW-Authenticate") if "SHA-256" in v][0]
        conn.send(request(*send, to="sip:alice@example.com", headers=[
            MARK, signing.PATH, digest(challenge, "alice", "secret", "REGISTER", "sip:example.com")]))
        status = conn.recv(PATIENCE).status
        conn.close()
        return status == 200
    except (IndexError, OSError, Closed, Silent):
        return False


def helpers(director):
    for name in ("directory", "winbind"):
        strangers = Strangers(name)
        strangers.start()
        for who in ("helper", "keeper"):
            before = Relatives(director)
            pid = getattr(before, who)[name]
            authd = who == "keeper"     # which begins anew with its keepers

            def back():
                after = Relatives(director)
                return (getattr(after, who).get(name) not in (None, pid) and after.helper.get(name) is not None and
                        (after.authd != before.authd) == authd)
            hung = counted(director, "hung").get(name, 0)
            os.kill(pid, signal.SIGSTOP)
            T.check("the %s of %s is stopped: the log says that it hangs" % (who, name),
                    director.logged("event=process-hung process=%s " % name, count=hung + 1, timeout=LONG))
            T.check("  it is gone, and there is another", until(lambda: not os.path.exists("/proc/%d" % pid) and back(), LONG))
            T.check("  the metrics have counted it", counted(director, "hung").get(name) == hung + 1)
            T.check("  whoever needs it not is served", until(signs_in, LONG))
            T.check("  by the same proxy and keyd", Relatives(director).proxy == before.proxy and Relatives(director).keyd == before.keyd)
        strangers.over = True
        strangers.join()
        T.check("of %d who needed it each was refused" % strangers.asked, strangers.asked != 0 and set(strangers.answers) <=
                {401, 403, 404, 480, 500, 503, 504} and sum(strangers.answers.values()) == strangers.asked, strangers.answers)


# ---- the edge ----

EDGE_CONF = """
user = "nobody"; workers = 2; control = { socket = "HERE/control.sock"; }; policy = "HERE/policy.conf";
outer = ( { listen = "%s"; name = "sip.example.com"; certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key"; users = true; } );
inner = { listen = "%s:5061"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
dns = { servers = [ "%s.9.9:53" ]; timeout = 100; tries = 1; };
timers = { hung = %d; drain = 0; };
""" % (USERS_DOOR, PKI, PKI, INNER, PKI, PKI, PKI, INSIDE, NET, HUNG)


class Inside(Pool):
    def __init__(self):
        threading.Thread.__init__(self, daemon=True)
        self.door, self.over, self.held = Door(INSIDE + ":5061", "director"), False, []


class Planted(Edge):
    """An edge whose worker turns in a circle when it is told to."""

    def __init__(self, name):
        self.dir = os.path.join(sipnet.RUN, name)
        os.makedirs(self.dir, exist_ok=True)
        with open(os.path.join(self.dir, "policy.conf"), "w") as f:
            f.write('internal_domains = [ "example.com" ];\ninternal_servers = [ "director.int.example.com" ];\n')
        self.write("edge.conf", EDGE_CONF.replace("HERE", self.dir))
        self.log_path = os.path.join(self.dir, "log")
        self.log_file = open(self.log_path, "wb")
        self.proc = subprocess.Popen([os.path.join(BUILD, "tests/planted/planted-edge"), "-f", os.path.join(self.dir, "edge.conf")],
                                     stderr=self.log_file, stdout=self.log_file)
        Edge.running.append(self)
        if not self.logged("event=ready", timeout=LONG):
            sys.stderr.write(self.log())
            raise RuntimeError("the edge did not start")


class Writers:
    """Users who register through the edge, over and over, each on a connection of his own as long as that lasts."""

    def __init__(self, n=3):
        self.over, self.lock, self.asked, self.outcomes, self.good = False, threading.Lock(), 0, {}, 0
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(n)]
        for t in self.threads:
            t.start()

    def ask(self, conn, i):
        with self.lock:
            self.asked += 1
        try:
            conn.send(request("REGISTER", "sip:example.com", "sip:user%d@example.com" % i,
                              headers=["Contact: <sip:192.0.2.7:5061;transport=tls>;proxy=replace"]))
            got = conn.recv(PATIENCE).status
        except (Closed, ConnectionError):
            got = "closed"
        except Silent:
            got = "lost"
        with self.lock:
            self.outcomes[got] = self.outcomes.get(got, 0) + 1
            self.good += got == 200
        return got

    def run(self, i):
        conn = None
        while not self.over:
            try:
                conn = conn or dial(USERS_DOOR)
            except (OSError, Closed, Silent):
                time.sleep(0.05)
                continue
            if self.ask(conn, i) != 200:
                conn.close()
                conn = None
            time.sleep(0.01)
        if conn:
            conn.close()

    def goes_on(self):
        want = self.good + 30
        return until(lambda: self.good >= want, LONG)

    def stop(self):
        self.over = True
        for t in self.threads:
            t.join()


def edge_hangs():
    inside = Inside()
    inside.start()
    e = Planted("edge")
    writers = Writers()
    T.check("the edge: users write", writers.goes_on(), writers.outcomes)
    for role in ("keyd", "proxy"):
        before = Family(e)
        stopped(e, role, getattr(before, role), lambda: getattr(Family(e), role) not in (None, getattr(before, role)))
        T.check("  users write on", writers.goes_on(), writers.outcomes)
        T.check("  and nobody else was replaced", all(getattr(Family(e), other) == getattr(before, other) for other in ("keyd", "proxy")
                                                       if other != role))
    before, hung = Family(e), counted(e, "hung").get("proxy", 0)
    c = dial(USERS_DOOR)
    c.send(request(headers=["X-Planted: hang"]))
    T.check("a worker turns in a circle", e.logged("this worker hangs"))
    T.check("  the process is found to hang", e.logged("event=process-hung process=proxy ", count=hung + 1, timeout=LONG), e.log()[-600:])
    T.check("  there is another", until(lambda: Family(e).proxy not in (None, before.proxy) and not os.path.exists("/proc/%d" % before.proxy), LONG))
    c.close()
    T.check("  users write on", writers.goes_on(), writers.outcomes)
    writers.stop()
    T.check("of %d requests each was answered or its connection closed, none lost" % writers.asked,
            set(writers.outcomes) <= {200, "closed", 503, 504} and sum(writers.outcomes.values()) == writers.asked, writers.outcomes)
    T.check("the edge ends in order, and nothing is left", e.stop() == 0 and not Family(e).all)
    inside.stop()


def a_director(name, extra, *parts):
    director = Hung(name, extra)
    for fn in parts:
        try:
            fn(director)
        except Exception as e:
            T.check("%s came to its end" % fn.__name__, False, "(%s: %s)" % (type(e).__name__, e))
    director.stop()
    log = director.log()
    T.check("%s: no sanitizer complained" % name, "Sanitizer" not in log and "runtime error" not in log)


def an_edge():
    try:
        edge_hangs()
    except Exception as e:
        T.check("edge_hangs came to its end", False, "(%s: %s)" % (type(e).__name__, e))


def main():
    signing.prepare()
    pool = Pool()
    pool.start()
    outside = threading.Thread(target=an_edge)      # it waits mostly, and so do we
    outside.start()
    try:
        a_director("plain", "", plain, standing, restarting)
        a_director("helpers", HELPERS, helpers)
    finally:
        outside.join()
        for e in list(sipnet.Edge.running):
            e.stop()
        pool.stop()
    return 1 if T.failed else 0


if __name__ == "__main__":
    sys.exit(main())
