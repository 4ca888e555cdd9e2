"""control - an edge and a Director asked over their control sockets while they
carry messages: what they say of themselves, what they let be changed, and that
rude clients of the socket cost nobody else anything. Run by control.sh."""

import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time

import discovery
import signing
from sipnet import BUILD, PATIENCE, PKI, RUN, TOP, Closed, Door, Edge, Silent, Tests, dial, request

NET = os.environ.get("LAB_NET", "127.21")
OUT, IN, DIR, PARTNER = (NET + ".21.%d" % n for n in (1, 2, 3, 4))
USERS, PARTNERS, INNER = OUT + ":443", OUT + ":5061", IN + ":5061"
CTL = os.path.join(RUN, "sallyportctl")
VIEWERS, OPERATORS, SOMEBODY = 60, 37, 1        # games, operator and daemon, on any Debian

POLICY = """
internal_domains = [ "example.com" ];
internal_servers = [ "director.int.example.com" ];
federation = true;
discovery = true;
open_federation = true;
partners = ( { name = "Contoso"; server = "sip.contoso.example"; domains = [ "contoso.example", ".contoso.example" ]; } );
"""

T = Tests()


def config(extra=""):
    door = 'certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key";' % (PKI, PKI)
    return """
user = "nobody"; workers = 2;
log = { level = "info"; };
outer = (
  { listen = "%s"; name = "sip.example.com"; %s users = true; },
  { listen = "%s"; name = "sip.example.com"; %s trust = "%s/ca.pem"; client_certificate = "required"; partners = true; }
);
inner = { listen = "%s"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
limits = { user_rate = 0; };
dns = { servers = [ "%s:53" ]; timeout = 500; tries = 2; };
discovery = { networks = [ "%s.0.0/16" ]; };
%s
""" % (USERS, door, PARTNERS, door, PKI, INNER, PKI, PKI, PKI, DIR, discovery.DNS, NET, extra)


def prepare():
    os.makedirs(RUN, exist_ok=True)
    shutil.copy(os.path.join(BUILD, "sallyportctl"), CTL)    # for accounts that cannot see the build
    os.chmod(CTL, 0o755)
    signing.prepare()
    for name, dns in (("contoso", "sip.contoso.example"), ("one", "sip.one.example")):
        subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI, "cert", name, "--dns", dns], check=True,
                       stdout=subprocess.DEVNULL)
    make = os.path.join(TOP, "certs-example", "make-pki")
    subprocess.run([make, PKI, "ca", "newissuer", "--issuer", "example"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([make, PKI, "cert", "contoso2", "--issuer", "newissuer", "--dns", "sip.contoso.example", "--purpose", "serverAuth"], check=True,
                   stdout=subprocess.DEVNULL)
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), pwd.getpwnam("nobody").pw_uid, -1)


class Ctl:
    """sallyportctl, asking one daemon."""

    def __init__(self, path):
        self.path = path

    def run(self, *args, user=None):
        cmd = [CTL, "--socket", self.path] + list(args)
        if user:
            cmd = ["setpriv", "--reuid=%d" % user[0], "--regid=%d" % user[1], "--clear-groups"] + cmd
        p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=90)
        return p.returncode, p.stdout.decode("utf-8"), p.stderr.decode("utf-8")

    def json(self, *args):
        status, out, err = self.run(*args, "--json")
        answer = json.loads(out)
        assert answer["status"] == status, (answer, status, err)
        return answer

    def records(self, kind, *args):
        return [r for r in self.json(*args)["records"] if r["kind"] == kind]


def narrow(ctl, *args):
    """Its text in a terminal of 80 columns: the widest line, and all of it."""
    p = subprocess.run([CTL, "--socket", ctl.path] + list(args), stdout=subprocess.PIPE, timeout=90, env=dict(os.environ, COLUMNS="80"))
    out = p.stdout.decode()
    return p.returncode, max(len(line) for line in out.split("\n")), out


class Answering:
    """A server that takes any number of connections and answers every request with 200."""

    def __init__(self, addr, cert):
        self.door = Door(addr, cert)
        self.status = 200
        self.seen, self.last = 0, None
        self.conns = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn = self.door.accept(3600)
            except Exception:  # a handshake that fails is not ours to judge; a closed door ends it
                if self.door.sock.fileno() == -1:
                    return
                continue
            self.conns.append(conn)
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        try:
            while True:
                m = conn.recv(3600)
                if m.status == 0 and m.method != "ACK":
                    self.seen += 1
                    self.last = m
                    conn.send(m.reply(self.status))
        except (Closed, Silent, ValueError):
            pass

    def close(self):
        """Threads may be waiting on these: what is shut down wakes them, what is closed does not."""
        for s in [self.door.sock] + [c.sock for c in self.conns]:
            try:
                socket.socket.shutdown(s, socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


class Asking:
    """One after the other on a connection, in a thread: how long each took, and whether one was not answered."""

    def __init__(self, conn):
        self.conn, self.times, self.wrong, self.over = conn, [], None, False
        self.thread = threading.Thread(target=self.ask, daemon=True)
        self.thread.start()

    def ask(self):
        try:
            while not self.over:
                began = time.monotonic()
                self.conn.send(request(body=b"hello"))
                if self.conn.recv().status != 200:
                    self.wrong = "not 200"
                    return
                self.times.append(time.monotonic() - began)
        except (Closed, Silent) as e:
            self.wrong = repr(e)

    def end(self):
        self.over = True
        self.thread.join(PATIENCE)
        return self


def until(what, patience=PATIENCE):
    """Asks again until it is true, or the time is over."""
    end = time.monotonic() + patience
    while True:
        got = what()
        if got or time.monotonic() > end:
            return got
        time.sleep(0.05)


def looks(ctl, edge):
    """What an edge says of itself while it carries messages."""
    user = dial(USERS)
    user.send(request(body=b"hello"))
    T.check("a message passes", user.recv().status == 200)

    def status():
        answer = ctl.json("status")
        kinds = {}
        for r in answer["records"]:
            kinds.setdefault(r["kind"], []).append(r)
        d = kinds["daemon"][0]
        return (d["pid"] == edge.proc.pid and d["workers"] == 2 and d["connections"] >= 3 and d["policy"].endswith("policy.conf") and
                len(kinds["door"]) == 3 and kinds["director"][0]["state"] == "up" and kinds["director"][0]["up"] == 2 and
                kinds["certificate"][0]["days_left"] in (29, 30) and sum(w["requests"] for w in kinds["worker"]) >= 1 and
                all(w["answers"] for w in kinds["worker"]) and not answer["cut"]) or answer
    T.run("status", status)
    T.run("status as text", lambda: (lambda s, o, e: s == 0 and "sallyport-edge" in o and "director.int.example.com" in o and
                                     e == "" or (s, o, e))(*ctl.run("status")))

    def connections():
        inner = ctl.records("connection", "connections", "--class", "internal")
        users = ctl.records("connection", "connections", "--class", "remote-user")
        by_name = ctl.records("connection", "connections", "--name", "int.example.com")
        return (len(inner) == 2 and inner[0]["names"] == ["director.int.example.com"] and inner[0]["direction"] == "out" and
                len(users) == 1 and "names" not in users[0] and users[0]["queued"] == 0 and len(by_name) == 2 and
                ctl.records("connection", "connections", "--peer", "192.0.2.1") == []) or (inner, users, by_name)
    T.run("connections, by class, name and address", connections)

    def trace():
        t = subprocess.Popen([CTL, "--socket", ctl.path, "trace", "--user", "alice@example.com", "--count", "4", "--json"],
                             stdout=subprocess.PIPE)
        first = json.loads(t.stdout.readline())
        user.send(request(sender="sip:carol@example.com", body=b"not this one"))
        user.recv()
        user.send(request(headers=['Authorization: Digest username="alice", response="S3CR3T"'], body=b"S3CR3T"))
        user.recv()
        out = t.communicate(timeout=PATIENCE)[0].decode()
        seen = [json.loads(line) for line in out.split("\n") if line]
        return (first["kind"] == "tracing" and t.returncode == 0 and [m["way"] for m in seen] == ["in", "out", "in", "out"] and
                "S3CR3T" not in out and "Authorization: Digest ***" in seen[0]["message"] and "carol" not in out and
                "[6 bytes of body]" in seen[0]["message"]) or (first, out)
    T.run("trace shows one user's messages, without credentials and bodies", trace)

    def interrupted():
        t = subprocess.Popen([CTL, "--socket", ctl.path, "trace", "--heads"], stdout=subprocess.PIPE)
        t.stdout.readline()
        t.send_signal(signal.SIGINT)
        t.communicate(timeout=PATIENCE)
        user.send(request())
        return user.recv().status == 200 and ctl.json("status")["status"] == 0
    T.run("an interrupted trace leaves nothing behind", interrupted)

    def own():
        records = ctl.records("own", "certs")
        return (len(records) == 3 and records[2]["door"] == "inner" and records[2]["names"] == ["edge.int.example.com"] and
                (records[0]["days_left"] == 30 or records[0]["forecast"] == ["expires in 29 days"])) or records
    T.run("certs: our own, and that they expire within a month", own)
    user.close()


def mistakes(ctl, edge):
    """Bad input, and reloads."""
    for args, status in ((["connections", "--class", "nonsense"], 0), (["discovered", "reset", "zz"], 64),
                         (["discovered", "reset", "00" * 32], 68), (["partner", "show", "Nobody"], 68),
                         (["partner", "test", "Nobody"], 68), (["pools"], 69), (["partner", "show", "x" * 60000], 68),
                         (["partner", "show", "x" * 70000], 64), (["reopen-logs"], 0), (["reload"], 0)):
        T.run("%s ends with %d" % (" ".join(args)[:40], status), lambda: ctl.run(*args)[0] == status or ctl.run(*args))
    good = open(os.path.join(edge.dir, "policy.conf")).read()

    def told():
        edge.write("policy.conf", good + "nonsense = 1;\nblocked = 7;\n")
        s, out, err = ctl.run("reload")
        answer = ctl.json("reload")
        texts = [r["text"] for r in answer["records"]]
        return (s == 78 and "policy.conf:8: nonsense" in err and "policy.conf:9: blocked" in err and
                "the old configuration stays in force" in err and len(texts) == 2 and answer["status"] == 78) or (s, out, err)
    T.run("a reload says every mistake with its line, and ends with 78", told)
    edge.write("policy.conf", good)
    T.run("and it is well again", lambda: ctl.run("reload")[0] == 0)


def obeyed(ctl, edge):
    """Which policy the edge obeys; and that it is told when the file says something else."""
    store = ["--store", os.path.join(edge.dir, "store"), "--policy", os.path.join(edge.dir, "policy.conf")]
    text = open(os.path.join(edge.dir, "policy.conf")).read()
    sha = lambda: hashlib.sha256(open(os.path.join(edge.dir, "policy.conf"), "rb").read()).hexdigest()
    of_edge = lambda: json.loads(ctl.run("policy", "history", "--json", *store)[1])["edge"]
    daemon = lambda: ctl.records("daemon", "status")[0]

    T.run("status has the hash of the policy that came from the file", lambda: (lambda d: d["policy_sha256"] == sha() and
          "policy_version" not in d and "policy_stale" not in d and d["policy_since"] is not None or d)(daemon()))
    T.run("policy history: the edge obeys the newest", lambda: (lambda e: e == {"sha256": sha(), "version": 1, "current": True} or
          e)(of_edge()))

    def told():
        s, out, err = ctl.run("block", "spam.example", "--author", "carol", *store)
        d = daemon()
        return (s == 0 and d["policy_sha256"] == sha() and d["policy_version"] == 2 and d["policy_author"] == "carol" and
                of_edge() == {"sha256": sha(), "version": 2, "current": True} and
                ctl.run("policy", "history", *store)[2] == "") or (s, err, d, of_edge())
    T.run("a change that it was told of: version and author", told)

    def interrupted():
        was = sha()
        ctl.run("block", "spam.example.org", "--no-edge", *store)
        s, out, err = ctl.run("policy", "history", *store)
        d = daemon()
        return (s == 0 and err == "sallyportctl: the edge obeys version 2, the file says version 3: sallyportctl reload\n" and
                of_edge() == {"sha256": was, "version": 2, "current": False} and d["policy_sha256"] == was and
                "the edge obeys" in d["policy_stale"] and d["policy_version"] == 2) or (s, err, d, of_edge())
    T.run("a change that it was not told of is noticed, and said in one sentence", interrupted)
    T.run("after a reload all is well", lambda: ctl.run("reload")[0] == 0 and of_edge()["current"] and
          "policy_stale" not in daemon())
    edge.write("policy.conf", text)
    ctl.run("reload")


def fewer_lines(ctl, edge):
    """log.refusals changes with a reload."""
    conf = open(os.path.join(edge.dir, "edge.conf")).read()
    conn = dial(USERS)

    def refuse(n):
        for _ in range(n):
            conn.send(request(mf=0))
            conn.recv()
        return sum("reason=too-many-hops" in line and "event=refused" in line for line in edge.log().split("\n"))
    first = refuse(5)
    edge.write("edge.conf", conf.replace('level = "info";', 'level = "info"; refusals = 1; window = 3600;'))
    T.run("before, every refusal has its line", lambda: first == 5 or first)
    T.run("log.refusals: a reload takes it", lambda: ctl.run("reload")[0] == 0)
    T.run("and from then on there is no other line", lambda: refuse(5) <= 6 or edge.log())
    edge.write("edge.conf", conf)
    T.run("and back", lambda: ctl.run("reload")[0] == 0 and refuse(5) >= 10)
    conn.close()


def explained(ctl, edge, inside):
    """What explain cannot know by itself: signatures of Routes, connections that live, the limits in force."""
    file = os.path.join(RUN, "captured")
    user = dial(USERS)
    user.send(request("INVITE", call="explained", body=b"v=0"))
    routes = until(lambda: inside.last is not None and inside.last.method == "INVITE" and inside.last.all("Record-Route"))

    def explain(route, *args, call="explained"):
        open(file, "wb").write(request("INFO", uri="sip:alice@192.0.2.7", sender="sip:bob@example.com", to="sip:alice@example.com",
                                       to_tag="a1", call=call, headers=["Route: " + ", ".join(route)]))
        s, out, err = ctl.run("explain", "--policy", os.path.join(edge.dir, "policy.conf"), "--direction", "out", "--message", file,
                              "--json", *args)
        answer = json.loads(out)
        return s, answer["message"]["route"], answer["message"].get("flow"), answer["message"].get("note", ""), answer["decision"].get("reason")
    T.run("a Route that it has signed, to a user who is there", lambda: explain(routes)[:4] ==
          (0, "ours", "user", "the running edge has looked at the Route") or (routes, explain(routes)))
    forged = [r.replace("ms-route-sig=", "ms-route-sig=AA") for r in routes]
    T.run("another signature: forged, and refused for it", lambda: (lambda e: e[0] == 1 and e[1] == "forged" and e[4] == "route-forged" or
          e)(explain(forged)))
    T.run("the same of another dialog: forged", lambda: explain(routes, call="another")[1] == "forged" or explain(routes, call="another"))
    T.run("not asked: taken for ours, and said so", lambda: (lambda e: e[1] == "ours" and "not looked at" in e[3] or e)(
          explain(forged, "--no-edge")))
    user.close()
    T.run("when the user has gone: it knows", lambda: until(lambda: explain(routes)[2] == "user-gone") or explain(routes))

    def limits(*args):
        answers = os.path.join(RUN, "answers")
        open(answers, "w").write("_sipfederationtls._tcp.one.example 0 0 5061 sip.one.example\n")
        s, out, err = ctl.run("explain", "--policy", os.path.join(edge.dir, "policy.conf"), "--from", "x@one.example", "--to",
                              "bob@example.com", "--peer-name", "sip.one.example", "--dns", "answers", answers, "--json", *args)
        return s, json.loads(out).get("limits"), err
    T.run("limits as the running edge has them", lambda: (lambda r: r[1]["addressees"] == "discovered.addressees = 2 of our users" and
          r[1]["rate"].startswith("discovered.rate = 20 ") and r[1]["as-in"] == "the running edge" or r)(limits()))
    conf = edge.write("of-limits.conf", "discovered = { rate = 7; };\n") or os.path.join(edge.dir, "of-limits.conf")
    T.run("or as they are configured, when none runs", lambda: (lambda r: r[1]["rate"].startswith("discovered.rate = 7 ") and r[1]["as-in"] == conf or r)(
          limits("--no-edge", "--edge-conf", conf)))


def renewed(ctl):
    """The partner has another certificate now, of another issuer and for servers only."""
    conn = dial(PARTNERS, cert="contoso2")
    conn.close()

    def forecast():
        record = [r for r in ctl.records("partner", "certs") if r["name"] == "Contoso"][0]
        return " / ".join(record.get("forecast", []))
    T.run("its next certificate: the issuer has changed, and it is no longer for clients", lambda: until(
        lambda: "the issuer has changed, from CN=Example CA" in forecast() and "no longer for clients" in forecast()) or forecast())
    T.run("its card says so, too", lambda: any("issuer has changed" in f for f in ctl.records("partner", "partner", "show", "Contoso")[0]["forecast"]))


def partners(ctl, edge):
    server = Answering(PARTNER + ":5061", "contoso")
    T.run("a partner that was never seen", lambda: (lambda r: r["state"] == "unused" and r["certificate"] == "never seen" and
          r["last_success"] is None or r)(ctl.records("partner", "partner", "show", "Contoso")[0]))
    conn = dial(PARTNERS, cert="contoso")
    conn.send(request(sender="sip:x@contoso.example"))
    T.check("it sends", conn.recv().status == 200)

    def card():
        r = ctl.records("partner", "partner", "show", "sip.contoso.example")[0]
        row = ctl.records("partner", "partner", "list")[0]
        return (r["name"] == "Contoso" and r["class"] == "direct" and r["state"] == "up" and r["connections_in"] == 1 and
                r["certificate"] == "accepted" and r["names"] == "sip.contoso.example" and r["days_left"] in (29, 30) and
                r["usage"] == ["server", "client"] and row["in"] == 1 and row["state"] == "up" and
                r["domains"] == ["contoso.example", ".contoso.example"] and r["verification"] == "use-source-verification" and
                r["certificate_rule"] == "server-only" and not r["paused"] and r["counted_since"] is not None and
                r["received"] == row["received"] == 1 and r["refused"] == 0 and "refused_reason" not in r) or (r, row)
    T.run("then its card has connection and certificate", card)
    T.run("and its limits", lambda: (lambda r: r["connections_in_max"] == 100 and r["requests_per_second"] == 1000 and
          r["connections_in"] >= 1 and r["message_bytes"] == 65536 or r)(ctl.records("limits", "partner", "show", "Contoso")[0]))
    for args in (["status"], ["connections"], ["partner", "list"], ["partner", "show", "Contoso"], ["certs"], ["certs", "--all"]):
        T.run("%s fits into 80 columns" % " ".join(args), lambda: (lambda s, n, out: s == 0 and n <= 80 or (s, n, out))(*narrow(ctl, *args)))
    T.run("and certs its certificate", lambda: ctl.records("partner", "certs")[0]["verdict"] == "accepted")
    renewed(ctl)
    T.run("certs --all: everybody's", lambda: len(ctl.records("seen", "certs", "--all")) >= 2)

    store = ["--store", os.path.join(edge.dir, "store"), "--policy", os.path.join(edge.dir, "policy.conf")]

    def traced(name):
        t = subprocess.Popen([CTL, "--socket", ctl.path, "trace", "--partner", name, "--count", "2", "--heads", "--json"],
                             stdout=subprocess.PIPE)
        t.stdout.readline()
        user = dial(USERS)
        user.send(request())
        user.recv()
        conn.send(request(sender="sip:x@contoso.example"))
        conn.recv()
        user.close()
        seen = [json.loads(line) for line in t.communicate(timeout=PATIENCE)[0].decode().split("\n") if line]
        return [m["class"] for m in seen] == ["direct", "direct"] or seen
    for name in ("Contoso", "sip.contoso.example", "contoso.example", "x.contoso.example"):
        T.run("trace --partner %s" % name, lambda: traced(name))
    passed = ctl.records("partner", "partner", "show", "Contoso")[0]["received"]

    def paused():
        s, out, err = ctl.run("partner", "pause", "Contoso", *store)
        conn.send(request(sender="sip:x@contoso.example"))
        r = conn.recv()
        card = ctl.records("partner", "partner", "show", "branch.contoso.example")[0]
        return (s == 0 and r.status != 200 and edge.logged("event=refused", "reason=partner-paused") and card["paused"] and
                card["refused"] == 1 and card["refused_reason"] == "partner-paused" and card["refused_at"] is not None and
                card["received"] == passed) or (s, out, err, r.start, card)
    T.run("paused: its messages are refused, with a reason of its own", paused)

    def resumed():
        s, out, err = ctl.run("partner", "resume", "Contoso", *store)
        conn.send(request(sender="sip:x@contoso.example"))
        r = conn.recv()
        return (s == 0 and r.status == 200) or (s, out, err, r.start)
    T.run("resumed: they pass", resumed)
    conn.close()
    until(lambda: ctl.records("partner", "partner", "show", "Contoso")[0]["connections_in"] == 0)
    T.run("tested, its name is in DNS: reached", lambda: (lambda s, o, e: s == 0 and "result: reached" in o or (s, o, e))(
        *ctl.run("partner", "test", "Contoso")))
    server.close()

    def unreached():
        """Nobody listens there any more."""
        until(lambda: ctl.records("partner", "partner", "show", "Contoso")[0]["connections_out"] == 0)
        s, out, err = ctl.run("partner", "test", "Contoso")
        r = ctl.records("partner", "partner", "show", "Contoso")[0]
        return (s == 69 and "not reached" in out and "hop-unreachable" in out and r["state"] == "down" and
                r["reason"] == "hop-unreachable" and r["last_failure"] is not None and r["handshake_failures"] >= 1 and
                r["handshake_reason"] == "hop-unreachable") or (s, out, err, r)
    T.run("tested when its server is gone: not reached, and why", unreached)


def discovered(ctl, edge):
    """A partner that nobody has listed trips its limit; what it has used is shown, taken back, and it goes on."""
    conn = dial(PARTNERS, cert="one")

    def send(user):
        conn.send(request(uri="sip:%s@example.com" % user, sender="sip:x@one.example"))
        return conn.recv().status
    T.check("it addresses two of our users", [send("ann"), send("bob")] == [200, 200])
    T.check("the third is one too many", send("cy") == 403)

    def shown():
        r = ctl.records("discovered", "discovered", "list")
        return (len(r) == 1 and r[0]["domains"] == ["one.example"] and r[0]["at_limit"] and r[0]["addressees"] == 2 and
                r[0]["refused_addressees"] == 1 and len(r[0]["key"]) == 64) or r
    T.run("discovered list shows it", shown)
    key = ctl.records("discovered", "discovered", "list")[0]["key"]
    T.run("discovered reset", lambda: ctl.run("discovered", "reset", key)[0] == 0)
    T.run("and the list is empty", lambda: ctl.records("discovered", "discovered", "list") == [])
    T.check("then it may address him", send("cy") == 200)
    conn.close()


def accounts(ctl):
    """Who may ask what."""
    for who, gid, look, change in (("a viewer", VIEWERS, 0, 77), ("an operator", OPERATORS, 0, 0),
                                   ("somebody", SOMEBODY, 77, 77)):
        T.run("%s looks: %d" % (who, look), lambda: ctl.run("status", user=(SOMEBODY, gid))[0] == look)
        T.run("%s changes: %d" % (who, change), lambda: ctl.run("reload", user=(SOMEBODY, gid))[0] == change)


def rude(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE)
    s.connect(path)
    return s


def be_rude(path):
    """What a process without manners does, for ever."""
    idle = []

    def garbage():
        s = rude(path)
        s.sendall(os.urandom(2000))
        s.close()

    def half():
        s = rude(path)
        s.sendall(b"\x01\x00\x40\x00")
        idle.append(s)
        if len(idle) > 200:
            idle.pop(0).close()

    def greedy():
        """Asks for much and reads nothing."""
        ask = b"\x01\x0b\x00connections\x00"
        s = rude(path)
        for _ in range(50):
            s.sendall(b"\x01\x00" + len(ask).to_bytes(4, "little") + bytes(8) + ask)
        idle.append(s)
    while True:
        for one in (garbage, half, half, greedy):
            try:
                one()
            except OSError:
                pass


def flood(ctl, edge):
    """Rude clients of one account that may look; messages pass, and others are answered, as if nothing was."""
    user = dial(USERS)
    asking = Asking(user)
    children = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                os.setgroups([])
                os.setgid(VIEWERS)
                os.setuid(SOMEBODY)
                be_rude(ctl.path)
            finally:
                os._exit(1)
        children.append(pid)
    T.check("there is a flood", edge.logged("event=control-cut", count=2))
    answered = [ctl.run("status")[0] for _ in range(10)]
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    asking.end()
    T.check("every message was answered, none late", asking.wrong is None and len(asking.times) > 20 and max(asking.times) < 2,
            (asking.wrong, len(asking.times), max(asking.times or [0])))
    T.check("who asks politely is answered meanwhile", answered == [0] * 10, answered)
    T.run("and afterwards all is as before", lambda: ctl.json("status")["status"] == 0 and edge.alive())
    user.close()


def cut_short(where, ctl):
    """Whoever listens there takes the request, and closes; or does not even take it."""
    path = os.path.join(where, "ending.sock")
    door = socket.socket(socket.AF_UNIX)
    door.bind(path)
    door.listen(8)
    os.chmod(path, 0o666)
    over = []

    def closes():
        for reads in (True, False, True, False):
            s, _ = door.accept()
            if reads:
                s.recv(1)
            s.close()
    thread = threading.Thread(target=closes, daemon=True)
    thread.start()
    other = Ctl(path)
    for user in (None, (SOMEBODY, VIEWERS)):
        for _ in range(2):
            over.append(other.run("status", user=user)[0])
    thread.join(PATIENCE)
    door.close()
    os.unlink(path)
    return over == [69] * 4 or over


def an_edge():
    knot = discovery.Knot()
    knot.write("one.example", discovery.srv((0, 0, 5061, "sip")) + "sip A " + PARTNER)
    knot.write("contoso.example", "sip A " + PARTNER)
    knot.start()
    inside = Answering(DIR + ":5061", "director")
    edge = Edge("edge", config("discovered = { addressees = 2; };"), POLICY,
                control='group = "games"; operators = "operator";')
    ctl = Ctl(os.path.join(edge.dir, "edge.sock"))
    try:
        until(lambda: [r for r in ctl.records("director", "status") if r["up"] == 2])
        looks(ctl, edge)
        mistakes(ctl, edge)
        obeyed(ctl, edge)
        fewer_lines(ctl, edge)
        explained(ctl, edge, inside)
        partners(ctl, edge)
        discovered(ctl, edge)
        flood(ctl, edge)
        accounts(ctl)

        def drained():
            inside.status = 0
            s = ctl.run("drain")[0]
            return s == 0 and edge.proc.wait(PATIENCE) == 0 and edge.logged("event=stopped")
        T.run("drain ends it in order", drained)
        T.run("then nobody answers", lambda: ctl.run("status")[0] == 69)
        T.run("and a daemon that ends before it has answered is none that forbids it", lambda: cut_short(edge.dir, ctl))
    finally:
        edge.stop()
        knot.stop()
        inside.close()


def a_director():
    director = signing.Director("director")
    ctl = Ctl(os.path.join(director.dir, "director.sock"))
    try:
        with signing.World() as w:
            T.run("Director: nobody is signed in", lambda: ctl.records("association", "signed-in") == [])
            client = signing.Client(w.edge)
            client.sign_in(w.pool())

            def signed_in():
                r = ctl.records("association", "signed-in")
                return (len(r) == 1 and r[0]["user"] == "alice@example.com" and r[0]["scheme"] == "NTLM" and
                        ctl.records("count", "signed-in", "--count")[0]["signed_in"] == 1 and
                        ctl.records("association", "signed-in", "--user", "bob@example.com") == []) or r
            T.run("Director: signed-in, all, counted and by user", signed_in)

            def status():
                records = ctl.json("status")["records"]
                d = records[0]
                hops = {r["name"]: r for r in records if r["kind"] == "hop"}
                return (d["program"] == "sallyport-director" and d["signed_in"] == 1 and
                        hops["pool.int.example.com"]["what"] == "pool") or records
            T.run("Director: status", status)
            T.run("Director: pools", lambda: [r for r in ctl.records("hop", "pools") if r["what"] == "pool" and
                                               r["state"] in ("up", "partly up")] != [])
            T.run("Director: connections by class", lambda: len(ctl.records("connection", "connections", "--class", "edge")) >= 1)
            T.run("Director: certs", lambda: (lambda r: len(r) == 2 and r[0]["days_left"] in (29, 30) and "director.int.example.com" in r[0]["names"] or
                                              r)(ctl.records("own", "certs")))
            T.run("Director: certs --all: edges and pools, in both directions", lambda: (lambda r: {(s["names"], s["direction"]) for s in r
                  if s["verdict"] == "accepted"} >= {("edge.int.example.com", "in"), ("pool.int.example.com", "out")} or r)(
                      ctl.records("seen", "certs", "--all")))
            T.run("Director: a request that only an edge knows", lambda: ctl.run("discovered", "list")[0] == 69)
            T.run("Director: reload", lambda: ctl.run("reload")[0] == 0)

            def wrong():
                path = os.path.join(director.dir, "director.conf")
                text = open(path).read()
                director.write("director.conf", text + "nonsense = 1;\n")
                s, _, err = ctl.run("reload")
                director.write("director.conf", text)
                return s == 78 and "nonsense" in err or (s, err)
            T.run("Director: a reload with a mistake says it", wrong)
            T.run("Director: reopen-logs", lambda: ctl.run("reopen-logs")[0] == 0)
            T.run("Director: drain ends it in order", lambda: ctl.run("drain")[0] == 0 and director.proc.wait(PATIENCE) == 0)
    finally:
        director.stop()


def main():
    prepare()
    for name, part in (("an edge", an_edge), ("a Director", a_director)):
        try:
            part()
        except Exception as e:  # the test's result
            T.check("%s came to its end" % name, False, "(%s: %s)" % (type(e).__name__, e))
    for name in ("edge", "director"):
        log = open(os.path.join(RUN, name, "log"), errors="replace").read()
        T.check("%s: no sanitizer complained" % name, "Sanitizer" not in log and "runtime error" not in log)
    raise SystemExit(1 if T.failed else 0)


if __name__ == "__main__":
    main()
