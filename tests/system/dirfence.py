"""dirfence - the Director's processes from outside and inside: its network process and authd, each with a hole made on
purpose, try what an intruder would; without Kerberos and with it. Run by dirfence.sh."""

import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import time

import signing
import sipnet
from dirlives import PATIENCE, Pool
from fenced import Family, key_numbers, masked, sanitizer, threads, until
from signing import DIRECTOR, EDGE, MARK, NAME, NET, PKI, POOL, RUN, Client, edge
from sipnet import BUILD, TOP, Closed, Silent, Tests, request

T = Tests()
# Their reports need calls that are refused otherwise (common/sandbox.c).
SANITIZED = sanitizer("sallyport-director")
KDC = os.environ.get("SYSTEM_KDC", "")
PARTNER = ("ms-edge-proxy-message-trust: ms-source-type=DirectPartner;ms-ep-fqdn=edge.int.example.com;"
           "ms-source-verified-user=verified;ms-source-network=federation")
SECRETS = os.path.join(RUN, "secrets")
USERS = os.path.join(SECRETS, "users")
ACCOUNTS = {"proxy": "nobody", "keyd": "daemon", "authd": "games"}

director = None
keytab = None


class Planted(signing.Director):
    def __init__(self, name):
        self.dir = os.path.join(RUN, name)
        os.makedirs(self.dir, exist_ok=True)
        self.write("director.conf", """
control = { socket = "%s/director.sock"; };
name = "%s"; domains = [ "example.com" ]; user = "%s"; key_user = "%s"; workers = 2;
tls = { certificate = "%s/director.pem"; key = "%s/director.key"; trust = "%s/ca.pem"; };
doors = ( { listen = "%s:5061"; admits = "servers"; }, { listen = "%s:5063"; admits = "clients"; } );
edges = ( { name = "edge.int.example.com"; address = "%s"; } );
pools = ( { name = "pool.int.example.com"; address = "%s"; } );
auth = { users = "%s"; user = "%s"; %s };
timers = { drain = 0; connect = 2; };
""" % (self.dir, NAME, ACCOUNTS["proxy"], ACCOUNTS["keyd"], PKI, PKI, PKI, DIRECTOR, DIRECTOR, EDGE, POOL, USERS,
       ACCOUNTS["authd"], 'keytab = "%s"; kerberos_realms = [ "EXAMPLE.COM=example.com" ];' % keytab if keytab else ""))
        self.start()

    def start(self):
        self.killed = 0
        self.log_path = os.path.join(self.dir, "log")
        self.log_file = open(self.log_path, "ab")
        readies = self.log().count("event=ready")
        env = dict(os.environ, KRB5_CONFIG=os.path.join(KDC, "krb5.conf"), KRB5RCACHEDIR=os.path.join(SECRETS, "seen")) if KDC else None
        self.proc = subprocess.Popen([os.path.join(BUILD, "tests/planted/planted-director"), "-f",
                                      os.path.join(self.dir, "director.conf")], stderr=self.log_file, stdout=self.log_file, env=env)
        sipnet.Edge.running.append(self)
        if not self.logged("event=ready", count=readies + 1, timeout=PATIENCE):
            self.stop()
            sys.stderr.write(self.log())
            raise RuntimeError("the Director did not start")


    def stop(self):
        # the Director would wait a while for us to close them
        for hole in (PROXY, AUTHD):
            if hole.conn is not None:
                hole.conn.close()
        return super().stop()

    def again(self):
        if self.stop() != 0:
            T.check("it ends in order", False)
        self.start()


def own(path, account, mode):
    os.chown(path, pwd.getpwnam(account).pw_uid, -1)
    os.chmod(path, mode)


def prepare():
    """Keys are root's; user file and keytab authd's."""
    global keytab
    subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI], check=True, stdout=subprocess.DEVNULL)
    for name in os.listdir(PKI):
        own(os.path.join(PKI, name), "root", 0o600 if name.endswith(".key") else 0o644)
    os.makedirs(os.path.join(SECRETS, "seen"), exist_ok=True)
    for name in ("alice", "bob"):
        subprocess.run([os.path.join(BUILD, "sallyportctl"), "user", "add", name + "@example.com", "--pool", "pool.int.example.com",
                        "--users", USERS, "--password-file", "-"], input=b"secret\n", check=True)
    own(USERS, ACCOUNTS["authd"], 0o600)
    own(os.path.join(SECRETS, "seen"), ACCOUNTS["authd"], 0o700)
    if KDC:
        with open(os.path.join(KDC, "sip.keytab"), "rb") as f:
            data = f.read()
        with open(os.path.join(SECRETS, "keytab"), "wb") as f:
            f.write(data)
        own(os.path.join(SECRETS, "keytab"), ACCOUNTS["authd"], 0o600)


class Hole:
    """A process with a hole, and how one comes to it."""

    def __init__(self, role, event):
        self.role, self.event, self.conn = role, event, None

    def keep(self, conn):
        """It stays open until the next one comes."""
        if self.conn is not None:
            self.conn.close()
        self.conn = conn

    def attempt(self, what, argument=""):
        """Have it try: done, its error, or the call that it was ended for."""
        before = director.log()
        self.say(what, str(argument))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            news = director.log()[len(before):]
            found = re.search(r"event=planted what=%s done=(\w+)" % what, news)
            ended = re.search(r"event=sandbox-violation role=%s syscall=-?\d+(?: name=(\w+))?" % self.role, news)
            gone = re.search(r"event=%s .*(?:signal|status) (\d+)" % self.event, news)
            if found:
                return found.group(1)
            if gone:
                return ("ended", ended.group(1) if ended else None, int(gone.group(1)))
            time.sleep(0.02)
        return "nothing"

    def is_stopped(self, what, argument="", by=None):
        """It does not come to be; by: the call for which the process is ended ("": any), else it is refused and life goes on."""
        before, began = Family(director), self.began()
        got = self.attempt(what, argument)
        if by is None:
            return (got == "no" and Family(director).proxy == before.proxy and Family(director).authd == before.authd and
                    served()) or got
        director.killed += 1
        if not isinstance(got, tuple) or got[2] != signal.SIGSYS or (by != "" and got[1] != by):
            return got
        if not until(lambda: self.began() > began, PATIENCE):
            return "no other one"
        after = Family(director)
        good = (after.keyd == before.keyd and getattr(after, self.role) != getattr(before, self.role) and
                self.spared(before, after) and served())
        if director.killed >= 3:    # the master makes ever longer pauses before it starts another
            director.again()
        return good or "not as before"


class InProxy(Hole):
    def __init__(self):
        super().__init__("proxy", "proxy-ended")

    def say(self, what, argument):
        conn = edge()
        conn.send(request("OPTIONS", "sip:" + NAME, "sip:edge@edge.int.example.com", headers=["X-Planted: %s %s" % (what, argument)]))
        self.keep(conn)

    def began(self):
        return director.log().count("event=ready")

    def spared(self, before, after):
        return True


class InAuthd(Hole):
    def __init__(self):
        super().__init__("authd", "authd-ended")

    def say(self, what, argument):
        conn = edge()
        conn.send(request("MESSAGE", "sip:planted-%s-%s@example.com" % (what, argument.encode().hex()), "sip:x@contoso.example",
                          headers=[PARTNER]))
        self.keep(conn)

    def began(self):
        return director.log().count("the workers have new channels to authd")

    def spared(self, before, after):
        return before.proxy == after.proxy


def served():
    """Somebody signs in, and a message finds its way: a handshake, both processes, and the pool."""
    end, last = time.monotonic() + PATIENCE, None
    while time.monotonic() < end:
        try:
            conn = edge()
            a = Client(conn)
            last = a.ask(a.answer(a.challenge())).status
            conn.close()
            if last == 200:
                return True
        except (AssertionError, OSError, Closed, Silent) as e:
            last = repr(e)      # just when one of them takes the place of another
        time.sleep(0.05)
    return last


PROXY, AUTHD = InProxy(), InAuthd()


# ---- who is who ----

def opened(pid):
    out = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            out.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        except OSError:
            pass
    return out


def who():
    p = Family(director)
    T.check("there are a master, keyd, a proxy and authd", len(p.all) == 3 and p.keyd and p.proxy and p.authd, repr(p.all))
    for role, account in ACCOUNTS.items():
        pid, uid = getattr(p, role), str(pwd.getpwnam(account).pw_uid)
        T.check("every thread of %s is %s, without capabilities, and behind the filter" % (role, account), all(
            set(s["Uid"].split()) == {uid} and int(s["CapEff"], 16) == 0 and int(s["CapPrm"], 16) == 0 and s["Seccomp"] == "2" and
            s["NoNewPrivs"] == "1" for s in threads(pid)))
        files = [o for o in opened(pid) if o.endswith((".key", "users", "keytab"))]
        T.check("  and it has no file with secrets open", not files, repr(files))
    T.check("authd has no door and no connection", not re.search(r"\bpid=%d," % p.authd,
                                                                 subprocess.run(["ss", "-Htunap"], capture_output=True, text=True).stdout))
    T.run("it serves", served)


# ---- what an intruder tries ----

def in_proxy():
    kerberos = keytab is not None
    T.run("proxy: reading /etc/shadow is refused", lambda: PROXY.is_stopped("read", "/etc/shadow"))
    T.run("proxy: so is reading the key file", lambda: PROXY.is_stopped("read", PKI + "/director.key"))
    T.run("proxy: and the user file", lambda: PROXY.is_stopped("read", USERS))
    if not SANITIZED:
        T.run("proxy: and what everybody may read", lambda: PROXY.is_stopped("read", "/etc/passwd"))
    if kerberos:
        T.run("proxy: and the keytab", lambda: PROXY.is_stopped("read", keytab))
        T.check("proxy: Kerberos' configuration can be read (so the attempts are real)",
                PROXY.attempt("read", KDC + "/krb5.conf") == "yes")
    T.run("proxy: writing a file is refused", lambda: PROXY.is_stopped("write", "/tmp/planted-%d" % os.getpid()))
    T.check("  and none is there", not os.path.exists("/tmp/planted-%d" % os.getpid()))
    T.run("proxy: nothing that is open leads to a key", lambda: PROXY.is_stopped("files"))
    T.run("proxy: starting a program ends it", lambda: PROXY.is_stopped("exec", "", "execve"))
    T.run("proxy: so does a UNIX socket", lambda: PROXY.is_stopped("unix", director.dir + "/director.sock", "socket"))
    T.run("proxy: so does touching the handler of the filter", lambda: PROXY.is_stopped("unhook", "", ""))
    if SANITIZED:
        return
    T.run("proxy: so does a link", lambda: PROXY.is_stopped("link", "/tmp/planted-%d" % os.getpid(), ""))
    T.run("proxy: so does making a process", lambda: PROXY.is_stopped("fork", "", "clone"))
    for what, call in (("ptrace", "ptrace"), ("vmread", "process_vm_readv"), ("kill", "kill")):
        for role in ("authd", "keyd"):
            T.run("proxy: so does %s of %s" % (what, role), lambda: PROXY.is_stopped(what, getattr(Family(director), role), call))
    T.run("proxy: memory that can be written and run is not to be had",
          lambda: PROXY.is_stopped("code", "", None if kerberos else "mmap"))


def in_authd():
    T.run("authd: reading /etc/shadow is refused", lambda: AUTHD.is_stopped("read", "/etc/shadow"))
    T.run("authd: so is reading the key file", lambda: AUTHD.is_stopped("read", PKI + "/director.key"))
    T.check("authd: the user file can be read (so the attempts are real)", AUTHD.attempt("read", USERS) == "yes")
    T.run("authd: and not written", lambda: AUTHD.is_stopped("write", USERS))
    if not SANITIZED:
        T.run("authd: what everybody may read is refused", lambda: AUTHD.is_stopped("read", "/etc/passwd"))
    T.run("authd: writing a file is refused", lambda: AUTHD.is_stopped("write", "/tmp/planted-%d" % os.getpid()))
    T.check("  and none is there", not os.path.exists("/tmp/planted-%d" % os.getpid()))
    T.run("authd: nothing that is open leads to a key", lambda: AUTHD.is_stopped("files"))
    T.run("authd: the control socket does not take it", lambda: AUTHD.is_stopped("unix", director.dir + "/director.sock"))
    T.run("authd: connecting to anywhere ends it", lambda: AUTHD.is_stopped("inet", POOL + " 5061", "socket"))
    T.run("authd: so does starting a program", lambda: AUTHD.is_stopped("exec", "", "execve"))
    T.run("authd: so does touching the handler of the filter", lambda: AUTHD.is_stopped("unhook", "", ""))
    if SANITIZED:
        return
    T.run("authd: so does a link", lambda: AUTHD.is_stopped("link", "/tmp/planted-%d" % os.getpid(), ""))
    T.run("authd: so does making a process", lambda: AUTHD.is_stopped("fork", "", "clone"))
    for what, call in (("ptrace", "ptrace"), ("vmread", "process_vm_readv"), ("kill", "kill")):
        for role in ("proxy", "keyd"):
            T.run("authd: so does %s of %s" % (what, role), lambda: AUTHD.is_stopped(what, getattr(Family(director), role), call))
    T.run("authd: memory that can be written and run is not to be had", lambda: AUTHD.is_stopped("code"))


def memory():
    """After users have signed in."""
    if SANITIZED:
        return      # its address space is terabytes of shadow
    T.run("alice signs in", served)
    private, public = key_numbers(PKI + "/director.key")
    with open(USERS) as f:
        hashes = sorted(set(re.findall(r"\b[0-9a-f]{32,64}\b", f.read().lower())))
    T.check("the user file has hashes", len(hashes) >= 2, repr(hashes))
    T.check("proxy: the public key is in its memory (so the search works)", PROXY.attempt("scan", masked(public[:40])) == "yes")
    T.check("authd: a hash is in its memory (so the search works there)",
            any(AUTHD.attempt("scan", masked(form(h))) == "yes" for h in hashes for form in (bytes.fromhex, lambda h: h.encode())))
    for hole in (PROXY, AUTHD):
        T.run("%s: the private key is not" % hole.role, lambda: hole.is_stopped("scan", masked(private)))
        T.run("%s: nor in the order of words" % hole.role, lambda: hole.is_stopped("scan", masked(private[::-1])))
    for h in hashes:
        T.run("proxy: no hash of a user is in its memory", lambda: PROXY.is_stopped("scan", masked(bytes.fromhex(h))))
        T.run("  nor as it stands in the file", lambda: PROXY.is_stopped("scan", masked(h.encode())))


def main():
    global director, keytab
    prepare()
    pool = Pool()
    pool.start()
    try:
        for name in ("plain", "kerberos") if KDC else ("plain",):
            keytab = os.path.join(SECRETS, "keytab") if name == "kerberos" else None
            director = Planted(name)
            for fn in (who, memory, in_proxy, in_authd):
                try:
                    fn()
                except Exception as e:
                    T.check("%s came to its end" % fn.__name__, False, "(%s: %s)" % (type(e).__name__, e))
            T.check("%s: the Director ends in order, and nothing is left" % name, director.stop() == 0 and not Family(director).all)
    finally:
        for e in list(sipnet.Edge.running):
            e.stop()
        pool.stop()
    return 1 if T.failed else 0


sys.exit(main())
