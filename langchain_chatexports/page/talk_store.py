"""The talks that are kept on this machine, as lists show them."""

import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports.local_server import Model
from langchain_chatexports.personas.reply_limits import split_bubbles
from langchain_chatexports.workflows.saved_talks import (
    SavedTalk,
    TalkFolder,
    model_talks,
    person_talks,
)


@dataclass(frozen=True)
class TalkSummary:
    """A kept talk."""

    id: str
    person: str
    time: float
    """When it last changed, in Unix seconds."""

    model: str = ""
    """The name of the model that it is kept with; empty for none."""

    first: str = ""
    """Its first message."""

    last: str = ""
    """Its last message."""

    answers: int = 0

    @classmethod
    def of(cls, talk: SavedTalk, person: str, model: str = "") -> "TalkSummary":
        """Return a talk as lists show it."""
        texts = [turn.answer or turn.line for turn in talk.turns] or [talk.draft]
        first = talk.turns[0].line if talk.turns else talk.draft
        return cls(
            talk.id,
            person,
            talk.changed_at.timestamp(),
            model,
            next(iter(split_bubbles(first)), ""),
            next(iter(split_bubbles(texts[-1])[::-1]), ""),
            sum(bool(turn.answer) for turn in talk.turns),
        )


class TalkStore:
    """Reads the talks again where a folder has changed."""

    def __init__(self, index_dir: Path | None) -> None:
        self.people = person_talks(index_dir)
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[int, list[SavedTalk]]] = {}

    def summaries(self, models: Iterable[Model]) -> tuple[TalkSummary, ...]:
        """Return all talks, newest first."""
        with self._lock:
            kept = (talk for talk in self._talks(self.people) if talk.person)
            found = [TalkSummary.of(talk, talk.person) for talk in kept]
            for model in models:
                person = model.person or model.title
                talks = self._talks(model_talks(model))
                found += [TalkSummary.of(talk, person, model.name) for talk in talks]
        return tuple(sorted(found, key=lambda talk: -talk.time))

    def _talks(self, folder: TalkFolder) -> list[SavedTalk]:
        modified = 0
        with suppress(OSError):  # There are no talks yet.
            modified = folder.path.stat().st_mtime_ns
        known = self._read.get(folder.path)
        if known is None or known[0] != modified:
            self._read[folder.path] = known = modified, folder.list()
        return known[1]
