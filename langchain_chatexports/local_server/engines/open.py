"""Choose the engine of a base: llama.cpp if possible, otherwise transformers."""

from collections.abc import Callable

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.base import Base
from langchain_chatexports.local_server.bases.devices import (
    choose_device,
    has_nvidia_driver,
)
from langchain_chatexports.local_server.bases.gguf import find_gguf
from langchain_chatexports.local_server.bases.gguf_adapter import GGUFNotSupportedError
from langchain_chatexports.local_server.bases.preparation import find_directory
from langchain_chatexports.local_server.bases.template import (
    TemplateError,
    read_template,
)
from langchain_chatexports.local_server.engines.llama_cpp import LlamaCppEngine
from langchain_chatexports.local_server.engines.transformers import TransformersEngine
from langchain_chatexports.local_server.processes import call_in_child, thread_count


def open_engine(
    base: Base,
    *,
    threads: int | None = None,
    is_training: Callable[[], bool] = lambda: False,
) -> LlamaCppEngine | TransformersEngine:
    """Open a base and choose the engine that answers with it.

    A base from the hub is downloaded, and the first time, child processes read it.

    Args:
        base: The base.
        threads: The number of threads; by default, of physical cores.
        is_training: Returns whether a job is training on this machine. The engine then
            uses one thread, because they compete for the same cores.

    Raises:
        LocalServerError: If the base is not supported.
    """
    directory = find_directory(base)
    try:
        template = read_template(directory)
    except TemplateError as error:
        msg = f"{base.name} cannot be used: {error}."
        raise LocalServerError(msg) from error
    count = threads or thread_count()

    def use_transformers(reason: str) -> TransformersEngine:
        return TransformersEngine(
            directory, template, reason=reason, threads=count, is_training=is_training
        )

    if has_nvidia_driver() and call_in_child(choose_device) == "cuda":
        return use_transformers("which uses the GPU")
    try:
        gguf = find_gguf(base)
    except GGUFNotSupportedError as error:
        return use_transformers(f"because llama.cpp cannot run this base: {error}")
    scorer = use_transformers("because llama.cpp cannot load this model")
    return LlamaCppEngine(
        base, template, gguf, scorer, threads=count, is_training=is_training
    )
