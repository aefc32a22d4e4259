"""The suite for loaders bites: each check is failed by a loader broken for it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.messages import HumanMessage

from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from tests.unit_tests.standard_tests import broken_loaders as broken
from tests.unit_tests.standard_tests.broken_loaders import (
    SoundLoader,
    expected_messages,
    parameters_of,
    write_source,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_core.chat_sessions import ChatSession

GUARD = "test_no_overrides_DO_NOT_OVERRIDE"
BROKEN: dict[str, list[type[SoundLoader]]] = {
    "test_init_takes_path_and_str": [broken.TakesOnlyStr, broken.TakesOnlyPath],
    "test_missing_source_is_an_error_that_names_it": [
        broken.FindsNothingWithoutComplaint,
        broken.ComplainsWithoutThePath,
        broken.CreatesTheMissing,
    ],
    "test_lazy_load_returns_an_iterator": [broken.ReturnsAList],
    "test_load_gives_what_lazy_load_gives": [
        broken.OverridesLoad,
        broken.LoadsNothing,
        broken.OneShot,
    ],
    "test_interleaved_iterations_are_independent": [broken.SharesACursor],
    "test_threads_are_independent": [broken.SharesARow, broken.BelongsToItsThread],
    "test_holds_one_session_at_a_time": [broken.Eager],
    "test_sessions_are_dicts_of_human_messages": [
        broken.GivesReadOnlyMappings,
        broken.GivesEmptySessions,
        broken.GivesAIMessages,
        broken.GivesContentAsParts,
        broken.GivesEmptyMessages,
    ],
    "test_loads_the_expected_messages": [
        broken.LosesAMessage,
        broken.MisattributesMessages,
    ],
    "test_messages_name_their_sender": [
        broken.ForgetsTheSender,
        broken.GivesAnEmptySender,
    ],
    "test_messages_are_in_order_of_time": [broken.NewestFirst, broken.GivesNoTime],
    "test_no_object_is_in_two_places": [
        broken.SharesKwargs,
        broken.GivesAMessageTwice,
    ],
    "test_sessions_survive_serialization": [
        broken.GivesDatetimes,
        broken.GivesMetadataThatJsonChanges,
    ],
    "test_sessions_do_not_depend_on_the_time_zone": [broken.GivesLocalTimes],
    "test_source_is_unchanged": [
        broken.WritesBeside,
        broken.TouchesTheSource,
        broken.LeavesItsLockBehind,
        broken.WritesALogOfErrors,
    ],
    "test_reads_from_a_read_only_folder": [broken.NeedsTheRightToWrite],
    "test_leaves_no_temporary_files": [broken.LeavesACopy],
    "test_early_close_closes_the_source": [
        broken.KeepsFilesOpen,
        broken.LeavesClosingToTheCollector,
    ],
    "test_failed_read_closes_the_source": [broken.KeepsFilesOpen],
    "test_repr_shows_no_content": [broken.ShowsAText],
    "test_errors_show_no_content": [
        broken.ShowsTheBadLine,
        broken.ShowsTheBadLineInItsCause,
    ],
    "test_loader_pickles_while_it_is_read": [broken.HoldsItsPosition],
    "test_joins_with_steps": [broken.JoinsToAList, broken.JoinsWithoutTheStep],
    "test_inspect_adds_up": [broken.ForgetsToCount, broken.ShowsATextInItsCounts],
}


def suite_of(loader_class: type[SoundLoader]) -> ChatLoaderUnitTests:
    class Suite(ChatLoaderUnitTests):
        @property
        def chat_loader_class(self) -> type[Any]:
            return loader_class

        @property
        def time_key(self) -> str:
            return "message_time"

        @property
        def expected(self) -> list[tuple[str, str]]:
            return expected_messages()

    return Suite()


@pytest.fixture
def run_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run one check as pytest would, with its fixtures, for a loader class."""

    def run(check: str, loader_class: type[SoundLoader]) -> None:
        suite = suite_of(loader_class)
        method = getattr(suite, check)
        wanted = inspect.signature(method).parameters
        for number, parameters in enumerate(parameters_of(method)):
            folder = tmp_path / f"run-{number}"
            source = write_source(folder / "chats" / "export")
            fixtures: dict[str, Any] = {
                "source": source,
                "tmp_path": folder,
                "monkeypatch": monkeypatch,
            }
            if "loader" in wanted:
                fixtures["loader"] = suite.make_loader(source)
            if "many_sessions_source" in wanted:
                many = write_source(folder / "many" / "export", sessions=120, lines=40)
                fixtures["many_sessions_source"] = many
            given = {name: fixtures[name] for name in wanted if name in fixtures}
            method(**given, **parameters)

    return run


@pytest.mark.parametrize("check", BROKEN)
def test_sound_loader_passes(check: str, run_check: Callable[..., Any]) -> None:
    run_check(check, SoundLoader)


# Broken loaders leave files open; where and when these are collected is no matter here.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("check", "loader_class"),
    [(check, kind) for check, kinds in BROKEN.items() for kind in kinds],
)
def test_broken_loader_fails(
    check: str, loader_class: type[SoundLoader], run_check: Callable[..., Any]
) -> None:
    with pytest.raises((Exception, pytest.fail.Exception)):
        run_check(check, loader_class)


def test_there_is_a_broken_loader_for_each_check() -> None:
    checks = {name for name in dir(ChatLoaderUnitTests) if name.startswith("test_")}
    assert checks - {GUARD} == BROKEN.keys()


class TestSoundLoader(ChatLoaderUnitTests):
    """The suite as its users run it, in a class with fixtures."""

    @property
    def chat_loader_class(self) -> type[Any]:
        return SoundLoader

    @property
    def time_key(self) -> str:
        return "message_time"

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return write_source(tmp_path / "export")


def test_suite_without_a_source_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="needs a fixture `source`"):
        unwrapped(ChatLoaderUnitTests.source)(suite_of(SoundLoader))


def unwrapped(fixture: Any) -> Callable[[ChatLoaderUnitTests], Any]:
    """Return the function that a fixture was made of."""
    build: Any = inspect.unwrap(getattr(fixture, "_fixture_function", fixture))
    return cast("Callable[[ChatLoaderUnitTests], Any]", build)


class RemoteLoader(BaseChatLoader):
    """Takes no path: what it loads comes from elsewhere."""

    def __init__(self, *, room: str) -> None:
        self.room = room

    def lazy_load(self) -> Iterator[ChatSession]:
        for number in range(2):
            text = f"Post {number} in {self.room} of the long race."
            kwargs = {"sender": "Hare"}
            yield {"messages": [HumanMessage(text, additional_kwargs=kwargs)]}


class TestLoaderWithoutAPath(ChatLoaderUnitTests):
    """Passes what needs no path, and skips the rest."""

    @property
    def chat_loader_class(self) -> type[Any]:
        return RemoteLoader

    @property
    def chat_loader_params(self) -> dict[str, Any]:
        return {"room": "the great hall"}

    @property
    def source_param(self) -> None:
        return None


@pytest.mark.parametrize(
    "ask",
    [
        lambda suite, _: unwrapped(ChatLoaderUnitTests.source)(suite),
        lambda suite, path: suite.test_missing_source_is_an_error_that_names_it(path),
    ],
    ids=["source", "missing source"],
)
def test_checks_of_the_path_are_skipped_with_the_reason(
    ask: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(pytest.skip.Exception, match="takes no path"):
        ask(TestLoaderWithoutAPath(), tmp_path)
