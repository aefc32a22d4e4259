"""A training on another server with OpenAI's protocol; its host and its key."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from langchain_chatexports.datasets.training_data import TrainingData
from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.workflows.train import quiet_interrupts
from langchain_chatexports.workflows.training_events import (
    EventReader,
    JobEvent,
    OnEvent,
    StoppedEvent,
)

OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_URL = "http://127.0.0.1:11434/v1"

THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


def train_elsewhere(
    data: TrainingData,
    base: str,
    base_url: str,
    *,
    confirm: Callable[[str, Any], bool],
    on_event: OnEvent | None = None,
) -> str:
    """Upload the examples to another server, fine-tune there, and wait.

    The names of the person and of the export are not sent.
    """
    from langchain_chatexports.finetuning.connection import public_url
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

    data.require_enough()
    host = urlsplit(public_url(base_url)).netloc
    events = EventReader()
    is_sent = False
    job_id: str | None = None

    def tell(event: Any) -> None:
        if on_event and event is not None:
            on_event(event)

    def confirm_upload(estimate: Any) -> bool:
        nonlocal is_sent
        is_sent = confirm(host, estimate)
        return is_sent

    tuner: ChatFineTuner = ChatFineTuner(
        model=base,
        base_url=base_url,
        validation_examples=list(data.validation) or None,
        on_event=lambda event: tell(events.read(event.model_dump(warnings=False))),
        confirm=confirm_upload,
    )
    with quiet_interrupts():
        try:
            run = tuner.submit(data.examples)
            job_id = run.id
            tell(JobEvent(job_id, "trained" if run.status == "succeeded" else "new"))
            run.wait()
        except (KeyboardInterrupt, SystemExit):
            tell(StoppedEvent(job_id, "elsewhere" if is_sent else "nothing sent"))
            raise
    return str(run.chat_model().model_name)


def host_of(base_url: str) -> str:
    """Return the host of a server's address."""
    return urlsplit(base_url).hostname or base_url


def key_for(base_url: str) -> str:
    """Return the key for another server, from `OPENAI_API_KEY`.

    Servers on this machine, such as Ollama, need none.

    Raises:
        FineTuningError: If there is none.
    """
    from langchain_chatexports.finetuning.connection import public_url

    key = os.environ.get("OPENAI_API_KEY")
    if not key and host_of(base_url) in THIS_MACHINE:
        return "none"
    if not key:
        msg = f"There is no key for {public_url(base_url)}. Set OPENAI_API_KEY."
        raise FineTuningError(msg)
    return key
