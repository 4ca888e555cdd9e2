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
from dirlives import PATIENCE, Pool, digest
from fenced import Family, children, key_numbers, masked, sanitizer, threads, until
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

LDAP = NET + ".7.9"
# alice is in the file; whoever is not is asked for, of a server that says nothing
HELPERS = """
directory = { homes = "both"; timeout = 800; negative_ttl = 1; };
ldap = { servers = [ "ldaps://%s" ]; trust = "%s/ca.pem"; bind = "simple"; bind_dn = "cn=x"; password_file = "%s/ldap.password";
    bases = [ "dc=example" ]; server_timeout = 200; pause = 1; };
ntlm = { accounts = "winbind"; domains = [ "CORP=example.com" ]; };
winbind = { timeout = 800; };
guessing = { user_and_source = 0; source = 0; user = 0; };
""" % (LDAP, PKI, SECRETS)

director = None
keytab = None


class Planted(signing.Director):
    def __init__(self, name, more=""):
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
%s
""" % (self.dir, NAME, ACCOUNTS["proxy"], ACCOUNTS["keyd"], PKI, PKI, PKI, DIRECTOR, DIRECTOR, EDGE, POOL, USERS,
       ACCOUNTS["authd"], 'keytab = "%s"; kerberos_realms = [ "EXAMPLE.COM=example.com" ];' % keytab if keytab else "", more))
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
        for hole in (PROXY, AUTHD, LDAPD, WBD):
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

    def attempt(self, what, argument="", patience=PATIENCE):
        """Have it try: done, its error, or the call that it was ended for."""
        before = director.log()
        self.say(what, str(argument))
        end = time.monotonic() + patience
        while time.monotonic() < end:
            news = director.log()[len(before):]
            found = re.search(r"event=planted what=%s done=(\w+)" % what, news)
            ended = re.search(r"event=sandbox-violation role=%s syscall=-?\d+(?: name=(\w+))?" % self.role, news)
            gone = re.search(r"event=%s .*(?:signal|status) -?(\d+)" % self.event, news)
            if found:
                return found.group(1)
            if gone:
                return ("ended", ended.group(1) if ended else None, int(gone.group(1)))
            time.sleep(0.02)
        return "nothing"

    def is_stopped(self, what, argument="", by=None):
        """It does not come to be; by: the call for which the process is ended ("": any), else it is refused and life goes on."""
        before, began = Relatives(director), self.began()
        got = self.attempt(what, argument)
        if by is None:
            after = Relatives(director)
            return (got == "no" and after.proxy == before.proxy and getattr(after, self.role) == getattr(before, self.role) and
                    after.authd == before.authd and served()) or got
        director.killed += 1
        if not isinstance(got, tuple) or got[2] != signal.SIGSYS or (by != "" and got[1] != by):
            return got
        if not until(lambda: self.began() > began, PATIENCE):
            return "no other one"
        after = Relatives(director)
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


class Relatives(Family):
    """With those that authd keeps: who asks LDAP, and who asks winbind."""

    def __init__(self, daemon):
        super().__init__(daemon)
        self.ldapd, self.wbd = self.kept("directory"), self.kept("winbind")

    def kept(self, name):
        for keeper, status in (children(self.authd) if self.authd else {}).items():
            if status["Name"] == name:
                return next(iter(children(keeper)), None)
        return None

    def keeper(self, name):
        return next((pid for pid, status in children(self.authd).items() if status["Name"] == name), None)


class Kept(Hole):
    """A process that one of authd's children keeps. It may be killed as often as one likes."""

    def __init__(self, role, event):
        super().__init__(role, event)
        self.seen = set()

    def began(self):
        # whoever is there by now is none that was there before
        pid = getattr(Relatives(director), self.role)
        if pid is not None:
            self.seen.add(pid)
        return len(self.seen)

    def spared(self, before, after):
        director.killed = 0
        return before.proxy == after.proxy and before.authd == after.authd


class InLdapd(Kept):
    def __init__(self):
        super().__init__("ldapd", "ldap-ended")

    def say(self, what, argument):
        conn = edge()
        conn.send(request("MESSAGE", "sip:directory-planted-%s-%s@example.com" % (what, argument.encode().hex()),
                          "sip:x@contoso.example", headers=[PARTNER]))
        self.keep(conn)


class InWbd(Kept):
    def __init__(self):
        super().__init__("wbd", "winbind-ended")

    def say(self, what, argument):
        conn = edge()
        a = Client(conn)
        conn.send(a.answer(a.challenge(), login="planted-%s-%s" % (what, argument.encode().hex()), domain="CORP"))
        self.keep(conn)


def by_digest(conn):
    """Where NTLM is for a domain that is not there."""
    send = ["REGISTER", "sip:example.com", "sip:alice@example.com"]
    conn.send(request(*send, headers=[MARK]))
    challenge = [v for v in conn.recv().all("WWW-Authenticate") if "SHA-256" in v][0]
    conn.send(request(*send, to="sip:alice@example.com", headers=[
        MARK, signing.PATH, digest(challenge, "alice", "secret", "REGISTER", "sip:example.com")]))
    return conn.recv(PATIENCE).status


def by_ntlm(conn):
    a = Client(conn)
    return a.ask(a.answer(a.challenge())).status


how_to_sign_in = by_ntlm


def served():
    """Somebody signs in, and a message finds its way: a handshake, both processes, and the pool."""
    end, last = time.monotonic() + PATIENCE, None
    while time.monotonic() < end:
        try:
            conn = edge()
            last = how_to_sign_in(conn)
            conn.close()
            if last == 200:
                return True
        except (AssertionError, OSError, Closed, Silent) as e:
            last = repr(e)      # just when one of them takes the place of another
        time.sleep(0.05)
    return last


PROXY, AUTHD, LDAPD, WBD = InProxy(), InAuthd(), InLdapd(), InWbd()


# ---- who is who ----

def opened(pid):
    out = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            out.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
        except OSError:
            pass
    return out


def is_fenced(pid, account):
    """Every thread of it is, as soon as it has begun: until then it has read nothing from outside."""
    uid = str(pwd.getpwnam(account).pw_uid)
    return until(lambda: all(set(s["Uid"].split()) == {uid} and int(s["CapEff"], 16) == 0 and int(s["CapPrm"], 16) == 0 and
                             s["Seccomp"] == "2" and s["NoNewPrivs"] == "1" for s in threads(pid)), PATIENCE)


def who():
    p = Family(director)
    T.check("there are a master, keyd, a proxy and authd", len(p.all) == 3 and p.keyd and p.proxy and p.authd, repr(p.all))
    for role, account in ACCOUNTS.items():
        pid = getattr(p, role)
        T.check("every thread of %s is %s, without capabilities, and behind the filter" % (role, account), is_fenced(pid, account))
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


def in_helper(hole, whom, kept_as, readable):
    """In a process that asks somebody outside for authd."""
    name, p = hole.role, Relatives(director)
    pid = getattr(p, name)
    T.check("there is a process that asks %s, kept by another" % whom, pid and p.keeper(kept_as) not in (None, pid))
    T.check("  as authd's account, without capabilities, and behind the filter", is_fenced(pid, ACCOUNTS["authd"]))
    # the last two are its account's, so that Landlock alone keeps it from them
    for path in ("/etc/shadow", PKI + "/director.key") + (() if SANITIZED else (USERS, SECRETS + "/ldap.password")):
        T.run("%s: reading %s is refused" % (name, os.path.basename(path)), lambda: hole.is_stopped("read", path))
    if readable:
        T.check("%s: %s can be read (so the attempts are real)" % (name, readable), hole.attempt("read", readable) == "yes")
    if not SANITIZED:
        T.run("%s: what everybody may read is refused" % name, lambda: hole.is_stopped("read", "/etc/passwd"))
    T.run("%s: writing a file is refused" % name, lambda: hole.is_stopped("write", "/tmp/planted-%d" % os.getpid()))
    T.check("  and none is there", not os.path.exists("/tmp/planted-%d" % os.getpid()))
    T.run("%s: nothing that is open leads to a key" % name, lambda: hole.is_stopped("files"))
    T.run("%s: the control socket does not take it" % name, lambda: hole.is_stopped("unix", director.dir + "/director.sock"))
    T.run("%s: starting a program ends it" % name, lambda: hole.is_stopped("exec", "", "execve"))
    T.run("%s: so does touching the handler of the filter" % name, lambda: hole.is_stopped("unhook", "", ""))
    if SANITIZED:
        return
    T.run("%s: so does a link" % name, lambda: hole.is_stopped("link", "/tmp/planted-%d" % os.getpid(), ""))
    T.run("%s: so does making a process" % name, lambda: hole.is_stopped("fork", "", "clone"))
    for what, call in (("ptrace", "ptrace"), ("vmread", "process_vm_readv"), ("kill", "kill")):
        for role in ("authd", "proxy"):
            T.run("%s: so does %s of %s" % (name, what, role),
                  lambda: hole.is_stopped(what, getattr(Relatives(director), role), call))
    T.run("%s: memory that can be written and run is not to be had" % name, lambda: hole.is_stopped("code"))


def landlock():
    """Which version of it this kernel has."""
    import ctypes
    return ctypes.CDLL(None, use_errno=True).syscall(444, None, ctypes.c_size_t(0), 1)


def in_ldapd():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((LDAP, 636))
    listener.listen(64)
    in_helper(LDAPD, "LDAP", "directory", "/etc/hosts")
    T.check("ldapd: its server's port can be reached (so the attempt is real)", LDAPD.attempt("inet", LDAP + " 636") == "yes")
    if landlock() >= 4:
        T.run("ldapd: connecting to anything else is refused", lambda: LDAPD.is_stopped("inet", POOL + " 5061"))
    else:
        print("skip connecting elsewhere: this kernel's Landlock knows no ports", flush=True)
    listener.close()


def in_wbd():
    in_helper(WBD, "winbind", "winbind", None)
    T.run("wbd: connecting to anywhere ends it", lambda: WBD.is_stopped("inet", POOL + " 5061", "socket"))


def answer_of(hole, what="none"):
    """What somebody is told who needs that process, and within what time."""
    begin = time.monotonic()
    try:
        hole.say(what, "")
        got = hole.conn.recv(PATIENCE).status
    except AssertionError:      # refused where it would have been asked for a password
        got = 500
    return got, time.monotonic() - begin


def kept():
    """Those processes and their keepers are killed and stopped: users are refused in time, and they come back."""
    for hole, name in ((LDAPD, "directory"), (WBD, "winbind")):
        def works():
            try:
                return hole.attempt("read", "/etc/hosts", 2) in ("yes", "no")
            except (AssertionError, OSError, Closed, Silent):
                return False
        T.check("%s works" % hole.role, until(works, PATIENCE))
        for who in ("process", "keeper"):
            for sig in (signal.SIGKILL, signal.SIGSTOP):
                before = Relatives(director)
                process, keeper = getattr(before, hole.role), before.keeper(name)
                os.kill(process if who == "process" else keeper, sig)
                if who == "keeper" and sig == signal.SIGSTOP:   # who is to make another does nothing
                    os.kill(process, signal.SIGKILL)
                got, took = answer_of(hole)
                T.check("%s: its %s gets %s: whoever asks is refused, in time" % (hole.role, who, sig.name),
                        got >= 400 and took < 10, (got, took))
                T.run("  and whoever needs it not is served", served)
                if sig == signal.SIGSTOP:
                    os.kill(process if who == "process" else keeper, signal.SIGCONT)
                gone = process if who == "process" else keeper
                T.check("  it comes back, by the same proxy", until(works, PATIENCE) and Relatives(director).proxy == before.proxy)
                T.check("  and nothing is left of the one before", sig == signal.SIGSTOP or
                        until(lambda: not os.path.exists("/proc/%d" % gone), PATIENCE))


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


def tries(*functions):
    for fn in functions:
        try:
            fn()
        except Exception as e:
            T.check("%s came to its end" % fn.__name__, False, "(%s: %s)" % (type(e).__name__, e))
    T.check("the Director ends in order, and nothing is left", director.stop() == 0 and not Family(director).all)


def helpers():
    """The processes that ask others for authd (dirhelpers.sh)."""
    global director, how_to_sign_in
    how_to_sign_in = by_digest
    with open(os.path.join(SECRETS, "ldap.password"), "w") as f:
        f.write("Ask-Me-1\n")
    own(os.path.join(SECRETS, "ldap.password"), ACCOUNTS["authd"], 0o600)
    director = Planted("helpers", HELPERS)
    tries(in_ldapd, in_wbd, kept)


def main():
    global director, keytab
    prepare()
    pool = Pool()
    pool.start()
    try:
        if sys.argv[1:] == ["helpers"]:
            helpers()
        else:
            for name in ("plain", "kerberos") if KDC else ("plain",):
                keytab = os.path.join(SECRETS, "keytab") if name == "kerberos" else None
                director = Planted(name)
                tries(who, memory, in_proxy, in_authd)
    finally:
        for e in list(sipnet.Edge.running):
            e.stop()
        pool.stop()
    return 1 if T.failed else 0


sys.exit(main())
