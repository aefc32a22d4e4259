"""The talks that are kept on this machine, as lists show them."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import Model
from langchain_chatexports.page.errors import Failure, translate_error
from langchain_chatexports.personas.reply_limits import split_bubbles
from langchain_chatexports.personas.talk import Turn
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


class TalkStore:
    """Reads the talks again where a folder has changed."""

    def __init__(self, index_dir: Path | None) -> None:
        self.people = person_talks(index_dir)
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[int, list[SavedTalk]]] = {}

    def summaries(self, models: Iterable[Model]) -> tuple[TalkSummary, ...]:
        """Return all talks, newest first."""
        with self._lock:
            found = [*self._find(models)]
        return tuple(sorted(found, key=lambda talk: -talk.time))

    def _find(self, models: Iterable[Model]) -> Iterator[TalkSummary]:
        for talk in self._talks(self.people):
            if talk.person:
                yield summarize(talk, talk.person)
        for model in models:
            for talk in self._talks(model_talks(model)):
                yield summarize(talk, model.person or model.title, model.name)

    def _talks(self, folder: TalkFolder) -> list[SavedTalk]:
        modified = 0
        with suppress(OSError):  # There are no talks yet.
            modified = folder.path.stat().st_mtime_ns
        known = self._read.get(folder.path)
        if known is None or known[0] != modified:
            self._read[folder.path] = known = modified, folder.list()
        return known[1]


def summarize(talk: SavedTalk, person: str, model: str = "") -> TalkSummary:
    """Return a talk as lists show it."""
    first = talk.turns[0].line if talk.turns else talk.draft
    last = talk.turns[-1] if talk.turns else None
    lines = split_bubbles((last.answer or last.line) if last else talk.draft)
    return TalkSummary(
        talk.id,
        person,
        talk.changed_at.timestamp(),
        model,
        (split_bubbles(first) or [""])[0],
        (lines or [""])[-1],
        sum(bool(turn.answer) for turn in talk.turns),
    )


def write_talk(
    folder: TalkFolder, talk_id: str, turns: list[Turn], *, person: str, draft: str
) -> Failure | None:
    """Keep a talk; return why that is not possible, if so."""
    try:
        folder.save(talk_id, turns, person=person, draft=draft)
    except FileNotFoundError:  # The model was deleted.
        return None
    except (ChatExportError, OSError) as error:
        return translate_error(error)
    return None
