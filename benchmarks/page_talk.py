"""What the page costs while one talks and while a model learns.

`python -m benchmarks.page_talk` opens the page in Chromium with an engine that echoes
and a trainer that counts steps: no model runs, so all costs are the page's own. It
prints the CPU of the page's process with three open tabs and 2,000 kept steps, at rest
and while a job makes a step each 0.3 s; the time from Enter to the own bubble in the
browser, and to the bubble that the server confirms; how far the field moves; and how
many of 100 clicks of 80 ms on a row that changes with each step are lost.
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import psutil
from selenium.webdriver import ActionChains

from langchain_chatexports.local_server import Queue, Workspace
from langchain_chatexports.local_server.testing import (
    EchoEngine,
    EchoServer,
    train_steps,
)
from langchain_chatexports.page import session
from langchain_chatexports.page.people import person_key

_BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
_PERSON = "langchain_chatexports_person"
_JOBS, _STEPS = 12, 170
_TABS, _MESSAGES, _CLICKS = 3, 10, 100
_SECONDS_PER_STEP, _SECONDS_OF_CPU, _CLICK_SECONDS = 0.3, 10.0, 0.08
_TIME_ENTER = """
    const [done] = arguments, field = document.querySelector('.composer textarea');
    const count = (css) => document.querySelectorAll(css).length;
    const KEPT = '.messages:not(.pending) .mine';
    const all = count('.mine'), kept = count(KEPT);
    const times = [];
    field.value = 'one two three';
    const start = performance.now();
    const observer = new MutationObserver(() => {
        const now = performance.now() - start;
        if (!times.length && count('.mine') > all) times.push(now);
        if (count(KEPT) === kept) return;
        observer.disconnect();
        done([...times, now]);
    });
    observer.observe(document.body, {childList: true, subtree: true});
    const key = {key: 'Enter', bubbles: true, cancelable: true};
    field.dispatchEvent(new KeyboardEvent('keydown', key));
"""
_TOP = "return document.querySelector('.composer textarea').getBoundingClientRect().top"
_COUNT_CLICKS = """
    window.clicks = 0;
    document.querySelector('.chats a').addEventListener('click', (event) => {
        event.preventDefault();
        window.clicks += 1;
    });
"""


class _Server(EchoServer):
    def _open_engine(self) -> EchoEngine:
        return EchoEngine(seconds_per_word=0.1)


def serve() -> None:
    """Run the command without a model."""
    session.LocalServer = _Server  # type: ignore[misc] # for this process
    session.Queue = partial(Queue, train=train_steps, threads=1)  # type: ignore[misc,assignment] # as above
    from langchain_chatexports.cli import main as run_command

    run_command()


def _add_jobs(workspace: Workspace) -> None:
    """Keep the steps of trainings."""
    from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

    file = workspace.files.create(as_jsonl(dialogues())).id
    for number in range(_JOBS):
        _add_job(workspace, file, f"Person {number}", steps=_STEPS)
    queue = Queue(workspace, train=train_steps, threads=1)
    queue.start()
    while any(job.is_active for job in workspace.jobs.list()):
        time.sleep(0.2)
    queue.stop()


def _add_job(workspace: Workspace, file: str, person: str, **settings: float) -> None:
    workspace.jobs.find_or_create(
        base=_BASE,
        base_model=_BASE,
        training_file=file,
        hyperparameters=settings,
        metadata={_PERSON: person},
        key=person,
    )


def _print(line: str) -> None:
    print(line, flush=True)


def _cpu(process: psutil.Process) -> float:
    """Return the share of a core that a process uses."""

    def used() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    before, started = used(), time.perf_counter()
    time.sleep(_SECONDS_OF_CPU)
    return (used() - before) / (time.perf_counter() - started)


def _measure(folder: Path) -> None:
    from tests.integration_tests.page.conftest import Browser, opened, wait

    workspace = Workspace(folder / "data")
    _add_jobs(workspace)
    with opened(folder, None, start=(__file__,)) as command:
        process = psutil.Process(command.process.pid)
        browser = Browser(
            folder / "browser", width=1280, is_dark=False, language="en-US"
        )
        driver = browser.driver
        try:
            browser.open(command.link)
            browser.go(f"talk/{person_key('Person 0')}")
            for _ in range(_TABS - 1):
                address = driver.current_url
                driver.switch_to.new_window("tab")
                driver.get(address)
            wait(lambda: browser.all(".composer textarea"))
            time.sleep(15)  # The client of the model is imported.
            _print(f"at rest, {_TABS} tabs: {_cpu(process):.2%} of a core")
            tops = {driver.execute_script(_TOP)}
            drawn, kept = [], []
            for _ in range(_MESSAGES):
                first, second = driver.execute_async_script(_TIME_ENTER)
                drawn.append(first)
                kept.append(second)
                for _ in range(20):
                    tops.add(driver.execute_script(_TOP))
                    time.sleep(0.1)
            _print(
                f"Enter to own bubble: {median(drawn):.0f} ms (max {max(drawn):.0f})"
            )
            print(
                f"  confirmed by the page: {median(kept):.0f} ms (max {max(kept):.0f})"
            )
            _print(f"the field moved {max(tops) - min(tops):.0f} px")
            _add_job(
                workspace,
                workspace.files.list()[0].id,
                "Person 99",
                steps=1000,
                step_seconds=_SECONDS_PER_STEP,
            )
            wait(lambda: "learning" in browser.text)
            _print(f"in training: {_cpu(process):.2%} of a core")
            driver.execute_script(_COUNT_CLICKS)
            row = browser.all(".chats a")[0]
            for _ in range(_CLICKS):
                ActionChains(driver).click_and_hold(row).pause(
                    _CLICK_SECONDS
                ).release().perform()
            lost = _CLICKS - driver.execute_script("return window.clicks")
            _print(f"{lost} of {_CLICKS} clicks lost")
        finally:
            driver.quit()


def main() -> None:
    """Measure, and print the results."""
    with tempfile.TemporaryDirectory() as folder:
        _measure(Path(folder))


if __name__ == "__main__":
    serve() if "open" in sys.argv else main()
