"""The suite for steps bites: each check is failed by a step broken for it."""

import inspect
from typing import Any

import pytest

from langchain_chatexports.standard_tests import SessionTransformUnitTests
from langchain_chatexports.standard_tests.session_transforms import example_session
from langchain_chatexports.steps import SessionTransform
from tests.unit_tests.standard_tests import broken_steps as broken
from tests.unit_tests.standard_tests.broken_loaders import parameters_of
from tests.unit_tests.standard_tests.broken_steps import SoundStep

GUARD = "test_no_overrides_DO_NOT_OVERRIDE"
BROKEN: dict[str, type[SessionTransform]] = {
    "test_gives_something_for_the_sessions": broken.GivesNothing,
    "test_every_input_form_gives_the_same": broken.TakesNoChunks,
    "test_nothing_to_transform_is_no_error": broken.NeedsMessages,
    "test_parameters_are_checked_and_fixed": broken.IgnoresUnknownParameters,
    "test_input_is_not_changed": broken.ChangesTheKwargs,
    "test_output_shares_nothing": broken.GivesTheSameKwargsTwice,
    "test_session_keys_are_kept": broken.DropsKeys,
    "test_is_deterministic": broken.Numbers,
    "test_sessions_do_not_influence_each_other": broken.PassesMessagesOn,
    "test_reads_only_what_an_output_needs": broken.ReadsOneAhead,
    "test_forgets_sessions": broken.KeepsSessions,
    "test_works_in_pipes_and_chains": broken.JoinsLoadersOnce,
    "test_every_way_to_run_gives_the_same": broken.StreamsBareSessions,
    "test_trace_has_name_and_counts_only": broken.TracesContent,
    "test_serializes": broken.HoldsAnUnknownObject,
    "test_pickles_and_hashes": broken.HoldsALambda,
}


def run_check(check: str, step_class: type[SessionTransform]) -> None:
    """Run one check as pytest would, with its fixtures and parameters."""

    class Suite(SessionTransformUnitTests):
        @property
        def transform_class(self) -> type[Any]:
            return step_class

    method = getattr(Suite(), check)
    wanted = inspect.signature(method).parameters
    for parameters in parameters_of(method):
        arguments: dict[str, Any] = {**parameters}
        if "step" in wanted:
            arguments["step"] = step_class()
        if "sessions" in wanted:
            arguments["sessions"] = [example_session(n) for n in range(4)]
        method(**arguments)


@pytest.mark.parametrize("check", BROKEN)
def test_each_check_passes_the_sound_step_and_fails_a_broken_one(check: str) -> None:
    run_check(check, SoundStep)
    with pytest.raises((Exception, pytest.fail.Exception)):
        run_check(check, BROKEN[check])
    broken.KEPT.clear()


def test_there_is_a_broken_step_for_each_check() -> None:
    checks = {n for n in dir(SessionTransformUnitTests) if n.startswith("test_")}
    assert checks - {GUARD} == BROKEN.keys()
