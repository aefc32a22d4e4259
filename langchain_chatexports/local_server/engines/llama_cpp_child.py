"""A child process with llama.cpp's own server, a base and its adapters.

llama.cpp aborts on some errors (`GGML_ASSERT`), writes to standard output and error,
and installs signal handlers. It frees the model after some time without requests.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.bases.llama_cpp_server import open_server
from langchain_chatexports.local_server.errors import describe_missing
from langchain_chatexports.local_server.processes import (
    claim_stdout,
    limit_memory,
    write_message,
)

# Concurrent requests.
_MAX_SLOTS = 8
# Small, because a cancelled request still completes its current batch.
_BATCH = 64
_HTTP_THREADS = 16
_EXTRA_MEMORY_BYTES = 2_000_000_000


def main() -> None:
    """Serve until the parent ends, which closes standard input."""
    output = claim_stdout()
    settings = json.loads(sys.stdin.buffer.readline())
    # The working directory may be deleted in the meantime.
    os.chdir(os.path.sep)
    if not Path(settings["model"]).is_file():
        write_message(output, {"error": describe_missing(settings["model"])})
        os._exit(1)
    with open_server(_parameters(**settings)) as address:
        # A schema can expand to a grammar of a billion rules.
        limit_memory(_EXTRA_MEMORY_BYTES)
        write_message(output, {"address": address})
        sys.stdin.buffer.read()
    # Do not wait for running requests.
    os._exit(0)


def _parameters(
    *,
    model: str,
    name: str,
    adapters: list[str],
    template: str,
    key: str,
    threads: int,
    context: int,
    idle_seconds: int,
) -> Any:
    """Return llama.cpp's parameters.

    `model` and `adapters` are `.gguf` files, `name` is the base's name in responses,
    and `template` the chat template in Jinja. `context` is the number of tokens for all
    concurrent requests, including their prompts.
    """
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {name}
    params.chat_template = template
    params.prefill_assistant = False
    params.api_keys = [key]
    params.lora_adapters = [
        xllamacpp.CommonAdapterLoraInfo(adapter, 1.0) for adapter in adapters
    ]
    # Each request says which.
    params.lora_init_without_apply = True
    params.n_ctx = context
    params.n_parallel = _MAX_SLOTS
    # A shared cache, so that a long reply can use the space of several short ones.
    params.kv_unified = True
    params.n_batch = params.n_ubatch = _BATCH
    params.n_threads_http = _HTTP_THREADS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    # Waiting threads sleep instead of spinning.
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.sleep_idle_seconds = idle_seconds
    params.verbosity = 0
    params.warmup = False
    params.fit_params = False
    params.cache_ram_mib = 0
    return params


if __name__ == "__main__":
    main()
