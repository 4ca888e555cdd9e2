"""browser - Chromium for the tests of the admin page, and axe-core to judge what it shows."""

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile

from sipnet import BUILD

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

AXE = "axe-core-4.10.2"
AXE_SHA256 = "9ea2d2d6917da998122bdacfd3b473e31ead53f4b87146c716a12edf89158100"
PATIENCE = 30


def axe_source():
    """The text of axe.min.js; fetched once for a build, and looked at before it is used. None: npm cannot have it."""
    kept = os.path.join(BUILD, AXE + ".tgz")
    if not os.path.exists(kept):
        where = tempfile.mkdtemp()
        try:
            done = subprocess.run(["npm", "pack", "--silent", AXE.replace("core-", "core@")], cwd=where, timeout=120,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if done.returncode != 0:
                return None
            shutil.copy(os.path.join(where, AXE + ".tgz"), kept)
        except (OSError, subprocess.TimeoutExpired):
            return None
        finally:
            shutil.rmtree(where, ignore_errors=True)
    with open(kept, "rb") as f:
        if hashlib.sha256(f.read()).hexdigest() != AXE_SHA256:
            os.unlink(kept)
            raise RuntimeError("%s is not the one that is known" % AXE)
    with tarfile.open(kept) as t:
        return t.extractfile("package/axe.min.js").read().decode()


class Browser:
    """One Chromium with a profile of its own."""

    running = []

    def __init__(self, base, scripts=True, size=(1280, 900)):
        o = Options()
        o.set_capability("acceptInsecureCerts", True)
        for arg in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync",
                    "--no-proxy-server", "--window-size=%d,%d" % size):
            o.add_argument(arg)
        if not scripts:
            o.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        self.base = base
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=o)
        self.driver.set_page_load_timeout(PATIENCE)
        Browser.running.append(self)

    def close(self):
        if self in Browser.running:
            Browser.running.remove(self)
            self.driver.quit()

    def go(self, path):
        self.driver.get(self.base + path)
        return self

    def find(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def has(self, css):
        return len(self.driver.find_elements(By.CSS_SELECTOR, css)) != 0

    def text(self, css="main"):
        return self.find(css).text

    def type(self, css, value):
        e = self.find(css)
        e.clear()
        e.send_keys(value)

    def press(self, css):
        """Click something that leads to another page, and wait for it."""
        e = self.find(css)
        html = self.find("html")
        e.click()
        self.wait(lambda: self._is_gone(html))
        self.wait(lambda: self.has("footer"))

    def _is_gone(self, element):
        try:
            element.is_enabled()
            return False
        except Exception:  # stale: another page is there
            return True

    def button(self, words, within=""):
        """The path of the button with that text, as CSS cannot say it."""
        for i, e in enumerate(self.driver.find_elements(By.CSS_SELECTOR, within + " button")):
            if e.text.strip() == words:
                self.driver.execute_script("arguments[0].setAttribute('data-test', arguments[1])", e, words)
                return within + " button[data-test='%s']" % words
        raise AssertionError("there is no button %r on %s" % (words, self.driver.current_url))

    def wait(self, condition, patience=PATIENCE):
        # between two pages an element that was found is not there any more
        WebDriverWait(self.driver, patience, poll_frequency=0.05,
                      ignored_exceptions=[StaleElementReferenceException, NoSuchElementException]).until(lambda _: condition())

    def login(self, name, password):
        self.go("/login")
        self.type("#name", name)
        self.type("#password", password)
        self.press("main form button")

    def violations(self, axe):
        """What axe-core finds wrong with the page that is there, by rule and place."""
        self.driver.execute_script(axe)
        found = self.driver.execute_async_script("""
            const done = arguments[arguments.length - 1];
            axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then(
                r => done(r.violations.map(v => v.id + ' at ' + v.nodes.map(n => n.target.join(' ')).join(', '))),
                e => done(['axe: ' + e]));""")
        return found

    def dark(self, on):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if on else "light"}]})

    def width(self, pixels):
        """As wide as a window is in CSS pixels; 640 is a window of 1280 at 200 %."""
        if pixels is None:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        else:
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": pixels, "height": 512, "deviceScaleFactor": 2, "mobile": False})

    def overflow(self):
        """How many pixels of the page are lost to the right."""
        return self.driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
