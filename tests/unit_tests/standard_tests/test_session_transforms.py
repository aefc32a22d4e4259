"""For each check of the step suite, there is a step that only it fails."""

import inspect
from typing import Any

import pytest

from langchain_chatexports.standard_tests import SessionTransformUnitTests
from langchain_chatexports.standard_tests.session_transforms import example_session
from langchain_chatexports.steps import SessionTransform
from tests.unit_tests.standard_tests import broken_steps as broken
from tests.unit_tests.standard_tests.broken_loaders import get_parameters
from tests.unit_tests.standard_tests.broken_steps import SoundStep

GUARD = "test_no_overrides_DO_NOT_OVERRIDE"
BROKEN: dict[str, type[SessionTransform]] = {
    "test_returns_sessions": broken.YieldsSpecialDicts,
    "test_input_forms_are_equivalent": broken.RejectsChunks,
    "test_empty_input_is_accepted": broken.RequiresMessages,
    "test_parameters_are_validated_and_frozen": broken.IgnoresUnknownParameters,
    "test_input_is_not_changed": broken.ChangesKwargs,
    "test_output_shares_no_objects": broken.SharesKwargs,
    "test_session_keys_are_kept": broken.DropsKeys,
    "test_sessions_do_not_influence_each_other": broken.RemembersTheLastSession,
    "test_input_is_read_lazily": broken.LeavesInputOpen,
    "test_processed_sessions_are_released": broken.StoresSessions,
    "test_works_in_pipes_and_chains": broken.JoinsLoadersOnce,
    "test_run_methods_are_equivalent": broken.ReversesAsyncOutput,
    "test_trace_has_name_and_counts_only": broken.TracesContent,
    "test_serializes": broken.HasUnknownObject,
    "test_pickles_and_hashes": broken.HasALambda,
}


def run_check(check: str, step_class: type[SessionTransform]) -> None:
    """Run one check as pytest would, with its fixtures and parameters."""

    class Suite(SessionTransformUnitTests):
        transform_class: Any = step_class

    method = getattr(Suite(), check)
    wanted = inspect.signature(method).parameters
    for parameters in get_parameters(method):
        arguments: dict[str, Any] = {**parameters}
        if "step" in wanted:
            arguments["step"] = step_class()
        if "sessions" in wanted:
            arguments["sessions"] = [example_session(n) for n in range(4)]
        method(**arguments)


def failed_checks(step_class: type[SessionTransform]) -> set[str]:
    failed = set()
    for check in BROKEN:
        broken.STORED.clear()
        try:
            run_check(check, step_class)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - any failure
            failed.add(check)
    broken.STORED.clear()
    return failed


def test_sound_step_passes_all_checks() -> None:
    assert failed_checks(SoundStep) == set()


@pytest.mark.parametrize(("check", "step_class"), BROKEN.items())
def test_broken_step_fails_one_check(
    check: str, step_class: type[SessionTransform]
) -> None:
    assert failed_checks(step_class) == {check}


def test_every_check_has_a_broken_step() -> None:
    checks = {n for n in dir(SessionTransformUnitTests) if n.startswith("test_")}
    assert checks - {GUARD} == BROKEN.keys()
