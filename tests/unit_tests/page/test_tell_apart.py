"""Can you tell it apart? Replies are an echo, or those of a server in the test."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nicegui.testing import User

from langchain_chatexports.evaluation.results import BlindResult
from langchain_chatexports.local_server import Model, Workspace
from langchain_chatexports.page.game import GameRunner
from langchain_chatexports.page.people import person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.tell_apart import result_text
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer
from tests.unit_tests.builders.workspaces import add_tuned_model

_SECONDS = 120
_TRAINING = [[(f"what of number {n}?", f"number {n} is fine")] for n in range(5)]
_HELD_OUT = [
    [(f"and where is the {thing}?", f"the {thing} is at home")]
    for thing in ("cat", "drum", "kettle", "ladder")
]
_BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
_METADATA = {"langchain_chatexports_person": "Rosa"}


def _add(folder: Path, held_out: Any = _HELD_OUT) -> Model:
    return add_tuned_model(
        Workspace(folder),
        _TRAINING,
        held_out,
        metadata=_METADATA,
        base=_BASE,
        base_model=_BASE,
    )


@pytest.fixture
def runner(server: OpenAIServer, tmp_path: Path) -> GameRunner:
    local: Any = SimpleNamespace(
        base_url=server.base_url, api_key=KEY, base_model=BASE_MODEL
    )
    return GameRunner(Workspace(tmp_path), lambda _: local, lambda: None)


def _play(runner: GameRunner, model: Model) -> None:
    runner.play(model, 10)
    runner.work.join(_SECONDS)


def test_each_pair_has_one_answer_of_the_model(
    runner: GameRunner, server: OpenAIServer, tmp_path: Path
) -> None:
    model = _add(tmp_path)
    assert runner.count_pairs(model) == 4
    _play(runner, model)
    assert runner.work.error is None
    pairs = runner.freeze().pairs
    assert {pair.answers[1 - pair.real] for pair in pairs} == {"Slow and steady"}
    assert {pair.answers[pair.real] for pair in pairs} == {
        answer for ((_, answer),) in _HELD_OUT
    }
    assert {chat["model"] for chat in server.chats} == {model.name}
    for pair in pairs:
        assert runner.freeze().shown is pair
        runner.guess(pair, pair.real)
        runner.guess(pair, pair.real)  # In another tab, or by a double click.
        assert runner.freeze().shown is pair
        assert runner.freeze().result is None
        runner.go_on()
        runner.go_on()
    result = runner.freeze().result
    assert result is not None
    assert (result.right, result.pairs) == (4, 4)
    runner.end()
    assert runner.freeze().pairs == ()


def test_unsuitable_pairs_are_explained(
    runner: GameRunner, server: OpenAIServer, tmp_path: Path
) -> None:
    server.words = ("see https://x.example",)
    _play(runner, _add(tmp_path))
    assert "No two replies can be compared" in str(runner.work.error)


def test_game_stops_between_answers(
    runner: GameRunner, server: OpenAIServer, tmp_path: Path
) -> None:
    def stop(request: str) -> None:
        if request.endswith("/chat/completions"):
            runner.work.stop()

    server.before_work = stop
    _play(runner, _add(tmp_path))
    assert runner.work.error is None
    assert len(server.chats) == 1
    assert (runner.freeze().pairs, runner.is_using_server) == ((), False)


@pytest.mark.parametrize(
    ("right", "pairs", "text"),
    [
        (6, 8, "6 of 8: too few to say."),
        (4, 4, "4 of 4: too few to say."),
        (8, 8, "8 of 8: you can tell the model from Rosa."),
        (12, 20, "12 of 20: too few to say."),
    ],
)
def test_result_claims_no_more_than_pairs_can_show(
    right: int, pairs: int, text: str
) -> None:
    from scipy.stats import binomtest

    test = binomtest(right, pairs, alternative="greater")
    interval = binomtest(right, pairs).proportion_ci()
    result = BlindResult(
        pairs=pairs,
        right=right,
        interval=(interval.low, interval.high),
        p=test.pvalue,
        by_length=[],
    )
    assert result_text(result, "Rosa").startswith(text)


@pytest.fixture
def playable(tmp_path: Path) -> Model:
    """A model, made before the session runs jobs: request it first."""
    return _add(tmp_path / "data")


@pytest.mark.asyncio
async def test_game_says_right_or_wrong_at_once(
    playable: Model, user: User, session: PageSession
) -> None:
    await user.open(f"/tell-apart/{person_key('Rosa')}")
    await user.should_see("There are only 4 pairs in these chats.")
    user.find(marker="play").click()
    await user.should_see("Pair 1 of", retries=100)
    await user.should_not_see("Right!")
    pair = session.published.value.game.shown
    assert pair is not None
    user.find(marker=f"reply-{pair.real}").click()
    await user.should_see("✓ Right!", retries=20)
    await user.should_see("1 of 1 right")
    user.find(marker="next").click()
    pair = session.published.value.game.pairs[1]
    await user.should_see("Pair 2 of", retries=20)
    user.find(marker=f"reply-{1 - pair.real}").click()
    await user.should_see("✗ No", retries=20)
    game = session.published.value.game
    assert game.model == playable.name
    # Another game must wait.
    assert not session.game.play(playable, 10)
    assert session.game.freeze().pairs == game.pairs


@pytest.mark.asyncio
async def test_model_without_unknown_messages_is_left_out_with_a_reason(
    rosa: Model, user: User
) -> None:
    assert rosa.person
    await user.open(f"/tell-apart/{person_key('Rosa')}")
    await user.should_see("it has learned from all messages of Rosa")
    await user.should_not_see("Play")
