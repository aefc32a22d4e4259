"""Startup: checks the extra and the base, and locks the data directory."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import LocalServerError, MissingExtraError
from langchain_chatexports.local_server.bases.description import (
    describe_base,
    signature_of,
)
from langchain_chatexports.local_server.bases.preparation import prepare_base
from langchain_chatexports.local_server.bases.weights import check_weights
from langchain_chatexports.local_server.engines.choice import choose_engine
from langchain_chatexports.local_server.processes import default_threads
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    default_data_dir,
)
from langchain_chatexports.local_server.storage.locks import only_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from langchain_chatexports.local_server.http.service import LocalService
    from langchain_chatexports.local_server.settings import ServerSettings

__all__ = ["check_extra", "open_service"]

logger = logging.getLogger(__name__)

_PACKAGES = (
    "fastapi",
    "uvicorn",
    "multipart",
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "gguf",
    "httpx",
    "platformdirs",
    "psutil",
)


def check_extra() -> None:
    """Check that the extra is installed, before something long begins.

    Raises:
        MissingExtraError: If one of its packages is missing.
    """
    if any(find_spec(name) is None for name in _PACKAGES):
        feature = "The local server"
        raise MissingExtraError(feature, "local")


@contextmanager
def open_service(settings: ServerSettings) -> Iterator[LocalService]:
    """Open a data directory with a base; nothing is trained or loaded.

    Args:
        settings: Checked settings.

    Yields:
        The service; the data directory is locked until the context ends.

    Raises:
        LocalServerError: If another server uses the data directory, or the base cannot
            be read.
        MissingExtraError: If the base needs the extra `qlora`.
    """
    description = describe_base(settings.base)
    data = DataDirectory(settings.data_dir or default_data_dir())
    data.prepare()
    with only_server(data):
        directory = prepare_base(description)
        _check_chat_template(directory)
        check_weights(directory)
        choice = choose_engine(description, directory)
        logger.info("Answers by %s", choice)
        for name in settings.aliases:
            logger.warning("%s is an alias of %s here", name, description.name)
        from langchain_chatexports.local_server.http.service import LocalService

        yield LocalService(
            data,
            base=settings.base,
            base_model=description.name,
            base_directory=directory,
            signature=signature_of(directory),
            engine=choice,
            aliases=settings.aliases,
            threads=settings.threads or default_threads(),
            batch_threads=settings.threads or os.cpu_count(),
            max_training_jobs=settings.max_training_jobs,
            resume_jobs=settings.resume_jobs,
        )


def _check_chat_template(directory: Path) -> None:
    if (directory / "chat_template.jinja").exists():
        return
    for name in ("tokenizer_config.json", "chat_template.json"):
        path = directory / name
        if path.exists() and "chat_template" in path.read_text("utf-8", "replace"):
            return
    msg = (
        f"The base model in {directory} has no chat template. Use an instruction-tuned "
        "model: its name often ends in -Instruct, -Chat or -it."
    )
    raise LocalServerError(msg)
