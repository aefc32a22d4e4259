"""The child process with llama.cpp's own server, one base and at most one adapter.

llama.cpp ends its process on some errors (`GGML_ASSERT`), writes to standard output and
error, sets handlers for signals, and cannot return the memory of a model to a process
that continues. So it runs in a process of its own: the first line of standard input has
the settings, the first line of standard output the server's address. The process ends
when standard input is closed.
"""

import json
import os
import sys
from dataclasses import dataclass, field
from typing import Any

from langchain_chatexports.local_server.bases.llama_cpp_server import open_server
from langchain_chatexports.local_server.processes import limit_memory, take_output

# A cancelled request ends with its current batch.
_BATCH = 64
_HTTP_THREADS = 16
_MORE_MEMORY_BYTES = 2_000_000_000


@dataclass(frozen=True)
class ChildSettings:
    """The settings of a child process."""

    model: str
    """The base's `.gguf` file."""

    adapter: str | None
    """The adapter's `.gguf` file."""

    name: str
    """The model's name in answers."""

    template: str
    """The chat template of training, in Jinja."""

    key: str = field(repr=False)
    threads: int
    """The threads for one answer."""

    batch_threads: int
    """The threads for prompts, and for several answers at the same time."""

    context: int
    """The number of tokens for all simultaneous answers, prompts included."""

    slots: int
    """The maximum number of simultaneous answers."""


def main() -> None:
    """Serve until standard input is closed."""
    output = take_output()
    _forbid_core_dumps()
    settings = ChildSettings(**json.loads(sys.stdin.buffer.readline()))
    # The folder in which it was started may be gone.
    os.chdir(os.path.sep)
    with open_server(_parameters(settings)) as address:
        # A schema can become a grammar of a billion rules.
        limit_memory(_MORE_MEMORY_BYTES)
        with output as file:
            file.write(json.dumps({"address": address}).encode("ascii") + b"\n")
        sys.stdin.buffer.read()
    # Do not wait for answers whose clients are gone.
    os._exit(0)


def _forbid_core_dumps() -> None:
    """Keep messages out of core dumps."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _parameters(settings: ChildSettings) -> Any:
    import xllamacpp

    given = xllamacpp.CommonParams()
    given.model.path = settings.model
    given.model_alias = {settings.name}
    given.chat_template = settings.template
    given.prefill_assistant = False
    given.api_keys = [settings.key]
    if settings.adapter is not None:
        given.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(settings.adapter, 1.0)]
    given.n_ctx = settings.context
    given.n_parallel = settings.slots
    # One cache for all answers, so that a long one may use the space of several short
    # ones.
    given.kv_unified = True
    given.n_batch = given.n_ubatch = _BATCH
    given.n_threads_http = _HTTP_THREADS
    given.cpuparams.n_threads = settings.threads
    given.cpuparams_batch.n_threads = settings.batch_threads
    for threads in (given.cpuparams, given.cpuparams_batch):
        # Waiting threads sleep; others need the processor.
        threads.poll = 0
    given.verbosity = 0
    given.warmup = False
    given.fit_params = False
    given.cache_ram_mib = 0
    return given
