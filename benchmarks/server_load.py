"""A load test of the local server: no lost work, and constant memory.

```
python -m benchmarks.server_load                     # 600 seconds, a tiny base
python -m benchmarks.server_load --seconds 60 --chats 8
```

Several clients chat with base and tuned models, with and without streaming, and some
disconnect during an answer. At temperature 0, a model must always give the same answer,
which would differ with the adapter of another model. Jobs are created continuously, and
one in four is cancelled. After sixty percent of the time, the server is stopped, or
killed with and without its trainer, and restarted on the same data, four times. At the
end, each job must have succeeded or been cancelled as requested, with each step
reported once and a model that answers; the data directory must contain nothing else,
and neither the memory nor the open files of the server may have grown. The base has
30,000 random weights, since this tests the server. The exit status is 1 if there are
problems.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import statistics
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import openai
import psutil

from benchmarks.server_process import ServerProcess
from langchain_chatexports.local_server import Workspace
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues, write_tiny_base

QUESTION: list[Any] = [{"role": "user", "content": "Are you ready for the race?"}]
TOKENS = 40
FINISHED = {"succeeded", "failed", "cancelled"}
TIMEOUT_SECONDS = 300
# The server may refuse more chats than this at the same time.
MAX_CHATS = 40
# Measure a run of the server after a minute, and only if it lasts another minute.
WARM_UP, MIN_MEASURED = 60, 60
MEMORY_GROWTH, FILES_GROWTH = 1.1, 5


class Sample(NamedTuple):
    """The memory and open files of the server's process."""

    memory_bytes: int
    open_files: int


@dataclass
class Load:
    """A server under load, with the results.

    Attributes:
        counts: The number of each kind of event.
        problems: Descriptions of failures.
        runs: The samples of each run of the server, one per second.
    """

    base: Path
    data_dir: Path
    seconds: float
    chats: int = 4
    times_started: int = 5
    waiting_jobs: int = 3
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    runs: list[list[Sample]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Create the server, without starting it."""
        self._server = ServerProcess(self.base, self.data_dir, threads=1)
        self._end = 0.0
        # Set while requests must succeed.
        self._is_up = threading.Event()
        self._created: set[str] = set()
        self._to_cancel: dict[str, float] = {}
        self._maybe_cancelled: set[str] = set()
        self._cancelled: set[str] = set()
        self._models: list[str] = []
        # By run of the server, since each run may choose another precision.
        self._answers: dict[tuple[int, str], str] = {}

    def run(self) -> None:
        """Put the server under load, then check the results."""
        self._end = time.monotonic() + self.seconds
        self._start()
        threads = [
            threading.Thread(target=self._repeat, args=(work, number))
            for number, work in enumerate(
                [self._chat] * self.chats + [self._create_jobs]
            )
        ]
        for thread in threads:
            thread.start()
        # The first run is the longest, to see whether memory grows.
        for left in reversed(range(self.times_started)):
            self._sample_until(self._end - 0.1 * self.seconds * left)
            if left:
                self._restart(kill=left % 2 == 1, with_trainer=left % 4 == 3)  # noqa: PLR2004 - every other kill.
        for thread in threads:
            thread.join()
        self._check()
        self._server.stop()

    def _start(self) -> None:
        self._server.start()
        self.runs.append([])
        self._is_up.set()

    def _restart(self, *, kill: bool, with_trainer: bool) -> None:
        self._is_up.clear()
        event = "server stopped"
        if kill:
            event = "server killed"
            trainers = self._server.process.children() if with_trainer else []
            self._server.process.kill()
            for trainer in trainers:
                with suppress(psutil.Error):
                    trainer.kill()
        self._server.stop()
        self.counts[event] += 1
        self._start()

    def _sample_until(self, end: float) -> None:
        count_files = "num_handles" if os.name == "nt" else "num_fds"
        while time.monotonic() < end:
            process = self._server.process
            files = int(getattr(process, count_files)())
            self.runs[-1].append(Sample(process.memory_info().rss, files))
            time.sleep(1)

    def _client(self) -> openai.OpenAI:
        return self._server.client(max_retries=0, timeout=120)

    def _repeat(self, work: Any, number: int) -> None:
        rng = random.Random(number)
        while time.monotonic() < self._end:
            self._is_up.wait()
            run = len(self.runs)
            try:
                with self._client() as client:
                    work(client, rng, run)
            except Exception as error:  # noqa: BLE001 - reported at the end.
                if not self._is_up.is_set() or run != len(self.runs):
                    self.counts["cut off by a restart"] += 1
                elif isinstance(error, openai.RateLimitError) and (
                    self.chats > MAX_CHATS
                ):
                    self.counts["refused as too many"] += 1
                else:
                    self.problems.append(f"{work.__name__}: {error!r}")

    def _chat(self, client: openai.OpenAI, rng: random.Random, run: int) -> None:
        options: Any = {
            "model": rng.choice(["tiny", *self._models[-12:]]),
            "temperature": rng.choice([0, 1]),
            "messages": QUESTION,
            "max_tokens": TOKENS,
        }
        if rng.random() < 0.5:  # noqa: PLR2004 - half of them.
            response = client.chat.completions.create(**options)
            text, end = (
                response.choices[0].message.content,
                response.choices[0].finish_reason,
            )
            tokens = response.usage.completion_tokens
            self.counts["answers"] += 1
        else:
            stream = client.chat.completions.create(
                **options, stream=True, stream_options={"include_usage": True}
            )
            disconnects = rng.random() < 0.3  # noqa: PLR2004 - a third of the streams.
            text, end, tokens = "", None, None
            for chunk in stream:
                if disconnects:
                    stream.close()
                    self.counts["left in the middle"] += 1
                    return
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    end = choice.finish_reason
                tokens = chunk.usage and chunk.usage.completion_tokens
            self.counts["streams"] += 1
        self._check_answer(options, run, text, end, tokens)

    def _check_answer(
        self, options: Any, run: int, text: str, end: str | None, tokens: int | None
    ) -> None:
        # With random weights, an answer may be empty.
        if tokens is None or not (
            (end == "length" and tokens == TOKENS)
            or (end == "stop" and tokens < TOKENS)
        ):
            self.problems.append(f"an answer of {tokens} tokens ends with {end}")
        if bool(text) > bool(tokens):
            self.problems.append("an answer has text and no tokens")
        if options["temperature"] == 0 and run == len(self.runs):
            earlier = self._answers.setdefault((run, options["model"]), text)
            if earlier != text:
                self.problems.append("a model gives two answers at temperature 0")

    def _create_jobs(self, client: openai.OpenAI, rng: random.Random, _: int) -> None:
        jobs = {job.id: job for job in client.fine_tuning.jobs.list(limit=1000)}
        self._models = [
            job.fine_tuned_model
            for job in reversed(jobs.values())
            if job.fine_tuned_model
        ]
        for job_id in [j for j, due in self._to_cancel.items() if due < time.time()]:
            # Add it before the request, since a restart may prevent the answer.
            self._maybe_cancelled.add(job_id)
            try:
                client.fine_tuning.jobs.cancel(job_id)
                self._cancelled.add(job_id)
            except openai.BadRequestError:
                self.counts["cancelled too late"] += 1
            del self._to_cancel[job_id]
        if sum(job.status not in FINISHED for job in jobs.values()) < self.waiting_jobs:
            file = io.BytesIO(as_jsonl(dialogues()))
            uploaded = client.files.create(file=file, purpose="fine-tune").id
            job = client.fine_tuning.jobs.create(
                model="tiny",
                training_file=uploaded,
                hyperparameters={
                    "n_epochs": rng.choice([1, 3, 10]),
                    # Makes the answers of the models differ.
                    "learning_rate_multiplier": 20,
                },
            )
            self._created.add(job.id)
            if rng.random() < 0.25:  # noqa: PLR2004 - one in four.
                self._to_cancel[job.id] = time.time() + rng.uniform(0, 20)
        time.sleep(rng.uniform(0.1, 0.5))

    def _check(self) -> None:
        with self._client() as client:
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while True:
                jobs = {job.id: job for job in client.fine_tuning.jobs.list(limit=1000)}
                if all(job.status in FINISHED for job in jobs.values()):
                    break
                if time.monotonic() > deadline:
                    self.problems.append("jobs do not end")
                    return
                time.sleep(0.5)
            for job in jobs.values():
                self._check_job(client, job)
        self.counts["jobs created"] = len(self._created)
        lost = self._created - set(jobs)
        self.problems += [f"{len(lost)} jobs are lost"] if lost else []
        found = [job.fine_tuned_model for job in jobs.values()]
        names = {name for name in found if name is not None}
        if not names.issuperset(self._models):
            self.problems.append("a model is lost")
        # A test of 15 seconds may have fewer.
        if len(self._answers) > 3 and len(set(self._answers.values())) == 1:  # noqa: PLR2004
            self.problems.append("all models give the same answer")
        self._check_disk(names)
        for run in self.runs:
            self.problems += find_growth(run[WARM_UP:])

    def _check_job(self, client: openai.OpenAI, job: Any) -> None:
        self.counts[f"jobs {job.status} in the end"] += 1
        if job.id in self._cancelled and job.status != "cancelled":
            self.problems.append(f"a cancelled job is {job.status}")
        if job.status == "succeeded":
            events = client.fine_tuning.jobs.list_events(job.id, limit=1000)
            steps = [event.data["step"] for event in events if event.type == "metrics"]  # type: ignore[index]  # `data` is a dict.
            if steps[::-1] != list(range(1, 10 * job.hyperparameters.n_epochs + 1)):
                self.problems.append("a job's steps are not reported once each")
            client.chat.completions.create(
                model=job.fine_tuned_model, messages=QUESTION, max_tokens=1
            )
        elif job.status != "cancelled" or job.id not in self._maybe_cancelled:
            self.problems.append(f"a job is {job.status}: {job.error}")

    def _check_disk(self, names: set[str]) -> None:
        models = Workspace(self.data_dir).models.list()
        folders = {*(self.data_dir / "models").iterdir()}
        if names != {m.name for m in models} or folders != {m.folder for m in models}:
            self.problems.append("the models on disk are not those that succeeded")
        for path in self.data_dir.rglob("*"):
            is_save = path.name.startswith("checkpoint-")
            if is_save or path.suffix in {".bin", ".pt", ".pth", ".pkl"}:
                self.problems.append(f"{path.name} is left")


def find_growth(samples: list[Sample]) -> list[str]:
    """Return the measurements that grew between the halves of a run."""
    if len(samples) < MIN_MEASURED:
        return []
    early, late = mean_halves(samples)
    grown = []
    if late.memory_bytes > MEMORY_GROWTH * early.memory_bytes:
        grown.append("the server's memory grows")
    if late.open_files > early.open_files + FILES_GROWTH:
        grown.append("the server's open files grow in number")
    return grown


def mean_halves(samples: list[Sample]) -> tuple[Sample, Sample]:
    """Return the means of the first and second half."""
    half = len(samples) // 2 or 1
    early, late = (
        Sample(*(int(statistics.mean(values)) for values in zip(*part, strict=True)))
        for part in (samples[:half], samples[-half:])
    )
    return early, late


def main() -> None:
    """Run the load, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--chats", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = write_tiny_base(Path(folder) / "tiny")
        load = Load(base, Path(folder) / "data", arguments.seconds, arguments.chats)
        load.run()
    print("| | |")
    print("| --- | --- |")
    for what, count in sorted(load.counts.items()):
        print(f"| {what} | {count:,} |")
    for number, run in enumerate(load.runs, 1):
        if len(run) < 2:  # noqa: PLR2004 - it has no halves.
            continue
        early, late = mean_halves(run[WARM_UP:] if run[WARM_UP + 1 :] else run)
        print(
            f"| run {number}, {len(run)} s: memory and open files, early and late "
            f"| {early.memory_bytes / 1e6:.0f} MB, {early.open_files}; "
            f"{late.memory_bytes / 1e6:.0f} MB, {late.open_files} |"
        )
    problems = Counter(load.problems)
    print(f"| problems | {dict(problems) or 'none'} |")
    raise SystemExit(1 if problems else 0)


if __name__ == "__main__":
    main()
