"""lifecycle - policies come and go while the edge runs: one step to block a domain, a candidate tried beside
the policy in force, commit and rollback, two administrators, a kill at any moment. Run by lifecycle.sh."""

import json
import os
import pwd
import signal
import subprocess
import sys
import time

from sipnet import BUILD, PKI, RUN, TOP, Closed, Door, Edge, Tests, dial, request

NET = sys.argv[1]
OUT, IN, DIR = NET + ".31.1", NET + ".31.2", NET + ".31.3"
PARTNERS, INNER = OUT + ":5061", IN + ":5061"
CTL = os.path.join(BUILD, "sallyportctl")
POLICY = """# Who may talk to whom.
internal_domains = [ "example.com" ];
internal_servers = [ "director.int.example.com" ];
federation = true;
# Never:
blocked = [
	"spam.example"	# since 2024
];
partners = (
	{ name = "Contoso"; server = "sip.contoso.example"; domains = [ "contoso.example", "sub.contoso.example" ]; },
	{ name = "Adatum"; server = "sip.adatum.example"; domains = [ "adatum.example" ]; }
);
"""

T = Tests()


def pki():
    make = os.path.join(TOP, "certs-example", "make-pki")
    subprocess.run([make, PKI], check=True, stdout=subprocess.DEVNULL)
    for name in ("contoso", "adatum"):
        subprocess.run([make, PKI, "cert", name, "--dns", "sip.%s.example" % name], check=True, stdout=subprocess.DEVNULL)
    nobody = pwd.getpwnam("nobody").pw_uid
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), nobody, -1)


CONFIG = """
user = "nobody"; workers = 2; log = { level = "debug"; };
outer = ( { listen = "%s"; name = "sip.example.com"; certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key";
            trust = "%s/ca.pem"; client_certificate = "required"; partners = true; } );
inner = { listen = "%s"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
dns = { servers = [ "%s.31.9:53" ]; timeout = 100; tries = 1; };
""" % (PARTNERS, PKI, PKI, PKI, INNER, PKI, PKI, PKI, DIR, NET)


class Place:
    """A policy file, its store, and the tool."""

    def __init__(self, directory, socket):
        self.dir, self.socket = directory, socket
        self.policy = os.path.join(directory, "policy.conf")
        self.store = os.path.join(directory, "store")

    def args(self, words, **options):
        out = [CTL] + list(words) + ["--store", self.store, "--policy", self.policy, "--socket", self.socket]
        for name, value in options.items():
            out += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
        return out

    def ctl(self, *words, stdin=None, **options):
        r = subprocess.run(self.args(words, **options), input=stdin, capture_output=True, text=True, timeout=60)
        return r.returncode, r.stdout, r.stderr

    def json(self, *words, **options):
        status, out, err = self.ctl(*words, json=True, **options)
        return json.loads(out) if status == 0 else "status %d: %s" % (status, err)

    def text(self):
        with open(self.policy) as f:
            return f.read()


def worked(result):
    return result[0] == 0 or result


class Inside:
    """The Director: answers everything 200 until it is told to stop."""

    def __init__(self):
        self.door = Door(DIR + ":5061", "director")

    def pass_one(self, partner, sender, **more):
        """One message of a partner: its status, as the partner sees it."""
        partner.send(request(sender=sender, **more))
        if not hasattr(self, "conns"):
            self.conns = [self.door.accept()]
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for c in self.conns:
                try:
                    m = c.recv(0.02)
                    if m.status == 0:
                        c.send(m.reply(200))
                except Exception:
                    pass
            try:
                self.door.sock.settimeout(0.01)
                self.conns.append(self.door.accept(0.01))
            except Exception:
                pass
            try:
                r = partner.recv(0.05)
                if r.status >= 200:
                    return r
            except Closed:
                raise
            except Exception:
                pass
        raise RuntimeError("no answer")


def living(edge, place, inside):
    contoso = dial(PARTNERS, cert="contoso")
    adatum = dial(PARTNERS, cert="adatum")

    def block():
        if inside.pass_one(contoso, "sip:eve@contoso.example").status != 200:
            return "was refused before"
        before = place.text()
        # a partner's own domain cannot be blocked: the policy would contradict itself
        status, out, err = place.ctl("block", "contoso.example")
        if status != 78 and status != 65 or place.text() != before:
            return "a contradiction was taken: %d %s" % (status, err)
        got = place.ctl("block", "Sub-Evil.example", note="phishing")
        return (got[0] == 0 and "version 2 is in force" in got[1] and edge.logged("event=policy-loaded", "version=2") and
                place.text() == before.replace('"spam.example"\t# since 2024\n', '"spam.example",\t# since 2024\n\t"sub-evil.example"\n')) or got

    T.run("a domain is blocked in one step, and nothing else of the file changes", block)

    def refused():
        r = inside.pass_one(contoso, "sip:eve@sub-evil.example")
        return r.status == 403 and edge.logged("event=refused", "reason=from-domain-blocked", "sub-evil.example") or r.raw

    T.run("the next message is refused with that reason", refused)

    def unblock():
        got = place.ctl("unblock", "sub-evil.example")
        if got[0] != 0:
            return got
        inside.pass_one(contoso, "sip:eve@sub-evil.example")
        return edge.logged("event=refused", "reason=from-not-of-partner", "sub-evil.example") or "still blocked"

    T.run("unblocked, it is refused for what else is wrong with it", unblock)

    def shadow():
        candidate = place.text().replace('"contoso.example", "sub.contoso.example"', '"contoso.example"')
        candidate = candidate.replace('"adatum.example" ];', '"adatum.example" ]; verification = "always-unverifiable";')
        if place.ctl("policy", "candidate", "set", "-", stdin=candidate)[0] != 0:
            return "no candidate"
        d = place.json("policy", "diff")
        if [(x["kind"], x.get("group"), x.get("option"), x.get("was")) for x in d["differences"]] != [
                ("changed", "Adatum", "verification", "use-source-verification"),
                ("removed", "Contoso", "domains", "sub.contoso.example")]:
            return d
        got = place.ctl("policy", "shadow", "start")
        if got[0] != 0:
            return got
        asserted = ["ms-asserted-verification-level: ms-source-verified-user=verified"]
        for i in range(7):
            if inside.pass_one(contoso, "sip:carol%d@sub.contoso.example" % i).status != 200:
                return "the candidate was obeyed"
        for i in range(2):
            inside.pass_one(contoso, "sip:dora@contoso.example")
        inside.pass_one(adatum, "sip:fay@adatum.example", headers=asserted)
        s = place.json("policy", "shadow", "status")
        rows = s["records"]
        about = rows[0]
        reasons = [r for r in rows[1:] if r["what"] == "reason"]
        ok = (about["kind"] == "shadow" and about["base"] == 3 and about["different"] >= 8 and about["same"] >= 2 and
              len(reasons) == 1 and reasons[0]["who"] == "Contoso" and reasons[0]["count"] == 7 and
              reasons[0]["live"] == "allowed" and reasons[0]["candidate"] == "from-not-of-partner" and
              len(reasons[0]["examples"]) == 5 and "carol6@sub.contoso.example" in " ".join(reasons[0]["examples"]) and
              any(r["what"] == "verification" and r["who"] == "Adatum" for r in rows[1:]))
        return ok or s

    T.run("shadow: both policies decide about live traffic, the differences are counted, nobody obeys the candidate", shadow)

    def shown():
        status, out, err = place.ctl("policy", "shadow", "status")
        return status == 0 and "from-not-of-partner" in out and "Contoso" in out or (status, out, err)

    T.run("the same as text", shown)

    def commit():
        got = place.ctl("policy", "commit", note="sub.contoso.example is sold")
        if got[0] != 0:
            return got
        r = inside.pass_one(contoso, "sip:carol@sub.contoso.example")
        return (r.status == 403 and place.ctl("policy", "shadow", "status")[0] == 69 and
                place.ctl("policy", "candidate", "show")[0] == 66) or r.raw

    T.run("commit: it is obeyed at once; the shadow has ended and the candidate is gone", commit)

    def rollback():
        got = place.ctl("policy", "rollback", "3")
        if got[0] != 0:
            return got
        if inside.pass_one(contoso, "sip:carol@sub.contoso.example").status != 200:
            return "not rolled back"
        h = place.json("policy", "history")["versions"]
        return [(v["version"], v["action"], v["parent"]) for v in h[:2]] == [(5, "rollback", 4), (4, "commit", 3)] or h

    T.run("rollback is one command", rollback)

    def pause():
        before = place.text()
        got = place.ctl("partner", "pause", "Adatum", note="moves house")
        if got[0] != 0:
            return got
        r = inside.pass_one(adatum, "sip:fay@adatum.example")
        if r.status != 480 or not edge.logged("event=refused", "reason=partner-paused"):
            return r.raw
        if place.ctl("partner", "resume", "sip.adatum.example")[0] != 0 or place.ctl("partner", "resume", "Adatum")[0] != 73:
            return "not resumed"
        return (inside.pass_one(adatum, "sip:fay@adatum.example").status == 200 and
                place.ctl("policy", "rollback", "5")[0] == 0 and place.text() == before) or "still paused"

    T.run("a partner is paused and resumed in one step each", pause)

    def two():
        text = place.text()
        for name, new in (("ann", text.replace("federation = true", "federation = false")), ("ben", text + "ip_literals = true;\n")):
            if place.ctl("policy", "candidate", "set", "-", stdin=new, candidate=name, author=name)[0] != 0:
                return name
        if place.ctl("policy", "commit", candidate="ben", author="ben", note="numbers")[0] != 0:
            return "the first failed"
        status, out, err = place.ctl("policy", "commit", candidate="ann", author="ann")
        if status != 75 or "ben" not in err or "ip_literals: false -> true" not in err or "federation = true" not in place.text():
            return (status, out, err)
        if place.ctl("policy", "candidate", "rebase", candidate="ann", author="ann")[0] != 0:
            return "no rebase"
        d = place.json("policy", "diff", candidate="ann")["differences"]
        got = place.ctl("policy", "commit", candidate="ann", author="ann")
        return (got[0] == 0 and len(d) == 1 and d[0]["option"] == "federation" and
                "ip_literals = true" in place.text() and "federation = false" in place.text()) or (d, got)

    T.run("two administrators: the second hears what the first did; nothing is lost; rebase merges", two)

    def hand_edit():
        with open(place.policy, "a") as f:
            f.write("# by hand\narchiving_notice = true;\n")
        edge.hup()
        if not edge.logged("event=reloaded"):
            return "no reload"
        got = place.ctl("block", "late.example")
        h = place.json("policy", "history")["versions"]
        return (got[0] == 0 and "edited by hand" in got[2] and h[1]["action"] == "hand-edit" and h[1]["author"] == "hand edit" and
                "# by hand" in place.text() and "late.example" in place.text()) or (got, h)

    T.run("a hand edit and HUP work as ever; the next step keeps it as a version of its own", hand_edit)

    def with_includes():
        more = os.path.join(place.dir, "more.conf")
        with open(more, "w") as f:
            f.write('refuse_methods = [ "INFO" ];\n')
        before = place.text()
        if place.ctl("policy", "candidate", "set", "-", stdin=before + '@include "more.conf"\n')[0] != 0:
            return "no candidate"
        shadow = place.ctl("policy", "shadow", "start")
        if shadow[0] != 0:
            return shadow
        got = place.ctl("policy", "commit")
        if got[0] != 0 or "is in force" not in got[1]:
            return got
        # the edge obeys the whole of it, and both know it by one hash; a version has what was included
        h = place.json("policy", "history")
        shown = place.ctl("policy", "show", str(h["versions"][0]["version"]))[1]
        if (not h["edge"]["current"] or h["edge"]["version"] != h["versions"][0]["version"] or "INFO" not in shown or
                "@include" in shown or "@include" not in place.text()):
            return h, shown
        with open(more, "w") as f:
            f.write('refuse_methods = [ "REFER" ];\n')
        got = place.ctl("policy", "history")
        if "or a file that it includes, was edited by hand" not in got[2] or "sallyportctl reload" not in got[2]:
            return got
        back = place.ctl("policy", "rollback", str(h["versions"][0]["version"]))
        if back[0] != 0 or 'refuse_methods = [ "INFO" ];' not in place.text():
            return back, place.text()
        return worked(place.ctl("policy", "rollback", str(h["versions"][1]["version"])))

    T.run("a policy that includes another file is obeyed, too", with_includes)

    def wrong_edge():
        other = Place(os.path.join(RUN, "other"), place.socket)
        os.makedirs(other.dir, exist_ok=True)
        with open(other.policy, "w") as f:
            f.write(POLICY)
        other.ctl("policy", "candidate", "set", "-", stdin=POLICY + "ip_literals = true;\n")
        status, out, err = other.ctl("policy", "commit")
        log = other.json("policy", "audit", "log")["log"]
        return (status == 69 and "refuses" in err and "another file" in err and other.text() == POLICY and
                log[-1]["change"]["action"] == "refused" and len(other.json("policy", "history")["versions"]) == 1 and
                other.ctl("policy", "candidate", "show")[0] == 0) or (status, err, log)

    T.run("what the running edge refuses (another one's policy) is undone, and the candidate is still there", wrong_edge)

    def configuration(of):
        """An edge.conf for that policy, and what an export would have written for it."""
        conf, exported = os.path.join(of.dir, "import-edge.conf"), os.path.join(of.dir, "import.json")
        with open(conf, "w") as f:
            f.write('policy = "%s";\n' % of.policy + CONFIG)
        with open(exported, "w") as f:
            json.dump({"sallyport": "configuration", "format": 1, "policy": (of.text() + "assert_identity = true;").split("\n"),
                       "edge": {"keep_alive": 601}}, f)
        with open(conf) as f:
            return conf, exported, f.read()

    def wrong_edge_imports():
        other = Place(os.path.join(RUN, "other"), place.socket)
        conf, exported, was = configuration(other)
        other.ctl("policy", "candidate", "discard", "--candidate", "import")
        status, out, err = other.ctl("import", exported, commit=True, json=True, edge_conf=conf)
        with open(conf) as f:
            now = f.read()
        return (status == 69 and "another file" in err and json.loads(out)["outcome"] == "undone" and other.text() == POLICY and
                now == was and not os.path.exists(conf + ".import-undo")) or (status, out, err, now)

    T.run("an import that it refuses is undone, edge.conf too", wrong_edge_imports)

    def imports():
        conf, exported, was = configuration(place)
        status, out, err = place.ctl("import", exported, commit=True, json=True, edge_conf=conf)
        if status != 0:
            return status, err
        told = json.loads(out)
        with open(conf) as f:
            now = f.read()
        with open(conf + ".before-import") as f:
            before = f.read()
        history = place.json("policy", "history")
        return (status == 0 and told["outcome"] == "done" and told["edge_told"] and history["edge"]["current"] and
                history["edge"]["version"] == told["version"] and "keep_alive = 601;" in now and before == was and
                worked(place.ctl("policy", "rollback", str(history["versions"][1]["version"])))) or (status, out, err, now)

    T.run("one that it takes is in force there, and in edge.conf", imports)

    def verify():
        head = place.ctl("policy", "audit", "head")[1].strip()
        if place.ctl("policy", "audit", "verify", known=head)[0] != 0:
            return place.ctl("policy", "audit", "verify", known=head)
        log = os.path.join(place.store, "audit.log")
        with open(log, "rb") as f:
            good = f.read()
        for bad in (good.replace(b"phishing", b"fishing!"), good[:-1], b"".join(good.splitlines(True)[:-1]),
                    b"".join(good.splitlines(True)[1:]), b"".join(sorted(good.splitlines(True)))):
            with open(log, "wb") as f:
                f.write(bad)
            if place.ctl("policy", "audit", "verify")[0] != 65:
                return "not found"
        with open(log, "wb") as f:
            f.write(good)
        return worked(place.ctl("policy", "audit", "verify"))

    T.run("audit verify finds every change of the log", verify)
    contoso.close()
    adatum.close()


def killed(place):
    """kill -9 at growing delays, many times, beside another who commits too: always a whole policy, and one that history knows."""
    place.ctl("policy", "history", no_edge=True)
    n = 0
    for i in range(40):
        p = subprocess.Popen(place.args(["block", "kill%d.example" % i], no_edge=True), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        q = subprocess.Popen(place.args(["block", "beside%d.example" % i], no_edge=True), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        try:
            p.wait(i * 0.0004)
        except subprocess.TimeoutExpired:
            p.send_signal(signal.SIGKILL)
            n += 1
        p.wait()
        if q.wait() != 0:
            return "the other one failed with status %d" % q.returncode
        if "beside%d.example" % i not in place.text():
            return "the other one's change is lost"
        if subprocess.run([CTL, "policy", "check", place.policy], stdout=subprocess.DEVNULL).returncode != 0:
            return "the policy is broken"
        got = place.ctl("policy", "audit", "verify")
        if got[0] != 0:
            return got
    shown = place.ctl("policy", "show", no_edge=True)[1]
    return (shown == place.text() and n > 0) or "killed %d times; the history's last is not the policy" % n


def full_disk(place):
    """On a disk that is full at every possible point, the old policy stays and the store goes on afterwards."""
    mount = os.path.join(RUN, "small")
    os.makedirs(mount, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "none", mount], capture_output=True).returncode != 0:
        print("skip a full disk: no tmpfs may be mounted here")
        return True
    try:
        small = Place(mount, place.socket)
        with open(small.policy, "w") as f:
            f.write(POLICY + "# " + "x" * 3000 + "\n")
        small.ctl("policy", "history", no_edge=True)
        filler = os.path.join(mount, "filler")
        failures = 0
        for left in range(0, 12):
            st = os.statvfs(mount)
            with open(filler, "wb") as f:
                f.write(b"x" * max(0, (st.f_bavail - left) * st.f_bsize))
            before = small.text()
            status, out, err = small.ctl("block", "full%d.example" % left, no_edge=True)
            after = small.text()
            os.unlink(filler)
            if status == 0 and "full%d.example" % left not in after:
                return "said done and was not"
            if status != 0:
                failures += 1
                if after != before or status != 74:
                    return (left, status, err)
            got = small.ctl("policy", "audit", "verify")
            if got[0] != 0:
                return (left, got)
            if small.ctl("policy", "show", no_edge=True)[1] != after:
                return (left, "the store does not go on")
        return failures >= 3 or "the disk was full only %d times" % failures
    finally:
        subprocess.run(["umount", mount])


def main():
    pki()
    inside = Inside()
    edge = Edge("lifecycle", CONFIG, POLICY)
    living(edge, Place(edge.dir, os.path.join(edge.dir, "edge.sock")), inside)
    T.check("the edge ends in order", edge.stop() == 0)
    alone = Place(os.path.join(RUN, "alone"), os.path.join(RUN, "nobody.sock"))
    os.makedirs(alone.dir, exist_ok=True)
    with open(alone.policy, "w") as f:
        f.write(POLICY)

    def not_running():
        got = alone.ctl("block", "x.example")
        return got[0] == 0 and "next start" in got[1] or got

    T.run("without a running edge a step says when it will be obeyed", not_running)
    T.run("killed at any moment: a whole policy, and the history knows it", lambda: killed(alone))
    T.run("a full disk: the old policy stays, the store goes on", lambda: full_disk(alone))
    return 1 if T.failed else 0


sys.exit(main())
