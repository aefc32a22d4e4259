"""Each check of the loader suite fails a loader that is broken accordingly."""

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
    get_parameters,
    write_source,
)

EXPECTED = [line for number in range(3) for line in expected_lines(number)]
GUARD = "test_no_overrides_DO_NOT_OVERRIDE"
BROKEN: dict[str, type[SoundLoader]] = {
    "test_init_accepts_path_and_str": broken.RequiresPath,
    "test_missing_source_raises_error_with_path": broken.IgnoresMissingSource,
    "test_load_equals_lazy_load": broken.ReturnsAList,
    "test_passes_are_independent": broken.SharesMessages,
    "test_sessions_are_dicts_of_human_messages": broken.YieldsAIMessages,
    "test_loads_expected_messages": broken.DropsAMessage,
    "test_messages_name_their_sender": broken.OmitsSenders,
    "test_messages_are_sorted_by_time": broken.NewestFirst,
    "test_sessions_share_no_objects": broken.RepeatsAMessage,
    "test_sessions_survive_serialization": broken.StoresDatetimes,
    "test_sessions_do_not_depend_on_the_time_zone": broken.StoresLocalTimes,
    "test_source_is_unchanged": broken.WritesAnErrorLog,
    "test_leaves_no_temporary_files": broken.LeavesACopy,
    "test_source_is_closed": broken.KeepsFilesOpen,
    "test_repr_shows_no_content": broken.ReprShowsText,
    "test_errors_show_no_content": broken.ErrorShowsContent,
    "test_loader_pickles_while_it_is_read": broken.StoresALock,
    "test_joins_with_steps": broken.IgnoresSteps,
    "test_inspect_adds_up": broken.OmitsSkippedCounts,
}


def make_suite(loader_class: type[SoundLoader]) -> ChatLoaderUnitTests:
    class Suite(ChatLoaderUnitTests):
        chat_loader_class: Any = loader_class
        time_key = "message_time"
        expected = EXPECTED

    return Suite()


@pytest.fixture
def run_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run one check as pytest would, with its fixtures, for a loader class."""

    def run(check: str, loader_class: type[SoundLoader], name: str) -> None:
        suite = make_suite(loader_class)
        method = getattr(suite, check)
        wanted = inspect.signature(method).parameters
        for number, parameters in enumerate(get_parameters(method)):
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


# Broken loaders leave files open.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("check", BROKEN)
def test_check_passes_sound_and_fails_broken_loader(
    check: str, run_check: Callable[..., Any]
) -> None:
    run_check(check, SoundLoader, "sound")
    with pytest.raises((Exception, pytest.fail.Exception)):
        run_check(check, BROKEN[check], "broken")


def test_every_check_has_a_broken_loader() -> None:
    checks = {name for name in dir(ChatLoaderUnitTests) if name.startswith("test_")}
    assert checks - {GUARD} == BROKEN.keys()
