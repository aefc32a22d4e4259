"""Ten minutes of everything at once: is anything lost, and does memory stay flat?

```
python -m benchmarks.server_load                     # 600 seconds, a tiny base
python -m benchmarks.server_load --seconds 60 --chats 8
```

Several clients chat with base and tuned models, streaming or not, and some leave in the
middle of an answer. Jobs are ordered all the time, every fifth is cancelled, and now
and then the server is stopped, or killed, and started again on the same data. In the
end every job must have become what was asked for, with each step told once and a model
that answers. The base has 30,000 random weights: what is tried is the server.
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import psutil

from langchain_chatexports.local_server import LocalServer
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues, write_tiny_base

QUESTION: list[Any] = [{"role": "user", "content": "Are you ready for the race?"}]
FINISHED = {"succeeded", "failed", "cancelled"}
WAITING_JOBS = 3
PATIENCE_SECONDS = 300


@dataclass
class Load:
    """A server under load, and what came of it.

    Attributes:
        counts: How often each thing happened.
        wrong: What must not happen, in words; empty if all is well.
        lives: For each life of the server its memory in bytes, once a second.
    """

    base: Path
    data_dir: Path
    seconds: float
    chats: int = 4
    times_started: int = 5
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lives: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self._chance = random.Random(11)
        self._server = LocalServer(self.base, data_dir=self.data_dir, threads=1)
        self._end = 0.0
        # Set while requests may fail for the sake of the test.
        self._is_up = threading.Event()
        self._ordered: dict[str, int] = {}
        self._cancelled: set[str] = set()
        self._models: list[str] = []

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
        for left in reversed(range(self.times_started)):
            self._sample_until(self._end - self.seconds * left / self.times_started)
            if left:
                self._restart(kill=left % 2 == 1)
        for thread in threads:
            thread.join()
        self._check()
        self._server.stop()

    def _start(self) -> None:
        self._server.start()
        self.lives.append([])
        self._is_up.set()

    def _restart(self, *, kill: bool) -> None:
        self._is_up.clear()
        if kill:
            self._process().kill()
        self._server.stop()
        self.counts["server killed" if kill else "server stopped"] += 1
        self._start()

    def _sample_until(self, end: float) -> None:
        while time.monotonic() < end:
            self.lives[-1].append(self._process().memory_info().rss)
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
            server = self._server._process  # noqa: SLF001 - which life it is.
            try:
                with self._client() as client:
                    work(client, chance)
            except Exception as error:  # noqa: BLE001 - told at the end.
                is_same_life = self._is_up.is_set() and self._server._process is server  # noqa: SLF001
                if isinstance(error, openai.RateLimitError):
                    self.counts["429"] += 1
                elif is_same_life:
                    self.wrong.append(f"{work.__name__}: {error!r}")
                else:
                    self.counts["cut off by a restart"] += 1

    def _chat(self, client: openai.OpenAI, chance: random.Random) -> None:
        model = chance.choice(["tiny", *self._models[-12:]])
        options: Any = {"model": model, "messages": QUESTION, "max_tokens": 40}
        if chance.random() < 0.5:  # noqa: PLR2004 - half of them.
            answer = client.chat.completions.create(**options)
            # It may be empty: random weights can end an answer at once.
            if answer.usage is None or answer.choices[0].finish_reason is None:
                self.wrong.append("an answer without its usage or its end")
            self.counts["answers"] += 1
            return
        leaves = chance.random() < 0.3  # noqa: PLR2004 - a third of the streams.
        stream: Any = client.chat.completions.create(**options, stream=True)
        last = None
        for chunk in stream:
            last = chunk.choices[0].finish_reason
            if leaves:
                stream.close()
                self.counts["left in the middle"] += 1
                return
        if last not in {"stop", "length"}:
            self.wrong.append("a stream without an end")
        self.counts["streams"] += 1

    def _order(self, client: openai.OpenAI, chance: random.Random) -> None:
        jobs = {job.id: job for job in client.fine_tuning.jobs.list(limit=1000)}
        self._models = [j.fine_tuned_model for j in jobs.values() if j.fine_tuned_model]
        unfinished = [job for job in jobs.values() if job.status not in FINISHED]
        if len(unfinished) < WAITING_JOBS:
            file = io.BytesIO(as_jsonl(dialogues()))
            uploaded = client.files.create(file=file, purpose="fine-tune").id
            epochs = chance.choice([1, 3, 10])
            job = client.fine_tuning.jobs.create(
                model="tiny",
                training_file=uploaded,
                hyperparameters={"n_epochs": epochs},
            )
            self._ordered[job.id] = epochs
            self.counts["jobs ordered"] += 1
        elif chance.random() < 0.05:  # noqa: PLR2004 - every fifth job or so.
            chosen = chance.choice(unfinished).id
            # Noted before: a restart may come between deed and answer.
            self._cancelled.add(chosen)
            try:
                client.fine_tuning.jobs.cancel(chosen)
                self.counts["jobs cancelled"] += 1
            except openai.BadRequestError:
                self.counts["cancelled too late"] += 1
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
                    break
                time.sleep(0.5)
            lost = set(self._ordered) - set(jobs)
            self.wrong += [f"{len(lost)} jobs are lost"] if lost else []
            for job_id, job in jobs.items():
                self.counts[f"jobs {job.status} in the end"] += 1
                if job.status == "succeeded":
                    self._check_model(client, job)
                elif job.status != "cancelled" or job_id not in self._cancelled:
                    self.wrong.append(f"a job is {job.status}: {job.error}")
        left = [p for p in self.data_dir.rglob("*") if p.suffix in {".bin", ".pt"}]
        self.wrong += [f"{path.name} is left" for path in left]

    def _check_model(self, client: openai.OpenAI, job: Any) -> None:
        events = client.fine_tuning.jobs.list_events(job.id, limit=1000)
        told = [event.data["step"] for event in events if event.type == "metrics"]  # type: ignore[index]  # a dict in each of them.
        if told[::-1] != list(range(1, 10 * job.hyperparameters.n_epochs + 1)):
            self.wrong.append("a job's steps are not told once each")
        client.chat.completions.create(
            model=job.fine_tuned_model, messages=QUESTION, max_tokens=1
        )


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
    for what, count in sorted(load.counts.items()):
        print(f"| {what} | {count:,} |")
    for number, life in enumerate(load.lives, 1):
        megabytes = [size / 1e6 for size in life[len(life) // 3 :]] or [0.0]
        half = len(megabytes) // 2 or 1
        early, late = (
            statistics.mean(part) for part in (megabytes[:half], megabytes[-half:])
        )
        print(
            f"| server's memory in life {number}, second and last third "
            f"| {early:.0f}, {late:.0f} MB |"
        )
    print(f"| went wrong | {load.wrong or 'nothing'} |")


if __name__ == "__main__":
    main()
