"""A browser over the built website, with the rest of the network cut off.

The site is the one in `_build/html` (make site); REDISLAB_SITE names another folder. Debian's
Chromium is driven by its own driver and can resolve no name: a page that asks for anything but
this machine's files fails.
"""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from book.tools.serve import open_server
from redislab.worlds.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
LAPTOP = (1280, 900)
PHONE = (390, 844)


@pytest.fixture(scope="session")
def site():
    """Return the folder of the built website."""
    folder = Path(os.environ.get("REDISLAB_SITE", ROOT / "_build" / "html"))
    if not (folder / "index.html").exists():
        if os.environ.get("CI"):
            pytest.fail(f"there is no website in {folder}")
        pytest.skip("the website is not built: make site")
    return folder


@pytest.fixture(scope="session")
def address(site):
    """Serve the site and return its address."""
    with open_server(site, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def chromium():
    """Start the browser once for all tests."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("chromium and chromedriver are not installed (apt install chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver, port=free_port()))
    browser.set_page_load_timeout(30)
    yield browser
    browser.quit()


class Reader:
    """A person with a browser: opens pages, and notices what went wrong on them."""

    def __init__(self, browser, address):
        self.browser = browser
        self.address = address

    def open(self, page, size=LAPTOP, theme="light"):
        """Open a page in a window of this size (CSS pixels) with this theme chosen before."""
        width, height = size
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        script = (
            f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')"
        )
        added = self.browser.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": script}
        )
        self.complaints()  # what an earlier page left
        self.browser.get(f"{self.address}/{page}")
        self.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
        self.wait("return document.readyState === 'complete'")
        self.wait(
            "return [...document.querySelectorAll('.lab-chart')].every((box) => box.dataset.drawn)"
            " && [...document.querySelectorAll('.redislab-view')]"
            ".every((view) => view.querySelector('.rl-stage'))"
        )

    def run(self, script, *arguments):
        """Run a script in the page and return its value."""
        return self.browser.execute_script(script, *arguments)

    def wait(self, script, seconds=20):
        """Wait until a script in the page returns something true."""
        from selenium.webdriver.support.ui import WebDriverWait

        waiting = WebDriverWait(self.browser, seconds, poll_frequency=0.05)
        return waiting.until(lambda browser: browser.execute_script(script), script)

    def complaints(self):
        """Return errors on the console and requests that failed or left this machine."""
        found = [
            entry["message"]
            for entry in self.browser.get_log("browser")
            if entry["level"] in {"SEVERE", "WARNING"}
        ]
        urls = {}
        for entry in self.browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            details = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                url = details["request"]["url"]
                urls[details["requestId"]] = url
                if not url.startswith((self.address, "data:", "blob:", "about:", "chrome:")):
                    found.append(f"asked for {url}")
            elif message["method"] == "Network.responseReceived":
                if details["response"]["status"] >= 400:
                    found.append(f"{details['response']['status']}: {details['response']['url']}")
            elif message["method"] == "Network.loadingFailed" and not details.get("canceled"):
                url = urls.get(details["requestId"], "?")
                found.append(f"{details['errorText']}: {url}")
        return found


@pytest.fixture
def reader(chromium, address):
    """Return a reader at the browser."""
    return Reader(chromium, address)
