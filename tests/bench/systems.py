"""The programs that `run` and `instructions` measure: how each is started and stopped.

Every system is an edge between remote users (TLS, no client certificate) and the far end (mutual
TLS), with the same certificates and the same work on headers. All live on loopback addresses.
"""
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time

DOMAIN = "example.com"
NET = os.environ.get("BENCH_NET", "127.70")
OUTER = (NET + ".0.2", 4443)
PARTNERS_DOOR = (NET + ".0.2", 5061)
INNER = (NET + ".0.3", 5061)
FAR = (NET + ".0.4", 5061)
SOURCES = NET + ".8.1/32"       # clients come from 32 addresses
OUTER_NAME = "sip.example.com"
INNER_NAME = "edge.int.example.com"
FAR_NAME = "director.int.example.com"
START_SECONDS = 30
USER = "nobody"                 # what sallyport-edge becomes when it is started as root


class Failed(Exception):
    """A program that did not start or ended early; the text says which and what it said."""


class Lab:
    """Where things are: the source tree, the build, and a folder for this run."""

    def __init__(self, source, build, work):
        self.source, self.build, self.work = source, build, work
        self.pki = os.path.join(work, "pki")
        self.load = os.path.join(build, "tests/bench/load")
        self.far = os.path.join(build, "tests/bench/far")
        self.wrap = []          # put before the command of the system under test
        self.user = None        # start it as this user; None: as whoever we are

    def make_pki(self):
        made = subprocess.run([os.path.join(self.source, "certs-example/make-pki"), self.pki,
                               "--domain", DOMAIN], capture_output=True, text=True)
        if made.returncode != 0:
            raise Failed(f"make-pki: {made.stderr.strip()}")

    def give(self):
        """All that lies in the folder of this run to the user of the system under test."""
        if self.user is not None:
            for path, folders, files in os.walk(self.work):
                for name in [path, *(os.path.join(path, f) for f in folders + files)]:
                    shutil.chown(name, self.user)

    def cert(self, name):
        return os.path.join(self.pki, f"{name}.pem")

    def key(self, name):
        return os.path.join(self.pki, f"{name}.key")

    def run_load(self, to, *options, name=OUTER_NAME, pids=None, seconds=60):
        """One run of the load generator; what it printed, as a dictionary."""
        args = [self.load, "--to", "%s:%d" % to, "--name", name, "--domain", DOMAIN,
                "--from", SOURCES, *map(str, options)]
        if pids:
            args += ["--pids", ",".join(map(str, pids))]
        try:
            done = subprocess.run(args, capture_output=True, text=True, timeout=seconds + 90)
        except subprocess.TimeoutExpired:
            raise Failed("load: did not end") from None
        if done.returncode != 0:
            raise Failed(done.stderr.strip() or f"load: status {done.returncode}")
        return json.loads(done.stdout)


def raise_files():
    """As many open files as the system grants: everything that is started from here inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (250000, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
            return wanted
        except (ValueError, OSError):
            continue
    return soft


def wait_for_port(address, process, what):
    """Until someone listens there; by connecting, which every server has to bear."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Failed(f"{what}: ended with status {process.returncode}")
        with socket.socket() as s:
            s.settimeout(1)
            if s.connect_ex(address) == 0:
                return
        time.sleep(0.02)
    raise Failed(f"{what}: does not listen on {address[0]}:{address[1]}")


class Program:
    """A process of ours with its output in a file; ended with everything it started."""

    def __init__(self, lab, name, args, user=None):
        self.name = name
        self.log = os.path.join(lab.work, f"{name}.log")
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            cwd=lab.work, user=user, start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def last_words(self):
        with open(self.log, errors="replace") as f:
            return "\n".join(f.read().splitlines()[-8:])

    def wait_for(self, address):
        try:
            wait_for_port(address, self.process, self.name)
        except Failed as e:
            self.stop()
            raise Failed(f"{e}\n{self.last_words()}") from None

    def stop(self, patience=5):
        """TERM to the head; whoever of its session stays after that is killed."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Far(Program):
    """The far end. After stop(), counts says what arrived."""

    def __init__(self, lab, address=FAR, certificate="director", mutual=True, more=()):
        args = [lab.far, "--listen", "%s:%d" % address, "--cert", lab.cert(certificate),
                "--key", lab.key(certificate)]
        if mutual:
            args += ["--ca", lab.cert("ca")]
        args += more
        super().__init__(lab, "far", args)
        self.address = address
        self.counts = {}
        self.wait_for(address)

    def stop(self, patience=5):
        super().stop(patience)
        with open(self.log) as f:
            lines = [line for line in f if line.startswith("{")]
        self.counts = json.loads(lines[-1]) if lines else {}


class Edge:
    """sallyport-edge with all that a real one has: a policy of a thousand partners, session log, log
    file, control socket, kept flow keys, the process with the keys, the sandbox; limits that count
    everything but are never reached. quiet: without the session log."""

    package = ""
    same_work = True

    def __init__(self, lab, workers, build=None, partners=1000, quiet=False, content=False):
        self.lab, self.workers, self.partners, self.quiet, self.content = lab, workers, partners, quiet, content
        self.binary = os.path.join(build or lab.build, "sallyport-edge")
        self.name = "sallyport-edge" + (" of " + build if build else "") + (", no session log" if quiet else "")

    def missing(self):
        return not os.access(self.binary, os.X_OK)

    def door(self, address, name, certificate):
        return (f'listen = "{address[0]}:{address[1]}"; name = "{name}"; '
                f'certificate = "{self.lab.cert(certificate)}"; key = "{self.lab.key(certificate)}";')

    def write_policy(self, path):
        partners = ",\n".join(
            f'\t{{ server = "sip.partner{n:04}.example"; domains = [ "partner{n:04}.example", "sub.partner{n:04}.example" ]; }}'
            for n in range(self.partners))
        blocked = ", ".join(f'"blocked{n}.example"' for n in range(100))
        with open(path, "w") as f:
            f.write(f'internal_domains = [ "{DOMAIN}" ];\n'
                    f'internal_servers = [ "{FAR_NAME}" ];\n'
                    f'federation = true;\nblocked = [ {blocked} ];\npartners = (\n{partners}\n);\n')
            if self.content:
                f.write('content = ( { classes = [ "remote-user", "direct" ]; links = "warn"; files = "block-listed"; } );\n')

    def start(self):
        work = self.lab.work
        policy, conf = os.path.join(work, "policy.conf"), os.path.join(work, "edge.conf")
        self.write_policy(policy)
        for name in ("sessions", "flow-keys"):
            if os.path.exists(os.path.join(work, name)):
                os.unlink(os.path.join(work, name))
        # what counts its instructions makes calls that the sandbox would end it for
        sandbox = "false" if self.lab.wrap else "true"
        sessions = "" if self.quiet else f'session_log = {{ file = "{work}/sessions"; }};'
        with open(conf, "w") as f:
            f.write(f"""policy = "{policy}";
user = "{USER}";
workers = {self.workers};
sandbox = {sandbox};
log = {{ file = "{work}/edge.txt"; }};
{sessions}
flow_keys = "{work}/flow-keys";
control = {{ socket = "{work}/edge.sock"; }};
outer = ( {{ {self.door(OUTER, OUTER_NAME, "edge-outer")} users = true; }},
	{{ {self.door(PARTNERS_DOOR, OUTER_NAME, "edge-outer")} partners = true; client_certificate = "required";
	   trust = "{self.lab.cert("ca")}"; }} );
inner = {{ {self.door(INNER, INNER_NAME, "edge-inner")} trust = "{self.lab.cert("ca")}"; }};
directors = ( {{ name = "{FAR_NAME}"; port = {FAR[1]}; address = "{FAR[0]}"; }} );
# nobody signs in here, and everybody sends
limits = {{ sign_in = 3600; first_message = 3600; connections = 200000; connections_block = 200000; handshakes = 100000;
	user_rate = 1000000; user_requests = 1000000; partner_rate = 1000000; partner_requests = 1000000; connections_partner = 100000; }};
""")
        self.lab.give()
        program = Program(self.lab, "sallyport-edge", self.lab.wrap + [self.binary, "-f", conf],
                          user=self.lab.user)
        program.wait_for(OUTER)
        return program


class Kamailio:
    """Kamailio from Debian; see kamailio.cfg for what it is asked to do."""

    package = "kamailio kamailio-tls-modules"
    program = "/usr/sbin/kamailio"
    KINDS = {"plain": "PLAIN", "stateless": "", "tm": "TM", "federated": "FEDERATED"}

    def __init__(self, lab, kind, workers):
        self.lab, self.kind, self.workers = lab, kind, workers
        self.name = "kamailio " + kind
        self.same_work = kind != "plain"

    @classmethod
    def missing(cls):
        modules = ("/usr/lib/x86_64-linux-gnu/kamailio/modules/tls.so",
                   "/usr/lib/aarch64-linux-gnu/kamailio/modules/tls.so",
                   "/usr/lib64/kamailio/modules/tls.so")
        return not (os.access(cls.program, os.X_OK) and any(map(os.path.exists, modules)))

    def tls_profile(self, title, certificate, verify):
        lab = self.lab
        return (f"[{title}]\nmethod = TLSv1.2+\n"
                f"verify_certificate = {verify}\nrequire_certificate = {verify}\n"
                f"certificate = {lab.cert(certificate)}\nprivate_key = {lab.key(certificate)}\n"
                + (f"ca_list = {lab.cert('ca')}\n" if verify == "yes" else ""))

    def start(self):
        lab = self.lab
        run = os.path.join(lab.work, "kamailio")
        shutil.rmtree(run, ignore_errors=True)
        os.makedirs(run)
        tls = os.path.join(run, "tls.cfg")
        with open(tls, "w") as f:
            f.write(self.tls_profile("server:default", "edge-outer", "yes" if self.kind == "federated" else "no"))
            f.write(self.tls_profile("server:%s:%d" % INNER, "edge-inner", "yes"))
            f.write(self.tls_profile("client:default", "edge-inner", "yes"))
        inner = "tls:%s:%d" % INNER
        words = [f"OUTER=tls:{OUTER[0]}:{OUTER[1]}", f"OUTERPORT={OUTER[1]}", f"INNER={inner}",
                 f'FROM="{inner}"', 'NEXT="sip:%s:%d;transport=tls"' % FAR,
                 f"WORKERS={self.workers}", f'TLSCFG="{tls}"']
        words += [self.KINDS[self.kind]] if self.KINDS[self.kind] else []
        # memory is only reserved; 50,000 connections need more than 2 GB of it
        args = [self.program, "-f", os.path.join(lab.source, "tests/bench/kamailio.cfg"),
                "-DD", "-E", "-X", "tlsf", "-x", "tlsf", "-m", "4096", "-M", "64",
                "-w", run, "-Y", run, "-P", os.path.join(run, "pid")]
        for word in words:
            args += ["-A", word]
        program = Program(lab, self.name.replace(" ", "-"), lab.wrap + args)
        program.wait_for(OUTER)
        return program


class HAProxy:
    """HAProxy in TCP mode, TLS on both sides: what moving the bytes costs, SIP left out."""

    name = "haproxy bytes only"
    package = "haproxy"
    program = "/usr/sbin/haproxy"
    same_work = False

    def __init__(self, lab, workers):
        self.lab, self.workers = lab, workers

    @classmethod
    def missing(cls):
        return not os.access(cls.program, os.X_OK)

    def together(self, certificate):
        """Certificate and key in one file, as it wants them."""
        path = os.path.join(self.lab.work, f"haproxy-{certificate}.pem")
        with open(path, "w") as out:
            for part in (self.lab.cert(certificate), self.lab.key(certificate)):
                with open(part) as f:
                    out.write(f.read())
        os.chmod(path, 0o600)
        return path

    def start(self):
        conf = os.path.join(self.lab.work, "haproxy.cfg")
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with open(conf, "w") as f:
            f.write(f"""global
    nbthread {self.workers}
    maxconn {min(70000, files // 2 - 100)}
    tune.ssl.cachesize 0
    tune.ssl.default-dh-param 2048
    ssl-default-bind-options no-tls-tickets
    ssl-default-server-options no-tls-tickets
defaults
    mode tcp
    timeout client 1h
    timeout server 1h
    timeout connect 5s
listen edge
    bind {OUTER[0]}:{OUTER[1]} ssl crt {self.together("edge-outer")}
    server far {FAR[0]}:{FAR[1]} ssl crt {self.together("edge-inner")} ca-file {self.lab.cert("ca")} verify required
""")
        program = Program(self.lab, "haproxy", self.lab.wrap + [self.program, "-db", "-f", conf])
        program.wait_for(OUTER)
        return program


def everyone(lab, workers, against=None):
    """Every system there is, in the order of the table. against: another build of our own."""
    return [Edge(lab, workers), *([Edge(lab, workers, against)] if against else []),
            Kamailio(lab, "plain", workers), Kamailio(lab, "stateless", workers),
            Kamailio(lab, "tm", workers), HAProxy(lab, workers)]
