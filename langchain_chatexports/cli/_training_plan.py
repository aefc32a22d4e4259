"""Before a training: which base it takes or proposes, and the check of its examples."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import typer

from langchain_chatexports._terminal import short_duration
from langchain_chatexports.cli._console import Meter, confirmed, say, watching
from langchain_chatexports.exceptions import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from langchain_chatexports.datasets.examples import TrainingExample

__all__ = ["checking", "choose_base", "say_larger_bases"]

# What a person may wait for without having asked for more.
_USUAL_SECONDS = 3600
# Fewer examples are checked in two seconds.
_MIN_LONG_CHECK = 500


def say_larger_bases(event: Any) -> None:
    """Say what larger bases would take, after the default's training was measured.

    Args:
        event: An event of the job (the SDK's `FineTuningJobEvent`); others than that of
            the measurement are ignored.
    """
    data = event.data if isinstance(event.data, dict) else {}
    measured = data.get("estimated_seconds")
    if not isinstance(measured, (int, float)):
        return
    from langchain_chatexports.local_server import fitting_bases

    larger = fitting_bases()[1:]
    if not larger:
        return
    say("  Larger bases talk better. Estimated from this measurement:")
    for base in larger:
        say(
            f"    {base.hub_id:36} {base.download_bytes / 1e9:>4.1f} GB "
            f"{short_duration(base.training_seconds(measured)):>9}  {base.license}"
        )
    in_time = [b for b in larger if b.training_seconds(measured) <= _USUAL_SECONDS]
    if in_time:
        say(f"  The best of them within an hour: --base {in_time[-1].hub_id}")


def choose_base(
    seconds: float,
    examples: Sequence[TrainingExample],
    validation: Sequence[TrainingExample],
    *,
    epochs: int | None,
    agreed: bool,
) -> str | None:
    """Choose the largest base that fits this machine's memory and a time.

    Args:
        seconds: The time.
        examples: What to train on.
        validation: What is held out.
        epochs: Passes over the data; `None` for the server's own rule.
        agreed: Whether to download a base without asking.

    Returns:
        The base; `None` for the default.

    Raises:
        LocalServerError: If the machine cannot be measured, or the base would have to
            be downloaded and nobody agreed to that.
    """
    from langchain_chatexports.local_server import fitting_bases
    from langchain_chatexports.local_server.training import speed

    say("Measuring this machine …")
    machine = speed.measure_machine()
    of_default = speed.estimate_seconds(machine, examples, validation, epochs=epochs)
    smallest, *larger = fitting_bases()
    in_time = [b for b in larger if b.training_seconds(of_default) <= seconds]
    chosen = in_time[-1] if in_time else smallest
    took = short_duration(chosen.training_seconds(of_default))
    if of_default > seconds:
        say(f"Even the smallest base takes longer than that: about {took}.")
    else:
        say(f"Best base in that time: {chosen.hub_id}, about {took} (estimated)")
    if chosen is smallest:
        return None
    _agree_to_download(chosen.hub_id, chosen.download_bytes, agreed=agreed)
    return chosen.hub_id


def checking(
    total: int, *, base_url: str, api_key: str | None = None, **_: Any
) -> AbstractContextManager[None]:
    """Show how far the local server is with the check of the examples.

    It counts the tokens of all of them before it answers, which can take minutes.

    Args:
        total: How many examples it checks.
        base_url: The server.
        api_key: Its key; `None` for another server, which has no such count.
    """
    if api_key is None or total < _MIN_LONG_CHECK:
        return nullcontext()
    from openai import OpenAI, OpenAIError

    client = OpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=5)
    counts = [0]

    def checked() -> int:
        with suppress(OpenAIError, KeyError, TypeError):
            answer: Any = client.get("/checked_examples", cast_to=object)
            counts.append(int(answer["count"]))
        return counts[-1]

    before = checked()
    return watching(Meter("examples checked", lambda: checked() - before, total))


def _agree_to_download(hub_id: str, size_bytes: int, *, agreed: bool) -> None:
    from langchain_chatexports.local_server import describe_base
    from langchain_chatexports.local_server.bases.description import needs_download

    if not needs_download(describe_base(hub_id)):
        return
    size = f"{size_bytes / 1e9:.1f} GB"
    say(f"It is not on this machine: {size} from huggingface.co")
    msg = f"The download of {size} needs --yes here, so nothing was trained."
    if not confirmed("Download it?", agreed=agreed, refusal=LocalServerError(msg)):
        raise typer.Abort
