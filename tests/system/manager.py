"""manager - the daemons and a service manager, played by this test: what they tell it (sd_notify), that its watchdog
hears nothing any more of a daemon with a worker that hangs, and what it gives them: sockets and credentials.
Run by manager.sh."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from sipnet import BUILD, PKI, RUN, TOP, Edge, Tests, dial, request

NET = os.environ.get("LAB_NET", "127.64")
OUT, IN, DIRECTOR, PAGE = NET + ".8.1", NET + ".9.1", NET + ".9.2", NET + ".9.3"
USERS = OUT + ":443"
WATCHDOG_MS = 4000
POLICY = 'internal_domains = [ "example.com" ];\ninternal_servers = [ "director.int.example.com" ];\n'

T = Tests()


def edge_config(outer_key="%s/edge-outer.key" % PKI):
    return """
user = "nobody"; workers = 2;
outer = ( { listen = "%s"; name = "sip.example.com"; certificate = "%s/edge-outer.pem"; key = "%s"; users = true; } );
inner = { listen = "%s:5061"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
dns = { servers = [ "%s.9.9:53" ]; timeout = 100; tries = 1; };
""" % (USERS, PKI, outer_key, IN, PKI, PKI, PKI, DIRECTOR, NET)


def director_config(run):
    return """
name = "director.int.example.com"; domains = [ "example.com" ]; user = "nobody"; workers = 2;
tls = { certificate = "%s/director.pem"; key = "%s/director.key"; trust = "%s/ca.pem"; };
doors = ( { listen = "%s:5061"; admits = "servers"; } );
edges = ( { name = "edge.int.example.com"; address = "%s"; } );
pools = ( { name = "pool.int.example.com"; address = "%s"; } );
auth = { users = "%s/users"; };
control = { socket = "%s/director.sock"; };
timers = { drain = 0; };
""" % (PKI, PKI, PKI, DIRECTOR, IN, IN, run, run)


class Manager:
    """The socket that NOTIFY_SOCKET names, and what came there."""

    def __init__(self, name):
        self.path = os.path.join(RUN, name + ".notify")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        os.chmod(self.path, 0o666)

    def environment(self, **more):
        return dict(os.environ, NOTIFY_SOCKET=self.path, WATCHDOG_USEC=str(WATCHDOG_MS * 1000), **more)

    def next(self, seconds):
        """What comes next; None: nothing does."""
        self.sock.settimeout(seconds)
        try:
            return self.sock.recv(4096).decode()
        except (socket.timeout, BlockingIOError):
            return None

    def hears(self, what, seconds=30):
        """What comes until something begins with `what`, which is the last; None: it did not come."""
        got, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            text = self.next(max(0.01, end - time.monotonic()))
            if text is not None:
                got.append(text)
                if text.startswith(what):
                    return got
        return None


class Daemon(Edge):
    """One of the programs as a child of that manager."""

    def __init__(self, name, program, file, text, manager, **environment):
        self.dir = os.path.join(RUN, name)
        os.makedirs(self.dir, exist_ok=True)
        self.write(file, text)
        if file == "edge.conf":
            self.write("policy.conf", POLICY)
            self.write(file, 'policy = "%s/policy.conf";\ncontrol = { socket = "%s/edge.sock"; };\n' % (self.dir, self.dir) + text +
                       ("" if "timers = " in text else "timers = { drain = 0; };\n"))
        self.log_path = os.path.join(self.dir, "log")
        self.log_file = open(self.log_path, "ab")
        self.proc = subprocess.Popen([os.path.join(BUILD, program), "-f", os.path.join(self.dir, file)],
                                     stderr=self.log_file, stdout=self.log_file, env=manager.environment(**environment))
        Edge.running.append(self)


def pki():
    subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI], check=True, stdout=subprocess.DEVNULL)


def states(what, d, m):
    """Each daemon says the same things in the same order."""
    T.check("%s: ready" % what, m.hears("READY=1") is not None, d.log()[-400:])
    began = time.monotonic()
    T.check("%s: the watchdog is fed" % what, all(m.hears("WATCHDOG=1") for _ in range(3)))
    T.check("%s: in time" % what, time.monotonic() - began < 3 * WATCHDOG_MS / 1000)
    d.hup()
    got = m.hears("RELOADING=1")
    T.check("%s: a reload is told, with its time" % what, got is not None and
            re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=[1-9]\d+", got[-1]) is not None, got)
    got = m.hears("READY=1")
    T.check("%s: and its end" % what, got is not None and not any(g.startswith("STOPPING") for g in got), got)
    T.check("%s: the watchdog is fed after it" % what, m.hears("WATCHDOG=1") is not None)
    if what != "the page":
        d.write("%s.conf" % what, "this is no configuration")
        d.hup()
        got = m.hears("READY=1")
        T.check("%s: a reload that is refused ends, too" % what, got is not None and
                any(g.startswith("RELOADING=1") for g in got) and d.logged("event=reload-refused"), got)
    d.proc.send_signal(signal.SIGTERM)
    T.check("%s: stopping" % what, m.hears("STOPPING=1") is not None)
    T.check("%s: it ends in order" % what, d.stop() == 0)


def edge():
    m = Manager("edge")
    states("edge", Daemon("edge", "sallyport-edge", "edge.conf", edge_config(), m), m)


def director():
    m, run = Manager("director"), os.path.join(RUN, "director")
    states("director", Daemon("director", "sallyport-director", "director.conf", director_config(run), m), m)


def page():
    """With a socket that was bound for it."""
    m, run = Manager("page"), os.path.join(RUN, "page")
    os.makedirs(run)
    shutil.chown(run, "nobody")
    with open(os.path.join(run, "policy.conf"), "w") as f:
        f.write(POLICY)
    held = socket.create_server((PAGE, 8060))
    text = """listen = "%s:8060"; user = "nobody"; accounts = "%s/accounts"; control = { edge = ""; };
policy = { file = "%s/policy.conf"; store = "%s/store"; }; charts = { file = ""; };
""" % (PAGE, run, run, run)
    with open(os.path.join(run, "admin.conf"), "w") as f:
        f.write(text)
    log = open(os.path.join(run, "log"), "ab")
    starter = "import os, sys\nos.dup2(int(sys.argv[1]), 3, True)\nos.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n" \
              "os.execv(sys.argv[2], sys.argv[2:])\n"
    d = Daemon.__new__(Daemon)
    d.dir, d.log_path, d.log_file = run, os.path.join(run, "log"), log
    d.proc = subprocess.Popen([sys.executable, "-c", starter, str(held.fileno()), os.path.join(BUILD, "sallyport-admin"), "-f",
                               os.path.join(run, "admin.conf")], stderr=log, stdout=log, env=m.environment(), pass_fds=[held.fileno()])
    Edge.running.append(d)
    held.close()
    T.check("the page: it answers on the socket that it was given", m.hears("READY=1") is not None and fetch())
    m.sock.close()
    os.unlink(m.path)
    d.proc.send_signal(signal.SIGTERM)
    T.check("the page: nobody listens to what it tells, and it ends in order", d.stop() == 0, d.log()[-400:])
    m = Manager("page2")
    states("the page", Daemon("page", "sallyport-admin", "admin.conf", text, m), m)


def fetch():
    with socket.create_connection((PAGE, 8060), 10) as s:
        s.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        s.settimeout(10)
        return b" 200 " in s.recv(4096)


def hang():
    """One of two workers hangs: the other one and the process go on, and all the same the manager hears nothing more."""
    m = Manager("hang")
    # the master would replace the process before; that is another test's (hung.py)
    d = Daemon("hang", "tests/planted/planted-edge", "edge.conf", edge_config() + "timers = { drain = 0; hung = 0; };\n", m)
    T.check("hang: ready", m.hears("READY=1") is not None)
    T.check("hang: the watchdog is fed", m.hears("WATCHDOG=1") is not None)
    c = dial(USERS)
    c.send(request(headers=["X-Planted: hang"]))
    T.check("hang: a worker hangs", d.logged("this worker hangs"))
    T.check("hang: that is noticed, and logged", d.logged("event=worker-hung", timeout=60), d.log()[-600:])
    m.sock.setblocking(False)
    while m.next(0) is not None:    # what was said before
        pass
    silence = m.next(2 * WATCHDOG_MS / 1000)
    T.check("hang: from then on the watchdog is not fed", silence is None, silence)
    T.check("hang: nothing else has ended", d.alive() and "event=proxy-ended" not in d.log())
    d.proc.kill()
    d.stop()


def credentials():
    """A key that is nowhere but in the manager's directory, for root alone."""
    m, store = Manager("credentials"), os.path.join(RUN, "credentials.store")
    os.makedirs(store)
    os.chmod(store, 0o500)
    shutil.copy(PKI + "/edge-outer.key", store + "/outer.key")
    os.chmod(store + "/outer.key", 0o400)
    text = edge_config("$CREDENTIALS_DIRECTORY/outer.key")
    d = Daemon("credentials", "sallyport-edge", "edge.conf", text, m, CREDENTIALS_DIRECTORY=store)
    T.check("credentials: ready", m.hears("READY=1") is not None, d.log()[-600:])
    c = dial(USERS)
    c.send(request("NEGOTIATE"))
    T.check("credentials: a handshake with that key works", c.recv().status == 405)
    c.close()
    d.hup()
    T.check("credentials: so does a reload", d.logged("event=reloaded"))
    d.stop()
    without = {k: v for k, v in os.environ.items() if k != "CREDENTIALS_DIRECTORY"}
    r = subprocess.run([os.path.join(BUILD, "sallyport-edge"), "-n", "-f", d.dir + "/edge.conf"], capture_output=True, text=True,
                       env=without)
    T.check("credentials: without them the place in edge.conf is named", r.returncode == 78 and
            re.search(r"edge\.conf:\d+: outer\[0\]\.key: CREDENTIALS_DIRECTORY is not set", r.stderr) is not None, r.stderr)


def main():
    shutil.rmtree(PKI, ignore_errors=True)
    os.makedirs(RUN, exist_ok=True)
    pki()
    for fn in (edge, director, page, hang, credentials):
        try:
            fn()
        except Exception as e:
            T.check("%s came to its end" % fn.__name__, False, "(%s: %s)" % (type(e).__name__, e))
        for e in list(Edge.running):
            e.stop()
    return 1 if T.failed else 0


sys.exit(main())
