"""dirlives - each process of the Director is killed while users sign in and write, and another version of the program
takes over. Every request that was sent is counted: it has an answer, or its connection was closed. Run by dirlives.sh."""

import datetime
import hashlib
import mmap
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time

import signing
import sipnet
from fenced import Family, status_of, until
from msclient import parameters
from signing import MARK, NAME, NET, POOL, RUN, SERVERS, Client, Director, edge, prepare
from sipnet import BUILD, Closed, Door, Silent, Tests, request

T = Tests()
PATIENCE = 30      # of a sanitizer's build on a busy machine


class Pool(threading.Thread):
    """Answers whatever comes, on however many links; what says X-Hold when it is told to."""

    def __init__(self):
        super().__init__(daemon=True)
        self.door, self.over, self.held = Door(POOL + ":5061", "pool"), False, []

    def link(self, c):
        while not self.over:
            try:
                m = c.recv(0.5)
                if m.get("X-Hold"):
                    self.held.append((c, m))
                    continue
                c.send(m.reply(200, headers=["Contact: <sip:alice@192.0.2.7:5061;transport=tls>;expires=300"]))
            except Silent:
                continue
            except Closed:
                return

    def run(self):
        while not self.over:
            try:
                threading.Thread(target=self.link, args=(self.door.accept(0.5),), daemon=True).start()
            except (Silent, OSError):
                continue

    def let_go(self):
        for c, m in self.held:
            c.send(m.reply(200))
        self.held = []

    def stop(self):
        self.over = True
        self.join()
        self.door.close()


class User(threading.Thread):
    """Signs in, writes and writes, each time with its signature; signs in again when it is told to, or cut off."""

    def __init__(self, load):
        super().__init__(daemon=True)
        self.load, self.conn, self.client = load, None, None

    def ask(self, data):
        """One request, counted by what came of it: the answer, None when there is no connection any more."""
        load = self.load
        with load.lock:
            load.asked += 1
        try:
            self.conn.send(data)
            got = self.conn.recv(PATIENCE)
        except Closed:
            load.count("closed")
            return None
        except Silent:
            load.count("lost")
            return None
        load.count(got.status)
        return got

    def connect(self):
        try:
            self.conn = edge()
            self.load.count("connected", self.load.other)
        except ConnectionRefusedError:
            self.load.count("refused", self.load.other)
            time.sleep(0.05)
        except (OSError, Closed):
            self.load.count("handshake", self.load.other)      # cut off in it
            time.sleep(0.05)

    def sign_in(self):
        a = Client(self.conn)
        got = self.ask(a.registration("Authorization: " + a.sa.credentials(', gssapi-data=""')))
        if got is None:
            return False
        if got.status == 401 and "gssapi-data" in signing.offers(got)[1]:
            a.sa.opaque = signing.offers(got)[1]["opaque"]
            got = self.ask(a.answer(signing.token_of(got)))
            if got is None:
                return False
            if got.status == 200 and a.sa.is_right(got):
                self.client = a
                self.load.count("signed in", self.load.other)
        return True

    def run(self):
        while not self.load.over:
            if self.conn is None:
                self.connect()
                continue
            if self.client is None:
                if not self.sign_in():
                    self.hang_up()
                continue
            got = self.ask(self.client.signed("MESSAGE", "sip:bob@example.com", body=b"hi"))
            if got is None:
                self.hang_up()
            elif got.status == 401:
                self.client = None
            elif got.status == 200:
                if not self.client.sa.is_right(got):
                    self.load.count("unsigned", self.load.other)
                self.load.count("written", self.load.other)
            time.sleep(0.005)
        self.hang_up()

    def hang_up(self):
        if self.conn is not None:
            self.conn.close()
        self.conn = self.client = None


class Load:
    def __init__(self, users=4):
        self.lock, self.over, self.asked = threading.Lock(), False, 0
        self.outcomes, self.other = {}, {}
        self.users = [User(self) for _ in range(users)]
        for u in self.users:
            u.start()

    def count(self, what, where=None):
        with self.lock:
            where = self.outcomes if where is None else where
            where[what] = where.get(what, 0) + 1

    def of(self, what):
        with self.lock:
            return self.other.get(what, 0)

    def goes_on(self, signed_in=None):
        """Messages pass, and every user is signed in; all of them anew, if there were so many sign-ins before."""
        want, signed_in = self.of("written") + 30, signed_in if signed_in is not None else -len(self.users)
        return until(lambda: self.of("written") >= want and self.of("signed in") >= signed_in + len(self.users) and
                     all(u.client is not None for u in self.users), PATIENCE)

    def stop(self):
        self.over = True
        for u in self.users:
            u.join()

    def report(self, name, statuses, closed):
        """Each request has one outcome. statuses: those that may be; closed: may connections have ended?"""
        self.stop()
        ended = self.outcomes.get("closed", 0)
        answers = {s: n for s, n in self.outcomes.items() if isinstance(s, int)}
        T.check("%s: of %d requests each was answered (%d) or its connection closed (%d), none lost" %
                (name, self.asked, sum(answers.values()), ended),
                sum(answers.values()) + ended == self.asked and set(answers) <= set(statuses) and (closed or ended == 0),
                repr(self.outcomes))
        T.check("%s: no connection was refused, of %d" % (name, self.of("connected")), self.of("refused") == 0, repr(self.other))
        T.check("%s: every answer to a signed message was signed" % name, self.of("unsigned") == 0, repr(self.other))


def ctl(director, *words):
    return subprocess.run([os.path.join(BUILD, "sallyportctl"), "--socket", os.path.join(director.dir, "director.sock")] +
                          list(words), check=True, capture_output=True, text=True).stdout


def restarts(director):
    """By process, as the metrics have it."""
    found = re.findall(r'^sallyport_process_restarts_total\{process="(\w+)"\} (\d+)$', ctl(director, "metrics"), re.M)
    return {name: int(n) for name, n in found if n != "0"}


def proxy_killed(director):
    load = Load()
    T.check("users sign in and write", load.goes_on())
    for n in (1, 2):
        before, since = Family(director), load.of("signed in")
        os.kill(before.proxy, signal.SIGKILL)
        T.check("the proxy is killed, the %d. time: the master says so and starts another" % n,
                director.logged("event=proxy-ended", "signal 9", count=n) and
                director.logged("event=ready", count=n + 1, timeout=PATIENCE))
        T.check("  everybody signs in again, and writes", load.goes_on(since), repr(load.other))
        after = Family(director)
        T.check("  there are a new proxy and a new authd, and keyd is the same", after.keyd == before.keyd and
                after.proxy != before.proxy and after.authd != before.authd and len(after.all) == 3, repr(after.all))
    load.report("proxy killed", (200, 401), closed=True)
    T.check("the metrics have counted it", restarts(director) == {"proxy": 2}, repr(restarts(director)))


def stuck(director):
    """An authd that hangs does not keep the next proxy from starting."""
    before = Family(director)
    ready = director.log().count("event=ready")
    os.kill(before.authd, signal.SIGSTOP)
    os.kill(before.proxy, signal.SIGKILL)
    T.check("with an authd that hangs, another proxy starts all the same", director.logged("event=ready", count=ready + 1, timeout=PATIENCE))
    T.check("  and the one that hung is gone", until(lambda: not os.path.exists("/proc/%d" % before.authd)))


def authd_killed(director):
    load = Load()
    T.check("users sign in and write again", load.goes_on())
    counted = restarts(director).get("authd", 0)
    old = request("REGISTER", "sip:example.com", "sip:alice@example.com", headers=[MARK])
    conn = edge()
    conn.send(old)
    nonce = digest_nonce(conn.recv())
    connected, signed_in = load.of("connected"), load.of("signed in")
    for n in (1, 2):
        before = Family(director)
        os.kill(before.authd, signal.SIGKILL)
        T.check("authd is killed, the %d. time: the master says so and starts another" % n,
                director.logged("event=authd-ended", "signal 9", count=n) and
                director.logged("event=authd-started", "the workers have", count=n, timeout=PATIENCE))
        T.check("  messages pass again", load.goes_on(), repr((load.outcomes, load.other)))
        after = Family(director)
        T.check("  it has the place of the old one, and the proxy and keyd are the same", after.proxy == before.proxy and
                after.keyd == before.keyd and after.authd != before.authd and len(after.all) == 3, repr(after.all))
    T.check("nobody was cut off, or had to sign in again", load.of("connected") == connected and
            load.of("signed in") == signed_in, repr(load.other))
    load.report("authd killed", (200, 401, 500, 503, 504), closed=False)
    again = Client(conn)
    T.check("a user signs in on a connection from before", again.ask(again.answer(again.challenge())).status == 200)
    conn.send(old.replace(b"Call-ID: call-", b"Call-ID: again-"))
    T.check("what was offered before is offered no more", digest_nonce(conn.recv()) != nonce)
    conn.close()
    T.check("the metrics have counted it", restarts(director).get("authd", 0) == counted + 2, repr(restarts(director)))


def digest_nonce(m):
    for value in m.all("WWW-Authenticate"):
        found = re.search(r'nonce="([0-9a-f]+)"', value)
        if found:
            return found.group(1)
    raise AssertionError("no challenge: " + m.start)


def replayed(director):
    """Digest credentials that were used are worth nothing with the next authd either."""
    conn = edge()
    send = ["REGISTER", "sip:example.com", "sip:alice@example.com"]
    conn.send(request(*send, headers=[MARK]))
    challenge = [v for v in conn.recv().all("WWW-Authenticate") if "SHA-256" in v][0]
    line = digest(challenge, "alice", "secret", "REGISTER", "sip:example.com")
    headers = [MARK, signing.PATH, line, "Contact: <sip:alice@192.0.2.7:5061;transport=tls>"]
    conn.send(request(*send, to="sip:alice@example.com", headers=headers))
    got = conn.recv()
    T.check("alice signs in with Digest", got.status == 200, repr(got.raw))
    before = director.log().count("the workers have new channels to authd")
    os.kill(Family(director).authd, signal.SIGKILL)
    T.check("authd is killed, and there is another", director.logged("the workers have new channels to authd", count=before + 1,
                                                                     timeout=PATIENCE))
    last = [None]

    def told():
        conn.send(request(*send, to="sip:alice@example.com", headers=headers))
        last[0] = conn.recv(PATIENCE)
        return last[0].status in (200, 401)
    T.check("the same credentials again are stale", until(told, PATIENCE) and last[0].status == 401 and
            "stale=true" in " ".join(last[0].all("WWW-Authenticate")), repr(last[0].start))
    conn.close()


def digest(challenge, user, password, method, uri):
    p = parameters(challenge)[1]

    def h(text):
        return hashlib.sha256(text.encode()).hexdigest()
    response = h("%s:%s:00000001:abc:auth:%s" % (h("%s:%s:%s" % (user, p["realm"], password)), p["nonce"], h(method + ":" + uri)))
    return ('Authorization: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=SHA-256, '
            'cnonce="abc", qop=auth, nc=00000001' % (user, p["realm"], p["nonce"], uri, response))


def keyd_killed(director):
    load = Load()
    T.check("users sign in and write once more", load.goes_on())
    before = Family(director)
    os.kill(before.keyd, signal.SIGKILL)
    T.check("keyd is killed: another takes its place", director.logged("event=keyd-started", "the workers have", timeout=PATIENCE))

    def handshake():
        try:
            edge().close()
            return True
        except (OSError, Closed):
            return False
    T.check("  handshakes work", until(handshake, PATIENCE))
    T.check("  users write on", load.goes_on())
    load.report("keyd killed", (200, 401), closed=False)
    T.check("the metrics have counted it", restarts(director).get("keyd") == 1)
    status = ctl(director, "status")
    T.check("and so has the status", all(re.search(r"\b%s\b.*\b%d\b" % pair, status) for pair in restarts(director).items()), status)


def upgraded(director):
    with open(os.path.join(director.dir, "director.conf")) as f:
        text = f.read()
    director.write("director.conf", text.replace("drain = 0", "drain = 5"))
    director.proc.send_signal(signal.SIGUSR2)
    T.check("a changed configuration is taken over", director.logged("event=upgraded", timeout=PATIENCE))
    load = Load()
    T.check("users sign in and write, before", load.goes_on())
    done = director.log().count("event=upgraded")
    for n in (1, 2):
        before, since = Family(director), load.of("signed in")
        ready = director.log().count("event=ready")
        director.proc.send_signal(signal.SIGUSR2)
        T.check("another program takes over, the %d. time" % n, director.logged("event=ready", count=ready + 1, timeout=PATIENCE) and
                director.alive())
        T.check("  the one before drains and ends, and authd with it", director.logged("event=upgraded", "status 0", count=done + n,
                                                                                        timeout=PATIENCE) and
                until(lambda: not set(before.all) & set(Family(director).all), PATIENCE), repr(before.all))
        T.check("  everybody signs in again, and writes", load.goes_on(since), repr(load.other))
    load.report("upgraded", (200, 401, 500, 503), closed=True)
    director.write("director.conf", text + "nonsense = 1;\n")
    director.proc.send_signal(signal.SIGUSR2)
    T.check("a configuration that would not do is found before", director.logged("event=upgrade-refused") and director.alive())
    director.write("director.conf", text)


def signs_in():
    conn = None
    try:
        conn = edge()
        a = Client(conn)
        return a.ask(a.answer(a.challenge())).status == 200
    except (AssertionError, OSError, Closed, Silent):
        return False
    finally:
        if conn:
            conn.close()


def reload(director):
    """Its exit status, and what it says."""
    p = subprocess.run([os.path.join(BUILD, "sallyportctl"), "--socket", os.path.join(director.dir, "director.sock"), "reload"],
                       capture_output=True, text=True)
    return p.returncode, p.stdout + p.stderr


def reloaded_without_authd(director):
    """authd cannot begin, for its user file is broken: a configuration that names another one is taken, and mends it."""
    users, other, conf = RUN + "/users", RUN + "/other-users", os.path.join(director.dir, "director.conf")
    with open(conf) as f:
        text = f.read()
    shutil.copy2(users, other)
    os.rename(users, users + ".good")
    with open(users, "w") as f:
        f.write("nonsense\n")
    os.chmod(users, 0o600)
    failed = director.log().count("did not start")
    T.check("authd lives for long", until(lambda: int(subprocess.run(["ps", "-o", "etimes=", "-p", str(Family(director).authd)],
            check=True, capture_output=True, text=True).stdout) > 10, PATIENCE))
    os.kill(Family(director).authd, signal.SIGKILL)
    T.check("it is killed, and its user file is broken: none begins", until(
        lambda: director.log().count("did not start") > failed and Family(director).authd is None, PATIENCE))
    director.logged("did not start", count=failed + 4, timeout=PATIENCE)
    times = [datetime.datetime.fromisoformat(line[:23]) for line in director.log().split("\n") if "did not start" in line][failed:]
    T.check("  it is tried again after longer and longer pauses", (times[3] - times[2]).total_seconds() > 0.3, repr(times))
    status, said = reload(director)
    T.check("  a reload that mends nothing is refused, and says what is wrong", status != 0 and users + ":1" in said, said)
    director.write("director.conf", text.replace(users, other))
    status, said = reload(director)
    T.check("  one that names another user file is taken, though no authd is there", status == 0, said)
    T.check("  and authd begins with that", until(signs_in, PATIENCE))
    os.rename(users + ".good", users)
    director.write("director.conf", text)
    T.check("  as it was before", reload(director)[0] == 0 and until(signs_in, PATIENCE))


def half_edited(director):
    """The configuration was changed, but not taken, and authd could not begin with it: the next proxy begins with the one before."""
    broken, conf, ready = RUN + "/broken-users", os.path.join(director.dir, "director.conf"), director.log().count("event=ready")
    with open(conf) as f:
        text = f.read()
    with open(broken, "w") as f:
        f.write("nonsense\n")
    os.chmod(broken, 0o600)
    director.write("director.conf", text.replace(RUN + "/users", broken))
    os.kill(Family(director).proxy, signal.SIGKILL)
    T.check("the proxy is killed while the configuration names a broken user file: another starts", director.logged(
        "event=ready", count=ready + 1, timeout=PATIENCE))
    T.check("  which is said", director.logged("event=reload", broken + ":1"))
    T.check("  and everybody is served as before", until(signs_in, PATIENCE))
    director.write("director.conf", text)


def slow_authd(director):
    """An authd that hangs is no reason to call a configuration bad, and its late answer is not the next question's."""
    authd = Family(director).authd
    os.kill(authd, signal.SIGSTOP)
    try:
        status, said = reload(director)
    finally:
        os.kill(authd, signal.SIGCONT)
    T.check("with an authd that hangs, a reload is refused and says so", status != 0 and "does not answer" in said, said)
    T.check("  and works when it is back", until(lambda: reload(director)[0] == 0, PATIENCE) and Family(director).authd == authd)


def drained(pool):
    """While the proxy drains, the others are replaced as well."""
    director = Director("drained", "limits = { user_rate = 0; };")
    with open(os.path.join(director.dir, "director.conf")) as f:
        text = f.read()
    director.write("director.conf", text.replace("drain = 0", "drain = 120"))
    T.check("a long time to drain is set", reload(director)[0] == 0)
    conn = edge()
    a = Client(conn)
    T.check("a user signs in", a.ask(a.answer(a.challenge())).status == 200)
    conn.send(a.signed("MESSAGE", "sip:bob@example.com", headers=["X-Hold: yes"], body=b"hi"))
    T.check("her message is under way", until(lambda: pool.held, PATIENCE))
    director.proc.send_signal(signal.SIGTERM)
    T.check("the Director drains", director.logged("event=stopping", timeout=PATIENCE))
    before = Family(director)
    os.kill(before.authd, signal.SIGKILL)
    T.check("  authd is killed meanwhile, and there is another", director.logged("event=authd-started", "the workers have",
                                                                                 timeout=PATIENCE) and
            Family(director).authd not in (None, before.authd))
    os.kill(before.keyd, signal.SIGKILL)
    T.check("  keyd is, and there is another", director.logged("event=keyd-started", "the workers have", timeout=PATIENCE) and
            Family(director).keyd not in (None, before.keyd))
    pool.let_go()
    T.check("  and the message has its answer, signed", a.sa.is_right(conn.recv(PATIENCE)))
    T.check("  it ends in order, and nothing is left", until(lambda: director.proc.poll() is not None, PATIENCE) and
            director.stop() == 0 and not Family(director).all)
    conn.close()


class Fault:
    """The next frames of a type, with descriptors in them, cannot be sent."""

    def __init__(self):
        path, self.program = os.path.join(RUN, "fault"), os.path.join(RUN, "faulty-director")
        with open(path, "wb") as f:
            f.write(bytes(8))
        with open(path, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), 8)
        with open(self.program, "w") as f:
            f.write('#!/bin/sh\nLD_PRELOAD="%s" SALLYPORT_SEND_FAULT="%s" exec "%s/sallyport-director" "$@"\n' % (
                os.environ["SENDFAULT"], path, BUILD))
        os.chmod(self.program, 0o755)

    def set(self, times, kind):
        struct.pack_into("=ii", self.page, 0, times, kind)

    def left(self):
        return struct.unpack_from("=i", self.page, 0)[0]


KEYS, HELPER = 5, 6     # MASTER_KEYS and MASTER_HELPER (admin/master.h)


def unsent():
    """New channels that cannot be sent to the proxy are sent again, or the proxy begins anew."""
    if "SENDFAULT" not in os.environ:
        return
    fault = Fault()
    director = Director("unsent", "limits = { user_rate = 0; };", program=fault.program)
    T.check("a Director that cannot always send serves", until(signs_in, PATIENCE))
    for role, kind in (("authd", HELPER), ("keyd", KEYS)):
        before = Family(director)
        tried = director.log().count("event=channels-unsent")
        fault.set(3, kind)
        os.kill(getattr(before, role), signal.SIGKILL)
        T.check("%s's new channels cannot be sent, three times: they are sent again" % role,
                director.logged("event=channels-unsent", count=tried + 1, timeout=PATIENCE) and until(lambda: fault.left() == 0, PATIENCE) and
                director.logged("event=%s-started" % role, "the workers have", timeout=PATIENCE))
        T.check("  everybody is served, by the same proxy", until(signs_in, PATIENCE) and Family(director).proxy == before.proxy)
        before, ready = Family(director), director.log().count("event=ready")
        fault.set(1000, kind)
        os.kill(getattr(before, role), signal.SIGKILL)
        T.check("%s's new channels cannot be sent at all: another proxy begins, with them" % role,
                director.logged("channels that it does not take", "(type %d)" % kind, timeout=PATIENCE) and
                director.logged("event=ready", count=ready + 1, timeout=PATIENCE))
        fault.set(0, kind)
        T.check("  and everybody is served", until(signs_in, PATIENCE) and Family(director).proxy != before.proxy)
    T.check("  it ends in order", director.stop() == 0 and not Family(director).all)


def no_room():
    """A proxy that has no descriptors left for its new channels begins anew, too."""
    director = Director("no-room", "limits = { user_rate = 0; };")
    T.check("a Director serves", until(signs_in, PATIENCE))
    for role in ("authd", "keyd"):
        before, ready = Family(director), director.log().count("event=ready")
        ids = [re.search(r"\d+", status_of(before.proxy)[which]).group() for which in ("Uid", "Gid")]
        # what it has stays; nothing is added, whatever it closes
        subprocess.run(["setpriv", "--reuid=" + ids[0], "--regid=" + ids[1], "--clear-groups", "prlimit", "--pid=%d" % before.proxy,
                        "--nofile=3"], check=True)
        os.kill(getattr(before, role), signal.SIGKILL)
        T.check("its proxy has no descriptors left when %s is killed: another begins, with new channels" % role,
                director.logged("event=channels-lost", timeout=PATIENCE) and director.logged("event=ready", count=ready + 1, timeout=PATIENCE))
        T.check("  and everybody is served", until(signs_in, PATIENCE) and Family(director).proxy != before.proxy)
    T.check("  it ends in order", director.stop() == 0 and not Family(director).all)


def main():
    prepare()
    pool = Pool()
    pool.start()
    director = None
    try:
        director = Director("killed", "limits = { user_rate = 0; };")
        for fn in (proxy_killed, stuck, authd_killed, replayed, keyd_killed, upgraded, reloaded_without_authd, half_edited, slow_authd):
            try:
                fn(director)
            except Exception as e:
                T.check("%s came to its end" % fn.__name__, False, "(%s: %s)" % (type(e).__name__, e))
        T.check("it ends in order, and nothing is left", director.stop() == 0 and not Family(director).all)
        for fn in (lambda: drained(pool), unsent, no_room):
            try:
                fn()
            except Exception as e:
                T.check("all of it came to its end", False, "(%s: %s)" % (type(e).__name__, e))
        log = director.log()
        T.check("no sanitizer complained", "Sanitizer" not in log and "runtime error" not in log)
    finally:
        for e in list(sipnet.Edge.running):
            e.stop()
        pool.stop()
    return 1 if T.failed else 0


if __name__ == "__main__":
    sys.exit(main())
