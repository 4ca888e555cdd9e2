"""adminpage - the admin page as its users have it: a real Chromium, a real edge beside it, SIP through that. And
as its enemies have it: requests that no browser would make. Run by adminpage.sh."""

import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer

import sipnet
from sipnet import BUILD, PKI, RUN, TOP, Edge, Silent, Tests, dial, request

try:
    from browser import Browser, axe_source
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    print("skip python3-selenium is not installed")
    sys.exit(0)

NET = os.environ.get("LAB_NET", "127.28")
OUT, IN, DIR, PAGE, EVIL = NET + ".0.1", NET + ".1.1", NET + ".1.2", NET + ".2.1", NET + ".3.1"
USERS, PARTNERS, INNER = OUT + ":443", OUT + ":5061", IN + ":5061"
PORT = 8060
BASE = "http://%s:%d" % (PAGE, PORT)
PASSWORD = "correct horse battery"
PAGES = ("/", "/partners", "/refusals", "/policy", "/policy/edit", "/policy/candidate", "/policy/versions/1",
         "/explain", "/certificates", "/connections", "/changes")

POLICY = """# The policy of the test.
internal_domains = [ "example.com" ];
internal_servers = [ "director.int.example.com" ];
federation = true;
blocked = [
	"fabrikam.example"	# sends advertisements
];
partners = (
	{ name = "Contoso"; server = "sip.contoso.example"; domains = [ "contoso.example" ]; }
);
"""

T = Tests()


def edge_config():
    door = 'certificate = "%s/edge-outer.pem"; key = "%s/edge-outer.key";' % (PKI, PKI)
    return """
user = "nobody"; workers = 1;
log = { level = "info"; };
outer = (
  { listen = "%s"; name = "sip.example.com"; %s users = true; },
  { listen = "%s"; name = "sip.example.com"; %s trust = "%s/ca.pem"; client_certificate = "required"; partners = true; }
);
inner = { listen = "%s"; name = "edge.int.example.com"; certificate = "%s/edge-inner.pem"; key = "%s/edge-inner.key";
          trust = "%s/ca.pem"; };
directors = ( { name = "director.int.example.com"; address = "%s"; } );
dns = { servers = [ "%s.0.9:53" ]; timeout = 100; tries = 1; };
""" % (USERS, door, PARTNERS, door, PKI, INNER, PKI, PKI, PKI, DIR, NET)


class Admin:
    """sallyport-admin as a process of ours."""

    running = []

    def __init__(self, name, edge_dir, extra="", listen="%s:%d" % (PAGE, PORT)):
        self.dir = os.path.join(RUN, name)
        os.makedirs(self.dir, exist_ok=True)
        os.chown(self.dir, pwd.getpwnam("nobody").pw_uid, -1)
        self.accounts = os.path.join(self.dir, "accounts")
        self.conf = os.path.join(self.dir, "admin.conf")
        with open(self.conf, "w") as f:
            f.write("""
listen = "%s"; user = "nobody"; accounts = "%s";
log = { level = "info"; };
control = { edge = "%s/edge.sock"; };
policy = { file = "%s/policy.conf"; store = "%s/store"; };
charts = { file = "%s/charts"; sample = 1; };
%s
""" % (listen, self.accounts, edge_dir, edge_dir, edge_dir, self.dir, extra))
        self.log_path = os.path.join(self.dir, "log")
        self.proc = None

    def user(self, command, name, *more, password=None):
        return subprocess.run([os.path.join(BUILD, "sallyportctl"), "admin-user", command, name, "--accounts", self.accounts]
                              + list(more), input=(password or "") + "\n", text=True, capture_output=True, check=True).stdout

    def start(self):
        self.log_file = open(self.log_path, "ab")
        self.proc = subprocess.Popen([os.path.join(BUILD, "sallyport-admin"), "-f", self.conf], stderr=self.log_file)
        Admin.running.append(self)
        self.seen = getattr(self, "seen", 0) + 1
        if not self.logged("event=ready", count=self.seen):
            raise RuntimeError("the page did not start: " + self.log())
        return self

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def logged(self, *words, count=1, timeout=sipnet.PATIENCE):
        end = time.monotonic() + timeout
        while True:
            if sum(all(w in line for w in words) for line in self.log().split("\n")) >= count:
                return True
            if time.monotonic() > end or self.proc.poll() is not None:
                return False
            time.sleep(0.02)

    def stop(self):
        if self in Admin.running:
            Admin.running.remove(self)
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGCONT)
            self.proc.terminate()
        try:
            status = self.proc.wait(20)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            status = self.proc.wait()
        self.log_file.close()
        return status


class Client:
    """HTTP without a browser's manners."""

    def __init__(self, host=PAGE, port=PORT, tls=None):
        self.host, self.port, self.tls = host, port, tls
        self.cookies = {}

    def ask(self, method, path, body=None, headers=None, timeout=20):
        c = (http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.tls) if self.tls else
             http.client.HTTPConnection(self.host, self.port, timeout=timeout))
        h = {"Cookie": "; ".join("%s=%s" % kv for kv in self.cookies.items())} if self.cookies else {}
        if isinstance(body, dict):
            body = urllib.parse.urlencode(body)
            h["Content-Type"] = "application/x-www-form-urlencoded"
        h.update(headers or {})
        c.request(method, path, body, h)
        r = c.getresponse()
        r.text = r.read().decode("utf-8", "replace")
        c.close()
        for line in r.headers.get_all("Set-Cookie") or []:
            name, _, value = line.split(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return r

    def login(self, name="alice", password=PASSWORD):
        page = self.ask("GET", "/login").text
        token = re.search(r'name="form" value="([0-9a-f]+)"', page).group(1)
        return self.ask("POST", "/login", {"form": token, "next": "", "name": name, "password": password})

    def csrf(self, path="/policy"):
        return re.search(r'name="csrf" value="([0-9a-f]+)"', self.ask("GET", path).text).group(1)

    def api(self, method, path, body=None, token=None, headers=None):
        h = {"Authorization": "Bearer " + token} if token else {}
        if body is not None:
            h["Content-Type"] = "application/json"
        h.update(headers or {})
        r = self.ask(method, "/api/v1/" + path, json.dumps(body) if body is not None else None, h)
        r.json = json.loads(r.text) if "json" in r.headers.get("Content-Type", "") else None
        return r


def pki():
    subprocess.run([os.path.join(TOP, "certs-example", "make-pki"), PKI], check=True, stdout=subprocess.DEVNULL)
    for name in os.listdir(PKI):
        os.chown(os.path.join(PKI, name), pwd.getpwnam("nobody").pw_uid, -1)


def start_edge():
    where = os.path.join(RUN, "edge")
    edge = Edge("edge", edge_config(), POLICY)
    for name in ("", "policy.conf"):
        os.chown(os.path.join(where, name), pwd.getpwnam("nobody").pw_uid, -1)
    return edge


class Wire:
    """A remote user who writes to somebody, and what comes of it."""

    def status(self, uri, sender="sip:alice@example.com"):
        return self.answer(request(uri=uri, sender=sender)).status

    def answer(self, message, timeout=sipnet.PATIENCE):
        """On a connection of its own: who does not sign in is closed after a while."""
        user = dial(USERS)
        try:
            user.send(message)
            return user.recv(timeout)
        finally:
            user.close()


# ---- in the browser ----

def logging_in(b, admin):
    def wrong():
        b.login("alice", "not the password")
        return "wrong" in b.text() and "/login" in b.driver.current_url
    T.run("a wrong password is said to be wrong, and nothing else", wrong)

    def right():
        before = b.driver.get_cookies()
        b.login("alice", PASSWORD)
        mine = {c["name"]: c for c in b.driver.get_cookies()}
        c = mine.get("sallyport")
        return (b.text("h1") == "Status" and c and c["httpOnly"] and c["sameSite"] == "Strict" and
                c["value"] not in [x["value"] for x in before]) or mine
    T.run("logging in: a session of its own, in a cookie that scripts and other sites do not get", right)
    T.check("scripts cannot read it", b.driver.execute_script("return document.cookie") == "")
    T.check("the log says who logged in, and has no password", admin.logged("event=login", "result=good", "alice") and
            PASSWORD not in admin.log())


def looking(b, edge, axe):
    def status():
        b.go("/")
        text = b.text()
        return USERS in text and INNER in text and "director.int.example.com" in text and "days" in text or text
    T.run("the status has doors, Directors and days of certificates", status)

    def partners():
        b.go("/partners")
        return "Contoso" in b.text() and "sip.contoso.example" in b.text() or b.text()
    T.run("partners have a card each", partners)

    def pause():
        b.press("button[value=pause]")
        b.go("/partners")
        paused = b.text("article .badge")
        b.press("button[value=resume]")
        b.go("/partners")
        return paused == "paused" and b.text("article .badge") != "paused" or paused
    T.run("a partner is paused and resumed in one step", pause)

    def certificates():
        b.go("/certificates")
        return "days left" in b.text() and "inner" in b.text() or b.text()
    T.run("certificates have their days and a forecast", certificates)

    def explain():
        b.go("/explain")
        b.type("#from", "carol@fabrikam.example")
        b.type("#to", "bob@example.com")
        b.type("#peer", "sip.fabrikam.example")
        b.press(b.button("Explain", "form[method=get]"))
        text = b.text()
        return "Refused." in text and "domain-blocked" in text and "settled it" in text or text
    T.run("explain says what would be refused, and the trail that led there", explain)

    def charts():
        b.go("/")
        return (b.driver.execute_script("return document.querySelectorAll('figure svg[role=img] desc').length") == 3 and
                b.driver.execute_script("return document.querySelectorAll('figure table caption').length") == 3)
    T.run("each chart has a title, a description and a table", charts)
    if axe is None:
        print("skip npm cannot fetch axe-core; accessibility was not judged by it", flush=True)
        return
    b.go("/explain?from=carol@fabrikam.example&to=bob@example.com")
    found = {"/explain with a result": b.violations(axe)}
    for dark in (False, True):
        b.dark(dark)
        # what is dark differs by its colours alone, and these pages have all of them
        for path in ("/", "/policy", "/policy/candidate", "/refusals", "/certificates") if dark else PAGES + ("/nowhere",):
            b.go(path)
            found[path + (" in dark" if dark else "")] = b.violations(axe)
    b.dark(False)
    bad = {k: v for k, v in found.items() if v}
    T.check("axe-core has no objection to %d pages, in light and in dark" % len(found), not bad, repr(bad))


def zoom(b):
    lost = {}
    for width in (640, 320):
        b.width(width)
        for path in PAGES:
            b.go(path)
            if b.overflow() > 0:
                lost["%s at %d" % (path, width)] = b.overflow()
    b.width(None)
    T.check("at 200 and 400 % nothing is lost to the right", not lost, repr(lost))


def blocking(b, edge, wire):
    T.check("before, the message is not refused for its domain", wire.status("sip:x@spam.example") != 403)

    def block():
        b.go("/policy")
        b.type("#domain", "spam.example")
        b.type("#block-note", "sends advertisements")
        b.press(b.button("Block", "form[action='/block']"))
        return "The domain is blocked" in b.text() and "spam.example" in b.text("#h-blocked ~ ul") or b.text()
    T.run("a domain is blocked in one step", block)
    T.check("the next message is refused", wire.status("sip:x@spam.example") == 403)
    T.check("and one below the domain", wire.status("sip:x@sub.spam.example") == 403)

    def shown():
        b.go("/refusals?reason=to-domain-blocked")
        b.wait(lambda: "sub.spam.example" in b.text())
        ref = b.find("#refusals tbody td:nth-child(3)").text
        return edge.logged("ref=" + ref) or ref
    T.run("the refusal is shown, with the reference that finds its line in the log", shown)

    def live():
        wire.status("sip:later@spam.example")
        b.wait(lambda: "later@spam.example" in b.text("#refusals"))
    T.run("the page of refusals renews itself", live)

    def unblock():
        b.go("/policy")
        b.type("#domain", "spam.example")
        b.press(b.button("Unblock", "form[action='/block']"))
        return "not blocked any more" in b.text() and wire.status("sip:x@spam.example") != 403 or b.text()
    T.run("unblocked, it passes again", unblock)


def life_of_a_change(b, edge, wire, axe):
    def edit(text):
        b.go("/policy/edit")
        b.driver.execute_script("document.getElementById('text').value = arguments[0]", text)

    def mistakes():
        edit(POLICY.replace("federation = true", "federaton = true"))
        b.press(b.button("Preview only"))
        text = b.text()
        return "Line 4" in text and "federaton" in text and b.find("#text").get_attribute("value").startswith("# The policy") or text
    T.run("preview: mistakes with their lines, and nothing typed is lost", mistakes)

    def keep():
        edit(POLICY.replace('"fabrikam.example"', '"fabrikam.example",\n\t"litware.example"'))
        b.press(b.button("Keep and preview"))
        text = b.text()
        bad = b.violations(axe) if axe else []
        return "No mistakes" in text and "litware.example" in text and "added" in text and not bad or (text, bad)
    T.run("keep: the candidate says what it would change by meaning", keep)
    T.check("a candidate changes nothing", wire.status("sip:x@litware.example") != 403)

    def shadow():
        b.press(b.button("Try it as a shadow"))
        if "tries the candidate" not in b.text():
            return b.text()
        for _ in range(3):
            wire.status("sip:shadow@litware.example")
        b.go("/policy/candidate")
        b.wait(lambda: "to-domain-blocked" in b.text("#shadow"))
        bad = b.violations(axe) if axe else []
        return not bad or bad
    T.run("shadow: the differences are counted while the old policy decides", shadow)

    def commit():
        b.go("/policy/candidate")
        b.type("#note", "litware is not welcome")
        b.press(b.button("Put in force"))
        text = b.text()
        return "in force now" in text and "litware is not welcome" in text and wire.status("sip:x@litware.example") == 403 or text
    T.run("commit: in force with a note, and the next message is refused", commit)

    def rollback():
        # the version before the commit
        links = [e.get_attribute("href") for e in b.driver.find_elements(By.CSS_SELECTOR, "a[href^='/policy/versions/']")]
        numbers = sorted({int(x.rsplit("/", 1)[1]) for x in links})
        b.go("/policy/versions/%d" % numbers[-2])
        if "litware.example" not in b.text():
            return b.text()
        b.type("#note", "they are, after all")
        b.press("form[action$='/rollback'] button")
        return "in force again" in b.text() and wire.status("sip:x@litware.example") != 403 or b.text()
    T.run("rollback: the older version is in force again", rollback)

    def conflict():
        edit(POLICY + "# a comment\n")
        b.press(b.button("Keep and preview"))
        other = Client()
        other.login()
        other.ask("POST", "/block", {"csrf": other.csrf(), "domain": "meanwhile.example"})
        b.go("/policy/candidate")
        return "Another version came into force" in b.text() and not b.has("form[action='/policy/commit']") or b.text()
    T.run("who was second is told, and does not undo what the first did", conflict)

    def rebase():
        b.press(b.button("Bring onto the version in force"))
        if not b.has("form[action='/policy/commit']"):
            return b.text()
        b.press(b.button("Put in force"))
        b.go("/policy/versions/%s" % b.find("#h-now ~ dl dd").text)
        return "meanwhile.example" in b.text("pre") and "# a comment" in b.text("pre") or b.text()
    T.run("brought onto it, both changes are in force", rebase)

    def changes():
        b.go("/changes")
        text = b.text()
        return "Verified" in text and "litware is not welcome" in text and "alice" in text and "rollback" in text or text
    T.run("the log of changes has all of it, and is verified", changes)


def hostile(b, wire):
    def shown():
        nasty = '"<script>window.xss=1</script><img src=x onerror=window.xss=1>\u202egpj" <sip:eve@fabrikam.example>'
        wire.answer(request(uri="sip:bob@example.com", sender="sip:eve@fabrikam.example").replace(
            b"From: <sip:eve@fabrikam.example>", b"From: " + nasty.encode()))
        wire.status("sip:%22%3E%3Cscript%3Ewindow.xss=1%3C%2Fscript%3E@fabrikam.example")
        try:
            wire.answer(request("<svg/onload=window.xss=1>", uri="sip:bob@example.com"), 1)
        except (Silent, sipnet.Closed):
            pass
        b.go("/refusals")
        b.wait(lambda: "fabrikam.example" in b.text("#refusals"))
        return (b.driver.execute_script("return window.xss") is None and not b.has("#refusals script") and
                not b.has("#refusals img") and not b.has("#refusals svg")) or b.text()
    T.run("hostile text of SIP headers is text", shown)

    def reflected():
        b.go("/refusals?reason=" + urllib.parse.quote('"><script>window.xss=1</script>'))
        b.go("/connections?name=" + urllib.parse.quote("'><img src=x onerror=window.xss=1>"))
        b.go("/explain?from=" + urllib.parse.quote("<script>window.xss=1</script>") + "&to=x")
        return b.driver.execute_script("return window.xss") is None and not b.has("main script") and not b.has("main img")
    T.run("hostile text of an address is text", reflected)


def keyboard():
    b = Browser(BASE)
    try:
        b.go("/login")
        keys = lambda *k: b.driver.switch_to.active_element.send_keys(*k)

        def login():
            keys("alice", Keys.TAB, PASSWORD, Keys.ENTER)
            b.wait(lambda: b.has("nav"))
        T.run("by keyboard: log in", login)

        def skip():
            b.find("body").send_keys(Keys.TAB)
            first = b.driver.switch_to.active_element
            visible = b.driver.execute_script("return arguments[0].getBoundingClientRect().left >= 0", first)
            if first.text != "Skip to content" or not visible:
                return first.text, visible
            first.send_keys(Keys.ENTER)
            return b.driver.execute_script("return document.activeElement.id") == "main"
        T.run("by keyboard: the first stop leads over the navigation", skip)

        def tab_to(what):
            for _ in range(60):
                keys(Keys.TAB)
                e = b.driver.switch_to.active_element
                if what(e):
                    outline = b.driver.execute_script("return getComputedStyle(arguments[0]).outlineStyle", e)
                    return e if outline != "none" else None
            return None

        def block():
            b.go("/")
            e = tab_to(lambda x: x.text == "Policy")
            if e is None:
                return "no way to the policy"
            e.send_keys(Keys.ENTER)
            b.wait(lambda: b.text("h1") == "Policy")
            e = tab_to(lambda x: x.get_attribute("id") == "domain")
            if e is None:
                return "no way to the form"
            e.send_keys("keyboard.example", Keys.TAB, Keys.TAB, Keys.ENTER)
            b.wait(lambda: "The domain is blocked" in b.text())
        T.run("by keyboard: a domain is blocked, and one sees where one is", block)

        def logout():
            b.go("/")
            e = tab_to(lambda x: x.text == "Log out")
            e.send_keys(Keys.ENTER)
            b.wait(lambda: b.text("h1") == "Log in")
        T.run("by keyboard: log out", logout)
    finally:
        b.close()


def without_scripts():
    b = Browser(BASE, scripts=False)
    try:
        def all_of_it():
            b.login("alice", PASSWORD)
            for path in PAGES:
                b.go(path)
                if not b.has("h1") or "Error" in b.text("h1"):
                    return path
            b.go("/policy")
            b.type("#domain", "noscript.example")
            b.press("form[action='/block'] button.danger")
            if "The domain is blocked" not in b.text():
                return b.text()
            b.go("/")
            b.press("form[action='/logout'] button")
            return b.text("h1") == "Log in"
        T.run("without scripts: every page, a change, and logging out", all_of_it)
    finally:
        b.close()


def viewer():
    b = Browser(BASE)
    try:
        def looks():
            b.login("vera", PASSWORD)
            for path in ("/", "/partners", "/policy", "/policy/versions/1"):
                b.go(path)
                forms = [f.get_attribute("action") for f in b.driver.find_elements(By.CSS_SELECTOR, "main form[method=post]")]
                if forms:
                    return path, forms
            b.go("/policy/edit")
            return "needs the role operator" in b.text() or b.text()
        T.run("a viewer sees everything and is offered no change", looks)
    finally:
        b.close()

    def cannot():
        c = Client()
        c.login("vera")
        token = c.csrf("/")
        r = c.ask("POST", "/block", {"csrf": token, "domain": "viewer.example"})
        a = c.api("PUT", "blocks/viewer.example", {}, headers={"X-CSRF-Token": token})
        text = c.ask("GET", "/api/v1/blocks").text
        return r.status == 403 and a.status == 403 and "viewer.example" not in text or (r.status, a.status)
    T.run("a viewer who asks for a change nevertheless is refused", cannot)


class EvilSite:
    """A page of somebody else that would like to use the administrator's browser."""

    def __init__(self):
        target = BASE

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                page = ("<iframe id=f src='%s/policy'></iframe>" % target if self.path == "/frame" else
                        "<form id=f method=post action='%s/block'><input name=domain value=evil.example></form>"
                        "<script>document.getElementById('f').submit()</script>" % target).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *args):
                pass

        self.server = HTTPServer((EVIL, 8061), Handler)
        self.base = "http://%s:8061" % EVIL
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def other_sites(b):
    evil = EvilSite()
    try:
        def forged():
            b.driver.get(evil.base + "/post")
            b.wait(lambda: b.driver.current_url.startswith(BASE))
            text = b.find("body").text
            c = Client()
            c.login()
            return "evil.example" not in c.ask("GET", "/api/v1/blocks").text and "is blocked" not in text or text
        T.run("a form on another site changes nothing, in the browser that is logged in", forged)

        def framed():
            b.driver.get(evil.base + "/frame")
            b.driver.switch_to.frame("f")
            inside = b.driver.execute_script("return document.documentElement.outerHTML")
            b.driver.switch_to.default_content()
            return "Sallyport" not in inside or inside
        T.run("the page cannot be put into a frame of another site", framed)
    finally:
        evil.close()

    def tokens():
        c = Client()
        c.login()
        good = c.csrf()
        data = {"domain": "csrf.example"}
        tries = [
            c.ask("POST", "/block", data),
            c.ask("POST", "/block", dict(data, csrf="0" * 64)),
            c.ask("POST", "/block", dict(data, csrf=good), {"Origin": "http://evil.example"}),
            c.ask("POST", "/block", dict(data, csrf=good), {"Sec-Fetch-Site": "cross-site"}),
            c.ask("POST", "/block", dict(data, csrf=good), {"Sec-Fetch-Site": "same-site"}),
            c.api("PUT", "blocks/csrf.example", {}),
        ]
        other = Client()
        other.login()
        tries.append(c.ask("POST", "/block", dict(data, csrf=other.csrf())))
        got = c.ask("GET", "/block?domain=csrf.example&csrf=" + good).status
        return ([r.status for r in tries] == [403] * 7 and got == 405 and
                "csrf.example" not in c.ask("GET", "/api/v1/blocks").text) or ([r.status for r in tries], got)
    T.run("no change without the session's own token, from another site, or by GET", tokens)

    def rebinding():
        c = Client()
        r = [c.ask("GET", "/login", headers={"Host": h}).status for h in
             ("evil.example", "localhost.evil.example:8060", "", "localhost:8060", "127.0.0.1", "[::1]:99", PAGE)]
        return r[:2] == [421] * 2 and r[3:] == [200] * 4 or r
    T.run("names that are not ours are refused (DNS rebinding)", rebinding)

    def odd_names():
        c = Client()
        return [h for h in ("[::1]evil.example", "[127.0.0.1", "127.0.0.1:8060@evil.example", "localhost:evil", "localhost:80:90",
                            "localhost:65536", "[%s].evil.example:8060" % PAGE) if c.ask("GET", "/login", headers={"Host": h}).status != 421] or True
    T.run("and what only begins like one of ours", odd_names)

    def measured():
        c = Client()
        r = [c.ask("GET", path, headers={"Host": h}).status for path in ("/metrics?of=page", "/healthz") for h in ("evil.example", PAGE)]
        return r == [403, 200, 200, 200] or r
    T.run("metrics for this machine are not for a page of another site that is shown on it", measured)

    def headers():
        c = Client()
        for path in ("/login", "/style.css", "/nowhere", "/api/v1/status", "/"):
            h = c.ask("GET", path).headers
            csp = h["Content-Security-Policy"]
            if ("default-src 'none'" not in csp or "frame-ancestors 'none'" not in csp or "unsafe" in csp or
                    h["X-Content-Type-Options"] != "nosniff" or h["Referrer-Policy"] != "no-referrer" or
                    h["Cross-Origin-Opener-Policy"] != "same-origin" or h["Cross-Origin-Resource-Policy"] != "same-origin"):
                return path, dict(h)
    T.run("every answer has the headers that keep browsers strict", headers)


# ---- without a browser ----

def raw(data, patience=20):
    """Send bytes, and how long until the far end closes, with what it sent."""
    s = socket.create_connection((PAGE, PORT), patience)
    s.settimeout(patience)
    begin = time.monotonic()
    s.sendall(data)
    got = b""
    try:
        while True:
            more = s.recv(65536)
            if not more:
                break
            got += more
    except OSError:
        pass
    s.close()
    return time.monotonic() - begin, got


def bad_input():
    c = Client()
    c.login()
    token = c.csrf()

    def slow():
        head = ("POST /block HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                "Content-Length: 1000\r\n\r\n").encode()
        s = socket.create_connection((PAGE, PORT), 20)
        s.sendall(head)
        begin = time.monotonic()
        try:
            while time.monotonic() < begin + 20:
                s.sendall(b"a")
                s.settimeout(0.2)
                try:
                    if s.recv(100) == b"":
                        break
                except socket.timeout:
                    pass
        except OSError:
            pass
        s.close()
        return 2 <= time.monotonic() - begin < 15 or time.monotonic() - begin
    T.run("who sends a body byte by byte is cut off", slow)

    def slow_head():
        took, got = raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-")
        return took < 15 or took
    T.run("and who never ends the head", slow_head)

    def sizes():
        big = c.ask("POST", "/block", {"csrf": token, "domain": "x" * 70000}).status
        took, got = raw(b"GET /" + b"x" * 200000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        long_query = c.ask("GET", "/refusals?reason=" + "x" * 5000).status
        return big == 413 and b"HTTP/1.1 200" not in got and long_query == 414 or (big, got[:80], long_query)
    T.run("bodies, heads and addresses have limits", sizes)

    def doubtful():
        wrong = []
        for lines in ("Content-Length: 4\r\nContent-Length: 0", "Content-Length: 0\r\nContent-Length: 40",
                      "Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: xchunked",
                      "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Content-Length: 0\r\nTransfer-Encoding : chunked",
                      "Content-Length: 0\r\nHost: evil.example"):
            _, got = raw(("POST /login HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n0\r\n\r\n"
                             "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" % lines).encode())
            if not got.startswith(b"HTTP/1.1 400 ") or got.count(b"HTTP/1.1 ") != 1:
                wrong.append((lines, got[:40], got.count(b"HTTP/1.1 ")))
        return wrong or True
    T.run("a request that a proxy may read otherwise is refused, and nothing behind it is answered", doubtful)

    def kinds():
        wrong_type = c.ask("POST", "/block", "{}", {"Content-Type": "application/json"}).status
        stranger = c.ask("POST", "/block", {"csrf": token, "domain": "x.example", "extra": "1"})
        twice = c.ask("POST", "/block", "csrf=%s&domain=a&domain=b" % token,
                      {"Content-Type": "application/x-www-form-urlencoded"})
        no_domain = c.ask("POST", "/block", {"csrf": token, "domain": "not a domain"})
        return ([wrong_type, stranger.status, twice.status, no_domain.status] == [415, 400, 400, 422] and
                "domain" in twice.text) or [wrong_type, stranger.status, twice.status, no_domain.status]
    T.run("wrong types, unknown and doubled fields are named", kinds)

    def crowd():
        held = []
        try:
            for _ in range(60):
                s = socket.create_connection((PAGE, PORT), 5)
                held.append(s)
        except OSError:
            pass
        # one address has its limit; the page itself is not harmed
        for s in held:
            s.close()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                if Client().ask("GET", "/healthz").status == 200:
                    return True
            except OSError:
                time.sleep(0.1)
        return "the page is not there any more"
    T.run("many connections of one address do no lasting harm", crowd)

    def methods():
        return [c.ask(m, p).status for m, p in (("PUT", "/policy"), ("DELETE", "/"), ("BREW", "/"), ("GET", "/nowhere"),
                                               ("GET", "/policy/versions/0"), ("GET", "/policy/versions/x"))]
    T.check("other methods and places are 405 and 404", methods() == [405, 405, 405, 404, 404, 404], repr(methods()))


def api(admin):
    token = admin.user("token", "alice", "--label", "test", "--role", "operator").strip()
    reader = admin.user("token", "vera", "--label", "test").strip()
    c = Client()

    def noticed():
        end = time.monotonic() + 10
        while c.api("GET", "status", token=reader).status != 200:
            if time.monotonic() > end:
                return "the token is not known"
            time.sleep(0.05)
    T.run("API: a new token is known soon", noticed)

    def who():
        return [c.api("GET", "status").status, c.api("GET", "status", token="sallyport_" + "x" * 43).status,
                c.api("GET", "session", token=reader).json["role"], c.ask("GET", "/policy", headers={
                    "Authorization": "Bearer " + token}).status]
    T.check("API: who it is, and tokens are for the API alone", who() == [401, 401, "viewer", 303], repr(who()))

    def reads():
        for path in ("status", "partners", "partners/Contoso", "connections", "refusals", "certificates", "charts",
                     "discovered", "policy", "policy/versions", "policy/versions/1", "blocks", "audit", "openapi.json"):
            r = c.api("GET", path, token=reader)
            if r.status != 200 or r.json is None:
                return path, r.status, r.text[:300]
        return c.api("GET", "audit", token=reader).json["verified"]
    T.run("API: everything can be read", reads)

    def problems():
        rows = [("GET", "refusals?after=x", None, 422, "after"), ("GET", "blocks?x=1", None, 422, "x"),
                ("POST", "explain", {"from": "a", "to": "b", "colour": 1}, 422, "colour"),
                ("POST", "explain", {"from": 1}, 422, "from"), ("PUT", "blocks/not%20one", {}, 422, "domain"),
                ("POST", "policy/commit", {}, 428, "If-Match"), ("POST", "policy/rollback", {}, 422, "version"),
                ("PUT", "policy/candidate", {"text": ""}, 428, "If-Match"),
                ("PUT", "blocks/a.example", {"note": "two\nlines"}, 422, "note")]
        for method, path, body, status, field in rows:
            r = c.api(method, path, body, token)
            if (r.status != status or r.headers["Content-Type"] != "application/problem+json" or r.json.get("field") != field or
                    r.json["status"] != status):
                return method, path, r.status, r.text
        return c.api("PUT", "blocks/a.example", {}, reader).status == 403
    T.run("API: what is wrong is a problem that names the field", problems)

    def explain():
        r = c.api("POST", "explain", {"from": "x@fabrikam.example", "to": "bob@example.com", "peer": "sip.fabrikam.example"}, reader)
        kinds = [x["kind"] for x in r.json["records"]]
        return r.json["allowed"] is False and "step" in kinds and "decision" in kinds or r.text
    T.run("API: explain", explain)

    def changes():
        seen = c.api("GET", "policy", token=token)
        tag = seen.headers["ETag"]
        text = seen.json["text"].replace('"fabrikam.example"', '"fabrikam.example", "api.example"')
        check = c.api("POST", "policy/check", {"text": text}, reader).json
        if not check["good"] or check["differences"][0]["now"] != "api.example":
            return check
        put = c.api("PUT", "policy/candidate", {"text": text}, token, {"If-None-Match": "*"})
        if put.status != 200:
            return put.text
        stale = c.api("POST", "policy/commit", {}, token, {"If-Match": '"%s"' % ("0" * 64)}).status
        done = c.api("POST", "policy/commit", {"note": "by the API"}, token, {"If-Match": tag})
        if stale != 412 or done.status != 200 or "api.example" not in c.api("GET", "blocks", token=reader).text:
            return stale, done.text
        late = c.api("POST", "policy/rollback", {"version": 1}, token, {"If-Match": tag}).status
        now = c.api("GET", "policy", token=token).headers["ETag"]
        back = c.api("POST", "policy/rollback", {"version": seen.json["version"]}, token, {"If-Match": now})
        return late == 412 and back.status == 200 and "api.example" not in c.api("GET", "blocks", token=reader).text or back.text
    T.run("API: check, candidate, commit and rollback, each with what was seen", changes)

    def probes():
        """A viewer's text is no way to find out which files there are, or what is in them."""
        text = c.api("GET", "policy", token=token).json["text"]
        told = {path: c.api("POST", "policy/check", {"text": '@include "%s"\n%s' % (path, text)}, reader)
                for path in ("policy.conf", "edge.conf", "../pki/ca.pem", "no/such", "../../../../etc/shadow", "store")}
        if len({r.text.split('"instance"')[0] for r in told.values()}) != 1 or {r.status for r in told.values()} != {422}:
            return {path: r.text for path, r in told.items()}
        speaks = c.api("POST", "policy/check", {"text": "# @include is a word\n" + text}, reader)
        asked = c.api("POST", "policy/check", {"text": '@include "no/such"\n' + text}, token)
        return speaks.status == 200 and speaks.json["good"] and asked.status == 200 and "no/such" in asked.text or speaks.text
    T.run("API: a viewer's text includes nothing that the policy does not", probes)

    def revoked():
        admin.user("revoke", "vera", "--label", "test")
        end = time.monotonic() + 10
        while c.api("GET", "status", token=reader).status != 401:
            if time.monotonic() > end:
                return "it still counts"
            time.sleep(0.05)
    T.run("API: a token that was taken back counts no more", revoked)


def guessing():
    def slowed():
        c = Client()
        got = []
        # this address has logged in as alice, but guessing costs the address
        while 429 not in got and len(got) < 30:
            got.append(c.login("mallory", "guess").status)
        return 429 in got and set(got) <= {403, 429} or got
    T.run("guessing passwords is slowed down", slowed)

    def counted():
        """The page's own metrics."""
        text = Client().ask("GET", "/metrics?of=page").text
        found = dict(re.findall(r"^(sallyport_\S+) (\d+)$", text, re.M))
        want = ('sallyport_page_log_ins_total{result="failed"}', 'sallyport_page_log_ins_total{result="ok"}',
                'sallyport_page_requests_total{status="4xx"}', 'sallyport_page_requests_total{status="2xx"}',
                'sallyport_limit_hits_total{limit="page-log-ins"}', 'sallyport_page_connections', 'sallyport_page_sessions',
                'sallyport_limit{limit="page-sessions"}', 'sallyport_limit{limit="page-connections"}')
        return 'program="sallyport-admin"' in text and all(int(found.get(w, 0)) > 0 for w in want) or \
            [w for w in want if int(found.get(w, 0)) == 0]
    T.run("which its metrics count, and what else it does", counted)

    def afterwards():
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if Client().login().status == 303:
                return True
            time.sleep(0.3)
        return "locked out"
    T.run("and the right person is let in again by and by", afterwards)


def hang(pid):
    """Stop a process, with its children and all its threads, and wait until each of them stands."""
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        pids = [pid] + [int(x) for x in f.read().split()]
    for p in pids:
        os.kill(p, signal.SIGSTOP)
    end = time.monotonic() + 10
    for p in pids:
        for task in os.listdir("/proc/%d/task" % p):
            while " T " not in open("/proc/%d/task/%s/stat" % (p, task)).read().rsplit(")", 1)[1][:4]:
                if time.monotonic() > end:
                    raise RuntimeError("process %d does not stop" % p)
                time.sleep(0.01)
    return pids


def go_on(pids):
    for p in pids:
        os.kill(p, signal.SIGCONT)


def trouble(b, edge, admin, wire):
    c = Client()
    c.login()

    def hung_edge():
        pids = hang(edge.proc.pid)
        try:
            begin = time.monotonic()
            r = c.ask("GET", "/")
            took = time.monotonic() - begin
            healthy = Client().ask("GET", "/healthz").status
            return r.status == 200 and "did not answer in time" in r.text and took < 10 and healthy == 200 or (took, r.text[:500])
        finally:
            go_on(pids)
    T.run("while the edge hangs the page says so, and is there", hung_edge)

    def hung_page():
        pids = hang(admin.proc.pid)
        try:
            return wire.status("sip:x@fabrikam.example") == 403
        finally:
            go_on(pids)
    T.run("while the page hangs SIP goes on", hung_page)

    def dead_page():
        admin.proc.kill()
        admin.proc.wait()
        good = wire.status("sip:x@fabrikam.example") == 403
        admin.stop()
        admin.start()
        return good
    T.run("when the page is dead SIP goes on", dead_page)

    def no_edge():
        edge.stop()
        c.login()
        r = c.ask("GET", "/")
        ready = Client().ask("GET", "/readyz").status
        metrics = Client().ask("GET", "/metrics").status
        policy = c.ask("GET", "/policy").status
        return (r.status, ready, metrics, policy) == (200, 503, 503, 200) and "does not answer" in r.text or \
            (r.status, ready, metrics, policy)
    T.run("while the edge is down the page says so, and policy can still be read", no_edge)


def charts(edge, admin):
    def kept():
        c = Client()
        c.login()
        end = time.monotonic() + 20
        while not c.api("GET", "charts").json["traffic"]["points"]:
            if time.monotonic() > end:
                return "nothing is sampled"
            time.sleep(0.2)
        admin.stop()
        admin.start()
        c.login()
        return len(c.api("GET", "charts").json["traffic"]["points"]) > 0
    T.run("the charts have samples, and keep them over a restart", kept)

    def damaged():
        admin.stop()
        with open(os.path.join(admin.dir, "charts"), "r+b") as f:
            f.seek(10)
            f.write(b"x" * 5000)
        admin.start()
        return admin.logged("event=charts", "begun anew") and os.path.exists(os.path.join(admin.dir, "charts.bad"))
    T.run("a damaged file of samples is noticed and begun anew", damaged)


def both(edge_dir):
    """A page that is connected to a Director, too: here the same daemon stands for both."""
    admin = Admin("both", edge_dir, listen="%s:%d" % (PAGE, PORT + 3))
    with open(admin.conf) as f:
        conf = f.read()
    with open(admin.conf, "w") as f:
        f.write(conf.replace("control = { edge", 'control = { director = "%s/edge.sock"; edge' % edge_dir))
    admin.user("add", "alice", "--role", "operator", password=PASSWORD)
    admin.start()
    try:
        c = Client(port=PORT + 3)
        c.login()

        def sampled():
            end = time.monotonic() + 30
            while not c.api("GET", "charts?of=director").json["traffic"]["points"]:
                if time.monotonic() > end:
                    return "nothing is sampled"
                time.sleep(0.2)
            return os.path.exists(os.path.join(admin.dir, "charts.director"))
        T.run("the Director has samples of its own, in a file of its own", sampled)

        def drawn():
            page = c.ask("GET", "/").text
            return (page.count('role="img"') == 6 and 'id="director-latency-title"' in page and
                    len(re.findall(r'id="([^"]*)"', page)) == len(set(re.findall(r'id="([^"]*)"', page)))) or page[-3000:]
        T.run("and charts of its own", drawn)
        T.run("a partner's card has its limits", lambda: (lambda page: "Connections in max" in page and "Requests per second" in page or
              page[-3000:])(c.ask("GET", "/partners").text))
        T.run("charts of nobody are refused", lambda: c.api("GET", "charts?of=nobody").status == 422)
    finally:
        admin.stop()


def expiry(edge_dir):
    admin = Admin("expiry", edge_dir, 'session = { idle = 2; absolute = 3600; };', "%s:%d" % (PAGE, PORT + 1))
    admin.user("add", "alice", "--role", "operator", password=PASSWORD)
    admin.start()
    b = Browser("http://%s:%d" % (PAGE, PORT + 1))
    try:
        def idle():
            b.login("alice", PASSWORD)
            if b.text("h1") != "Status":
                return b.text()
            b.go("/changes")    # a page that does not renew itself
            time.sleep(2.5)     # not a guess: it is the time after which the session ends
            b.go("/policy")
            return b.text("h1") == "Log in" and "next=%2Fpolicy" in b.driver.current_url or b.driver.current_url
        T.run("a session ends when it is idle, and one comes back to where one was", idle)

        def elsewhere():
            b.type("#name", "alice")
            b.type("#password", PASSWORD)
            b.press("main form button")
            if b.text("h1") != "Policy":
                return b.text()
            admin.user("password", "alice", password="another password")
            end = time.monotonic() + 10
            while b.go("/policy").text("h1") != "Log in":
                if time.monotonic() > end:
                    return "the session goes on"
        T.run("and when the account gets another password", elsewhere)

        def open_redirect():
            for target in ("//evil.example/", "/\\evil.example", "http://evil.example/"):
                b.go("/login?next=" + urllib.parse.quote(target))
                if b.find("input[name=next]").get_attribute("value") != "":
                    return target
        T.run("logging in leads to no other site", open_redirect)
    finally:
        b.close()
        admin.stop()


def per_address(edge_dir):
    a = Admin("limits", edge_dir, "limits = { connections_per_address = 5; request = 60; };", "%s:%d" % (PAGE, PORT + 4))
    a.start()

    def come(n):
        s = socket.create_connection((PAGE, PORT + 4), sipnet.PATIENCE, ("%s.77.%d" % (NET, n), 0))
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        s.settimeout(sipnet.PATIENCE)
        return s

    def served(s):
        try:
            return s.recv(65536).startswith(b"HTTP/1.1 200")
        except OSError:
            return False
    held = [come(1) for _ in range(5)]
    T.check("5 connections of one address are served, a sixth is not, another address is",
            [served(s) for s in held] == [True] * 5 and not served(come(1)) and served(come(2)))
    held.pop().close()
    end = time.monotonic() + sipnet.PATIENCE
    good = False
    while not good and time.monotonic() < end:
        good = served(come(1))
    T.check("  and room is made by who leaves", good)
    for s in held:
        s.close()
    T.check("the page with a limit ends in order", a.stop() == 0)


def tls(edge_dir):
    def refused():
        a = Admin("open", edge_dir, "", "192.0.2.1:8060")
        r = subprocess.run([os.path.join(BUILD, "sallyport-admin"), "-n", "-f", a.conf], capture_output=True, text=True)
        return r.returncode == 78 and "certificate and key are needed" in r.stderr or r
    T.run("without TLS it listens on this machine only", refused)

    a = Admin("tls", edge_dir, "", "%s:%d" % (PAGE, PORT + 2))
    with open(a.conf, "a") as f:
        f.write('certificate = "%s/page.pem"; key = "%s/page.key"; names = [ "edge.int.example.com" ];' % (a.dir, a.dir))
    a.user("add", "alice", password=PASSWORD)

    def use(name):
        for end in ("pem", "key"):
            new = os.path.join(a.dir, "new." + end)
            shutil.copy(os.path.join(PKI, name + "." + end), new)
            os.chown(new, pwd.getpwnam("nobody").pw_uid, -1)
            os.rename(new, os.path.join(a.dir, "page." + end))

    def shown():
        return ssl.get_server_certificate((PAGE, PORT + 2))

    use("edge-inner")
    a.start()

    def secure():
        ctx = ssl.create_default_context(cafile=os.path.join(PKI, "ca.pem"))
        ctx.check_hostname = False
        c = Client(PAGE, PORT + 2, ctx)
        r = c.login()
        cookie = [x for x in r.headers.get_all("Set-Cookie") if x.startswith("__Host-sallyport=")]
        named = c.ask("GET", "/", headers={"Host": "edge.int.example.com"}).status
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        try:
            Client(PAGE, PORT + 2, old).ask("GET", "/login")
            return "TLS 1.1 is taken"
        except (ssl.SSLError, OSError):
            pass
        return (r.status == 303 and cookie and "Secure" in cookie[0] and r.headers["Strict-Transport-Security"] and
                named == 200) or (r.status, cookie, named)
    T.run("with TLS: 1.2 or later, a __Host- cookie, and names from the configuration", secure)

    def renewed():
        old = shown()
        use("edge-outer")
        if not a.logged("event=certificate", "is in force"):
            return a.log()[-500:]
        fresh = shown()
        if fresh == old:
            return "the old one is shown"
        shutil.copy(os.path.join(PKI, "edge-inner.pem"), os.path.join(a.dir, "page.pem"))   # not of that key
        a.proc.send_signal(signal.SIGHUP)
        return a.logged("event=certificate", "stay in force") and shown() == fresh or a.log()[-500:]
    T.run("a renewed certificate is taken over while it runs, a bad one is not", renewed)
    T.check("it ends in order", a.stop() == 0)


def main():
    shutil.rmtree(PKI, ignore_errors=True)
    os.makedirs(RUN, exist_ok=True)
    pki()
    try:
        axe = axe_source()
        edge = start_edge()
        admin = Admin("page", edge.dir, "limits = { request = 3; control = 1000; }; login = { tries = 6; every = 4; };")
        admin.user("add", "alice", "--role", "operator", password=PASSWORD)
        admin.user("add", "vera", password=PASSWORD)
        admin.start()
        T.check("the page has made its store", os.path.isdir(os.path.join(edge.dir, "store", "versions")))
        wire = Wire()
        b = Browser(BASE)
        steps = [
            ("logging in", lambda: logging_in(b, admin)), ("blocking", lambda: blocking(b, edge, wire)),
            ("change", lambda: life_of_a_change(b, edge, wire, axe)), ("hostile", lambda: hostile(b, wire)),
            ("looking", lambda: looking(b, edge, axe)), ("zoom", lambda: zoom(b)), ("other sites", lambda: other_sites(b)),
            ("keyboard", keyboard), ("scripts", without_scripts), ("viewer", viewer), ("bad input", bad_input),
            ("api", lambda: api(admin)), ("guessing", guessing), ("charts", lambda: charts(edge, admin)),
            ("both", lambda: both(edge.dir)), ("expiry", lambda: expiry(edge.dir)), ("per address", lambda: per_address(edge.dir)), ("tls", lambda: tls(edge.dir)),
            ("trouble", lambda: trouble(b, edge, admin, wire)),
        ]
        for name, step in steps:
            if len(sys.argv) > 1 and name not in sys.argv[1:] + ["logging in"]:
                continue
            begin = time.monotonic()
            try:
                step()
            except Exception as e:  # what is left of the step is lost, the others are not
                T.check("%s came to its end" % name, False, "(%s: %s)" % (type(e).__name__, e))
            print("# %s: %.1f s" % (name, time.monotonic() - begin), flush=True)
        T.check("the page ends in order", admin.stop() == 0)
    finally:
        for x in list(Browser.running):
            x.close()
        for x in list(Admin.running):
            x.stop()
        for x in list(Edge.running):
            x.stop()
    return 1 if T.failed else 0


sys.exit(main())
