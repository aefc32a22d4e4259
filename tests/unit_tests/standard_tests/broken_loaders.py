"""A sound loader of an invented format, and one way to break each of its promises.

The format: a folder of `.jsonl` files, one conversation a file, one message a line
(`{"text": …, "by": …, "at": <Unix seconds>}`); a line `null` is a deleted message.
"""

import json
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.conversation import ExportSession
from langchain_chatexports.chat_loaders.counts import Counts, Reading
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.messages import Conversation
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError

START = 1_693_182_723


def write_source(folder: Path, sessions: int = 3, lines: int = 4) -> Path:
    """Write an export with distinctive texts."""
    folder.mkdir(parents=True)
    for number in range(sessions):
        rows = [
            json.dumps({"text": text, "by": sender, "at": START + 3600 * number + line})
            for line, (sender, text) in enumerate(expected_lines(number, lines))
        ]
        text = "".join(row + "\n" for row in [*rows, "null"])
        (folder / f"{number:04}.jsonl").write_text(text, encoding="utf-8")
    return folder


def expected_lines(number: int, lines: int = 4) -> list[tuple[str, str]]:
    """Return who says what in a conversation."""
    return [
        (
            ("Tortoise", "Hare")[line % 2],
            f"lap {line} of race {number}: " + "slow and steady " * 3,
        )
        for line in range(lines)
    ]


def expected_messages(sessions: int = 3) -> list[tuple[str, str]]:
    """Return what is to be loaded from the default export."""
    return [line for number in range(sessions) for line in expected_lines(number)]


def parameters_of(method: Any) -> list[dict[str, Any]]:
    """Return the arguments of each run of a parametrized check."""
    for mark in getattr(method, "pytestmark", ()):
        if mark.name == "parametrize":
            name, values = mark.args
            return [{name: value} for value in values]
    return [{}]


class SoundLoader(ChatExportLoader):
    """Keeps all promises."""

    platform = "races"

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        raise NotImplementedError

    def _sessions(self, reading: Reading) -> Generator[ChatSession, None, None]:
        for path in self.files():
            messages = list(self.messages(path, reading.counts))
            reading.counts.kept += len(messages)
            reading.counts.sessions_kept += 1
            yield cast("ChatSession", self.session(messages))
            del messages

    def files(self) -> list[Path]:
        if not self.path.is_dir():
            msg = f"{self.path} is not there."
            raise ExportNotFoundError(msg)
        return sorted(self.path.glob("*.jsonl"))

    def messages(self, path: Path, counts: Counts) -> Iterator[BaseMessage]:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                counts.found += 1
                row = self.parse(line, f"{path}, line {number}")
                if row is None:
                    counts.skip("deleted")
                else:
                    yield self.message(row)

    def parse(self, line: str, place: str) -> Any:
        try:
            return json.loads(line)
        except ValueError:
            msg = f"{place} is no JSON: the file was cut. Export it again."
            raise ExportFormatError(msg) from None

    def message(self, row: dict[str, Any]) -> BaseMessage:
        kwargs = {"message_time": row["at"], "sender": row["by"]}
        return HumanMessage(row["text"], additional_kwargs=kwargs)

    def session(self, messages: list[BaseMessage]) -> ExportSession:
        return {"messages": messages}


class TakesOnlyPath(SoundLoader):
    def __init__(self, path: Any) -> None:
        super().__init__(path.absolute())


class FindsNothing(SoundLoader):
    def files(self) -> list[Path]:
        return sorted(self.path.glob("*.jsonl"))


class ReturnsAList(SoundLoader):
    def lazy_load(self) -> Any:
        return list(super().lazy_load())


class SharesARow(SoundLoader):
    """Keeps the row that it works on where another thread replaces it."""

    def message(self, row: dict[str, Any]) -> BaseMessage:
        self.row = row
        time.sleep(0.001)
        return super().message(self.row)


class GivesAIMessages(SoundLoader):
    def message(self, row: dict[str, Any]) -> BaseMessage:
        message = super().message(row)
        if row["by"] != "Tortoise":
            return message
        kwargs = message.additional_kwargs
        return AIMessage(message.content, additional_kwargs=kwargs)


class LosesAMessage(SoundLoader):
    def session(self, messages: list[BaseMessage]) -> ExportSession:
        return super().session(messages[:-1])


class ForgetsTheSender(SoundLoader):
    def message(self, row: dict[str, Any]) -> BaseMessage:
        message = super().message(row)
        del message.additional_kwargs["sender"]
        return message


class NewestFirst(SoundLoader):
    def session(self, messages: list[BaseMessage]) -> ExportSession:
        return {"messages": messages[::-1]}


class GivesAMessageTwice(SoundLoader):
    first: BaseMessage | None = None

    def session(self, messages: list[BaseMessage]) -> ExportSession:
        if self.first is None:
            self.first = messages[0]
        return {"messages": [self.first, *messages[1:]]}


class GivesDatetimes(SoundLoader):
    def message(self, row: dict[str, Any]) -> BaseMessage:
        message = super().message(row)
        moment = datetime.fromtimestamp(row["at"], timezone.utc)
        message.additional_kwargs["moment"] = moment
        return message


class GivesLocalTimes(SoundLoader):
    def message(self, row: dict[str, Any]) -> BaseMessage:
        message = super().message(row)
        local = datetime.fromtimestamp(row["at"])  # noqa: DTZ006 - the point
        message.additional_kwargs["local"] = local.isoformat()
        return message


class WritesALogOfErrors(SoundLoader):
    def parse(self, line: str, place: str) -> Any:
        try:
            return super().parse(line, place)
        except ExportFormatError:
            Path("errors.log").write_text(place, encoding="utf-8")
            raise


class LeavesACopy(SoundLoader):
    def files(self) -> list[Path]:
        copy = Path(tempfile.mkdtemp())
        for path in super().files():
            (copy / path.name).write_bytes(path.read_bytes())
        return super().files()


class KeepsFilesOpen(SoundLoader):
    """Closes its file with the next one, so the last one stays open."""

    file: Any = None

    def messages(self, path: Path, counts: Counts) -> Iterator[BaseMessage]:
        if self.file is not None:
            self.file.close()
        self.file = path.open(encoding="utf-8")
        for line in self.file:
            counts.found += 1
            row = self.parse(line, str(path))
            if row is None:
                counts.skip("deleted")
            else:
                yield self.message(row)


class ShowsAText(SoundLoader):
    last = ""

    def message(self, row: dict[str, Any]) -> BaseMessage:
        self.last = row["text"]
        return super().message(row)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(last={self.last!r})"


class ShowsTheBadLine(SoundLoader):
    """In the cause of its error."""

    def messages(self, path: Path, counts: Counts) -> Iterator[BaseMessage]:
        cause = ValueError(path.read_text(encoding="utf-8"))
        try:
            yield from super().messages(path, counts)
        except ExportFormatError:
            msg = f"{path} cannot be read."
            raise ExportFormatError(msg) from cause


class HoldsItsPosition(SoundLoader):
    position: Any = None

    def lazy_load(self) -> Iterator[ChatSession]:
        self.position = threading.Lock()
        yield from super().lazy_load()
        self.position = None


class JoinsWithoutTheStep(SoundLoader):
    def __or__(self, other: Any) -> Any:
        del other
        return self


class ForgetsToCount(SoundLoader):
    def messages(self, path: Path, counts: Counts) -> Iterator[BaseMessage]:
        yield from super().messages(path, counts)
        counts.skipped.clear()
