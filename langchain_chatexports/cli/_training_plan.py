"""Which bases `chatexports finetune` proposes, by memory and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports.cli._console import say

if TYPE_CHECKING:
    from typing import Any

__all__ = ["say_larger_bases"]

# What a person may wait for without having asked for more.
_USUAL_SECONDS = 3600


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
            f"{_duration(base.training_seconds(measured)):>9}  {base.license}"
        )
    in_time = [b for b in larger if b.training_seconds(measured) <= _USUAL_SECONDS]
    if in_time:
        say(f"  To train the best of them in an hour: --base {in_time[-1].hub_id}")


def _duration(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes < 100:  # noqa: PLR2004 - two digits
        return f"{minutes} min"
    return f"{seconds / 3600:.1f} h"
