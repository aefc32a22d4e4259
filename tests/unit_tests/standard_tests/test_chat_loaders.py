"""For each check of the loader suite, there is a loader that only it fails."""

import inspect
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
    "test_load_equals_lazy_load": broken.ReturnsAnIterable,
    "test_sessions_are_created_lazily": broken.ReadsEverythingFirst,
    "test_passes_are_independent": broken.SharesMessages,
    "test_sessions_are_dicts_of_human_messages": broken.YieldsAIMessages,
    "test_loads_expected_messages": broken.AltersTexts,
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
        expected = EXPECTED if loader_class.has_expected else None

    return Suite()


def failed_checks(loader_class: type[SoundLoader], tmp_path: Path) -> set[str]:
    """Run all checks as pytest would, with their fixtures, and return the failed."""
    failed = set()
    for check in BROKEN:
        suite = make_suite(loader_class)
        method = getattr(suite, check)
        wanted = inspect.signature(method).parameters
        for number, parameters in enumerate(get_parameters(method)):
            folder = tmp_path / f"{check}-{number}"
            source = write_source(folder / "chats" / "export")
            with pytest.MonkeyPatch.context() as monkeypatch:
                # Some of the broken loaders write files.
                monkeypatch.chdir(tmp_path)
                monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
                fixtures = {
                    "source": source,
                    "tmp_path": folder,
                    "monkeypatch": monkeypatch,
                    "loader": suite.make_loader(source) if "loader" in wanted else None,
                }
                given = {name: fixtures[name] for name in wanted if name in fixtures}
                try:
                    method(**given, **parameters)
                except pytest.skip.Exception:
                    pass
                except (Exception, pytest.fail.Exception):  # noqa: BLE001 - any failure
                    failed.add(check)
    return failed


def test_sound_loader_passes_all_checks(tmp_path: Path) -> None:
    assert failed_checks(SoundLoader, tmp_path) == set()


# Broken loaders leave files open.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("check", "loader_class"), BROKEN.items())
def test_broken_loader_fails_one_check(
    check: str, loader_class: type[SoundLoader], tmp_path: Path
) -> None:
    assert failed_checks(loader_class, tmp_path) == {check}


@pytest.mark.parametrize("loader_class", [broken.ReusesMetadata, broken.SharesAList])
def test_shared_values_are_found(
    loader_class: type[SoundLoader], tmp_path: Path
) -> None:
    assert failed_checks(loader_class, tmp_path) == {"test_sessions_share_no_objects"}


def test_every_check_has_a_broken_loader() -> None:
    checks = {name for name in dir(ChatLoaderUnitTests) if name.startswith("test_")}
    assert checks - {GUARD} == BROKEN.keys()
