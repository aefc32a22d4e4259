"""The child process in which llama.cpp runs, with one base and at most one adapter.

llama.cpp ends its process on some errors (`GGML_ASSERT`), writes to standard output and
error, sets handlers for signals, and cannot return the memory of a model to a process
that continues. So it runs in a process of its own, which answers over pipes: the first
line of standard input has the settings, each further one a task or the number of a task
to cancel; each line of standard output has a piece of an answer. The process ends when
standard input is closed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.bases.llama_cpp_server import open_server

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ChildSettings", "main"]

# A cancelled task ends with the batch that is being computed.
_BATCH = 64
_MORE_MEMORY_BYTES = 2_000_000_000


@dataclass(frozen=True)
class ChildSettings:
    """What a process loads."""

    model: str
    """The base's `.gguf` file."""

    adapter: str | None
    """The adapter's `.gguf` file."""

    threads: int
    context: int
    """Tokens of all answers that are written at the same time, prompts included."""

    slots: int
    """How many answers may be written at the same time."""

    embeds: bool = False
    """Whether the process computes embeddings instead of answers."""

    def to_json(self) -> bytes:
        """Return the settings as one line of JSON."""
        return json.dumps(asdict(self)).encode("ascii") + b"\n"


class _Output:
    """Lines of JSON on the standard output that the process started with."""

    def __init__(self) -> None:
        # What llama.cpp prints can hold parts of messages.
        sys.stdout.flush()
        self._file = os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        os.close(nothing)
        self._lock = threading.Lock()

    def send(self, value: dict[str, Any]) -> None:
        line = json.dumps(value).encode("ascii") + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()


class _Tasks:
    """The tasks of the parent process, each in a thread of its own."""

    def __init__(self, server: Any, output: _Output) -> None:
        self._output = output
        self._complete = server.handle_completions
        self._embed = server.handle_embeddings
        self._cancelled: set[int] = set()

    def take(self, line: dict[str, Any]) -> None:
        if "cancel" in line:
            self._cancelled.add(line["cancel"])
        else:
            threading.Thread(target=self._run, args=(line,), daemon=True).start()

    def _run(self, task: dict[str, Any]) -> None:
        # llama.cpp refuses surrogates that stand alone.
        text = json.dumps(task["body"], ensure_ascii=False)
        number, body = task["id"], text.encode("utf-8", "replace")
        try:
            if task["route"] == "embeddings":
                self._send(number, _embeddings(json.loads(self._embed(body))))
            else:
                self._answer(number, body)
        except Exception as error:  # noqa: BLE001 - its text can hold a message's.
            self._send(number, {"failed": type(error).__name__})
        self._cancelled.discard(number)
        self._send(number, {"done": True})

    def _answer(self, number: int, body: bytes) -> None:
        def on_chunk(chunk: bytes) -> bool:
            """Return whether to stop."""
            if number in self._cancelled:
                return True
            for piece in _pieces(json.loads(chunk)):
                self._send(number, piece)
            return False

        self._complete(body, on_chunk)

    def _send(self, number: int, fields: dict[str, Any]) -> None:
        self._output.send({"id": number, **fields})


def _pieces(chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Convert llama.cpp's chunk to the fields of `TextPiece`."""
    if "choices" not in chunk:
        yield _failure(chunk)
        return
    for choice in chunk["choices"]:
        found = {
            "text": choice["text"],
            "logprobs": (choice["logprobs"] or {}).get("content"),
            "finish_reason": choice["finish_reason"],
        }
        piece = {name: value for name, value in found.items() if value}
        if choice["finish_reason"]:
            usage = chunk["usage"]
            piece["tokens"] = usage["completion_tokens"]
            piece["prompt_tokens"] = usage["prompt_tokens"]
            piece["cached_tokens"] = usage["prompt_tokens_details"]["cached_tokens"]
        # Without text, it only says how far the prompt has been read.
        if piece:
            yield {"index": choice["index"], **piece}


def _failure(answer: dict[str, Any]) -> dict[str, Any]:
    # Not its message, which can quote the request.
    return {"code": answer.get("error", answer).get("code", 500)}


def _embeddings(answer: dict[str, Any]) -> dict[str, Any]:
    if "data" not in answer:
        return _failure(answer)
    ordered = sorted(answer["data"], key=lambda each: each["index"])
    return {"embeddings": [each["embedding"] for each in ordered]}


def main() -> None:
    """Run as the child process of a `LlamaCppProcess`."""
    output = _Output()
    _forbid_core_dumps()
    settings = ChildSettings(**json.loads(sys.stdin.buffer.readline()))
    try:
        server = _load(settings)
    except Exception as error:  # noqa: BLE001 - the parent takes another engine.
        output.send({"failed": type(error).__name__})
        os._exit(1)
    _limit_memory()
    output.send({"ready": True})
    tasks = _Tasks(server, output)
    for line in sys.stdin.buffer:
        tasks.take(json.loads(line))
    # Without waiting for answers that nobody reads.
    os._exit(0)


def _forbid_core_dumps() -> None:
    """Keep messages out of the file that some systems write of an aborted process."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_memory() -> None:
    """Let a task that takes much more memory than answers need end this process.

    A schema with `"minItems": 1000000000`, for example, becomes a grammar of that many
    rules. Only Linux counts and limits what a process asks for.
    """
    if sys.platform == "linux":
        import resource

        import psutil

        most = psutil.Process().memory_info().vms + _MORE_MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _load(settings: ChildSettings) -> Any:
    # The folder that it was started in may be gone.
    os.chdir(os.path.sep)
    with open_server(_parameters(settings)) as server:
        return server


def _parameters(settings: ChildSettings) -> Any:
    import xllamacpp

    given = xllamacpp.CommonParams()
    given.model.path = settings.model
    if settings.adapter is not None:
        given.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(settings.adapter, 1.0)]
    given.n_ctx = settings.context
    given.n_parallel = settings.slots
    # One cache for all answers: a long one may take the room of several short ones.
    given.kv_unified = True
    given.n_batch = given.n_ubatch = _BATCH
    for threads in (given.cpuparams, given.cpuparams_batch):
        threads.n_threads = settings.threads
        # Waiting threads sleep; others need the processor.
        threads.poll = 0
    given.verbosity = 0
    given.warmup = False
    given.fit_params = False
    given.cache_ram_mib = 0
    if settings.embeds:
        given.embedding = True
        given.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        # A text must fit into one batch.
        given.n_batch = given.n_ubatch = settings.context
    return given
