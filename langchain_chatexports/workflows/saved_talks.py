"""Talks that are kept: beside a tuned model, or beside the search indexes."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from langchain_chatexports._files import write_atomic
from langchain_chatexports.chat_loaders.names import NameIndex
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import Model
from langchain_chatexports.personas.reply_limits import split_bubbles
from langchain_chatexports.personas.talk import Turn
from langchain_chatexports.retrieval.index_files import index_folder

_TALKS = "talks"


@dataclass(frozen=True)
class SavedTalk:
    """A kept talk with a person."""

    id: str
    turns: list[Turn] = field(repr=False)
    changed_at: datetime
    folder: TalkFolder = field(repr=False)
    person: str = ""
    draft: str = field(default="", repr=False)
    """What was written, and not sent."""

    @property
    def lines(self) -> list[str]:
        """Its messages, or the draft if there are none."""
        texts = [text for turn in self.turns for text in (turn.line, turn.answer)]
        lines = [line for text in texts for line in split_bubbles(text)]
        return lines or [self.draft.strip()]


class _Content(msgspec.Struct):
    turns: list[Turn]
    person: str = ""
    draft: str = ""


class TalkFolder:
    """A folder of talks that only their owner can read."""

    def __init__(
        self,
        path: Path,
        *,
        person: str = "",
        model: str = "",
        creates_parents: bool = False,
    ) -> None:
        """Initialize the folder, which may not exist."""
        self.path = path
        self.model = model
        """The name of the model that it is beside; empty for none."""

        self._person = person
        # Of a deleted model, no folder must appear again.
        self._creates_parents = creates_parents

    def list(self) -> list[SavedTalk]:
        """Return the talks, newest first; damaged ones are left out."""
        talks = filter(None, map(self._read, self.path.glob("*.json")))
        return sorted(talks, key=lambda t: (t.changed_at, t.id), reverse=True)

    def get(self, talk_id: str) -> SavedTalk | None:
        """Return a talk, if it exists."""
        return self._read(self._file(talk_id))

    def has(self, talk_id: str) -> bool:
        """Return whether a talk is kept."""
        return self._file(talk_id).exists()

    def save(
        self,
        talk_id: str,
        turns: Sequence[Turn],
        *,
        person: str = "",
        draft: str = "",
    ) -> None:
        """Save a talk, or delete it if it is empty."""
        if not turns and not draft:
            self.delete(talk_id)
            return
        self.path.mkdir(mode=0o700, parents=self._creates_parents, exist_ok=True)
        content = _Content([*turns], person, draft)
        write_atomic(self._file(talk_id), msgspec.json.encode(content))

    def delete(self, talk_id: str) -> None:
        """Delete a talk, if it exists."""
        self._file(talk_id).unlink(missing_ok=True)

    def _file(self, talk_id: str) -> Path:
        return self.path / f"{talk_id}.json"

    def _read(self, file: Path) -> SavedTalk | None:
        try:
            data = file.read_bytes()
            changed_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
            content = msgspec.json.decode(data, type=_Content)
        except (OSError, msgspec.DecodeError):
            return None
        person = content.person or self._person
        return SavedTalk(
            file.stem, content.turns, changed_at, self, person, content.draft
        )


def model_talks(model: Model) -> TalkFolder:
    """Return the talks with a tuned model, which are deleted with it."""
    if model.folder is None:
        msg = f"{model.name} is not a tuned model."
        raise ChatExportError(msg)
    person = model.person or model.title
    return TalkFolder(model.folder / _TALKS, person=person, model=model.name)


def person_talks(index_dir: Path | None) -> TalkFolder:
    """Return the talks with people without a model, beside the search indexes."""
    return TalkFolder(index_folder(index_dir) / _TALKS, creates_parents=True)


def delete_person_talks(
    index_dir: Path | None, people: Collection[str] | None = None
) -> int:
    """Delete talks with people without a model and return their number.

    Args:
        index_dir: The folder of search indexes; `None` for the default.
        people: The names, in any spelling; `None` for everyone.
    """
    folder = person_talks(index_dir)
    talks = folder.list()
    if people is not None:
        index = NameIndex.of(talk.person for talk in talks)
        names = {name for each in people for name in index.find_spellings(each)}
        talks = [talk for talk in talks if talk.person in names]
    for talk in talks:
        folder.delete(talk.id)
    if people is None:
        with suppress(OSError):  # It has files of others.
            folder.path.rmdir()
    return len(talks)


def new_talk_id() -> str:
    """Return an id for a new talk: the current time, so that ids are sortable."""
    return str(time.time_ns())
