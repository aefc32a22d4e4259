"""`chatexports open` in a process of its own, and Chromium with its page."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from queue import Queue
from typing import Any, TypeAlias
from urllib.parse import urljoin, urlsplit

import axe_core_python
import psutil
import pytest
from selenium import webdriver
from selenium.common.exceptions import NoAlertPresentException, WebDriverException
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
# A training on a busy machine takes minutes.
_SECONDS = 600
PICTURES = Path(__file__).parents[3] / "docs" / "images"

_FOCUSED = """
    const e = document.activeElement;
    return e.getAttribute('aria-label') || e.innerText || e.value || '';
"""
# Before its handshake, NiceGUI can send events in another order.
_CONNECTED = "return window.did_handshake === true"
_CHANGING = "return document.getAnimations().some((a) => a instanceof CSSTransition)"
_AXE = Path(axe_core_python.__file__).with_name("axe.min.js").read_text("utf-8")
_RUN_AXE = """
    const [rules, done] = arguments;
    const only = rules.length ? {runOnly: {type: 'rule', values: rules}} : {};
    const describe = (rule) => rule.id + ': ' + rule.nodes.map((n) => n.html).join(' ');
    axe.run(document, {resultTypes: ['violations'], iframes: false, ...only}).then(
        (results) => done(results.violations.map(describe)));
"""


def wait(condition: Callable[[], Any], *, seconds: float = _SECONDS) -> Any:
    """Wait until a condition holds, even if the page is rebuilt or reloaded."""
    started = time.monotonic()
    error: WebDriverException | None = None
    while (waited := time.monotonic() - started) < seconds:
        try:
            if found := condition():
                return found
        except WebDriverException as e:
            error = e
        # Reading the page often would slow down the training that it waits for.
        time.sleep(min(0.1 + waited / 20, 0.5))
    msg = f"The condition did not hold within {seconds} seconds."
    raise AssertionError(msg) from error


class Browser:
    """A browser with its own profile."""

    def __init__(
        self, folder: Path, *, width: int, is_dark: bool, language: str
    ) -> None:
        binary = shutil.which("chromium") or shutil.which("google-chrome")
        driver = shutil.which("chromedriver")
        assert binary, "These tests need a browser: apt-get install chromium"
        assert driver, "These tests need its driver: apt-get install chromium-driver"
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        own = (f"--user-data-dir={folder}", f"--accept-lang={language}")
        for option in (*_OPTIONS, *own):
            options.add_argument(option)
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            options.add_argument("--no-sandbox")
        logs = {"performance": "ALL", "browser": "ALL"}
        options.set_capability("goog:loggingPrefs", logs)
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        # Checks with axe-core take longer than the default of half a minute.
        self.driver.set_script_timeout(_SECONDS)
        self.look_as(width, 900, is_dark=is_dark)
        self._log("performance")  # Skip the requests of the browser's first page.
        self.requests: list[str] = []
        self.errors: list[str] = []

    def look_as(self, width: int, height: int, *, is_dark: bool) -> None:
        """Change the size of the page, and its color scheme."""
        # Windows cannot be as narrow as a phone, but pages can.
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        size |= {"mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        value = "dark" if is_dark else "light"
        features = [{"name": "prefers-color-scheme", "value": value}]
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": features}
        )

    def axe_findings(self, *rules: str) -> list[str]:
        """Return the violations that axe-core still finds when transitions are over."""

        def run() -> list[str]:
            wait(lambda: not self.driver.execute_script(_CHANGING))
            self.driver.execute_script(_AXE)
            return list(self.driver.execute_async_script(_RUN_AXE, rules))

        with suppress(AssertionError):  # A clicked button is faint for a moment.
            wait(lambda: not run(), seconds=30)
        return run()

    def open(self, address: str) -> None:
        self.driver.get(address)
        if "token=" in address:
            vars(self).pop("address", None)

    def open_empty(self, page: "Command") -> None:
        """Open a shared page, and remove the exports of other tests."""
        self.open(page.link)
        self.go("add")
        self.see("Drop files and folders anywhere")

        def remove_next() -> bool:
            names = "Remove", "Cancel"
            buttons = [b for b in self.all(".card button") if b.text in names]
            if buttons:
                buttons[0].click()
            return not buttons and not self.all(".card h2")

        wait(remove_next)

    @cached_property
    def address(self) -> str:
        """The address of the first screen, after the login with a link."""
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

    def wait_for_connection(self) -> None:
        """Wait until the page is connected to its server."""
        wait(lambda: self.driver.execute_script(_CONNECTED))

    def all(self, css: str) -> list[WebElement]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, css))

    def click(self, name: str) -> None:
        def try_click() -> bool:
            self.wait_for_connection()
            for element in self.all("button, a, summary, label"):
                is_named = name in element.text.splitlines()
                if is_named and element.is_displayed() and element.is_enabled():
                    element.click()
                    return True
            return False

        wait(try_click)

    def click_in_dialog(self, name: str) -> None:
        """Click a button of the open dialog, and wait until it is closed."""

        def press() -> bool:
            buttons = [b for b in self.all("dialog button") if b.text == name]
            if buttons:
                buttons[0].click()
            return bool(buttons)

        wait(press)
        wait(lambda: not self.all("dialog"))

    def write(self, label: str, text: str) -> WebElement:
        css = f":is(input, textarea)[aria-label^='{label}']:enabled"
        self.wait_for_connection()
        field = wait(lambda: self.all(css))[0]
        field.send_keys(text)
        return field  # type: ignore[no-any-return] # selenium's is untyped here

    def add_path(self, path: Path) -> None:
        """Add chats by their path, on the screen that adds them."""
        if not self.all("details[open] textarea[name=line]"):
            self.click("More")
        self.write("Where a file or folder is", f"{path}\n")

    @property
    def focused(self) -> str:
        """The name of the focused element, as announced by screen readers."""
        return str(self.driver.execute_script(_FOCUSED)).strip()

    def key(self, *keys: str) -> None:
        self.wait_for_connection()
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, name: str) -> None:
        """Press Tab until the name of the focused element starts with `name`."""

        def press() -> bool:
            self.key(Keys.TAB)
            return self.focused.startswith(name)

        wait(press)

    def picture(self, name: str) -> None:
        """Save a screenshot for the documentation, if `PICTURES` is set."""
        if os.environ.get("PICTURES"):
            options = {"format": "webp", "quality": 60}
            shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)
            (PICTURES / f"{name}.webp").write_bytes(b64decode(shot["data"]))

    def assert_accessible(self) -> None:
        """Check the screen with axe-core, and its width."""
        wait(lambda: self.all("button, a"))
        self.assert_fits_window()
        assert self.axe_findings() == []

    def assert_fits_window(self) -> None:
        script = "return document.documentElement.scrollWidth <= innerWidth"
        wait(lambda: self.driver.execute_script(script))

    def assert_no_html(self) -> None:
        """Check that no text of an export was interpreted as HTML."""
        assert not self.all("main img, iframe[src*=evil], b[onmouseover]")
        with pytest.raises(NoAlertPresentException):
            self.driver.switch_to.alert.dismiss()

    def assert_no_errors(self) -> None:
        self.collect()
        assert not self.errors

    def choose_files(self, *paths: Path, name: str = "files") -> None:
        """Choose files, or a folder, as in the system's dialog."""
        field = wait(lambda: self.all(f"input[type=file]#{name}"))[0]
        field.send_keys("\n".join(map(str, paths)))

    def drop(self, *paths: Path, x: int = 5, y: int = 5) -> None:
        """Drop files and folders onto a point of the page."""
        wait(lambda: self.all("nav a"))
        files = [str(path) for path in paths]
        data = {"items": [], "files": files, "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            event = {"type": kind, "x": x, "y": y, "data": data}
            self.driver.execute_cdp_cmd("Input.dispatchDragEvent", event)

    def _log(self, name: str) -> list[Any]:
        return list(self.driver.get_log(name))  # type: ignore[no-untyped-call] # selenium's

    def collect(self) -> None:
        """Record the requests and errors since the last call."""
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


Browsers: TypeAlias = Callable[..., Browser]


@pytest.fixture
def browsers(tmp_path: Path) -> Iterator[Browsers]:
    """Start browsers, and check that their requests stay on this machine."""
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

    def kill_children(self) -> None:
        """Kill trainer and engine, as the system does when memory runs out."""
        children = wait(psutil.Process(self.process.pid).children)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        # The page notices a dead engine only when it needs it.
        wait(lambda: not any(map(_is_alive, children)))


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def opened(
    folder: Path,
    base: Path | None,
    browser: Path | None = None,
    *,
    start: Sequence[str] = ("-m", "langchain_chatexports.cli"),
) -> Iterator[Command]:
    """Run `chatexports open` on a folder's data directory.

    `start` has the arguments with which Python runs the command.
    """
    options = ["--data-dir", str(folder / "data")]
    options += ["--index-dir", str(folder / "indexes")]
    options += [] if browser else ["--no-browser"]
    options += ["--base", str(base)] if base else []
    # NiceGUI behaves differently in tests.
    env = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    if browser:
        env |= {"BROWSER": str(browser), "DISPLAY": ":0"}
    with (
        (folder / "err").open("a") as err,
        subprocess.Popen(  # noqa: S603 - our own command.
            [sys.executable, *start, "open", *options],
            cwd=folder,
            env=env,
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
            _, alive = psutil.wait_procs(children, timeout=_SECONDS)
            assert not alive


@pytest.fixture(scope="module")
def running_page(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path
) -> Iterator[Command]:
    with opened(tmp_path_factory.mktemp("page"), tiny_base) as command:
        yield command


@pytest.fixture
def shared(running_page: Command) -> Iterator[Command]:
    """The page of all tests in a module, with a fresh link for each test."""
    yield running_page
    running_page.link = running_page.next_link()


@pytest.fixture
def command(tmp_path: Path, tiny_base: Path) -> Iterator[Command]:
    with opened(tmp_path, tiny_base) as command:
        yield command
