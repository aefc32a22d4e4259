"""A load test of the local server: no lost work, and constant memory.

```
python -m benchmarks.server_load                     # 600 seconds, a tiny base
python -m benchmarks.server_load --seconds 60 --chats 8
```

Several clients chat with base and tuned models, streaming or not, and some leave in the
middle of an answer. At temperature 0 a model must always say the same, which it would
not if it were served with another's adapter. Jobs are ordered all the time, one in four
is cancelled, and after sixty percent of the time the server is stopped, or killed with
and without its trainer, and started again on the same data, four times. In the end each
job must have become what was asked for, with each step told once and a model that
answers; the data directory must hold nothing else, and neither memory nor open files of
the server may have grown. The base has 30,000 random weights: what is tried is the
server. The command ends with status 1 if anything went wrong.
"""

from __future__ import annotations

import argparse
import io
import json
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

from langchain_chatexports.local_server import LocalServer
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues, write_tiny_base

QUESTION: list[Any] = [{"role": "user", "content": "Are you ready for the race?"}]
TOKENS = 40
FINISHED = {"succeeded", "failed", "cancelled"}
PATIENCE_SECONDS = 300
# So many chats are answered or wait; beyond it the server may refuse one.
MAX_CHATS = 40
# A life is judged after the minute that fills it, and only if it is a minute longer.
JUDGED_AFTER, JUDGED_FOR = 60, 60
MEMORY_GROWTH, FILES_GROWTH = 1.1, 5


class Sample(NamedTuple):
    """What the server's process holds at one moment."""

    memory_bytes: int
    open_files: int


@dataclass
class Load:
    """A server under load, and what came of it.

    Attributes:
        counts: How often each thing happened.
        wrong: What must not happen, in words; empty if all is well.
        lives: For each life of the server what it held, once a second.
    """

    base: Path
    data_dir: Path
    seconds: float
    chats: int = 4
    times_started: int = 5
    waiting_jobs: int = 3
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lives: list[list[Sample]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self._server = LocalServer(self.base, data_dir=self.data_dir, threads=1)
        self._end = 0.0
        # Set while requests must succeed.
        self._is_up = threading.Event()
        self._ordered: set[str] = set()
        self._to_cancel: dict[str, float] = {}
        self._maybe_cancelled: set[str] = set()
        self._surely_cancelled: set[str] = set()
        self._models: list[str] = []
        # Of one life: in the next one another precision may be measured as the fastest.
        self._said: dict[tuple[int, str], str] = {}

    def run(self) -> None:
        """Put the server under load, then look at what became of it."""
        self._end = time.monotonic() + self.seconds
        self._start()
        threads = [
            threading.Thread(target=self._again_and_again, args=(work, number))
            for number, work in enumerate([self._chat] * self.chats + [self._order])
        ]
        for thread in threads:
            thread.start()
        # The first life is the longest: in it one sees what grows.
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
        self.lives.append([])
        self._is_up.set()

    def _restart(self, *, kill: bool, with_trainer: bool) -> None:
        self._is_up.clear()
        what = "server stopped"
        if kill:
            what = "server killed"
            trainers = self._process().children() if with_trainer else []
            self._process().kill()
            for trainer in trainers:
                with suppress(psutil.Error):
                    trainer.kill()
        self._server.stop()
        self.counts[what] += 1
        self._start()

    def _sample_until(self, end: float) -> None:
        count_files = "num_handles" if os.name == "nt" else "num_fds"
        while time.monotonic() < end:
            process = self._process()
            files = int(getattr(process, count_files)())
            self.lives[-1].append(Sample(process.memory_info().rss, files))
            time.sleep(1)

    def _process(self) -> psutil.Process:
        return psutil.Process(self._server._process.pid)  # type: ignore[union-attr]  # noqa: SLF001 - it runs.

    def _client(self) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=self._server.base_url,
            api_key=self._server.api_key,
            max_retries=0,
            timeout=120,
        )

    def _again_and_again(self, work: Any, number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < self._end:
            self._is_up.wait()
            life = len(self.lives)
            try:
                with self._client() as client:
                    work(client, chance, life)
            except Exception as error:  # noqa: BLE001 - told at the end.
                if not self._is_up.is_set() or life != len(self.lives):
                    self.counts["cut off by a restart"] += 1
                elif isinstance(error, openai.RateLimitError) and (
                    self.chats > MAX_CHATS
                ):
                    self.counts["refused as too many"] += 1
                else:
                    self.wrong.append(f"{work.__name__}: {error!r}")

    def _chat(self, client: openai.OpenAI, chance: random.Random, life: int) -> None:
        options: Any = {
            "model": chance.choice(["tiny", *self._models[-12:]]),
            "temperature": chance.choice([0, 1]),
            "messages": QUESTION,
            "max_tokens": TOKENS,
        }
        if chance.random() < 0.5:  # noqa: PLR2004 - half of them.
            whole = client.chat.completions.create(**options)
            text, end = whole.choices[0].message.content, whole.choices[0].finish_reason
            tokens = whole.usage.completion_tokens
            self.counts["answers"] += 1
        else:
            stream = client.chat.completions.create(
                **options, stream=True, stream_options={"include_usage": True}
            )
            leaves = chance.random() < 0.3  # noqa: PLR2004 - a third of the streams.
            text, end, tokens = "", None, None
            for chunk in stream:
                if leaves:
                    stream.close()
                    self.counts["left in the middle"] += 1
                    return
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    end = choice.finish_reason
                tokens = chunk.usage and chunk.usage.completion_tokens
            self.counts["streams"] += 1
        self._check_answer(options, life, text, end, tokens)

    def _check_answer(
        self, options: Any, life: int, text: str, end: str | None, tokens: int | None
    ) -> None:
        # Random weights may end an answer at once: it may be empty, and says so.
        if tokens is None or not (
            (end == "length" and tokens == TOKENS)
            or (end == "stop" and tokens < TOKENS)
        ):
            self.wrong.append(f"an answer of {tokens} tokens ends with {end}")
        if bool(text) > bool(tokens):
            self.wrong.append("an answer has text and no tokens")
        if options["temperature"] == 0 and life == len(self.lives):
            said = self._said.setdefault((life, options["model"]), text)
            if said != text:
                self.wrong.append("a model says two things at temperature 0")

    def _order(self, client: openai.OpenAI, chance: random.Random, _: int) -> None:
        jobs = {job.id: job for job in client.fine_tuning.jobs.list(limit=1000)}
        self._models = [
            job.fine_tuned_model
            for job in reversed(jobs.values())
            if job.fine_tuned_model
        ]
        for job_id in [j for j, due in self._to_cancel.items() if due < time.time()]:
            # Noted before: a restart may come between deed and answer.
            self._maybe_cancelled.add(job_id)
            try:
                client.fine_tuning.jobs.cancel(job_id)
                self._surely_cancelled.add(job_id)
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
                    "n_epochs": chance.choice([1, 3, 10]),
                    # So that each model says something else.
                    "learning_rate_multiplier": 20,
                },
            )
            self._ordered.add(job.id)
            if chance.random() < 0.25:  # noqa: PLR2004 - one in four.
                self._to_cancel[job.id] = time.time() + chance.uniform(0, 20)
        time.sleep(chance.uniform(0.1, 0.5))

    def _check(self) -> None:
        with self._client() as client:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while True:
                jobs = {job.id: job for job in client.fine_tuning.jobs.list(limit=1000)}
                if all(job.status in FINISHED for job in jobs.values()):
                    break
                if time.monotonic() > deadline:
                    self.wrong.append("jobs do not end")
                    return
                time.sleep(0.5)
            for job in jobs.values():
                self._check_job(client, job)
        self.counts["jobs ordered"] = len(self._ordered)
        lost = self._ordered - set(jobs)
        self.wrong += [f"{len(lost)} jobs are lost"] if lost else []
        found = [job.fine_tuned_model for job in jobs.values()]
        names = {name for name in found if name is not None}
        if not names.issuperset(self._models):
            self.wrong.append("a model is lost")
        # So few that the test of a quarter of a minute need not have them.
        if len(self._said) > 3 and len(set(self._said.values())) == 1:  # noqa: PLR2004
            self.wrong.append("all models say the same: nothing is proved of adapters")
        self._check_disk(names)
        for life in self.lives:
            self.wrong += growth(life[JUDGED_AFTER:])

    def _check_job(self, client: openai.OpenAI, job: Any) -> None:
        self.counts[f"jobs {job.status} in the end"] += 1
        if job.id in self._surely_cancelled and job.status != "cancelled":
            self.wrong.append(f"a cancelled job is {job.status}")
        if job.status == "succeeded":
            events = client.fine_tuning.jobs.list_events(job.id, limit=1000)
            told = [event.data["step"] for event in events if event.type == "metrics"]  # type: ignore[index]  # a dict in each of them.
            if told[::-1] != list(range(1, 10 * job.hyperparameters.n_epochs + 1)):
                self.wrong.append("a job's steps are not told once each")
            client.chat.completions.create(
                model=job.fine_tuned_model, messages=QUESTION, max_tokens=1
            )
        elif job.status != "cancelled" or job.id not in self._maybe_cancelled:
            self.wrong.append(f"a job is {job.status}: {job.error}")

    def _check_disk(self, names: set[str]) -> None:
        folders = list((self.data_dir / "models").iterdir())
        kept = [json.loads((f / "model.json").read_bytes())["name"] for f in folders]
        if sorted(kept) != sorted(names):
            self.wrong.append("the models on disk are not those that succeeded")
        for path in self.data_dir.rglob("*"):
            if path.suffix in {".bin", ".pt", ".pth", ".pkl"} or path.name == "saves":
                self.wrong.append(f"{path.name} is left")


def growth(samples: list[Sample]) -> list[str]:
    """Say what grew between the first and the second half of a life."""
    if len(samples) < JUDGED_FOR:
        return []
    early, late = halves(samples)
    grown = []
    if late.memory_bytes > MEMORY_GROWTH * early.memory_bytes:
        grown.append("the server's memory grows")
    if late.open_files > early.open_files + FILES_GROWTH:
        grown.append("the server's open files grow in number")
    return grown


def halves(samples: list[Sample]) -> tuple[Sample, Sample]:
    """Return the means of the first and the second half."""
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
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = write_tiny_base(Path(folder) / "tiny")
        load = Load(base, Path(folder) / "data", asked.seconds, asked.chats)
        load.run()
    print("| | |")
    print("| --- | --- |")
    for what, count in sorted(load.counts.items()):
        print(f"| {what} | {count:,} |")
    for number, life in enumerate(load.lives, 1):
        if len(life) < 2:  # noqa: PLR2004 - it has no halves.
            continue
        early, late = halves(life[JUDGED_AFTER:] if life[JUDGED_AFTER + 1 :] else life)
        print(
            f"| life {number}, {len(life)} s: memory and open files, early and late "
            f"| {early.memory_bytes / 1e6:.0f} MB, {early.open_files}; "
            f"{late.memory_bytes / 1e6:.0f} MB, {late.open_files} |"
        )
    wrong = Counter(load.wrong)
    print(f"| went wrong | {dict(wrong) or 'nothing'} |")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
