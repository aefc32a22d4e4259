"""The suite for loaders bites: each check is failed by a loader broken for it."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from tests.unit_tests.standard_tests import broken_loaders as broken
from tests.unit_tests.standard_tests.broken_loaders import (
    SoundLoader,
    expected_lines,
    parameters_of,
    write_source,
)

GUARD = "test_no_overrides_DO_NOT_OVERRIDE"
BROKEN: dict[str, type[SoundLoader]] = {
    "test_init_takes_path_and_str": broken.TakesOnlyPath,
    "test_missing_source_is_an_error_that_names_it": broken.FindsNothing,
    "test_load_gives_what_lazy_load_gives": broken.ReturnsAList,
    "test_passes_are_independent": broken.SharesItsMessages,
    "test_sessions_are_dicts_of_human_messages": broken.GivesAIMessages,
    "test_loads_the_expected_messages": broken.LosesAMessage,
    "test_messages_name_their_sender": broken.ForgetsTheSender,
    "test_messages_are_in_order_of_time": broken.NewestFirst,
    "test_no_object_is_in_two_places": broken.GivesAMessageTwice,
    "test_sessions_survive_serialization": broken.GivesDatetimes,
    "test_sessions_do_not_depend_on_the_time_zone": broken.GivesLocalTimes,
    "test_source_is_unchanged": broken.WritesALogOfErrors,
    "test_leaves_no_temporary_files": broken.LeavesACopy,
    "test_source_is_closed": broken.KeepsFilesOpen,
    "test_repr_shows_no_content": broken.ShowsAText,
    "test_errors_show_no_content": broken.ShowsTheBadLine,
    "test_loader_pickles_while_it_is_read": broken.HoldsItsPosition,
    "test_joins_with_steps": broken.JoinsWithoutTheStep,
    "test_inspect_adds_up": broken.ForgetsToCount,
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
            return [line for number in range(3) for line in expected_lines(number)]

    return Suite()


@pytest.fixture
def run_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run one check as pytest would, with its fixtures, for a loader class."""

    def run(check: str, loader_class: type[SoundLoader], name: str) -> None:
        suite = suite_of(loader_class)
        method = getattr(suite, check)
        wanted = inspect.signature(method).parameters
        for number, parameters in enumerate(parameters_of(method)):
            folder = tmp_path / f"{name}-{number}"
            source = write_source(folder / "chats" / "export")
            fixtures: dict[str, Any] = {
                "source": source,
                "tmp_path": folder,
                "monkeypatch": monkeypatch,
            }
            if "loader" in wanted:
                fixtures["loader"] = suite.make_loader(source)
            given = {name: fixtures[name] for name in wanted if name in fixtures}
            method(**given, **parameters)

    return run


# Broken loaders leave files open; where and when these are collected is no matter here.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("check", BROKEN)
def test_each_check_passes_the_sound_loader_and_fails_a_broken_one(
    check: str, run_check: Callable[..., Any]
) -> None:
    run_check(check, SoundLoader, "sound")
    with pytest.raises((Exception, pytest.fail.Exception)):
        run_check(check, BROKEN[check], "broken")


def test_there_is_a_broken_loader_for_each_check() -> None:
    checks = {name for name in dir(ChatLoaderUnitTests) if name.startswith("test_")}
    assert checks - {GUARD} == BROKEN.keys()
