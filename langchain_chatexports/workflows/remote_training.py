"""Train on another OpenAI-compatible server."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.workflows.training_data import TrainingData
from langchain_chatexports.workflows.training_events import (
    EventReader,
    JobEvent,
    OnEvent,
    StoppedEvent,
)

OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_URL = "http://127.0.0.1:11434/v1"

THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


def train_remotely(
    data: TrainingData,
    base: str,
    base_url: str,
    *,
    confirm: Callable[[str, Any], bool],
    on_event: OnEvent | None = None,
) -> str:
    """Upload the examples to another server, and wait until the model is trained.

    The names of the person and the export are not sent.
    """
    from langchain_chatexports.finetuning.settings import public_url
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

    data.check_size()
    host = urlsplit(public_url(base_url)).netloc
    events = EventReader()
    was_confirmed = False
    job_id: str | None = None

    def emit(event: Any) -> None:
        if on_event and event is not None:
            on_event(event)

    def confirm_upload(estimate: Any) -> bool:
        nonlocal was_confirmed
        was_confirmed = confirm(host, estimate)
        return was_confirmed

    tuner: ChatFineTuner = ChatFineTuner(
        model=base,
        base_url=base_url,
        validation_examples=list(data.validation) or None,
        on_event=lambda event: emit(
            events.read_remote(event.model_dump(warnings=False))
        ),
        confirm=confirm_upload,
    )
    with _silence_interrupt_log():
        try:
            run = tuner.submit(data.examples)
            job_id = run.id
            emit(JobEvent(job_id, "trained" if run.status == "succeeded" else "new"))
            run.wait()
        except (KeyboardInterrupt, SystemExit):
            emit(
                StoppedEvent(
                    job_id,
                    "elsewhere" if was_confirmed else "nothing sent",
                    host=host,
                )
            )
            raise
    return str(run.chat_model().model_name)


def get_host(base_url: str) -> str:
    """Return the host of a server's address."""
    return urlsplit(base_url).hostname or base_url


def get_api_key(base_url: str) -> str:
    """Return the API key for another server, from `OPENAI_API_KEY`.

    Servers on this machine, such as Ollama, do not need a key.

    Raises:
        FineTuningError: If the variable is not set.
    """
    from langchain_chatexports.finetuning.settings import public_url

    key = os.environ.get("OPENAI_API_KEY")
    if not key and get_host(base_url) in THIS_MACHINE:
        return "none"
    if not key:
        msg = f"No API key for {public_url(base_url)}. Set OPENAI_API_KEY."
        raise FineTuningError(msg)
    return key


@contextmanager
def _silence_interrupt_log() -> Iterator[None]:
    """Silence the tuner's log about interruptions, which are reported as events."""
    logger = logging.getLogger("langchain_chatexports.finetuning.connection")
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False
