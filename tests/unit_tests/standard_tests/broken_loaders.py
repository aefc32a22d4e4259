"""A sound loader of an invented format, and for each check one that only it fails.

The format is a folder of `.jsonl` files, with a file per conversation and a line per
message (`{"text": …, "by": …, "at": <Unix seconds>}`, or `null` if deleted).
"""

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.messages import Conversation, Message
from langchain_chatexports.chat_loaders.schema import ExportSession, SessionMetadata
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
    """Return the sender and text of each message in a conversation."""
    text = f"of race {number}: " + "slow and steady " * 3
    return [
        (("Tortoise", "Hare")[line % 2], f"lap {line} {text}") for line in range(lines)
    ]


def get_parameters(method: Any) -> list[dict[str, Any]]:
    """Return the arguments of each run of a parametrized check."""
    for mark in getattr(method, "pytestmark", ()):
        if mark.name == "parametrize":
            name, values = mark.args
            return [{name: value} for value in values]
    return [{}]


class SoundLoader(ChatExportLoader):
    """Passes all checks."""

    platform = "races"
    suffixes = (".jsonl",)
    has_expected: ClassVar[bool] = True
    """Whether the suite knows the expected messages."""

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        for file in files:
            yield Conversation(file.name, list(self.messages(file)))

    def messages(self, file: ExportFile) -> Iterator[Message]:
        with file.open() as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                except ValueError:
                    msg = f"{file.label} is not valid JSON. Export it again."
                    raise ExportFormatError(msg) from None
                if row is None:
                    yield Message(None, "", "", kind="deleted")
                else:
                    yield Message(row["at"] * 1_000_000, row["by"], row["text"])

    def lazy_load(self) -> Iterator[ExportSession]:
        for session in super().lazy_load():
            yield {**session, "messages": [*self.change([*session["messages"]])]}

    def change(self, messages: list[BaseMessage]) -> Iterable[BaseMessage]:
        """Return the messages of a session; broken loaders change them."""
        return messages


class RequiresPath(SoundLoader):
    def __init__(self, path: Any) -> None:
        super().__init__(path.absolute())


class IgnoresMissingSource(SoundLoader):
    def lazy_load(self) -> Iterator[ExportSession]:
        try:
            yield from super().lazy_load()
        except ExportNotFoundError:
            return


class IterableSessions:
    """Sessions that can be read several times, unlike an iterator."""

    def __init__(self, load: Callable[[], Iterator[ExportSession]]) -> None:
        self.load = load

    def __iter__(self) -> Iterator[ExportSession]:
        return self.load()


class ReturnsAnIterable(SoundLoader):
    def lazy_load(self) -> Any:
        return IterableSessions(super().lazy_load)


class ReadsEverythingFirst(SoundLoader):
    def lazy_load(self) -> Iterator[ExportSession]:
        yield from list(super().lazy_load())


class SharesMessages(SoundLoader):
    """Stores messages in an attribute, where another thread replaces them."""

    def change(self, messages: list[BaseMessage]) -> Iterable[BaseMessage]:
        self.current = messages
        time.sleep(0.001)
        return self.current


class YieldsAIMessages(SoundLoader):
    def change(self, messages: list[BaseMessage]) -> Iterable[BaseMessage]:
        for message in messages:
            kwargs = message.additional_kwargs
            kind = AIMessage if kwargs["sender"] == "Tortoise" else HumanMessage
            yield kind(message.text, additional_kwargs=kwargs)


class AltersTexts(SoundLoader):
    def change(self, messages: list[BaseMessage]) -> Iterable[BaseMessage]:
        return [m.model_copy(update={"content": m.text.title()}) for m in messages]


class OmitsSenders(SoundLoader):
    has_expected = False

    def change(self, messages: list[BaseMessage]) -> Iterable[BaseMessage]:
        for message in messages:
            del message.additional_kwargs["sender"]
        return messages


class NewestFirst(SoundLoader):
    has_expected = False

    def change(self, messages: list[BaseMessage]) -> Iterable[BaseMessage]:
        return messages[::-1]


class RepeatsAMessage(SoundLoader):
    has_expected = False
    first: BaseMessage | None = None

    def change(self, messages: list[BaseMessage]) -> Iterable[BaseMessage]:
        self.first = self.first or messages[0]
        return [self.first, *messages[1:]]


class ReusesMetadata(SoundLoader):
    """Yields each session with its metadata, which the next session overwrites."""

    def lazy_load(self) -> Iterator[ExportSession]:
        metadata: SessionMetadata = {}
        for session in super().lazy_load():
            metadata.update(session["metadata"])
            yield {**session, "metadata": metadata}


class SharesAList(SoundLoader):
    no_reactions: ClassVar[list[Any]] = []

    def change(self, messages: list[BaseMessage]) -> Iterable[BaseMessage]:
        for message in messages:
            message.additional_kwargs["reactions"] = self.no_reactions
        return messages


class StoresDatetimes(SoundLoader):
    def change(self, messages: list[BaseMessage]) -> Iterable[BaseMessage]:
        for message in messages:
            message.additional_kwargs["moment"] = datetime.fromtimestamp(START, UTC)
        return messages


class StoresLocalTimes(SoundLoader):
    def change(self, messages: list[BaseMessage]) -> Iterable[BaseMessage]:
        for message in messages:
            local = datetime.fromtimestamp(START)  # noqa: DTZ006 - the point
            message.additional_kwargs["local"] = local.isoformat()
        return messages


class WritesAnErrorLog(SoundLoader):
    def lazy_load(self) -> Iterator[ExportSession]:
        try:
            yield from super().lazy_load()
        except ExportFormatError as error:
            Path("errors.log").write_text(str(error), encoding="utf-8")
            raise


class LeavesACopy(SoundLoader):
    def lazy_load(self) -> Iterator[ExportSession]:
        Path(tempfile.mkdtemp(), "copy").touch()
        yield from super().lazy_load()


class KeepsFilesOpen(SoundLoader):
    files: ClassVar[list[Any]] = []

    def lazy_load(self) -> Iterator[ExportSession]:
        self.files.append(next(self.path.iterdir()).open(encoding="utf-8"))
        yield from super().lazy_load()


class ReprShowsText(SoundLoader):
    last = ""

    def change(self, messages: list[BaseMessage]) -> Iterable[BaseMessage]:
        self.last = messages[-1].text
        return messages

    def __repr__(self) -> str:
        return f"{type(self).__name__}(last={self.last!r})"


class ErrorShowsContent(SoundLoader):
    """Quotes the file in the cause of its error."""

    def messages(self, file: ExportFile) -> Iterator[Message]:
        try:
            yield from super().messages(file)
        except ExportFormatError:
            with file.open() as lines:
                cause = ValueError(lines.read().decode())
            raise ExportFormatError(file.label) from cause


class StoresALock(SoundLoader):
    lock: Any = None

    def lazy_load(self) -> Iterator[ExportSession]:
        self.lock = threading.Lock()
        yield from super().lazy_load()
        self.lock = None


class IgnoresSteps(SoundLoader):
    def __or__(self, other: Any) -> Any:
        del other
        return self


class OmitsSkippedCounts(SoundLoader):
    def inspect(self) -> Any:
        summary: Any = super().inspect()
        summary.skipped.clear()
        return summary
