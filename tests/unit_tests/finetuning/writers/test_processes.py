"""Several processes write what one writes, or nothing."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from langchain_chatexports import (
    ChunkSessions,
    FolderFacebookMessengerChatLoader,
    IMessageChatLoader,
    MapAIMessages,
    MergeChatRuns,
)
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportFormatError,
    SenderNotFoundError,
)
from langchain_chatexports.finetuning.card import CardNotes
from langchain_chatexports.finetuning.examples import ExampleCounts
from langchain_chatexports.finetuning.provenance import trace_examples
from langchain_chatexports.finetuning.writers import workers, write_dataset
from langchain_chatexports.finetuning.writers.processes import write_in_processes
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.chat_db import ChatDb

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from typing_extensions import Self

    from langchain_chatexports.chat_loaders.accounting import ExportSummary, Tally
    from langchain_chatexports.chat_loaders.base import ExportSession
    from langchain_chatexports.steps import SessionTransform

WINDOWS = ChunkSessions(size=8, overlap=2)


class KilledLoader(FolderFacebookMessengerChatLoader):
    """Its process is killed in the second part, after some rows."""

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        for number, session in enumerate(super().read_sessions(tally)):
            if number and not self._share.is_first:
                os.kill(os.getpid(), signal.SIGKILL)
            yield session


class RefusedLoader(FolderFacebookMessengerChatLoader):
    """The system stops to hand out what is read."""

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        yield from super().read_sessions(tally)
        msg = "Stale file handle"
        raise OSError(errno.ESTALE, msg)


class LimitedLoader(FolderFacebookMessengerChatLoader):
    """The process that reads may not write more than a few bytes."""

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
        yield from super().read_sessions(tally)


class SurveyedLoader(IMessageChatLoader):
    """Its parts note which process reads them, and that they need not ask again."""

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        assert self._survey is not None
        (self.path.parent / f"part-{self._share.index}-{os.getpid()}").touch()
        yield from super().read_sessions(tally)


class CopyCountingLoader(IMessageChatLoader):
    """Its parts note which private copies there are while they read."""

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        with (self.path.parent / "copies").open("a") as notes:
            for session in super().read_sessions(tally):
                found = Path(os.environ["TMPDIR"]).rglob("chat.db")
                notes.write("".join(f"{path.parent.name}\n" for path in found))
                yield session


class KillingLoader(IMessageChatLoader):
    """The process that is given it is killed at once."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        vars(self).update(state)  # A copy, in the first process.


class ChangedLoader(IMessageChatLoader):
    """Its database is written to as soon as it has been surveyed."""

    @contextmanager
    def snapshot(self) -> Generator[Self, None, None]:
        with super().snapshot() as known:
            os.utime(self.path, ns=(1, 1))
            yield known


class KilledWithCopyLoader(IMessageChatLoader):
    """Its process is killed while it has a temporary copy of its own."""

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        copy = Path(tempfile.mkdtemp(prefix="chatexports-"), "chat.db")
        copy.write_bytes(self.path.read_bytes())
        os.kill(os.getpid(), signal.SIGKILL)
        yield from super().read_sessions(tally)


class TwoPartError(Exception):
    """An error that can be pickled, and not read again."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


class InterruptedLoader(FolderFacebookMessengerChatLoader):
    """A part that never ends; its process leaves its number in a file."""

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        (self.path.parent / f"pid-{os.getpid()}").touch()
        time.sleep(600)
        yield from super().read_sessions(tally)


@pytest.fixture
def sources(
    tmp_path: Path,
) -> list[tuple[Any, tuple[SessionTransform, ...]]]:
    hare = MapAIMessages(sender="Hare")
    return [
        (
            IMessageChatLoader(write_imessage(tmp_path / "chat.db")),
            (MergeChatRuns(), hare, ChunkSessions(size=4, overlap=1)),
        ),
        (
            FolderFacebookMessengerChatLoader(write_messenger(tmp_path / "export")),
            (MergeChatRuns(), MapAIMessages(), WINDOWS),
        ),
    ]


def written_by_one(
    sources: list[tuple[Any, tuple[SessionTransform, ...]]], path: Path
) -> tuple[Path, list[ExportSummary], ExampleCounts]:
    from langchain_chatexports.chat_loaders.base import counted_pass

    passes = [counted_pass(loader, steps) for loader, steps in sources]
    counts = ExampleCounts()

    def sessions() -> Generator[Any, None, None]:
        for counted in passes:
            yield from counted

    notes = CardNotes(passes=passes, counts=counts)
    write_dataset(trace_examples(sessions(), counts=counts), path, notes=notes)
    return path, [counted.summary() for counted in passes], counts


def test_files_card_and_trace_are_those_of_one_process(
    sources: list[tuple[Any, tuple[SessionTransform, ...]]], tmp_path: Path
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    _, summaries, _ = written_by_one(sources, folders[0] / "set.jsonl")
    seen: list[ExportSummary] = []
    running: list[int] = []
    written = write_in_processes(
        sources,
        folders[1] / "set.jsonl",
        workers=2,
        check=seen.extend,
        meanwhile=lambda: running.append(len(multiprocessing.active_children())),
    )

    one, two = (
        {file.name: file.read_bytes() for file in folder.iterdir()}
        for folder in folders
    )
    assert one == two
    assert seen == summaries
    assert running == [2]
    assert written.examples == one["set.jsonl"].count(b"\n")


def test_the_first_process_surveys_for_all_and_each_reads_several_parts(
    tmp_path: Path,
) -> None:
    database = write_imessage(tmp_path / "chat.db")
    source = SurveyedLoader(database), (MapAIMessages(sender="Hare"),)
    told: list[tuple[int, int, int]] = []

    write_in_processes(
        [source],
        tmp_path / "set.jsonl",
        workers=2,
        on_part=lambda done, parts, part: told.append((done, parts, part.kept)),
    )
    notes = [path.name.split("-") for path in tmp_path.glob("part-*")]
    assert sorted(int(part) for _, part, _ in notes) == list(range(6))
    assert len({pid for _, _, pid in notes} - {str(os.getpid())}) == 2
    assert [(done, parts) for done, parts, _ in told] == [(n, 6) for n in range(1, 7)]
    assert (
        sum(kept for _, _, kept in told) == IMessageChatLoader(database).inspect().kept
    )


def test_a_live_database_is_copied_once_and_may_grow_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    steps = (MergeChatRuns(), MapAIMessages(), ChunkSessions(size=2, overlap=0))
    with ChatDb(tmp_path / "chat.db", wal=True) as db:
        chats = [db.chat(f"+1555000{number:04}") for number in range(12)]
        for number, chat in enumerate(chats):
            chat.message(f"question {number}")
            chat.message(f"answer {number}", mine=True)
        loader = CopyCountingLoader(db.path)
        one = written_by_one([(loader, steps)], tmp_path / "one.jsonl")[0]

        def grow(*_told: object) -> None:
            chats[0].message("more")
            chats[0].message("of it", mine=True)

        write_in_processes(
            [(loader, steps)], tmp_path / "two.jsonl", workers=2, on_part=grow
        )
        assert len(loader.load()[0]["messages"]) == 14
    assert (tmp_path / "two.jsonl").read_bytes() == one.read_bytes()
    noted = (tmp_path / "copies").read_text().split()
    assert len(noted) == 3 * 12
    assert len(set(noted)) == 3  # One for each of the passes.
    assert [*(tmp_path / "temporary").iterdir()] == []


def test_a_damaged_database_is_an_error_before_anything_is_read(
    tmp_path: Path,
) -> None:
    database = write_imessage(tmp_path / "chat.db")
    (tmp_path / "out").mkdir()
    source = IMessageChatLoader(database), (MapAIMessages(sender="Hare"),)
    database.write_bytes(database.read_bytes()[:5_000])

    with pytest.raises(ExportFormatError, match=r"chat\.db"):
        write_in_processes([source], tmp_path / "out" / "set.jsonl", workers=2)
    assert multiprocessing.active_children() == []
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows kills in another way")
def test_a_process_that_is_killed_before_it_begins_is_an_error(
    tmp_path: Path,
) -> None:
    database = write_imessage(tmp_path / "chat.db")
    source = KillingLoader(database), (MapAIMessages(sender="Hare"),)

    with pytest.raises(ChatExportError, match="exit code -9"):
        write_in_processes([source], tmp_path / "set.jsonl", workers=2)
    assert not (tmp_path / "set.jsonl").exists()


def test_nothing_can_be_given_to_a_process_that_has_ended(tmp_path: Path) -> None:
    worker = workers._Worker(str(tmp_path))
    worker._process.kill()
    worker._process.join()

    with pytest.raises(ChatExportError, match="ended early"):
        worker.give(cast("Any", None))
    worker.end()


@pytest.mark.skipif(os.name == "nt", reason="Windows does it by itself")
def test_a_process_that_ends_before_it_takes_the_pipe_is_an_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from multiprocessing.connection import Connection

    held: list[int] = []

    def hold(connection: Connection) -> None:
        held.append(os.dup(connection.fileno()))
        close(connection)

    close = Connection.close
    # On Windows the first process holds both ends until the other one takes its own.
    monkeypatch.setattr(Connection, "close", hold)
    worker = workers._Worker(str(tmp_path))
    monkeypatch.undo()
    worker._process.kill()

    with pytest.raises(ChatExportError, match="ended early"):
        worker.give(cast("Any", None))
    worker.end()
    for descriptor in held:
        os.close(descriptor)


@pytest.mark.skipif(os.name == "nt", reason="Windows kills in another way")
def test_a_killed_process_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    folder = write_messenger(tmp_path / "export")
    (tmp_path / "out").mkdir()
    source = KilledLoader(folder), (MergeChatRuns(), MapAIMessages(), WINDOWS)

    with pytest.raises(ChatExportError, match=r"exit code -9.*fewer workers"):
        write_in_processes([source], tmp_path / "out" / "set.jsonl", workers=2)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows kills in another way")
def test_a_killed_process_leaves_no_copy_that_it_has_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    source = KilledWithCopyLoader(write_imessage(tmp_path / "chat.db")), ()

    with pytest.raises(ChatExportError, match="exit code -9"):
        write_in_processes([source], tmp_path / "set.jsonl", workers=2)
    assert [*(tmp_path / "temporary").iterdir()] == []


def test_an_interrupt_ends_the_processes_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_messenger(tmp_path / "export")
    (tmp_path / "out").mkdir()
    started: list[Any] = []

    def interrupted(awaited: list[Any]) -> list[Any]:
        if any(isinstance(one, int) for one in awaited):
            return wait(awaited)  # Until a process has begun.
        started.extend(awaited)
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "wait", interrupted)
    source = InterruptedLoader(folder), (MapAIMessages(),)
    with pytest.raises(KeyboardInterrupt):
        write_in_processes([source], tmp_path / "out" / "set.jsonl", workers=2)

    assert len(started) == 2
    assert multiprocessing.active_children() == []
    assert list((tmp_path / "out").iterdir()) == []


def test_an_error_of_a_part_is_the_error_of_the_whole(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    source = FolderFacebookMessengerChatLoader(tmp_path / "empty"), (MapAIMessages(),)

    with pytest.raises(ExportFormatError, match="holds no Messenger thread"):
        write_in_processes([source], tmp_path / "set.jsonl", workers=2)


def test_a_part_without_the_ai_is_no_error_but_a_whole_is(tmp_path: Path) -> None:
    database = write_imessage(tmp_path / "chat.db")
    nobody = IMessageChatLoader(database), (MapAIMessages(sender="Nobody"),)

    with pytest.raises(SenderNotFoundError, match="nothing to learn"):
        write_in_processes([nobody], tmp_path / "set.jsonl", workers=2)


def test_a_database_that_changes_behind_its_survey_is_an_error(
    tmp_path: Path,
) -> None:
    database = write_imessage(tmp_path / "chat.db")
    source = ChangedLoader(database), (MapAIMessages(sender="Hare"),)

    with pytest.raises(ExportFormatError, match="changed while it was read"):
        write_in_processes([source], tmp_path / "s.jsonl", workers=2)


def test_a_database_that_grows_meanwhile_is_an_error(tmp_path: Path) -> None:
    database = write_imessage(tmp_path / "chat.db")
    source = IMessageChatLoader(database), (MapAIMessages(sender="Hare"),)

    def touch(_summaries: object) -> None:
        os.utime(database, ns=(1, 1))

    with pytest.raises(ExportFormatError, match="changed while it was read"):
        write_in_processes([source], tmp_path / "s.jsonl", workers=2, check=touch)
    assert not (tmp_path / "s.jsonl").exists()


@pytest.mark.parametrize("format_name", ["llama-factory", "parquet"])
def test_every_kind_of_file_is_that_of_one_process(
    format_name: Any, tmp_path: Path
) -> None:
    if format_name == "parquet":
        pytest.importorskip("pyarrow", reason="needs the extra datasets")
    steps = (MergeChatRuns(), MapAIMessages(), WINDOWS)
    loader = FolderFacebookMessengerChatLoader(write_messenger(tmp_path / "export"))
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    examples = trace_examples(loader | steps[0] | steps[1] | steps[2])
    one = write_dataset(examples, tmp_path / "1" / "set", format=format_name)
    two = write_in_processes(
        [(loader, steps)], tmp_path / "2" / "set", workers=2, format=format_name
    )

    assert two.files == one.files
    assert (
        two.trace.read_bytes().splitlines()[1:]
        == (one.trace.read_bytes().splitlines()[1:])
    )
    pairs = [
        (one.path / name, two.path / name)
        if one.path.is_dir()
        else (one.path, two.path)
        for name in one.files
    ]
    assert all(left.read_bytes() == right.read_bytes() for left, right in pairs)


def test_warnings_come_to_the_caller(tmp_path: Path) -> None:
    folder = write_messenger(tmp_path / "export")
    broken = next(folder.rglob("messages_*.json"))
    broken.write_bytes(broken.read_bytes()[:-20])
    source = FolderFacebookMessengerChatLoader(folder), (MapAIMessages(), WINDOWS)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write_in_processes([source], tmp_path / "set.jsonl", workers=2)
    assert [str(broken) in str(warning.message) for warning in caught] == [True]


def test_an_error_of_reading_is_none_of_writing(tmp_path: Path) -> None:
    source = RefusedLoader(write_messenger(tmp_path / "export")), (MapAIMessages(),)

    with pytest.raises(OSError, match="Stale") as raised:
        write_in_processes([source], tmp_path / "set.jsonl", workers=1)
    assert not isinstance(raised.value, ChatExportError)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits")
def test_a_process_that_cannot_write_says_which_set(tmp_path: Path) -> None:
    source = LimitedLoader(write_messenger(tmp_path / "export")), (MapAIMessages(),)
    (tmp_path / "out").mkdir()

    with pytest.raises(ExportFormatError, match=r"set\.jsonl cannot be written"):
        write_in_processes([source], tmp_path / "out" / "set.jsonl", workers=1)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_error_that_cannot_be_pickled_is_named() -> None:
    told = workers._portable(TwoPartError("secret", "words"))

    assert isinstance(told, ChatExportError)
    assert "TwoPartError" in str(told)
    assert "secret" not in str(pickle.loads(pickle.dumps(told)))  # noqa: S301


def test_an_error_that_can_be_pickled_stays_what_it_is() -> None:
    error = SenderNotFoundError("nobody", {"Ann": 3})

    assert workers._portable(error) is error


def test_a_process_that_does_not_start_points_to_the_guard() -> None:
    assert "__main__" in str(workers._early_end(1))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    export = write_messenger(tmp_path / "export")
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys\nsys.path.insert(0, {str(Path.cwd())!r})\n"
        f"from {__name__} import InterruptedLoader, write_in_processes\n"
        'if __name__ == "__main__":\n'
        f"    source = InterruptedLoader({str(export)!r}), ()\n"
        f"    write_in_processes([source], {str(tmp_path / 's')!r}, workers=1)\n"
    )
    with subprocess.Popen([sys.executable, program]) as running:  # noqa: S603 - Ours.
        (pid,) = _wait_for(lambda: [*tmp_path.glob("pid-*")])
        running.kill()
    _wait_for(lambda: not _is_alive(int(pid.name.removeprefix("pid-"))))


def _wait_for(look: Callable[[], Any]) -> Any:
    for _ in range(600):
        if found := look():
            return found
        time.sleep(0.1)
    pytest.fail("It did not happen within a minute.")


def _is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_no_worker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        write_in_processes([], tmp_path / "set.jsonl", workers=0)
