"""What the person would have said instead: corrections, which are used at once."""

import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_chatexports._files import translate_write_errors, write_atomic
from langchain_chatexports._locks import ProcessLock
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.json_data import (
    DECODE_ERRORS,
    replace_lone_surrogates,
)
from langchain_chatexports.datasets.examples import TrainingMessage
from langchain_chatexports.datasets.replies import count_trigrams
from langchain_chatexports.exceptions import ChatExportError, ExportWarning

# The end of a long message is compared and shown, and the beginning of a long reply.
_MAX_CHARACTERS = 500
# The share of equal trigrams from which a message is the same situation.
_MIN_SIMILARITY = 0.5
_MAX_NEAREST = 4
_LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Correction:
    """What a model said after some messages, and what the person would have said.

    `better` is empty for only "not that"; `time` is in Unix seconds.
    """

    id: str
    messages: tuple[TrainingMessage, ...] = field(repr=False)
    said: str = field(repr=False)
    better: str = field(default="", repr=False)
    person: str = field(default="", repr=False)
    model: str = ""
    time: float = 0.0

    @property
    def question(self) -> str:
        """The message that the reply answers."""
        return self.messages[-1]["content"]

    def to_turns(self) -> list[BaseMessage]:
        """Return the message and the better reply, for prompts; none for "not that"."""
        if not self.better:
            return []
        question = HumanMessage(self.question[-_MAX_CHARACTERS:])
        return [question, AIMessage(self.better[:_MAX_CHARACTERS])]

    def rejects(self, reply: str) -> bool:
        """Return whether a reply is what the model said, but for spaces."""
        return reply.split() == self.said.split()


class Corrections:
    """The corrections of a person's models, in a file that only its owner can read.

    Each is a line of JSON, and on disk when `add` returns. Several processes can use
    the file. A line that cannot be read, such as one that a full disk or a killed
    process left, is skipped with a warning.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        person: str = "",
        others: Iterable[Path] = (),
        creates_folder: bool = False,
    ) -> None:
        """Initialize the corrections; the file may not exist.

        Args:
            path: The file to add to; `None` keeps corrections in memory.
            person: Whose replies they correct.
            others: More files to read, such as those of earlier models.
            creates_folder: Whether `add` creates the folder of the file.
        """
        self.path = None if path is None else Path(path).expanduser()
        self.person = person
        self._creates_folder = creates_folder
        self._paths = (*others, *([self.path] if self.path else []))
        self._versions: object = None
        self._items: list[tuple[Correction, Counter[str]]] = []

    def __iter__(self) -> Iterator[Correction]:
        """Yield the corrections, oldest first in each file."""
        self._load()
        return iter([correction for correction, _ in self._items])

    def __len__(self) -> int:
        """Return the number of corrections."""
        return len([*iter(self)])

    def add(
        self,
        messages: Iterable[Mapping[str, Any]],
        said: str,
        better: str = "",
        *,
        model: str = "",
    ) -> Correction:
        """Keep a correction; an equal one is not kept twice.

        Args:
            messages: The messages before the reply, in OpenAI's format.
            said: What the model said.
            better: What the person would have said; empty for only "not that".
            model: The model that said it.

        Raises:
            ValueError: If there is no reply, or no message of the user before it.
            ChatExportError: If the file cannot be written.
        """
        chat = [
            TrainingMessage(role=m["role"], content=_clean(m["content"]))
            for m in messages
        ]
        values = (tuple(chat), _clean(said), _clean(better), self.person, model)
        new = Correction(uuid4().hex, *values, time.time())
        if not chat or chat[-1]["role"] != "user" or not new.said:
            msg = "Only a reply to a message of the user can be corrected."
            raise ValueError(msg)
        with self._locked(self.path):
            for known in self:
                if (known.messages, known.said, known.better) == values[:3]:
                    return known
            if self.path is not None:
                # Completely or not at all, after what a damaged disk left of a line.
                before = self.path.read_bytes() if self.path.exists() else b""
                lines = [*before.splitlines(), msgspec.json.encode(new), b""]
                write_atomic(self.path, b"\n".join(lines))
            self._items.append((new, _trigrams(new.question)))
            self._versions = [*map(_version, self._paths)]
        return new

    def delete(self, correction_id: str) -> None:
        """Delete a correction, if it is there."""
        self._items = [i for i in self._items if i[0].id != correction_id]
        for path in filter(Path.exists, self._paths):
            with self._locked(path):
                lines = path.read_bytes().splitlines(keepends=True)
                found = [(line, _decode(line)) for line in lines]
                kept = [x for x, c in found if c is None or c.id != correction_id]
                if kept != lines:
                    write_atomic(path, b"".join(kept))

    def nearest(self, message: str, k: int = _MAX_NEAREST) -> list[Correction]:
        """Return up to `k` corrections of messages like this one, best match last.

        If a message was corrected more than once, the latest correction counts.
        """
        self._load()
        grams = _trigrams(message)
        found: dict[str, tuple[float, int, Correction]] = {}
        for number, (correction, other) in enumerate(self._items):
            overlap = 2 * (grams & other).total()
            similarity = overlap / (grams.total() + other.total())
            if similarity >= _MIN_SIMILARITY:
                key = correction.question if correction.better else correction.id
                found[key] = similarity, number, correction
        ranked = sorted(found.values(), key=lambda each: each[:2])
        return [correction for *_, correction in ranked[-k:]]

    def _load(self) -> None:
        """Read the files again if one has changed."""
        versions = [*map(_version, self._paths)]
        if not self._paths or versions == self._versions:
            return
        self._versions, self._items = versions, []
        for path in self._paths:
            lines = path.read_bytes().splitlines() if path.exists() else []
            found = [c for c in map(_decode, lines) if c is not None]
            self._items += [(c, _trigrams(c.question)) for c in found]
            if damaged := len(lines) - len(found):
                msg = (
                    f"{path}: {plural(damaged, 'correction')} could not be read. "
                    "The others are used."
                )
                warnings.warn(ExportWarning(msg), stacklevel=4)

    @contextmanager
    def _locked(self, path: Path | None) -> Iterator[None]:
        """Keep other processes from changing a file."""
        if path is None:
            yield
            return
        with translate_write_errors(path):
            if self._creates_folder:
                path.parent.mkdir(0o700, parents=True, exist_ok=True)
            lock = ProcessLock(path.with_suffix(".lock"))
            if not lock.acquire(timeout=_LOCK_SECONDS):
                msg = f"{path} is used by another program. Try again."
                raise ChatExportError(msg)
            with lock:
                yield


def _clean(text: str) -> str:
    return replace_lone_surrogates(text).strip()


def _trigrams(message: str) -> Counter[str]:
    return count_trigrams(message[-_MAX_CHARACTERS:])


def _version(path: Path) -> object:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _decode(line: bytes) -> Correction | None:
    try:
        correction = msgspec.json.decode(line, type=Correction)
    except DECODE_ERRORS:
        return None
    return correction if correction.messages else None
