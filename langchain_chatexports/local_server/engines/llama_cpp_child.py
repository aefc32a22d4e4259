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
from typing import Any

from langchain_chatexports.local_server.bases.llama_cpp_server import open_server
from langchain_chatexports.local_server.processes import limit_memory, take_output

# Simultaneous answers of a model.
_MAX_SLOTS = 8

# A cancelled request ends with its current batch.
_BATCH = 64
_HTTP_THREADS = 16
_MORE_MEMORY_BYTES = 2_000_000_000


def main() -> None:
    """Serve until standard input is closed."""
    output = take_output()
    settings = json.loads(sys.stdin.buffer.readline())
    # The folder in which it was started may be gone.
    os.chdir(os.path.sep)
    with open_server(_parameters(**settings)) as address:
        # A schema can become a grammar of a billion rules.
        limit_memory(_MORE_MEMORY_BYTES)
        with output as file:
            file.write(json.dumps({"address": address}).encode("ascii") + b"\n")
        sys.stdin.buffer.read()
    # Do not wait for answers whose clients are gone.
    os._exit(0)


def _parameters(
    *,
    model: str,
    adapter: str | None,
    name: str,
    template: str,
    key: str,
    threads: tuple[int, int],
    context: int,
) -> Any:
    """Return llama.cpp's parameters.

    `model` and `adapter` are `.gguf` files, `name` the model's name in answers, and
    `template` the chat template of training, in Jinja. `threads` are for one answer,
    and for prompts and simultaneous answers. `context` is the number of tokens for all
    simultaneous answers, prompts included.
    """
    import xllamacpp

    given = xllamacpp.CommonParams()
    given.model.path = model
    given.model_alias = {name}
    given.chat_template = template
    given.prefill_assistant = False
    given.api_keys = [key]
    if adapter is not None:
        given.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(adapter, 1.0)]
    given.n_ctx = context
    given.n_parallel = _MAX_SLOTS
    # One cache for all answers, so that a long one may use the space of several short
    # ones.
    given.kv_unified = True
    given.n_batch = given.n_ubatch = _BATCH
    given.n_threads_http = _HTTP_THREADS
    given.cpuparams.n_threads, given.cpuparams_batch.n_threads = threads
    # Waiting threads sleep; others need the processor.
    given.cpuparams.poll = given.cpuparams_batch.poll = 0
    given.verbosity = 0
    given.warmup = False
    given.fit_params = False
    given.cache_ram_mib = 0
    return given
