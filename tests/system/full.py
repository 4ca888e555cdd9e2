"""full - the disk is full: the edge's and the Director's logs, the keys of routes, the policy store, the
charts of the admin page. Who is served is served on, what is lost is counted or said, nothing is left half
written, and when there is room again all is as before. Run by full.sh."""

import os
import subprocess
import sys
import time
import urllib.request

import crowd_tools
import hostile
import sipnet
from crowd_tools import Asker, Inside, metric, until
from hostile import DIRECTOR, NET, POLICY, T, USERS, config
from sipnet import BUILD, PATIENCE, RUN, Door, Edge, dial

DISK = os.path.join(RUN, "disk")
CTL = os.path.join(BUILD, "sallyportctl")


class Disk:
    """So many KiB, all of them taken but for what is there already."""

    def __init__(self, kib=256):
        os.makedirs(DISK, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dk,mode=755" % kib, "tmpfs", DISK], check=True)
        self.filler = os.path.join(DISK, "filler")

    def fill(self):
        with open(self.filler, "ab", buffering=0) as f:
            for n in (4096, 512, 1):
                try:
                    while f.write(b"x" * n):
                        pass
                except OSError:
                    pass

    def free(self):
        os.unlink(self.filler)

    def end(self):
        subprocess.run(["umount", "-l", DISK], check=True)


def on_disk(name, path):
    """A daemon's log is where it says; the tests look for it elsewhere."""
    where = os.path.join(RUN, name)
    os.makedirs(where, exist_ok=True)
    os.symlink(path, os.path.join(where, "log"))


def comes(addr, name):
    """Somebody comes and goes, again and again, which has its lines in the log."""
    for _ in range(10):
        dial(addr, name).close()
    return True


def glued(path):
    """Of a log that went through that: the lines that are more than one record. The one where it broke off may be less."""
    with open(path, errors="replace") as f:
        return [line for line in f.read().split("\n") if line.count("Z sallyport-") > 1]


def edge():
    disk, log = Disk(), os.path.join(DISK, "edge.log")
    on_disk("edge", log)
    door = Door(DIRECTOR + ":5061", "director")
    text = config("user_rate = 0; sign_in = 300;").replace(
        'log = { level = "info"; refusals = 0; };', 'log = { level = "debug"; refusals = 0; file = "%s"; };\n'
        'session_log = { file = "%s/sessions"; };\npeer_certificates = "%s/peers";' % (log, DISK, DISK))
    e = Edge("edge", text, POLICY)
    inside = Inside(type("W", (), {"door": door}))

    def served():
        disk.fill()
        load = crowd_tools.Load(lambda: Asker(dial(USERS)))
        lost = until(lambda: comes(USERS, "sip.example.com") and load.answered() > 100 and
                     metric(e, "sallyport_log_lines_lost_total") > 0 and
                     metric(e, 'sallyport_session_lines_total{result="failed"}') > 0, 20)
        wrong = load.end()
        return wrong or lost and set(load.statuses) == {200} or "lines lost: %s, %r" % (lost, load.statuses)
    T.run("the edge's logs are on a full disk: all are served, and lost lines are counted", served)

    def room():
        disk.free()
        size = os.path.getsize(log)
        good = until(lambda: Asker(dial(USERS)).ask() == 200 and os.path.getsize(log) > size + 500)
        return good and not glued(log) or (good, glued(log)[:2])
    T.run("when there is room, lines are written again, each in a line of its own", room)
    inside.end()
    for c in inside.conns:
        c.close()
    door.close()
    disk.fill()
    T.check("it ends in order on a full disk", e.stop() == 0)
    disk.end()


def keys():
    """The keys of routes are made at the first start."""
    disk = Disk()
    disk.fill()
    path = os.path.join(DISK, "flow.keys")
    text = 'flow_keys = "%s";\n' % path + config()
    where = os.path.join(RUN, "keys")
    os.makedirs(where, exist_ok=True)
    with open(os.path.join(where, "policy.conf"), "w") as f:
        f.write(POLICY)
    with open(os.path.join(where, "edge.conf"), "w") as f:
        f.write('policy = "%s/policy.conf"; control = { socket = ""; };\n' % where + text)
    p = subprocess.run([os.path.join(BUILD, "sallyport-edge"), "-f", os.path.join(where, "edge.conf")],
                       capture_output=True, text=True, timeout=30)
    T.check("no room for the keys of routes: it does not start, and says why", p.returncode not in (0, -6, -11) and
            "flow.keys" in p.stderr and "space" in p.stderr, (p.returncode, p.stderr[-300:]))
    T.check("  and leaves no half a key behind", not os.path.exists(path))
    disk.free()
    door = Door(DIRECTOR + ":5061", "director")
    e = Edge("keys-again", text, POLICY)
    T.check("  when there is room, it starts as if nothing had been", os.path.getsize(path) == 65 and e.stop() == 0)
    door.close()
    disk.end()


def store():
    disk = Disk(512)
    policy, where = os.path.join(DISK, "policy.conf"), os.path.join(DISK, "store")
    with open(policy, "w") as f:
        f.write(POLICY)

    def ctl(*words):
        p = subprocess.run([CTL] + list(words) + ["--store", where, "--policy", policy], capture_output=True, text=True, timeout=60)
        return p.returncode, p.stdout + p.stderr

    def block(domain):
        return ctl("block", domain, "--no-edge", "--author", "tester")
    T.check("a domain is blocked", block("one.example")[0] == 0)
    before = open(policy).read()
    disk.fill()
    status, said = block("two.example")
    T.check("on a full disk none is: it is said, and the policy in force stays", status == 74 and "space" in said and
            open(policy).read() == before, (status, said))
    T.check("  and can be looked at", ctl("policy", "show")[0] == 0, ctl("policy", "show"))
    disk.free()
    T.check("when there is room, the next one is blocked", block("three.example")[0] == 0 and "three.example" in open(policy).read())
    status, said = ctl("policy", "history")
    T.check("  and the versions are those that were in force", status == 0 and "two.example" not in said, said)
    status, said = ctl("policy", "audit", "verify")
    T.check("  and the log of changes is whole", status == 0, (status, said))
    left = [n for _, _, names in os.walk(DISK) for n in names if "sallyport-new" in n or n == "pending.conf"]
    T.check("  and nothing half written is left", not left, left)
    disk.end()


def page():
    """Charts are a file of fixed size, which is made at the start."""
    disk, name, port = Disk(64), os.path.join(RUN, "admin.conf"), 8060
    addr = NET + ".9.60"
    with open(name, "w") as f:
        f.write('listen = "%s:%d"; user = "root"; accounts = "%s/accounts"; control = { edge = "%s/none.sock"; };\n'
                'policy = { file = "%s/policy.conf"; store = "%s/store"; }; charts = { file = "%s/charts"; sample = 1; };\n'
                'log = { level = "info"; };\n' % (addr, port, RUN, RUN, RUN, RUN, DISK))
    os.chmod(DISK, 0o777)
    with open(os.path.join(RUN, "policy.conf"), "w") as f:
        f.write(POLICY)
    os.chmod(RUN, 0o755)
    text = open(name).read().replace('user = "root"', 'user = "nobody"')
    with open(name, "w") as f:
        f.write(text)
    os.makedirs(os.path.join(RUN, "store"), exist_ok=True)
    os.chown(os.path.join(RUN, "store"), 65534, 65534)
    disk.fill()
    log = os.path.join(RUN, "admin.log")
    with open(log, "wb") as f:
        p = subprocess.Popen([os.path.join(BUILD, "sallyport-admin"), "-f", name], stderr=f)

    def said(what):
        return what in open(log, errors="replace").read()

    def healthy():
        try:
            return urllib.request.urlopen("http://%s:%d/healthz" % (addr, port), timeout=PATIENCE).status == 200
        except OSError:
            return False
    try:
        T.check("the admin page starts without room for its charts, and says so", until(healthy, 20) and
                until(lambda: said("event=charts")), open(log, errors="replace").read()[-300:])
        T.check("  and goes on", healthy() and p.poll() is None)
    finally:
        p.terminate()
        T.check("  and ends in order", p.wait(20) == 0)
    disk.end()


def director():
    """In a run of its own: another PKI, other addresses."""
    import dircrowd
    import dirfails
    import inside
    dircrowd.T = T
    inside.prepare()
    disk, log = Disk(), os.path.join(DISK, "director.log")
    on_disk("director", log)
    world = dircrowd.World("director", dirfails.LIMITS, dirfails.TIMERS,
                           more='log = { level = "debug"; refusals = 0; file = "%s"; }; session_log = { file = "%s/sessions"; };' % (log, DISK))
    d = world.director

    def served():
        disk.fill()
        load = dirfails.Load()
        lost = until(lambda: comes(inside.CLIENTS, inside.NAME) and load.answered() > 100 and
                     metric(d, "sallyport_log_lines_lost_total") > 0 and
                     metric(d, 'sallyport_session_lines_total{result="failed"}') > 0, 20)
        wrong = load.end()
        return wrong or lost and set(load.statuses) == {200} or "lines lost: %s, %r" % (lost, load.statuses)
    T.run("the Director's logs are on a full disk: all are served, and lost lines are counted", served)

    def room():
        disk.free()
        size = os.path.getsize(log)
        good = until(lambda: dirfails.serves() and os.path.getsize(log) > size + 500)
        return good and not glued(log) or (good, glued(log)[:2])
    T.run("when there is room, lines are written again, each in a line of its own", room)
    world.end()
    disk.end()


os.makedirs(RUN, exist_ok=True)
if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", RUN], stderr=subprocess.DEVNULL).returncode:
    print("skip no disk can be mounted here", flush=True)
    sys.exit(0)
subprocess.run(["umount", "-l", RUN], check=True)
if sys.argv[1:] == ["director"]:
    director()
    sys.exit(1 if T.failed else 0)
status = hostile.run(dict(edge=edge, keys=keys, store=store, page=page))
run = os.path.join(RUN, "inside")
os.makedirs(run, exist_ok=True)
second = subprocess.run([sys.executable, "-B", os.path.abspath(__file__), "director"], env=dict(os.environ, SYSTEM_RUN=run))
sys.exit(1 if status or second.returncode else 0)
