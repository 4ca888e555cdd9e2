"""fence - the edge's processes from outside and inside: a worker with a hole made on purpose tries what
an intruder would. Run by fence.sh."""

import datetime
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from fenced import children, key_numbers, masked, sanitizer, threads, until
from sipnet import BUILD, PKI, RUN, TOP, Closed, Door, Edge, Silent, Tests, dial, request

OUT, IN, DIR1 = "127.67.0.1", "127.67.1.1", "127.67.1.2"
USERS, INNER = OUT + ":443", IN + ":5061"
POLICY = 'internal_domains = [ "example.com" ];\ninternal_servers = [ "director.int.example.com" ];\n'
# The leak checker of such a build needs calls that are refused otherwise (common/sandbox.c).
SANITIZED = sanitizer("sallyport-edge")

T = Tests()


def config(extra=""):
    door = 'certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key";' % (PKI, PKI)
    return """
user = "nobody"; key_user = "daemon"; workers = 2;
log = { level = "info"; %s };
session_log = { file = "%s/sessions"; size = 1; };
outer = ( { listen = "%s"; name = "sip.example.com"; %s users = true; } );
inner = { listen = "%s"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
dns = { servers = [ "127.67.0.9:53" ]; timeout = 100; tries = 1; };
""" % (extra, RUN, USERS, door, INNER, PKI, PKI, PKI, DIR1)


def pki():
    subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI], check=True, stdout=subprocess.DEVNULL)
    for name in os.listdir(PKI):
        if name.endswith(".key"):
            os.chown(os.path.join(PKI, name), 0, 0)
            os.chmod(os.path.join(PKI, name), 0o600)


class Processes:
    def __init__(self, edge):
        both = children(edge.proc.pid)
        self.keyd = [p for p, s in both.items() if s["Name"] == "keyd"][0]
        self.proxy = [p for p, s in both.items() if s["Name"] != "keyd"][0]
        self.status = both
        self.n = len(both)


def served(call=None):
    """A whole handshake, and an answer."""
    try:
        c = dial(USERS)
    except OSError as e:
        return "no handshake: %s" % e
    c.send(request("NEGOTIATE", headers=["Compression: LZ77-8K"]))
    status = c.recv().status
    c.close()
    return status == 405 or status


def uids(status):
    return set(status["Uid"].split())


def attempt(what, argument=""):
    """Have a worker try it, and see what the log says: done, its error, or the call that it was ended for."""
    before = edge.log()
    c = dial(USERS)
    c.send(request(headers=["X-Planted: %s %s" % (what, argument)]))
    for _ in range(1500):
        news = edge.log()[len(before):]
        found = re.search(r"event=planted what=%s done=(\w+)" % what, news)
        ended = re.search(r"event=sandbox-violation role=proxy syscall=-?\d+ name=(\w+)", news)
        gone = re.search(r"event=proxy-ended .*(?:signal|status) (\d+)", news)
        if found:
            c.close()
            return found.group(1)
        if gone:
            c.close()
            return ("ended", ended.group(1) if ended else None, int(gone.group(1)))
        time.sleep(0.02)
    return "nothing"


def is_stopped(what, argument="", by=None):
    """It does not come to be; by: the call for which the process is ended, else it is refused and life goes on."""
    before = Processes(edge)
    ready = edge.log().count("event=ready")
    got = attempt(what, argument)
    if by is None:
        return (got == "no" and Processes(edge).proxy == before.proxy and served()) or got
    if got[0] != "ended" or got[2] != signal.SIGSYS or (by != "" and got[1] != by):
        return got
    if not edge.logged("event=ready", count=ready + 1, timeout=20):
        return "no other proxy"
    after = Processes(edge)
    return (after.keyd == before.keyd and after.proxy != before.proxy and served()) or "not as before"


# ---- who is who ----

def who():
    p = Processes(edge)
    nobody, daemon = (str(pwd.getpwnam(n).pw_uid) for n in ("nobody", "daemon"))
    T.check("there are a master, keyd and a proxy", p.n == 2, repr(p.status.keys()))
    # as soon as they have begun: until then they have read nothing from outside
    until(lambda: all(s["Seccomp"] == "2" for pid in (p.proxy, p.keyd) for s in threads(pid)))
    p = Processes(edge)
    T.check("the proxy is nobody, and so are all its threads", all(uids(s) == {nobody} for s in threads(p.proxy)))
    T.check("every thread of it is behind the filter", [s["Seccomp"] for s in threads(p.proxy)].count("2") ==
            len(list(threads(p.proxy))) and len(list(threads(p.proxy))) >= 3)
    T.check("it gets no new privileges", all(s["NoNewPrivs"] == "1" for s in threads(p.proxy)))
    T.check("it has no capabilities", all(int(s["CapEff"], 16) == 0 and int(s["CapPrm"], 16) == 0 for s in threads(p.proxy)))
    s = p.status[p.keyd]
    T.check("keyd is another account, behind the filter", uids(s) == {daemon} and s["Seccomp"] == "2" and s["NoNewPrivs"] == "1")
    opened = [os.readlink("/proc/%d/fd/%s" % (p.proxy, fd)) for fd in os.listdir("/proc/%d/fd" % p.proxy)]
    T.check("the proxy has no key file open", not [o for o in opened if o.endswith(".key")], repr(opened))
    opened = [os.readlink("/proc/%d/fd/%s" % (p.keyd, fd)) for fd in os.listdir("/proc/%d/fd" % p.keyd)]
    T.check("keyd has neither doors nor files", not [o for o in opened if o.startswith("/") and not o.startswith(("/dev/null", "/proc/")) and
                                                     not o.endswith("log")] and
            len([o for o in opened if o.startswith("socket:")]) == 3, repr(opened))
    T.run("it serves", served)


# ---- what an intruder tries ----

def files():
    T.run("reading /etc/shadow is refused", lambda: is_stopped("read", "/etc/shadow"))
    if not SANITIZED:
        T.run("and so is what everybody may read", lambda: is_stopped("read", "/etc/passwd"))
    T.run("reading the key file is refused", lambda: is_stopped("read", PKI + "/edge-outer.key"))
    T.run("writing a file is refused", lambda: is_stopped("write", os.path.join("/tmp", "planted-%d" % os.getpid())))
    T.check("and none is there", not os.path.exists("/tmp/planted-%d" % os.getpid()))
    T.run("the session log is not put aside before it is full", lambda: is_stopped("anew"))
    T.check("and none is", not os.path.exists(RUN + "/sessions.1") and os.path.exists(RUN + "/sessions"))
    T.run("nothing that is open leads to a key", lambda: is_stopped("files"))


def memory():
    if SANITIZED:
        return      # its address space is terabytes of shadow
    for name in ("edge-outer", "edge-inner"):
        private, public = key_numbers(PKI + "/" + name + ".key")
        T.run("the public key of %s is in the proxy's memory (so the search works)" % name,
              lambda: attempt("scan", masked(public)) == "yes")
        T.run("its private key is not", lambda: is_stopped("scan", masked(private)))
        T.run("nor in the order of a small-endian machine's words", lambda: is_stopped("scan", masked(private[::-1])))
        with open(PKI + "/" + name + ".key") as f:
            text = [line for line in f if not line.startswith("---")][1].strip().encode()
        T.run("nor the text of its file", lambda: is_stopped("scan", masked(text[:60])))


def processes():
    T.run("starting a program ends the process", lambda: is_stopped("exec", "", "execve"))
    if not SANITIZED:
        T.run("so does making a process", lambda: is_stopped("fork", "", "clone"))
        T.run("so does tracing keyd", lambda: is_stopped("ptrace", Processes(edge).keyd, "ptrace"))


def others():
    T.run("so does reading keyd's memory", lambda: bool(SANITIZED) or is_stopped("vmread", Processes(edge).keyd, "process_vm_readv"))
    T.run("so does a signal to keyd", lambda: bool(SANITIZED) or is_stopped("kill", Processes(edge).keyd, "kill"))
    T.run("so does a UNIX socket", lambda: is_stopped("unix", "/run/systemd/private", "socket"))


def tricks():
    T.run("so does memory that can be written and run", lambda: bool(SANITIZED) or is_stopped("code", "", "mmap"))
    T.run("so does touching the handler of the filter", lambda: is_stopped("unhook", "", ""))


# ---- crashes ----

def stamp(line):
    return datetime.datetime.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%S.%fZ")


def crash():
    refused, answered, stop = [], [0], threading.Event()

    def knock():
        while not stop.is_set():
            try:
                socket.create_connection((OUT, 443), 10).close()
                answered[0] += 1
            except OSError as e:
                refused.append(str(e))

    thread = threading.Thread(target=knock)
    thread.start()
    got = attempt("crash")
    again = edge.logged("event=ready", count=2)
    T.run("after the crash of a worker it serves again", served)
    stop.set()
    thread.join()
    # a build with sanitizers makes a report of it, and ends with a status
    how = {"asan": (1, "status 1"), "tsan": (66, "status 66")}.get(SANITIZED, (signal.SIGSEGV, "signal 11"))
    T.check("a crash is told", got == ("ended", None, how[0]) and edge.logged("event=proxy-ended", how[1], "the 1. time"),
            repr(got))
    T.check("another proxy is there in less than a second",
            again and (stamp([l for l in edge.log().split("\n") if "event=ready" in l][1]) -
                       stamp([l for l in edge.log().split("\n") if "event=proxy-ended" in l][0])).total_seconds() < 1)
    T.check("nobody who connected meanwhile was refused", not refused and answered[0] > 10, repr((refused[:3], answered)))


def keyd():
    before = Processes(edge)
    c = dial(USERS)
    c.send(request("NEGOTIATE"))
    c.recv()
    os.kill(before.keyd, signal.SIGKILL)
    T.check("the end of keyd is told, and it is started again", edge.logged("event=keyd-ended", "signal 9") and
            edge.logged("event=keyd-started", "handshakes") and edge.logged("event=keyd-started", "the workers have"))
    T.run("handshakes work again", served)
    T.check("the proxy is the same", Processes(edge).proxy == before.proxy and Processes(edge).keyd != before.keyd)
    c.send(request("NEGOTIATE"))
    T.run("connections stayed", lambda: c.recv().status == 405)


def reloads():
    count, before = edge.log().count("event=reloaded"), serial()
    for kind in (".pem", ".key"):
        os.unlink(os.path.join(PKI, "edge-outer" + kind))
    pki()
    edge.hup()
    T.check("a key that is root's alone is read at a reload", edge.logged("event=reloaded", count=count + 1))
    T.check("and shown", until(lambda: serial() != before))
    count, before = edge.log().count("event=certificate-renewed"), serial()
    for kind in (".pem", ".key"):
        os.unlink(os.path.join(PKI, "edge-outer" + kind))
    pki()
    T.check("a renewed one is noticed without", edge.logged("event=certificate-renewed", count=count + 1, timeout=20))
    T.check("and shown, too", until(lambda: serial() != before))


def serial():
    c = dial(USERS)
    number = c.sock.getpeercert()["serialNumber"]
    c.close()
    return number


def logs():
    path = os.path.join(RUN, "fence.log")
    global edge
    edge.stop()
    edge = Edge.__new__(Edge)
    text = config('file = "%s";' % path)
    edge.dir = os.path.join(RUN, "logs")
    os.makedirs(edge.dir, exist_ok=True)
    edge.write("policy.conf", POLICY)
    edge.write("edge.conf", 'policy = "%s/policy.conf";\n' % edge.dir + text)
    edge.log_path = path
    edge.log_file = open(os.path.join(edge.dir, "stderr"), "wb")
    edge.proc = subprocess.Popen([os.path.join(BUILD, "sallyport-edge"), "-f", edge.dir + "/edge.conf"], stderr=edge.log_file)
    Edge.running.append(edge)
    until(lambda: os.path.exists(path))
    T.check("it logs into its file", edge.logged("event=ready"))
    os.rename(path, path + ".1")
    edge.proc.send_signal(signal.SIGUSR1)
    T.check("after USR1, in a directory that is root's, there is a new one", until(lambda: os.path.exists(path)))
    served()
    edge.hup()
    T.check("the proxy writes into it", edge.logged("event=reloaded"))
    os.kill(Processes(edge).keyd, signal.SIGKILL)
    T.check("and so does the master", edge.logged("event=keyd-ended") and edge.logged("event=keyd-started", count=2))


def ends():
    p = Processes(edge)
    edge.proc.kill()
    edge.proc.wait()
    T.check("nothing outlives a master that is killed", until(lambda: not os.path.exists("/proc/%d" % p.proxy) and
                                                              not os.path.exists("/proc/%d" % p.keyd)))


edge = None


def main():
    global edge
    shutil.rmtree(PKI, ignore_errors=True)
    os.makedirs(RUN, exist_ok=True)
    pki()
    for name, fns in dict(calm=[who, files, memory, reloads, keyd], processes=[processes], others=[others], tricks=[tricks],
                          crash=[crash], ends=[logs, ends]).items():
        door = Door(DIR1 + ":5061", "director")
        edge = Edge(name, config(), POLICY, program="tests/planted/planted-edge")
        for fn in fns:
            try:
                fn()
            except Exception as e:
                T.check("%s came to its end" % fn.__name__, False, "(%s: %s)" % (type(e).__name__, e))
        if name != "ends":
            T.check("%s: the edge ends in order, and nothing is left" % name, edge.stop() == 0 and not children(edge.proc.pid))
        for e in list(Edge.running):
            e.stop()
        door.close()
    return 1 if T.failed else 0


sys.exit(main())
