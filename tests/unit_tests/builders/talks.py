"""A loader of random chats with several people, paces, and missing times."""

import random
from typing import Any, cast

from langchain_core.chat_sessions import ChatSession

from tests.unit_tests.builders.sessions import ExportLoader, said

__all__ = ["PEOPLE", "TITLES", "all_texts", "talks"]

PEOPLE = ("Zebulon Quixworth", "Ottoline Fennimore", "Barnaby Wexcombe", "李雷 Xu")
TITLES = ("Vermilion Society", "Gloaming Club", "Pemberton Street")
_PRIVATE = ("mail zebulon@pond.example", "call +1 555 010 9999", "ask Ottoline again")


def talks(seed: int = 1, threads: int = 6, length: int = 120) -> ExportLoader:
    """Create a loader of random threads; the first of `PEOPLE` owns the export."""
    rng = random.Random(seed)
    sessions = [_thread(rng, number, length) for number in range(threads)]
    return ExportLoader(sessions, path="/exports/fenwick.json", owner=PEOPLE[0])


def all_texts(loader: ExportLoader) -> list[str]:
    """Return the texts of all messages that the loader does not skip."""
    return [
        str(message.content)
        for session in loader.sessions
        for message in session["messages"]
        if message is not None
    ]


def _thread(rng: random.Random, number: int, length: int) -> ChatSession:
    people = [PEOPLE[0], *rng.sample(PEOPLE[1:], rng.randint(1, 3))]
    time, messages = rng.randint(0, 40_000_000), []
    for index in range(rng.randint(length // 2, length)):
        time += int(rng.choice([rng.expovariate(1 / 40), rng.expovariate(1 / 50_000)]))
        sender = rng.choice(people)
        messages.append(
            said(
                sender,
                _text(rng, f"w{number}x{index}"),
                at=None if rng.random() < 0.05 else time,
                message_id=f"m{number}-{index}",
                is_from_me=sender == PEOPLE[0],
            )
        )
    skipped: list[Any] = [None] * rng.randint(0, 3)
    metadata = {
        "id": f"thread-{number}",
        "title": TITLES[number % len(TITLES)],
        "participants": people,
        "is_group": len(people) > 2,
    }
    session: Any = {"messages": [*messages, *skipped], "metadata": metadata}
    return cast("ChatSession", session)


def _text(rng: random.Random, word: str) -> str:
    words = [f"{word}{chr(97 + i)}{'é' * rng.randint(0, 9)}" for i in range(9)]
    text = " ".join(words[: rng.randint(1, 9)])
    return f"{text} {rng.choice(_PRIVATE)}" if rng.random() < 0.2 else text
