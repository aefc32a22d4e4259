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
    Bounds,
    ChatExportStandardTests,
    check_nothing_is_shared,
    close,
)
from langchain_chatexports.steps import ChunkSessions, MergeChatRuns

_MIN_DISTINCTIVE = 4  # Characters; shorter texts may occur in any path.
_THREADS = 4
# With daylight saving time on the southern and on the northern hemisphere.
_ZONES = ("UTC0", "NZST-12NZDT,M9.5.0,M4.1.0/3", "EST5EDT,M3.2.0,M11.1.0")
_DESCRIPTORS = Path("/dev/fd")
_EACH_READ = pytest.mark.parametrize("read", ["full", "partial", "failed"])


class ChatLoaderTests(ChatExportStandardTests):
    """Properties and fixtures of the chat loader suites."""

    @property
    @abstractmethod
    def chat_loader_class(self) -> type[BaseChatLoader]:
        """The chat loader class to be tested."""

    @property
    def chat_loader_params(self) -> dict[str, Any]:
        """Further arguments of the chat loader, besides its source."""
        return {}

    @property
    def source_param(self) -> str:
        """The name of the argument that takes the source's path."""
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
        """A loader of `source`."""
        return self.make_loader(source)


class ChatLoaderUnitTests(ChatLoaderTests):
    """Base class for chat loader unit tests.

    A subclass names the loader, and builds a small export:

    ```python
    class TestMyChatLoader(ChatLoaderUnitTests):
        @property
        def chat_loader_class(self):
            return MyChatLoader

        @pytest.fixture
        def source(self, tmp_path):
            path = tmp_path / "export" / "chats.json"
            path.parent.mkdir()
            path.write_text(json.dumps({"chats": ...}))
            return path
    ```

    The export must be in a subfolder of `tmp_path`, and contain at least two sessions
    (if the format allows it), with texts that occur nowhere else.

    Optional properties: `chat_loader_params`, `source_param`, `time_key` (enables the
    test of the order), `expected` (enables the test of the loaded messages).

    The docstring of each test explains what to do if it fails.
    """

    @property
    def time_key(self) -> str | None:
        """The key of a message's time in `additional_kwargs`, if there is one."""
        return None

    @property
    def expected(self) -> list[tuple[str, str]] | None:
        """The sender and text of each message in `source`, in order."""
        return None

    def damage(self, source: Path) -> None:
        """Damage the export; by default, cut all files in half."""
        for path in [source, *source.rglob("*")]:
            if path.is_file():
                os.truncate(path, path.stat().st_size // 2)

    # --- creating a loader, and laziness

    @pytest.mark.parametrize("kind", [Path, str])
    def test_init_takes_path_and_str(
        self, source: Path, kind: type[Path | str]
    ) -> None:
        """Test that the source may be a `Path` or a `str`.

        If it fails: `self.path = Path(path)`; also check `source_param`.
        """
        assert self.make_loader(kind(source)).load()

    def test_missing_source_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        """Test that a missing source raises `FileNotFoundError` with its path.

        If it fails: `sqlite3.connect` creates a missing file, and `glob` does not
        distinguish a missing folder from an empty one.
        """
        missing = tmp_path / "nothing-here"
        with pytest.raises(FileNotFoundError) as caught:
            next(iter(self.make_loader(missing).lazy_load()), None)
        assert missing.name in str(caught.value)
        assert not missing.exists(), "the loader created the missing source"

    def test_load_gives_what_lazy_load_gives(self, loader: BaseChatLoader) -> None:
        """Test that `lazy_load` is an iterator, and `load` is langchain-core's.

        If it fails: open the source inside `lazy_load`, keep no position on `self`, and
        sort what you list.
        """
        assert isinstance(loader.lazy_load(), Iterator)
        assert type(loader).load is BaseChatLoader.load
        sessions = loader.load()
        assert sessions, "the source holds no session"
        assert sessions == list(loader.lazy_load()) == loader.load()

    def test_passes_are_independent(self, loader: BaseChatLoader) -> None:
        """Test that simultaneous passes, in one thread or several, are independent.

        If it fails: each call of `lazy_load` needs its own connection, cursor or file,
        in local variables. A connection of SQLite serves only its own thread.
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

    # --- what is loaded

    def test_sessions_are_dicts_of_human_messages(self, loader: BaseChatLoader) -> None:
        """Test that a session is a plain dict with `messages`, all human and with text.

        If it fails: yield no session without messages. Everybody in an export is human,
        including the owner; steps such as `MapAIMessages` turn messages into the AI's.
        Join the texts of formatted messages, and skip those without text or use a
        placeholder such as `[photo]`.
        """
        for session in loader.load():
            assert type(session) is dict
            assert session.get("messages"), "a session without messages"
            for message in session["messages"]:
                assert isinstance(message, HumanMessage), f"a {type(message).__name__}"
                assert isinstance(message.content, str), type(message.content).__name__
                assert message.content.strip(), "an empty message"

    def test_loads_the_expected_messages(self, loader: BaseChatLoader) -> None:
        """Test that no message is lost, doubled, misattributed or altered.

        Runs where `expected` is set: pairs of sender and text, of all sessions.
        """
        if self.expected is None:
            pytest.skip("`expected` is not set")
        loaded = [
            (message.additional_kwargs.get("sender"), message.content)
            for message in _messages(loader.load())
        ]
        assert loaded == self.expected

    def test_messages_name_their_sender(self, loader: BaseChatLoader) -> None:
        """Test that `additional_kwargs["sender"]` is a non-empty string.

        If it fails: use `"unknown"` if the export does not contain the author.
        """
        for message in _messages(loader.load()):
            sender = message.additional_kwargs.get("sender")
            assert isinstance(sender, str), f"a {type(sender).__name__}"
            assert sender.strip(), "an empty sender"

    def test_messages_are_in_order_of_time(self, loader: BaseChatLoader) -> None:
        """Test that each session starts with its oldest message.

        Runs if `time_key` is set; messages without a time are ignored. If it fails:
        some exports are newest first. Use a stable sort.
        """
        if self.time_key is None:
            pytest.skip("`time_key` is not set")
        is_timed = False
        for session in loader.load():
            kwargs = [message.additional_kwargs for message in session["messages"]]
            times = [k[self.time_key] for k in kwargs if k.get(self.time_key)]
            assert times == sorted(times)
            is_timed = is_timed or len(times) > 1
        assert is_timed, f"no session has two messages with {self.time_key!r}"

    def test_no_object_is_in_two_places(self, loader: BaseChatLoader) -> None:
        """Test that no message, list or `additional_kwargs` is shared.

        If it fails: create a new message and new `additional_kwargs` for each row.
        """
        check_nothing_is_shared(loader.load())

    def test_sessions_survive_serialization(self, loader: BaseChatLoader) -> None:
        """Test that `dumps` and `loads`, and pickle, do not change sessions.

        If it fails: use integers or ISO 8601 strings for times, lists instead of tuples
        and sets, and no objects of this process.
        """
        sessions = loader.load()
        kinds = {type(message) for message in _messages(sessions)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LangChainBetaWarning)
            assert loads(dumps(sessions), allowed_objects=list(kinds)) == sessions
        assert pickle.loads(pickle.dumps(sessions)) == sessions

    @pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs time.tzset (POSIX)")
    def test_sessions_do_not_depend_on_the_time_zone(
        self, loader: BaseChatLoader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Test that the machine's time zone changes nothing.

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

    # --- side effects

    @_EACH_READ
    def test_source_is_unchanged(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
    ) -> None:
        """Test that reading does not change the source or create files next to it.

        The working directory is checked as well, after a full read, after one that
        stops at the first session, and after a read of an export that `damage` broke.
        If it fails: open databases with `mode=ro` and consider `-wal` and `-shm`;
        `ZipFile.extract` writes into the working directory; clean up in a `with`.
        """
        litter = tmp_path / "working-directory"
        litter.mkdir()
        monkeypatch.chdir(litter)
        if read == "failed":
            self.damage(source)
        before = _folder_state(tmp_path)
        _read(self, source, read)
        assert _folder_state(tmp_path) == before

    @_EACH_READ
    def test_leaves_no_temporary_files(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
    ) -> None:
        """Test that no files remain in the folder for temporary files.

        If it fails: use a `TemporaryDirectory` in a `with` inside the generator.
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
        """Test that an early stop and a failed read leave no file open.

        Skipped on Windows. If it fails: open the source in a `with` inside the
        generator (`contextlib.closing` for `sqlite3.connect`), including where its
        first bytes are checked, and keep no open file on `self`.
        """
        if read == "failed":
            self.damage(source)
        with _collection_paused():
            attempt = _read(self, source, read)
            assert not _open_files(source)
        assert not [text for text in attempt.texts if "unclosed" in text]

    # --- privacy

    def test_repr_shows_no_content(self, loader: BaseChatLoader) -> None:
        """Test that the `repr`, which may be logged, contains no message text."""
        texts = _distinctive_texts(loader.load())
        shown = f"{loader!r} {loader}"
        assert not any(text in shown for text in texts)

    def test_errors_show_no_content(self, source: Path) -> None:
        """Test that errors and warnings about a damaged export quote no message text.

        If it fails: name the path and the line number, not the line itself; raise
        `from None` if the cause quotes its input.
        """
        texts = _distinctive_texts(self.make_loader(source).load())
        self.damage(source)
        for shown in _read(self, source, "failed").texts:
            assert not any(text in shown for text in texts)

    # --- use

    def test_loader_pickles_while_it_is_read(self, loader: BaseChatLoader) -> None:
        """Test that a loader can be sent to another process while it is read."""
        expected = loader.load()
        reading = loader.lazy_load()
        next(reading)
        assert pickle.loads(pickle.dumps(loader)).load() == expected
        close(reading)

    def test_joins_with_steps(self, loader: BaseChatLoader) -> None:
        """Test that `loader | step` is a chat loader of the step's sessions.

        If it fails: leave `__or__` to the steps, or return a `TransformedChatLoader`.
        """
        merge, split = MergeChatRuns(), ChunkSessions(size=1, overlap=0)
        joined = loader | merge
        assert isinstance(joined, BaseChatLoader)
        assert joined.load() == merge.invoke(loader.load())
        assert (joined | split).load() == (merge | split).invoke(loader.load())

    def test_inspect_adds_up(self, loader: BaseChatLoader) -> None:
        """Test that `inspect` accounts for all messages, loaded and skipped.

        Runs if the loader has `inspect`, as in langchain-chatexports. If it fails:
        yield every record of the export as a `Message` with its `kind`.
        """
        if not hasattr(loader, "inspect"):
            pytest.skip("the loader has no `inspect`")
        sessions = loader.load()
        summary = loader.inspect()
        assert summary.sessions == len(sessions)
        # Messages repeated as context in another session are counted once.
        assert summary.kept == sum(
            message.additional_kwargs.get("weight") != 0
            for message in _messages(sessions)
        )
        assert summary.found == summary.kept + sum(summary.skipped.values())
        shown = f"{summary} {summary!r}"
        assert not any(text in shown for text in _distinctive_texts(sessions))


class ChatLoaderIntegrationTests(Bounds, ChatLoaderTests):
    """Base class for chat loader integration tests, on a real or large export.

    Properties and the fixture `source` are as in `ChatLoaderUnitTests`, with at least
    20 sessions of about the same size. The limit of memory is a property.

    ```python
    class TestMyChatLoaderAtScale(ChatLoaderIntegrationTests):
        @property
        def chat_loader_class(self):
            return MyChatLoader

        @property
        def expected_sessions(self):
            return 500

        @pytest.fixture
        def source(self, tmp_path):
            return build_large_export(tmp_path, sessions=500)
    ```
    """

    @property
    def expected_sessions(self) -> int | None:
        """The number of sessions in the export, if known."""
        return None

    @property
    def expected_messages(self) -> int | None:
        """The number of messages loaded from the export, if known."""
        return None

    def test_holds_the_expected_sessions(self, loader: BaseChatLoader) -> None:
        """Test the numbers of sessions and messages, if they are set.

        If it fails: count with another tool (`sqlite3`, `jq`), and consider messages
        that the loader skips: reactions, events, empty messages.
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


def _messages(sessions: list[ChatSession]) -> Iterator[BaseMessage]:
    for session in sessions:
        yield from session.get("messages", ())


def _distinctive_texts(sessions: list[ChatSession]) -> set[str]:
    texts = {str(message.content) for message in _messages(sessions)}
    distinctive = {text for text in texts if len(text.strip()) >= _MIN_DISTINCTIVE}
    assert distinctive, "the source contains no distinctive text"
    return distinctive


class _Attempt(NamedTuple):
    """The result of a read: the loader, and the texts of errors and warnings."""

    loader: BaseChatLoader | None
    """Kept, so that files which it leaves open stay open."""

    texts: list[str]


def _read(suite: ChatLoaderTests, source: Path, read: str) -> _Attempt:
    """Read an export, and collect the texts of errors, causes and warnings."""
    loader, texts = None, []
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
        except Exception as error:  # noqa: BLE001 - loaders may raise any
            texts = traceback.format_exception_only(error)
            texts += [f"{cause!r}" for cause in _causes(error)]
    return _Attempt(loader, texts + [str(warning.message) for warning in caught])


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or (
        None if error.__suppress_context__ else error.__context__
    )
    if cause is not None:
        yield cause
        yield from _causes(cause)


def _folder_state(folder: Path) -> dict[str, tuple[int, str]]:
    """Return modification time and content of a folder and of everything in it."""

    def content(path: Path) -> str:
        if path.is_symlink():
            return f"link to {path.readlink()}"
        is_file = path.is_file()
        return hashlib.sha256(path.read_bytes()).hexdigest() if is_file else "folder"

    return {
        path.relative_to(folder).as_posix(): (path.lstat().st_mtime_ns, content(path))
        for path in (folder, *sorted(folder.rglob("*")))
    }


def _open_files(source: Path) -> list[str]:
    """Return the open files of a source, or skip the test."""
    if not _DESCRIPTORS.is_dir():
        pytest.skip("this system has no /dev/fd")
    statuses = {path.name: path.stat() for path in (source, *source.rglob("*"))}
    held = []
    for descriptor in os.listdir(_DESCRIPTORS):  # noqa: PTH208 - numbers, not paths
        try:
            status = os.fstat(int(descriptor))
        except OSError:  # The descriptor of `listdir` is already closed.
            continue
        held += [n for n, other in statuses.items() if os.path.samestat(status, other)]
    return held


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Keep the garbage collector from closing open files."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
