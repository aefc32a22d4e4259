"""Speed of the page in the browser, compared with `chatexports inspect`.

`python -m benchmarks.page --messages 768000` writes WhatsApp chats, inspects them with
the command, then opens the page in Chromium and adds them there. It measures the CPU
seconds (user and system) of the page's process until it prints its link, until the
first screen is shown, and until the export's card has its counts, and its peak memory,
all without the browser. Wall time depends on the load of the machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks import whatsapp
from benchmarks.harness import ROOT
from tests.integration_tests.page.conftest import Browser

_CONVERSATIONS = 20
_SECONDS = 900


class _Moment(NamedTuple):
    name: str
    cpu: float
    wall: float


class _Run:
    """A command whose costs are measured several times."""

    def __init__(self, *arguments: str) -> None:
        self.begin = time.perf_counter()
        self.process = subprocess.Popen(  # noqa: S603 - our own commands
            [sys.executable, "-m", "langchain_chatexports.cli", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.moments: list[_Moment] = []

    def line(self) -> str:
        if self.process.stdout is None:
            raise RuntimeError
        return self.process.stdout.readline().strip()

    def note(self, name: str) -> None:
        used = psutil.Process(self.process.pid).cpu_times()
        wall = time.perf_counter() - self.begin
        self.moments.append(_Moment(name, used.user + used.system, wall))

    def end(self) -> float:
        """Wait until it exits, and return its peak memory in MB."""
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - self.begin
        self.moments.append(_Moment("end", used.ru_utime + used.ru_stime, wall))
        return used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _inspect(export: Path) -> float:
    run = _Run("inspect", str(export))
    peak = run.end()
    _show("chatexports inspect", run.moments[-1], peak)
    return run.moments[-1].cpu


def _page(export: Path, folder: Path) -> list[_Moment]:
    run = _Run("open", "--no-browser", "--data-dir", str(folder / "data"))
    browser = Browser(folder / "browser", width=1280, is_dark=False, language="en-US")
    try:
        link = run.line()
        run.note("the link is printed")
        browser.open(link)
        browser.see("Add chats")
        run.note("the first screen is shown")
        before = run.moments[-1]
        browser.add_path(export)
        browser.see(" messages · ", seconds=_SECONDS)
        run.note("the export is read")
    finally:
        browser.driver.quit()
        run.process.terminate()
        peak = run.end()
    for moment in run.moments[:-1]:
        _show(moment.name, moment, peak)
    return [before, run.moments[2]]


def _show(name: str, moment: _Moment, peak: float) -> None:
    print(f"{name:28} {moment.cpu:7.2f} s CPU {moment.wall:7.2f} s {peak:6.0f} MB peak")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        whatsapp.generate(folder / "chats", options.messages, _CONVERSATIONS)
        for number in range(options.rounds):
            data = folder / str(number)
            data.mkdir()
            inspected = _inspect(folder / "chats")
            before, after = _page(folder / "chats", data)
            print(f"page / inspect: {(after.cpu - before.cpu) / inspected:.2f}\n")


if __name__ == "__main__":
    main()
