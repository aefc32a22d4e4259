"""`chatexports open` in a process of its own, and Chromium that looks at its page."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import urljoin, urlsplit

import axe_core_python
import psutil
import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

_OPTIONS = (
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "about:blank",
)
_SECONDS = 240
PICTURES = Path(__file__).parents[3] / "docs" / "images"

_FOCUSED = """
    const e = document.activeElement;
    return e.getAttribute('aria-label') || e.innerText || e.value || '';
"""
_CHANGING = "return document.getAnimations().some((a) => a instanceof CSSTransition)"
_AXE = Path(axe_core_python.__file__).with_name("axe.min.js").read_text("utf-8")
_RUN_AXE = """
    const [rules, done] = arguments;
    const some = rules.length ? {runOnly: {type: 'rule', values: rules}} : {};
    const told = (rule) => rule.id + ': ' + rule.nodes.map((n) => n.html).join(' ');
    axe.run(document, {resultTypes: ['violations'], iframes: false, ...some}).then(
        (found) => done(found.violations.map(told)));
"""


def wait(condition: Callable[[], Any], *, seconds: float = _SECONDS) -> Any:
    """Wait until it holds, also while the page is drawn or loaded anew."""
    deadline = time.monotonic() + seconds
    error: WebDriverException | None = None
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except WebDriverException as e:
            error = e
        time.sleep(0.1)
    msg = "it did not come"
    raise AssertionError(msg) from error


class Browser:
    """One browser with a profile of its own, as a person uses it."""

    def __init__(
        self, folder: Path, *, width: int, is_dark: bool, language: str
    ) -> None:
        binary = shutil.which("chromium") or shutil.which("google-chrome")
        driver = shutil.which("chromedriver")
        assert binary, "These tests need a browser: apt-get install chromium"
        assert driver, "These tests need its driver: apt-get install chromium-driver"
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        words = (f"--user-data-dir={folder}", f"--accept-lang={language}")
        for word in (*_OPTIONS, *words):
            options.add_argument(word)
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            options.add_argument("--no-sandbox")
        logs = {"performance": "ALL", "browser": "ALL"}
        options.set_capability("goog:loggingPrefs", logs)
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self.look_as(width, 900, is_dark=is_dark)
        # What the browser's own first page loads.
        self._log("performance")
        self.requests: list[str] = []
        self.errors: list[str] = []

    def look_as(self, width: int, height: int, *, is_dark: bool) -> None:
        """Change the size of the page, and between light and dark."""
        # A window cannot be as narrow as a phone; the page in it can.
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        size |= {"mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        value = "dark" if is_dark else "light"
        features = [{"name": "prefers-color-scheme", "value": value}]
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": features}
        )

    def axe_findings(self, *rules: str) -> list[str]:
        """Return what axe-core finds on the page as it is, with the elements."""
        # While colors change from light to dark, contrasts are of neither.
        wait(lambda: not self.driver.execute_script(_CHANGING))
        self.driver.execute_script(_AXE)
        return list(self.driver.execute_async_script(_RUN_AXE, rules))

    def open(self, address: str) -> None:
        self.driver.get(address)
        if "token=" in address:
            vars(self).pop("address", None)

    def begin(self, page: "Command") -> None:
        """Open a shared page, and remove what another test has added."""
        self.open(page.link)
        self.see("Drop files and folders anywhere")
        while "No export at hand?" not in self.text:
            self.click("Remove from the list")
            time.sleep(0.5)

    @cached_property
    def address(self) -> str:
        """The address of the first screen, to which a link has led."""
        wait(lambda: "token=" not in self.driver.current_url)
        return urljoin(self.driver.current_url, ".")

    def go(self, path: str) -> None:
        """Open a screen."""
        self.open(urljoin(self.address, path))

    @property
    def text(self) -> str:
        return str(self.driver.find_element(By.TAG_NAME, "body").text)

    def see(self, text: str, *, seconds: float = _SECONDS) -> None:
        try:
            wait(lambda: text in self.text, seconds=seconds)
        except AssertionError:
            pytest.fail(f"{text!r} is not on the page, but: {self.text[:3000]}")

    def all(self, css: str) -> list[WebElement]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, css))

    def click(self, name: str) -> None:
        def try_to() -> bool:
            for element in self.all("button, a, [role=option], .q-item, .q-checkbox"):
                is_it = name in element.text.splitlines() and element.is_displayed()
                if is_it and element.is_enabled():
                    element.click()
                    return True
            return False

        wait(try_to)

    def click_in_dialog(self, name: str) -> None:
        """Click a button of the open dialog, and wait until it is closed."""

        def press() -> bool:
            buttons = [b for b in self.all(".asked button") if b.text == name]
            if buttons:
                buttons[0].click()
            return bool(buttons)

        wait(press)
        wait(lambda: not self.all(".asked"))

    @property
    def tag_of_focus(self) -> str:
        """The tag of the element that has the keyboard's focus."""
        return str(self.driver.execute_script("return document.activeElement.tagName"))

    def write(self, label: str, text: str) -> WebElement:
        css = f":is(input, textarea)[aria-label^='{label}']:enabled"
        field = wait(lambda: self.all(css))[0]
        field.send_keys(text)
        return field  # type: ignore[no-any-return] # selenium's is untyped here

    def choose(self, label: str, option: str) -> None:
        def try_to() -> bool:
            for item in self.all(".q-menu .q-item"):
                if option in item.text:
                    item.click()
                    return True
            return False

        select = f".q-select:has([aria-label^='{label}'])"
        wait(lambda: self.all(select))[0].click()
        wait(try_to)
        wait(lambda: not self.all(".q-menu"))

    @property
    def focused(self) -> str:
        """The text of the element that has the keyboard's focus."""
        script = "return document.activeElement.innerText"
        return str(self.driver.execute_script(script)).strip()

    def key(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, name: str) -> None:
        """Press Tab until the focus is on what a screen reader calls so."""

        def press() -> bool:
            self.key(Keys.TAB)
            return str(self.driver.execute_script(_FOCUSED)).startswith(name)

        wait(press)

    def picture(self, name: str) -> None:
        """Write what is seen to the documentation's pictures, if asked for."""
        if os.environ.get("PICTURES"):
            options = {"format": "webp", "quality": 60}
            shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)
            (PICTURES / f"{name}.webp").write_bytes(b64decode(shot["data"]))

    def assert_accessible(self) -> None:
        """Check the screen as it is with axe-core, and its width."""
        wait(lambda: self.all("button"))
        self.assert_as_wide_as_its_window()
        with suppress(AssertionError):  # What was just clicked is faint for a moment.
            wait(lambda: not self.axe_findings(), seconds=10)
        assert self.axe_findings() == []

    def assert_as_wide_as_its_window(self) -> None:
        script = "return document.documentElement.scrollWidth <= innerWidth"
        assert self.driver.execute_script(script), "it is wider than its window"

    def choose_files(self, *paths: Path, name: str = "files") -> None:
        """Choose files, or a folder, as in the system's dialog."""
        field = wait(lambda: self.all(f"input[type=file]#{name}"))[0]
        field.send_keys("\n".join(map(str, paths)))

    def drop(self, *paths: Path, x: int = 5, y: int = 5) -> None:
        """Drag files and folders onto the page, and drop them at a point."""
        wait(lambda: self.all("nav a"))
        files = [str(path) for path in paths]
        data = {"items": [], "files": files, "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            event = {"type": kind, "x": x, "y": y, "data": data}
            self.driver.execute_cdp_cmd("Input.dispatchDragEvent", event)

    def _log(self, name: str) -> list[Any]:
        return list(self.driver.get_log(name))  # type: ignore[no-untyped-call] # theirs

    def collect(self) -> None:
        """Note the requests and errors since the last time."""
        for entry in self._log("performance"):
            message = json.loads(entry["message"])["message"]
            parameters = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            elif message["method"] == "Network.webSocketCreated":
                self.requests.append(parameters["url"])
        self.errors += [
            entry["message"]
            for entry in self._log("browser")
            if entry["level"] == "SEVERE"
        ]


@pytest.fixture
def browsers(tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """Start browsers; all that they request stays on this machine."""
    started: list[Browser] = []

    def start(
        *, width: int = 1280, is_dark: bool = False, language: str = "en-US"
    ) -> Browser:
        folder = tmp_path / f"browser-{len(started)}"
        browser = Browser(folder, width=width, is_dark=is_dark, language=language)
        started.append(browser)
        return started[-1]

    yield start
    for browser in started:
        browser.collect()
        browser.driver.quit()
    for browser in started:
        elsewhere = [
            url
            for url in browser.requests
            if urlsplit(url).hostname != "127.0.0.1"
            and urlsplit(url).scheme not in {"data", "file"}
        ]
        assert not elsewhere
        assert len(browser.requests) > 0


class Command:
    """A running `chatexports open`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._links: Queue[str] = Queue()
        threading.Thread(target=self._read_links, daemon=True).start()
        self.link = self.next_link()

    def _read_links(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._links.put(line.strip())

    def next_link(self) -> str:
        return self._links.get(timeout=_SECONDS)

    @property
    def address(self) -> str:
        return self.link.partition("?")[0]

    def kill_servers(self) -> None:
        """Kill the local server, as the system does when memory runs out."""
        children = psutil.Process(self.process.pid).children()
        assert children
        for child in children:
            child.kill()
        psutil.wait_procs(children)


@contextmanager
def opened(
    folder: Path, base: Path | None, browser: Path | None = None
) -> Iterator[Command]:
    """Run `chatexports open` on a folder's data directory."""
    words = ["open", "--data-dir", str(folder / "data")]
    words += [] if browser else ["--no-browser"]
    words += ["--index-dir", str(folder / "indexes")]
    words += ["--base", str(base)] if base else []
    # NiceGUI serves its pages otherwise where it sees pytest.
    own = {key: text for key, text in os.environ.items() if "PYTEST" not in key}
    if browser:
        own |= {"BROWSER": str(browser), "DISPLAY": ":0"}
    with (
        (folder / "err").open("a") as err,
        subprocess.Popen(  # noqa: S603 - our own command.
            [sys.executable, "-m", "langchain_chatexports.cli", *words],
            cwd=folder,
            env=own,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        ) as process,
    ):
        try:
            yield Command(process)
        finally:
            children = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            try:
                process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            # They end when it does, as soon as they look.
            _, left = psutil.wait_procs(children, timeout=_SECONDS)
            assert not left


@pytest.fixture(scope="module")
def running_page(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path
) -> Iterator[Command]:
    with opened(tmp_path_factory.mktemp("page"), tiny_base) as command:
        yield command


@pytest.fixture
def shared(running_page: Command) -> Iterator[Command]:
    """The page of a module's tests, each of which uses its link."""
    yield running_page
    running_page.link = running_page.next_link()


@pytest.fixture
def command(tmp_path: Path, tiny_base: Path) -> Iterator[Command]:
    with ExitStack() as stack:
        yield stack.enter_context(opened(tmp_path, tiny_base))
