"""Tests that every chat loader should pass."""

import gc
import hashlib
import os
import pickle
import sys
import tempfile
import threading
import time
import traceback
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from langchain_core._api import LangChainBetaWarning
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.load import dumps, loads
from langchain_core.messages import BaseMessage, HumanMessage

from langchain_chatexports.standard_tests.base import (
    ChatExportStandardTests,
    MemoryLimit,
    close,
)
from langchain_chatexports.steps import ChunkSessions, MergeChatRuns

_MIN_DISTINCTIVE_LENGTH = 4  # Shorter text may occur in any path.
_THREADS = 4
# No daylight saving time, then that of the southern and the northern hemisphere.
_ZONES = ("UTC0", "NZST-12NZDT,M9.5.0,M4.1.0/3", "EST5EDT,M3.2.0,M11.1.0")
_DESCRIPTORS = Path("/dev/fd")
_FOR_EACH_READ = pytest.mark.parametrize("read", ["full", "partial", "failed"])


class ChatLoaderTests(ChatExportStandardTests):
    """Properties and fixtures of the chat loader suites."""

    @property
    @abstractmethod
    def chat_loader_class(self) -> type[BaseChatLoader]:
        """The chat loader class to be tested."""

    @property
    def chat_loader_params(self) -> dict[str, Any]:
        """Arguments of the chat loader other than its source."""
        return {}

    @property
    def source_param(self) -> str:
        """The name of the argument that takes the path of the source."""
        return "path"

    def make_loader(self, source: Path | str) -> BaseChatLoader:
        """Create a loader for a source."""
        params = {self.source_param: source, **self.chat_loader_params}
        return self.chat_loader_class(**params)

    @pytest.fixture
    def source(self) -> Path:
        """Build the export inside `tmp_path` and return its path; override this."""
        msg = f"{type(self).__name__} needs a fixture `source` that builds an export."
        raise NotImplementedError(msg)

    @pytest.fixture
    def loader(self, source: Path) -> BaseChatLoader:
        """A loader for `source`."""
        return self.make_loader(source)


class ChatLoaderUnitTests(ChatLoaderTests):
    """Base class for chat loader unit tests.

    A subclass names the loader in `chat_loader_class`, and its fixture `source` builds
    a small export in a subfolder of `tmp_path`: at least two sessions (if the format
    allows it), with message text that does not occur anywhere else.

    Optional: `chat_loader_params`, `source_param`, `time_key` (enables the order test),
    `expected` (enables the test of the loaded messages), `damage`.

    The docstring of each test explains what to do if it fails.
    """

    @property
    def time_key(self) -> str | None:
        """The key of the message time in `additional_kwargs`, if any."""
        return None

    @property
    def expected(self) -> list[tuple[str, str]] | None:
        """The sender and text of each message in `source`, in order."""
        return None

    def damage(self, source: Path) -> None:
        """Damage the export; by default, truncate all files to half their size."""
        for path in [source, *source.rglob("*")]:
            if path.is_file():
                os.truncate(path, path.stat().st_size // 2)

    @pytest.mark.parametrize("kind", [Path, str])
    def test_init_accepts_path_and_str(
        self, source: Path, kind: type[Path | str]
    ) -> None:
        """Test that the loader accepts a `Path` and a `str`.

        If it fails: `self.path = Path(path)`; also check `source_param`.
        """
        assert self.make_loader(kind(source)).load()

    def test_missing_source_raises_error_with_path(self, tmp_path: Path) -> None:
        """Test that a missing source raises `FileNotFoundError` with its path.

        If it fails: `sqlite3.connect` creates a missing file, and `glob` does not
        distinguish a missing folder from an empty one.
        """
        missing = tmp_path / "nothing-here"
        with pytest.raises(FileNotFoundError) as caught:
            next(iter(self.make_loader(missing).lazy_load()), None)
        assert missing.name in str(caught.value)
        assert not missing.exists(), "the loader created the missing source"

    def test_load_equals_lazy_load(self, loader: BaseChatLoader) -> None:
        """Test that `lazy_load` and the inherited `load` return the same sessions.

        If it fails: open the source inside `lazy_load`, store no position on `self`,
        and sort directory listings.
        """
        assert isinstance(loader.lazy_load(), Iterator)
        assert type(loader).load is BaseChatLoader.load
        sessions = loader.load()
        assert sessions, "the source contains no sessions"
        assert sessions == list(loader.lazy_load()) == loader.load()

    def test_sessions_are_created_lazily(self, loader: BaseChatLoader) -> None:
        """Test that the first session is yielded before all of them are created.

        Skipped if there is one session. If it fails: `yield` each session as soon as it
        is complete; to sort sessions, sort their files or ids.
        """
        sizes = [len(session["messages"]) for session in loader.lazy_load()]
        if len(sizes) == 1:
            pytest.skip("the source contains one session")
        existing = _count_messages()
        sessions = iter(loader.lazy_load())
        next(sessions)
        assert _count_messages() - existing < sum(sizes)
        close(sessions)

    def test_passes_are_independent(self, loader: BaseChatLoader) -> None:
        """Test that simultaneous passes, in one thread or several, are independent.

        If it fails: each call of `lazy_load` needs its own connection, cursor or file,
        in local variables. A SQLite connection only works in its own thread.
        """
        expected = loader.load()
        pairs = list(zip_longest(loader.lazy_load(), loader.lazy_load()))
        assert pairs == [(session, session) for session in expected]
        barrier = threading.Barrier(_THREADS, timeout=60)

        def read() -> list[ChatSession]:
            barrier.wait()
            return list(loader.lazy_load())

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(_THREADS) as pool:
                passes = [pool.submit(read) for _ in range(_THREADS)]
        finally:
            sys.setswitchinterval(interval)
        assert all(one_pass.result() == expected for one_pass in passes)

    def test_sessions_are_dicts_of_human_messages(self, loader: BaseChatLoader) -> None:
        """Test that a session is a plain dict of non-empty human messages.

        If it fails: do not yield empty sessions. All people in an export are human,
        including the owner; `MapAIMessages` creates AI messages. Join the
        fragments of formatted text. Skip messages without text, or use a placeholder
        such as `[photo]`.
        """
        for session in loader.load():
            assert type(session) is dict
            assert session.get("messages"), "found a session without messages"
            for message in session["messages"]:
                assert isinstance(message, HumanMessage), (
                    f"found a {type(message).__name__}"
                )
                assert isinstance(message.content, str), type(message.content).__name__
                assert message.content.strip(), "found an empty message"

    def test_loads_expected_messages(self, loader: BaseChatLoader) -> None:
        """Test that no message is lost, duplicated, misattributed or altered.

        Skipped if `expected` is not set.
        """
        if self.expected is None:
            pytest.skip("`expected` is not set")
        loaded = [
            (message.additional_kwargs.get("sender"), message.content)
            for message in _iter_messages(loader.load())
        ]
        assert loaded == self.expected

    def test_messages_name_their_sender(self, loader: BaseChatLoader) -> None:
        """Test that `additional_kwargs["sender"]` is a non-empty string.

        If it fails: use `"unknown"` if the export does not contain the author.
        """
        for message in _iter_messages(loader.load()):
            sender = message.additional_kwargs.get("sender")
            assert isinstance(sender, str), f"found a {type(sender).__name__}"
            assert sender.strip(), "found an empty sender"

    def test_messages_are_sorted_by_time(self, loader: BaseChatLoader) -> None:
        """Test that messages are in order of time, oldest first.

        Skipped if `time_key` is not set. Messages without a time are ignored. If it
        fails: the export may be newest first. Use a stable sort.
        """
        if self.time_key is None:
            pytest.skip("`time_key` is not set")
        has_times = False
        for session in loader.load():
            kwargs = [message.additional_kwargs for message in session["messages"]]
            times = [k[self.time_key] for k in kwargs if k.get(self.time_key)]
            assert times == sorted(times)
            has_times = has_times or len(times) > 1
        assert has_times, f"no session has two messages with {self.time_key!r}"

    def test_sessions_share_no_objects(self, loader: BaseChatLoader) -> None:
        """Test that messages and sessions share no messages, lists or dicts.

        If it fails: create a new message and new `additional_kwargs` for each row, and
        new `metadata` for each session.
        """
        objects = list(_iter_mutable(loader.load()))
        assert len({id(item) for item in objects}) == len(objects)

    def test_sessions_survive_serialization(self, loader: BaseChatLoader) -> None:
        """Test that `dumps`, `loads` and pickle do not change sessions.

        If it fails: use integers or ISO 8601 strings for times, lists instead of tuples
        and sets, and no objects that cannot be pickled.
        """
        sessions = loader.load()
        message_types = {type(message) for message in _iter_messages(sessions)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LangChainBetaWarning)
            restored = loads(dumps(sessions), allowed_objects=list(message_types))
        assert restored == sessions
        assert pickle.loads(pickle.dumps(sessions)) == sessions

    @pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs time.tzset (POSIX)")
    def test_sessions_do_not_depend_on_the_time_zone(
        self, loader: BaseChatLoader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Test that the time zone of the machine has no effect.

        If it fails: `datetime.fromtimestamp(x)` and `datetime(...).timestamp()` use the
        local zone: pass `timezone.utc`.
        """
        loaded = []
        try:
            for zone in _ZONES:
                monkeypatch.setenv("TZ", zone)
                time.tzset()
                loaded.append(loader.load())
        finally:
            monkeypatch.undo()
            time.tzset()
        assert loaded[0] == loaded[1] == loaded[2]

    @_FOR_EACH_READ
    def test_source_is_unchanged(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
    ) -> None:
        """Test that reading does not change the source or create files next to it.

        Also checks the working directory, after a full read, a partial read, and a read
        of a damaged export. If it fails: open databases with `mode=ro` and
        consider `-wal` and `-shm`; `ZipFile.extract` writes to the working directory;
        clean up in a `with` block.
        """
        working_directory = tmp_path / "working-directory"
        working_directory.mkdir()
        monkeypatch.chdir(working_directory)
        if read == "failed":
            self.damage(source)
        before = _snapshot_folder(tmp_path)
        _read(self, source, read)
        assert _snapshot_folder(tmp_path) == before

    @_FOR_EACH_READ
    def test_leaves_no_temporary_files(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
    ) -> None:
        """Test that no temporary files are left behind.

        If it fails: use `with TemporaryDirectory()` inside the generator.
        """
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        if read == "failed":
            self.damage(source)
        _read(self, source, read)
        assert not list(temporary.iterdir())

    @pytest.mark.parametrize("read", ["partial", "failed"])
    def test_source_is_closed(self, source: Path, read: str) -> None:
        """Test that partial and failed reads leave no file open.

        Skipped on Windows. If it fails: open the source in a `with` block inside the
        generator (`contextlib.closing` for `sqlite3.connect`), even to check its first
        bytes, and store no open file on `self`.
        """
        if read == "failed":
            self.damage(source)
        with _pause_garbage_collection():
            result = _read(self, source, read)
            assert not _find_open_files(source)
        assert not [text for text in result.reports if "unclosed" in text]

    def test_repr_shows_no_content(self, loader: BaseChatLoader) -> None:
        """Test that the `repr`, which may be logged, contains no message text."""
        texts = _find_distinctive_texts(loader.load())
        output = f"{loader!r} {loader}"
        assert not any(text in output for text in texts)

    def test_errors_show_no_content(self, source: Path) -> None:
        """Test that errors and warnings about a damaged export quote no message text.

        If it fails: report the path and the line number, but not the line; use `raise
        ... from None` if the cause quotes its input.
        """
        texts = _find_distinctive_texts(self.make_loader(source).load())
        self.damage(source)
        for report in _read(self, source, "failed").reports:
            assert not any(text in report for text in texts)

    def test_loader_pickles_while_it_is_read(self, loader: BaseChatLoader) -> None:
        """Test that a loader can be pickled while it is read."""
        expected = loader.load()
        sessions = iter(loader.lazy_load())
        next(sessions)
        assert pickle.loads(pickle.dumps(loader)).load() == expected
        close(sessions)

    def test_joins_with_steps(self, loader: BaseChatLoader) -> None:
        """Test that `loader | step` is a chat loader of the step's sessions.

        If it fails: do not define `__or__`, or return a `TransformedChatLoader`.
        """
        merge, split = MergeChatRuns(), ChunkSessions(size=1, overlap=0)
        joined = loader | merge
        assert isinstance(joined, BaseChatLoader)
        assert joined.load() == merge.invoke(loader.load())
        assert (joined | split).load() == (merge | split).invoke(loader.load())

    def test_inspect_adds_up(self, loader: BaseChatLoader) -> None:
        """Test that `inspect` counts every message as loaded or skipped.

        Skipped if the loader has no `inspect`. If it fails: yield every
        record of the export as a `Message` with its `kind`.
        """
        if not hasattr(loader, "inspect"):
            pytest.skip("the loader has no `inspect`")
        sessions = loader.load()
        summary = loader.inspect()
        assert summary.sessions == len(sessions)
        # Messages repeated as context in another session are counted once.
        assert summary.kept == sum(
            message.additional_kwargs.get("weight") != 0
            for message in _iter_messages(sessions)
        )
        assert summary.found == summary.kept + sum(summary.skipped.values())
        output = f"{summary} {summary!r}"
        assert not any(text in output for text in _find_distinctive_texts(sessions))


class ChatLoaderIntegrationTests(MemoryLimit, ChatLoaderTests):
    """Base class for chat loader integration tests, on a real or large export.

    Properties and the fixture `source` are as in `ChatLoaderUnitTests`, with at least
    20 sessions of about the same size. The memory limit is a property.
    """

    @property
    def expected_sessions(self) -> int | None:
        """The number of sessions in the export, if known."""
        return None

    @property
    def expected_messages(self) -> int | None:
        """The number of loaded messages, if known."""
        return None

    def test_loads_expected_counts(self, loader: BaseChatLoader) -> None:
        """Test that the number of sessions and messages matches the expected counts.

        If it fails: count with another tool (`sqlite3`, `jq`), except for messages that
        the loader skips: reactions, events, empty messages.
        """
        if self.expected_sessions is None and self.expected_messages is None:
            pytest.skip("neither `expected_sessions` nor `expected_messages` is set")
        sizes = [len(session["messages"]) for session in loader.lazy_load()]
        if self.expected_sessions is not None:
            assert len(sizes) == self.expected_sessions
        if self.expected_messages is not None:
            assert sum(sizes) == self.expected_messages

    def test_memory_is_flat(self, loader: BaseChatLoader) -> None:
        """Test that messages do not stay in memory.

        If it fails: look for a set of ids, an unbounded cache, or a list of rows.
        """
        self.check_memory(loader.lazy_load)


def _iter_messages(sessions: list[ChatSession]) -> Iterator[BaseMessage]:
    for session in sessions:
        yield from session.get("messages", ())


def _iter_mutable(value: object) -> Iterator[object]:
    """Yield all messages, lists and dicts in a value."""
    if isinstance(value, (BaseMessage, list, dict)):
        yield value
    if isinstance(value, BaseMessage):
        yield from _iter_mutable(value.additional_kwargs)
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _iter_mutable(item)


def _count_messages() -> int:
    gc.collect()
    return sum(isinstance(item, BaseMessage) for item in gc.get_objects())


def _find_distinctive_texts(sessions: list[ChatSession]) -> set[str]:
    texts = {str(message.content) for message in _iter_messages(sessions)}
    distinctive = {
        text for text in texts if len(text.strip()) >= _MIN_DISTINCTIVE_LENGTH
    }
    assert distinctive, "the source contains no distinctive text"
    return distinctive


class _ReadResult(NamedTuple):
    loader: BaseChatLoader | None
    """The loader; this reference keeps its open files alive."""

    reports: list[str]
    """The messages of errors and warnings."""


def _read(suite: ChatLoaderTests, source: Path, read: str) -> _ReadResult:
    """Read an export and collect the messages of errors, causes and warnings."""
    loader, reports = None, []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            loader = suite.make_loader(source)
            sessions = loader.lazy_load()
            if read == "partial":
                next(sessions, None)
                close(sessions)
            for _ in sessions:
                pass
        except Exception as error:  # noqa: BLE001 - loaders may raise any error
            reports = traceback.format_exception_only(error)
            reports += [f"{cause!r}" for cause in _iter_causes(error)]
    reports += [str(warning.message) for warning in caught]
    return _ReadResult(loader, reports)


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or (
        None if error.__suppress_context__ else error.__context__
    )
    if cause is not None:
        yield cause
        yield from _iter_causes(cause)


def _snapshot_folder(folder: Path) -> dict[str, tuple[int, str]]:
    """Return the modification time and content of each file and folder."""
    snapshot = {}
    for path in (folder, *folder.rglob("*")):
        content = f"link to {path.readlink()}" if path.is_symlink() else "folder"
        if path.is_file():
            content += hashlib.sha256(path.read_bytes()).hexdigest()
        snapshot[path.as_posix()] = (path.lstat().st_mtime_ns, content)
    return snapshot


def _find_open_files(source: Path) -> list[str]:
    """Return the names of the source's open files; skip the test if unsupported."""
    if not _DESCRIPTORS.is_dir():
        pytest.skip("this system has no /dev/fd")
    statuses = {path.name: path.stat() for path in (source, *source.rglob("*"))}
    names = []
    for descriptor in os.listdir(_DESCRIPTORS):  # noqa: PTH208 - numbers, not paths
        try:
            status = os.fstat(int(descriptor))
        except OSError:  # The descriptor of `listdir` is already closed.
            continue
        names += [n for n, other in statuses.items() if os.path.samestat(status, other)]
    return names


@contextmanager
def _pause_garbage_collection() -> Iterator[None]:
    """Disable garbage collection, which would close open files."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
