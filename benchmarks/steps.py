"""The cost of each step per message, and the peak memory of the pipe.

Run `python -m benchmarks.steps` (20,000 messages, seconds) or with `--messages 1000000`
from the repository's root. Sessions are synthetic: of 400 messages of two people, in
four languages, with numbers and names in one of fifteen. Times are CPU time of one
process; the memory is the peak of a process that runs the pipe and writes nothing.
Measured 2026-11-20 on two shared cores, Python 3.11; the figures are in the docs pages.
"""

from __future__ import annotations

import argparse
import random
import time
from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import HumanMessage

from benchmarks.private_lines import PEOPLE, labeled_lines
from langchain_chatexports.steps import (
    ChunkSessions,
    LabelSpeakers,
    MapAIMessages,
    MergeChatRuns,
    Redact,
    SelectSessions,
    SessionTransform,
    SplitSessions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.chat_sessions import ChatSession

_LENGTH = 400
_PRIVATE_IN = 15
_START = 1_600_000_000


def sessions(messages: int, seed: int = 2026) -> Iterator[ChatSession]:
    """Make sessions with so many messages together, one at a time."""
    rng = random.Random(seed)
    lines = labeled_lines(seed)
    private = [line.text for line in lines if line.spans]
    plain = [line.text for line in lines if not line.spans]
    for number in range(messages // _LENGTH):
        moment, made = _START, []
        for index in range(_LENGTH):
            moment += 30 if rng.random() < 0.95 else 40_000  # noqa: PLR2004 - a share
            is_mine = rng.random() < 0.5  # noqa: PLR2004 - a share
            texts = plain if rng.randrange(_PRIVATE_IN) else private
            kwargs: dict[str, Any] = {
                "message_time": moment,
                "sender": "Me" if is_mine else PEOPLE[number % 12],
                "is_from_me": is_mine,
                "events": [{"message_time": "2020-09-13T12:26:40+00:00"}],
            }
            made.append(
                HumanMessage(
                    content=rng.choice(texts), additional_kwargs=kwargs, id=f"m{index}"
                )
            )
        session: Any = {"messages": made, "metadata": {"id": f"s{number}"}}
        yield cast("ChatSession", session)


def main() -> None:
    """Print the table, and the pipe's time and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=20_000)
    options = parser.parse_args()
    prepared = list(sessions(min(options.messages, 20_000)))
    mapped = MapAIMessages().invoke(prepared)
    steps: list[SessionTransform] = [
        SplitSessions(),
        SplitSessions(max_messages=50),
        SelectSessions(min_turns=2, min_ai_share=0.1),
        Redact(key="benchmark", names=PEOPLE),
        MergeChatRuns(),
        MapAIMessages(),
        LabelSpeakers(only_groups=False),
        ChunkSessions(),
        ChunkSessions(max_tokens=400, overlap_as_context=True),
    ]
    print("microseconds a message")
    for step in steps:
        given = prepared if isinstance(step, MapAIMessages) else mapped
        print(f"{_microseconds(step, given):>8.2f}  {step!r}")
    pipe = (
        SplitSessions()
        | Redact(key="benchmark", names=PEOPLE)
        | MergeChatRuns()
        | MapAIMessages()
        | ChunkSessions(keep_tail=True)
    )
    begin = time.process_time()
    for session in sessions(options.messages):
        del session
    making = time.process_time() - begin
    begin = time.process_time()
    windows = sum(1 for _ in pipe.lazy_transform(sessions(options.messages)))
    taken = time.process_time() - begin - making
    print(
        f"pipe: {options.messages:,} messages, {windows:,} windows, "
        f"{1e6 * taken / options.messages:.1f} microseconds a message, "
        f"{_peak_megabytes():.0f} MB at most"
    )


def _microseconds(step: SessionTransform, prepared: list[ChatSession]) -> float:
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()
        for session in prepared:
            for output in step.transform_session(session):
                del output
        best = min(best, time.process_time() - begin)
    return 1e6 * best / sum(len(session["messages"]) for session in prepared)


def _peak_megabytes() -> float:
    import resource  # Not on Windows.

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
