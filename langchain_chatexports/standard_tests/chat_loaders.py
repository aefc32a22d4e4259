"""Unit tests that every chat loader should pass."""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import threading
import time
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from langchain_core._api import LangChainBetaWarning
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.load import dumps, loads
from langchain_core.messages import BaseMessage, HumanMessage

from langchain_chatexports.standard_tests.base import ChatExportStandardTests
from langchain_chatexports.standard_tests.resources import (
    close,
    collection_paused,
    folder_state,
    made_read_only,
    memory_traced,
    open_files,
    peak_while,
)
from langchain_chatexports.steps import ChunkSessions, MergeChatRuns

_MIN_SESSIONS_FOR_MEMORY = 100
_MIN_DISTINCTIVE = 4  # Characters; a shorter text may be part of any path.
_THREADS = 4
_NO_PATH = "`source_param` is None: the loader takes no path"
# With summer time on one half of the globe and on the other.
_ZONES = ("UTC0", "NZST-12NZDT,M9.5.0,M4.1.0/3", "EST5EDT,M3.2.0,M11.1.0")


class ChatLoaderTests(ChatExportStandardTests):
    """Properties and fixtures of the chat loader suites."""

    @property
    @abstractmethod
    def chat_loader_class(self) -> type[BaseChatLoader]:
        """The chat loader class to be tested."""

    @property
    def chat_loader_params(self) -> dict[str, Any]:
        """Further arguments of the chat loader, beside its source."""
        return {}

    @property
    def source_param(self) -> str | None:
        """The name of the argument that takes the source's path.

        `None` for a loader that takes no path: `chat_loader_params` holds all of its
        arguments then, and the checks of the source are skipped.
        """
        return "path"

    def make_loader(self, source: Path | str | None) -> BaseChatLoader:
        """Make a loader of a source."""
        params = dict(self.chat_loader_params)
        if self.source_param is not None:
            params[self.source_param] = source
        return self.chat_loader_class(**params)

    @pytest.fixture
    def source(self) -> Path:
        """Build the export inside `tmp_path` and give its path; to be overridden."""
        if self.source_param is None:
            pytest.skip(_NO_PATH)
        msg = f"{type(self).__name__} needs a fixture `source` that builds an export."
        raise NotImplementedError(msg)

    @pytest.fixture
    def loader(self, request: pytest.FixtureRequest) -> BaseChatLoader:
        """A loader of `source`, if it takes a path."""
        if self.source_param is None:
            return self.make_loader(None)
        return self.make_loader(request.getfixturevalue("source"))


class ChatLoaderUnitTests(ChatLoaderTests):
    """Base class for chat loader unit tests.

    A subclass says which loader it tests, and builds a small export:

    ```python
    import json

    import pytest

    from langchain_chatexports.standard_tests import ChatLoaderUnitTests
    from my_package import MyChatLoader


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

    The export lies in a folder of its own inside `tmp_path` and holds at least two
    sessions (where the format can), with texts that occur nowhere else.

    Optional properties: `chat_loader_params`, `source_param`, `time_key` (turns on the
    check of the order), `has_sender`, `expected` (turns on the check of what is
    loaded). Optional fixture: `many_sessions_source` (turns on the check of memory, for
    loaders of many sessions).

    The docstring of a test says what to do if it fails.
    """

    @property
    def time_key(self) -> str | None:
        """The key in `additional_kwargs` that holds a message's time, if any."""
        return None

    @property
    def has_sender(self) -> bool:
        """Whether each message names its sender in `additional_kwargs`."""
        return True

    @property
    def expected(self) -> list[tuple[str, str]] | None:
        """The sender and text of each message of `source`, in the order of loading."""
        return None

    @pytest.fixture
    def many_sessions_source(self, source: Path) -> Path:
        """An export of 100 sessions or more, of some kB each; `source` by default."""
        return source

    def damage(self, source: Path) -> None:
        """Break the export; by default each of its files loses its second half."""
        for path in [source, *source.rglob("*")]:
            if path.is_file():
                os.truncate(path, path.stat().st_size // 2)

    # --- making a loader

    @pytest.mark.parametrize("kind", [Path, str])
    def test_init_takes_path_and_str(
        self, source: Path, kind: type[Path | str]
    ) -> None:
        """Test that the source may be a `Path` or a `str`.

        ??? note "Troubleshooting"

            If this fails, wrap the argument: `self.path = Path(path)`, and check that
            `source_param` and `chat_loader_params` name real arguments.
        """
        assert self.make_loader(kind(source)).load()

    def test_missing_source_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        """Test that a source that is not there gives `FileNotFoundError` with its path.

        ??? note "Troubleshooting"

            Raise it in `__init__` or on first use. `sqlite3.connect` creates a missing
            file, and an empty folder and no folder look alike to `glob`.
        """
        if self.source_param is None:
            pytest.skip(_NO_PATH)
        missing = tmp_path / "nothing-here"
        with pytest.raises(FileNotFoundError) as caught:
            next(iter(self.make_loader(missing).lazy_load()), None)
        assert missing.name in str(caught.value)
        assert not missing.exists(), "the loader created the missing source"

    # --- laziness

    def test_load_is_not_overridden(self) -> None:
        """Test that `load` is langchain-core's."""
        assert self.chat_loader_class.load is BaseChatLoader.load

    def test_lazy_load_returns_an_iterator(self, loader: BaseChatLoader) -> None:
        """Test that `lazy_load` returns an iterator."""
        sessions = loader.lazy_load()
        assert isinstance(sessions, Iterator), f"a {type(sessions).__name__}"
        assert iter(sessions) is sessions

    def test_load_gives_what_lazy_load_gives(self, loader: BaseChatLoader) -> None:
        """Test that `load` and `lazy_load` agree, on at least one session.

        ??? note "Troubleshooting"

            Check that `source` holds sessions that `chat_loader_params` do not leave
            out, and that the order does not depend on the file system: sort what you
            list.
        """
        sessions = loader.load()
        assert sessions, "the source holds no session"
        assert sessions == list(loader.lazy_load())

    def test_loads_twice_the_same(self, loader: BaseChatLoader) -> None:
        """Test that a loader can be read again.

        ??? note "Troubleshooting"

            Open the source inside `lazy_load`, not in `__init__`, and keep no position
            on `self`.
        """
        assert loader.load() == loader.load()

    def test_interleaved_iterations_are_independent(
        self, loader: BaseChatLoader
    ) -> None:
        """Test that two passes at the same time do not disturb each other.

        ??? note "Troubleshooting"

            Each call of `lazy_load` needs a connection, cursor or file of its own.
        """
        expected = loader.load()
        first, second = [], []
        for left, right in zip_longest(loader.lazy_load(), loader.lazy_load()):
            first.append(left)
            second.append(right)
        assert first == expected
        assert second == expected

    def test_threads_are_independent(self, loader: BaseChatLoader) -> None:
        """Test that several threads can read a loader at the same time.

        ??? note "Troubleshooting"

            Keep what belongs to one pass in the local variables of `lazy_load`, not on
            `self`. A connection of SQLite serves only the thread that opened it.
        """
        expected = loader.load()
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

    def test_holds_one_session_at_a_time(self, many_sessions_source: Path) -> None:
        """Test that reading session by session needs less than half of `load`'s memory.

        Runs where `many_sessions_source` (by default `source`) holds 100 sessions or
        more.

        ??? note "Troubleshooting"

            Something keeps all sessions, or all rows: look for `fetchall`, `json.load`
            of the whole export, a list that is filled before the first `yield`.
        """
        loader = self.make_loader(many_sessions_source)
        count = sum(1 for _ in loader.lazy_load())  # Warms up imports and caches, too.
        if count < _MIN_SESSIONS_FOR_MEMORY:
            pytest.skip(
                f"{count} sessions in the source say nothing about memory; "
                f"give {_MIN_SESSIONS_FOR_MEMORY} or more in `many_sessions_source`"
            )
        with memory_traced():
            lazily = peak_while(lambda: _drain(loader.lazy_load()))
            at_once = peak_while(loader.load)
        assert lazily < at_once / 2, f"{lazily:,} of {at_once:,} bytes"

    # --- what is loaded

    def test_sessions_are_dicts_of_messages(self, loader: BaseChatLoader) -> None:
        """Test that a session is a plain dict with a non-empty `messages`.

        ??? note "Troubleshooting"

            Yield no session for a conversation without messages.
        """
        for session in loader.load():
            assert type(session) is dict
            assert session.get("messages"), "a session without messages"
            for message in session["messages"]:
                assert isinstance(message, BaseMessage)

    def test_messages_are_human(self, loader: BaseChatLoader) -> None:
        """Test that each message is a `HumanMessage`.

        ??? note "Troubleshooting"

            Everybody in an export is a person, also its owner. Whose messages become
            those of the AI is decided later, by a step such as `MapAIMessages`. Give
            the speaker as `additional_kwargs["sender"]`, not as the role of a
            `ChatMessage`.
        """
        for message in _messages(loader.load()):
            assert isinstance(message, HumanMessage), f"a {type(message).__name__}"

    def test_messages_are_not_empty(self, loader: BaseChatLoader) -> None:
        """Test that each message says something.

        ??? note "Troubleshooting"

            Leave out what has no text (a picture, a call), or write a placeholder such
            as `[photo]`: chat models refuse messages that are empty or white space.
        """
        for message in _messages(loader.load()):
            assert str(message.content).strip(), "an empty message"

    def test_loads_the_expected_messages(self, loader: BaseChatLoader) -> None:
        """Test that no message is lost, doubled, misattributed or altered.

        Runs where `expected` is set.

        ??? note "Troubleshooting"

            `expected` lists the messages of all sessions as pairs of sender and text.
        """
        if self.expected is None:
            pytest.skip("`expected` is not set")
        loaded = [
            (message.additional_kwargs.get("sender"), message.content)
            for message in _messages(loader.load())
        ]
        assert loaded == self.expected

    def test_content_is_text(self, loader: BaseChatLoader) -> None:
        """Test that each message's content is a string.

        ??? note "Troubleshooting"

            Some exports give formatted text as a list of parts: join their texts.
        """
        for message in _messages(loader.load()):
            assert isinstance(message.content, str), type(message.content).__name__

    def test_messages_name_their_sender(self, loader: BaseChatLoader) -> None:
        """Test that `additional_kwargs["sender"]` is a non-empty string.

        ??? note "Troubleshooting"

            Steps find a person's messages by it. Give `"unknown"` where the export
            does not say who wrote; set `has_sender` to `False` if it never does.
        """
        if not self.has_sender:
            pytest.skip("`has_sender` is False")
        for message in _messages(loader.load()):
            sender = message.additional_kwargs.get("sender")
            assert isinstance(sender, str), f"a {type(sender).__name__}"
            assert sender.strip(), "an empty sender"

    def test_messages_are_in_order_of_time(self, loader: BaseChatLoader) -> None:
        """Test that each session starts with its oldest message.

        Runs where `time_key` is set. Messages without a time are passed over.

        ??? note "Troubleshooting"

            Some exports are newest first; sort stably, so that messages of the same
            moment keep the export's order.
        """
        if self.time_key is None:
            pytest.skip("`time_key` is not set")
        timed = False
        for session in loader.load():
            kwargs = [message.additional_kwargs for message in session["messages"]]
            times = [k[self.time_key] for k in kwargs if k.get(self.time_key)]
            assert times == sorted(times)
            timed = timed or len(times) > 1
        assert timed, f"no session has two messages with {self.time_key!r}"

    def test_no_object_is_in_two_places(self, loader: BaseChatLoader) -> None:
        """Test that no message, list or `additional_kwargs` is shared.

        ??? note "Troubleshooting"

            Whoever changes one message would change another one. Build the message and
            its `additional_kwargs` anew for each row.
        """
        sessions = loader.load()
        messages = list(_messages(sessions))
        assert _all_distinct(session["messages"] for session in sessions)
        assert _all_distinct(messages)
        assert _all_distinct(message.additional_kwargs for message in messages)

    def test_sessions_survive_serialization(self, loader: BaseChatLoader) -> None:
        """Test that sessions come back the same from `dumps` and `loads`.

        ??? note "Troubleshooting"

            Everything in a session must be a message or a JSON type: write times as
            integers or ISO 8601 strings (no `datetime`), and lists instead of tuples
            and sets.
        """
        sessions = loader.load()
        kinds = {type(message) for message in _messages(sessions)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LangChainBetaWarning)
            again = loads(dumps(sessions), allowed_objects=list(kinds))
        assert again == sessions

    def test_sessions_pickle(self, loader: BaseChatLoader) -> None:
        """Test that sessions can be sent to another process.

        ??? note "Troubleshooting"

            Something in a session belongs to this process: an open file, a lock, a
            function. Write what it stands for, in JSON types.
        """
        sessions = loader.load()
        assert pickle.loads(pickle.dumps(sessions)) == sessions

    @pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs time.tzset (POSIX)")
    def test_sessions_do_not_depend_on_the_time_zone(
        self, loader: BaseChatLoader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Test that the machine's time zone changes nothing.

        ??? note "Troubleshooting"

            `datetime.fromtimestamp(x)` and `datetime(...).timestamp()` use the local
            zone: pass `timezone.utc`. One does not undo the other where there is
            summer time.
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

    # --- what a loader leaves as it was

    def test_source_is_unchanged_after_a_full_read(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Test that bytes and times of the source stay, and nothing appears beside it.

        The working directory counts as beside it.

        ??? note "Troubleshooting"

            `sqlite3.connect(path)` may write: open with `mode=ro`, and mind `-wal` and
            `-shm`. `ZipFile.extract` writes into the working directory: read members
            in place with `ZipFile.open`.
        """
        monkeypatch.chdir(_folder_for_litter(tmp_path))
        before = folder_state(tmp_path)
        self.make_loader(source).load()
        assert folder_state(tmp_path) == before

    def test_source_is_unchanged_after_a_partial_read(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Test the same for a read that stops after the first session.

        ??? note "Troubleshooting"

            What is cleaned up after the last `yield` is not cleaned up when the reader
            stops early: use `with` or `try: … finally:`.
        """
        monkeypatch.chdir(_folder_for_litter(tmp_path))
        before = folder_state(tmp_path)
        _read_one(self.make_loader(source))
        assert folder_state(tmp_path) == before

    def test_source_is_unchanged_after_a_failed_read(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Test the same for an export that `damage` broke.

        Whether the loader raises, warns or goes on is its own decision.

        ??? note "Troubleshooting"

            What is cleaned up only on success stays after an error: use `with` or
            `try: … finally:`. Write no log or report beside the export.
        """
        monkeypatch.chdir(_folder_for_litter(tmp_path))
        self.damage(source)
        before = folder_state(tmp_path)
        _try_to_read(self, source)
        assert folder_state(tmp_path) == before

    def test_reads_from_a_read_only_folder(self, source: Path) -> None:
        """Test that nothing but the right to read is needed.

        Skipped on Windows and for root, where permissions do not bind.

        ??? note "Troubleshooting"

            Open files with `"rb"` or `"r"`, databases with `mode=ro` (a database with a
            `-wal` needs more care: see `immutable=1`), and make no lock file.
        """
        expected = self.make_loader(source).load()
        with made_read_only(source):
            sessions = self.make_loader(source).load()
        assert sessions == expected

    def test_leaves_no_temporary_files(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Test that no copy of the export stays in the folder for temporary files.

        ??? note "Troubleshooting"

            Hold a `TemporaryDirectory` in a `with` inside the generator, so that it
            goes when the reader stops early.
        """
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        for name in ("TMPDIR", "TEMP", "TMP"):
            monkeypatch.setenv(name, str(temporary))
        self.make_loader(source).load()
        _read_one(self.make_loader(source))
        assert not list(temporary.iterdir())

    def test_early_close_closes_the_source(
        self, loader: BaseChatLoader, source: Path
    ) -> None:
        """Test that a reader that stops leaves no file of the source open.

        Skipped where the system does not list open descriptors (Windows).

        ??? note "Troubleshooting"

            Open the source in a `with` inside the generator. The `with` of
            `sqlite3.connect` closes nothing: use `contextlib.closing`.
        """
        with collection_paused(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _read_one(loader)
            assert not open_files(source)
        assert not [w for w in caught if issubclass(w.category, ResourceWarning)]

    def test_failed_read_closes_the_source(self, source: Path) -> None:
        """Test that a read that fails leaves no file of the source open.

        Skipped where the system does not list open descriptors (Windows).

        ??? note "Troubleshooting"

            Open the source in a `with`, also where its first bytes are checked, and
            hold no open file on `self`.
        """
        self.damage(source)
        with collection_paused():
            attempt = _try_to_read(self, source)
            assert not open_files(source)
        assert not [told for told in attempt.told if "unclosed" in told]

    # --- privacy

    def test_repr_shows_no_content(self, loader: BaseChatLoader) -> None:
        """Test that `repr`, which ends up in logs, holds no message text."""
        texts = _distinctive_texts(loader.load())
        shown = f"{loader!r} {loader}"
        assert not any(text in shown for text in texts)

    def test_errors_show_no_content(self, source: Path) -> None:
        """Test that errors and warnings about a damaged export hold no message text.

        ??? note "Troubleshooting"

            Name the path, the row or the line number, not the row or the line itself.
            Chain with `from None` where the cause shows its input.
        """
        texts = _distinctive_texts(self.make_loader(source).load())
        self.damage(source)
        for told in _try_to_read(self, source).told:
            assert not any(text in told for text in texts)

    # --- use

    def test_loader_pickles_while_it_is_read(self, loader: BaseChatLoader) -> None:
        """Test that a loader can be sent to another process, and loads the same."""
        expected = loader.load()
        reading = loader.lazy_load()
        next(reading)
        assert pickle.loads(pickle.dumps(loader)).load() == expected
        close(reading)

    def test_joins_with_steps(self, loader: BaseChatLoader) -> None:
        """Test that `loader | step` is a chat loader of the step's sessions.

        ??? note "Troubleshooting"

            Leave `__or__` to the steps, or give a `TransformedChatLoader`.
        """
        merge, split = MergeChatRuns(), ChunkSessions(size=1, overlap=0)
        joined = loader | merge
        assert isinstance(joined, BaseChatLoader)
        assert joined.load() == merge.invoke(loader.load())
        assert (joined | split).load() == (merge | split).invoke(loader.load())

    def test_inspect_adds_up(self, loader: BaseChatLoader) -> None:
        """Test that `inspect` counts what is loaded, and accounts for the rest.

        Runs where the loader has `inspect`, as the loaders of langchain-chatexports do.

        ??? note "Troubleshooting"

            Yield every record of the export as a `Message`, with its `kind`.
        """
        if not hasattr(loader, "inspect"):
            pytest.skip("the loader has no `inspect`")
        sessions = loader.load()
        summary = loader.inspect()
        assert summary.sessions == len(sessions)
        # What stands in a second session as context is counted once.
        assert summary.kept == sum(
            message.additional_kwargs.get("weight") != 0
            for message in _messages(sessions)
        )
        assert summary.found == summary.kept + sum(summary.skipped.values())
        shown = f"{summary} {summary!r}"
        assert not any(text in shown for text in _distinctive_texts(sessions))


def _messages(sessions: list[ChatSession]) -> Iterator[BaseMessage]:
    for session in sessions:
        yield from session.get("messages", ())


def _distinctive_texts(sessions: list[ChatSession]) -> set[str]:
    texts = {str(message.content) for message in _messages(sessions)}
    distinctive = {text for text in texts if len(text.strip()) >= _MIN_DISTINCTIVE}
    assert distinctive, "the source holds no text that can be looked for"
    return distinctive


def _all_distinct(objects: Iterator[object] | list[BaseMessage]) -> bool:
    kept = list(objects)
    return len({id(item) for item in kept}) == len(kept)


def _drain(sessions: Iterator[ChatSession]) -> None:
    for session in sessions:
        del session


def _read_one(loader: BaseChatLoader) -> None:
    sessions = loader.lazy_load()
    for _ in islice(sessions, 1):
        pass
    close(sessions)


class _Attempt(NamedTuple):
    """What became of reading a damaged export."""

    loader: BaseChatLoader | None
    """Held, so that a file that the loader holds stays open."""

    told: list[str]
    """What the reader is told: an error with its causes, and warnings."""


def _try_to_read(suite: ChatLoaderTests, source: Path) -> _Attempt:
    loader, told = None, []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            loader = suite.make_loader(source)
            _drain(loader.lazy_load())
        except Exception as error:  # noqa: BLE001 - which one is the loader's decision
            told = _error_texts(error)
    return _Attempt(loader, told + [str(warning.message) for warning in caught])


def _error_texts(error: BaseException | None) -> list[str]:
    texts = []
    while error is not None:
        texts.append(f"{error} {error!r}")
        shown = error.__cause__ or not error.__suppress_context__
        error = (error.__cause__ or error.__context__) if shown else None
    return texts


def _folder_for_litter(tmp_path: Path) -> Path:
    folder = tmp_path / "working-directory"
    folder.mkdir()
    return folder
