"""The whole evaluation, of models that speak with known voices."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from langchain_chatexports.evaluation import (
    BlindPair,
    BlindResult,
    Evaluation,
    EvaluationSettings,
    HeldOutData,
    WrongPerson,
    blind_result,
    evaluate,
)
from langchain_chatexports.evaluation.comparison import pairs_for_blind_test
from langchain_chatexports.evaluation.contestants import NEAREST, PLAIN_PROMPT
from langchain_chatexports.evaluation.conversations import (
    PERSON,
    UNKNOWN_SPEAKER,
    Dialogue,
)
from langchain_chatexports.evaluation.model_server import NO_SCORES, Reply
from langchain_chatexports.evaluation.page import headline
from langchain_chatexports.evaluation.text_features import bubbles
from langchain_chatexports.exceptions import TrainingDataError
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT, conversations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from langchain_chatexports.evaluation.model_server import Message, ModelServer

MIA, OSKAR, RITA, YUN = DISTINCT
SETTINGS = EvaluationSettings(temperatures=(1.0,), turns=120, rounds=50, loss_rounds=99)
QUICK = EvaluationSettings(temperatures=(1.0,), turns=120, rounds=3, loss_rounds=3)


@pytest.fixture(scope="module")
def data() -> HeldOutData:
    names = frozenset({"mia", "oskar", "rita", "yun", "anna"})
    return HeldOutData(talks(120, 1), talks(45, 2), names=names, person="mia")


@pytest.fixture(scope="module")
def some(data: HeldOutData) -> HeldOutData:
    """Little more than style needs."""
    return replace(data, training=data.training[:40], held_out=data.held_out[:24])


def run(
    data: HeldOutData, server: Voices, settings: EvaluationSettings = SETTINGS
) -> Evaluation:
    return evaluate(
        data,
        cast("ModelServer", server),
        tuned="tuned",
        base="base",
        settings=settings,
    )


@pytest.fixture(scope="module")
def server() -> Voices:
    return Voices({"base": OSKAR, "tuned": MIA})


@pytest.fixture(scope="module")
def found(data: HeldOutData, server: Voices) -> Evaluation:
    return run(data, server)


def test_the_tuned_model_is_told_from_its_base(found: Evaluation) -> None:
    assert found.summary is not None
    medians = {each.contestant: each.median_score for each in found.summary}
    assert medians["tuned"] == pytest.approx(1, abs=0.1)
    assert medians["base"] is not None
    assert medians["base"] < 0.3
    difference = next(
        d for d in found.summary_differences if (d.a, d.b) == ("tuned", "base")
    )
    assert difference.interval[0] > 0.4


def test_a_detector_tells_the_base_and_not_the_tuned_model(found: Evaluation) -> None:
    assert found.detector is not None
    told = {each.name: each.told_apart for each in found.detector.contestants}
    assert told["base"] > 0.9
    assert told["tuned"] < told["base"] - 0.2
    assert found.detector.floor is not None
    assert found.detector.ceiling < found.detector.floor


def test_losses_are_those_of_the_formula(found: Evaluation) -> None:
    losses = {each.contestant: each for each in found.loss}
    assert list(losses) == ["base", "few_shot", "tuned"]
    assert losses["tuned"].end_bits == pytest.approx(3 / math.log(2))
    assert losses["tuned"].turns == found.data.heldout_turns
    tuned, base = losses["tuned"].bits_per_byte, losses["base"].bits_per_byte
    assert tuned is not None
    assert base is not None
    assert tuned == pytest.approx(1 / math.log(2), rel=0.1)
    assert base > 1.6 * tuned


def test_the_stages_are_told_in_words(some: HeldOutData) -> None:
    stages: list[str] = []
    evaluate(
        some,
        cast("ModelServer", Voices({"base": OSKAR, "tuned": MIA})),
        tuned="tuned",
        base="base",
        settings=QUICK,
        progress=lambda what, *_: stages.append(what),
    )
    words = set(stages)
    assert {"scoring replies: base model", "writing replies: tuned model"} <= words
    assert "scoring replies after another conversation: tuned model" in words
    assert "writing replies: base with examples" in words
    assert not re.search(r"[_@]|foreign", " ".join(words))


def test_the_primary_difference_is_among_the_differences(found: Evaluation) -> None:
    pairs = {(d.a, d.b) for d in found.loss_differences}
    assert ("tuned", "few_shot") in pairs


def test_all_contestants_read_the_same_history(
    found: Evaluation, server: Voices
) -> None:
    turns = found.data.heldout_turns
    base, few_shot, tuned = (
        server.asked[start : start + turns] for start in range(0, 3 * turns, turns)
    )
    for (_, first, _), (_, second, _), (_, third, _) in zip(
        base, few_shot, tuned, strict=True
    ):
        assert first[0] == second[0] == {"role": "system", "content": PLAIN_PROMPT}
        assert first[1:] == third
        assert second[-len(third) :] == third
        assert len(second) == len(third) + 1 + 2 * NEAREST
        assert third[-1]["role"] == "user"


def test_examples_come_from_the_training_half_only(
    data: HeldOutData, server: Voices, found: Evaluation
) -> None:
    trained = {line.text for each in data.training for line in each.lines}
    shown = next(m for model, m, _ in server.asked if len(m) > 2 * NEAREST)
    assert {message["content"] for message in shown[1 : 1 + 2 * NEAREST]} <= trained
    assert found.contestants[1].prompt == "plain, 8 nearest"


def test_every_turn_has_a_seed_of_its_own_and_no_penalties(
    server: Voices, found: Evaluation
) -> None:
    turns = found.data.heldout_turns
    options = [options for _, _, options in server.asked[:turns]]
    assert [each["seed"] for each in options] == [*range(turns)]
    assert set(options[0]) == {"temperature", "max_tokens", "seed"}


def test_the_data_are_counted(found: Evaluation) -> None:
    assert found.data.train_conversations == 120
    assert 40 <= found.data.heldout_conversations <= 45
    assert 100 <= found.data.heldout_turns <= 125
    assert {other.id for other in found.data.others} == {"p1", "p2", "p3"}


def test_guards_copies_and_names_are_there_for_each(found: Evaluation) -> None:
    names = ["base", "few_shot", "tuned"]
    assert [each.contestant for each in found.guards] == names
    assert [each.contestant for each in found.copies] == names
    assert found.names is not None
    assert [each.contestant for each in found.names] == names
    assert 0 < found.guards[2].cut < 0.3


def test_what_was_not_measured_is_null_with_a_reason(found: Evaluation) -> None:
    assert (found.secrets, found.blind) == (None, None)
    assert found.reasons == {
        "validation_loss": "its job had no validation file",
        "secrets": "no test run was asked for",
        "blind": "nobody was asked",
    }


def nulls(
    found: object, reason: object = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Find what is null, and neither it nor what it is part of says why."""
    if isinstance(found, dict):
        reason = found.get("reason") or reason
        for name, value in found.items():
            if name != "reason":
                yield from nulls(value, reason, (*path, str(name)))
    elif isinstance(found, list):
        for value in found:
            yield from nulls(value, reason, path)
    elif found is None and not reason:
        yield path


@pytest.mark.parametrize("kind", ["whole", "few", "alone", "unscored", "smiles"])
def test_every_null_has_a_reason(some: HeldOutData, kind: str) -> None:
    server, data = Voices({"base": OSKAR, "tuned": MIA}), some
    if kind == "few":
        some = HeldOutData(data.training[:3], data.held_out[:3])
    elif kind == "alone":
        some = HeldOutData(
            [without_the_others(each) for each in data.training],
            [without_the_others(each) for each in data.held_out],
        )
    elif kind == "unscored":
        server.scores = False
    elif kind == "smiles":
        some = HeldOutData(
            [in_smiles(each) for each in data.training],
            [in_smiles(each) for each in data.held_out],
        )
    result = run(some, server, QUICK).model_dump(mode="json")
    unexplained = {path for path in nulls(result) if path[0] not in result["reasons"]}
    assert unexplained == set()


def without_the_others(conversation: Dialogue) -> Dialogue:
    """Let somebody else of several speak, and nobody know who."""
    return Dialogue.of(
        line if line.speaker == PERSON else replace(line, speaker=UNKNOWN_SPEAKER)
        for line in conversation.lines
    )


def in_smiles(conversation: Dialogue) -> Dialogue:
    """Let the person answer with emoji only."""
    return Dialogue.of(
        replace(line, text="\U0001f642" * (1 + len(line.text) % 3))
        if line.speaker == PERSON
        else line
        for line in conversation.lines
    )


def test_it_survives_json_and_holds_no_text(
    found: Evaluation, data: HeldOutData
) -> None:
    text = found.model_dump_json()
    assert Evaluation.model_validate_json(text).summary is not None
    assert json.loads(text)["format"] == 1
    assert "mia" not in text
    for conversation in (*data.training, *data.held_out):
        for line in conversation.lines:
            assert len(line.text) < 12 or line.text not in text


def test_another_persons_model_is_asked_as_that_person(some: HeldOutData) -> None:
    prompt = "You are Mia. You are chatting with Miasma and Rita."
    told = replace(
        some, held_out=[replace(each, system=prompt) for each in some.held_out]
    )
    server = Voices({"base": OSKAR, "tuned": MIA, "rita's": RITA})
    found = evaluate(
        told,
        cast("ModelServer", server),
        tuned="tuned",
        wrong_person=WrongPerson("rita's", name="Rita", person="Mia"),
        settings=QUICK,
    )
    systems = {model: asked[0]["content"] for model, asked, _ in server.asked}
    assert systems["tuned"] == prompt
    assert systems["rita's"] == ("You are Rita. You are chatting with Miasma and Mia.")
    assert [each.kind for each in found.contestants] == ["wrong_person", "tuned"]
    (difference,) = found.loss_differences
    assert (difference.a, difference.b) == ("tuned", "wrong_person")
    assert difference.interval[1] < -1
    assert "Against another person's model it is -1." in headline(found)
    assert found.detector is not None
    told_apart = {each.name: each.told_apart for each in found.detector.contestants}
    assert told_apart["wrong_person"] > told_apart["tuned"] + 0.1


def test_the_same_seed_gives_the_same_evaluation(some: HeldOutData) -> None:
    first, again, other = (
        run(some, Voices({"base": OSKAR, "tuned": MIA}), settings).model_dump(
            exclude={"created", "seed"}
        )
        for settings in (QUICK, QUICK, replace(QUICK, seed=1))
    )
    assert first == again
    assert first != other


def test_forwarded_turns_of_the_person_are_counted(some: HeldOutData) -> None:
    first, *rest = some.held_out
    lines = [replace(line, is_forwarded=True) for line in first.lines]
    held_out = [replace(first, lines=tuple(lines)), *rest]
    found = run(
        HeldOutData(some.training, held_out),
        Voices({"base": OSKAR, "tuned": MIA}),
        QUICK,
    )
    own = sum(line.speaker == PERSON for line in first.lines)
    assert found.data.forwarded_dropped == own < len(first.lines)


def test_a_score_above_the_person_points_at_the_copies(data: HeldOutData) -> None:
    """What she said before is nearer to it than what she says later."""
    own = [text for each in data.training for text in each.replies()]

    class Parrot(Voices):
        def reply(
            self, model: str, messages: Sequence[Message], **options: object
        ) -> Reply:
            found = super().reply(model, messages, **options)
            said = own[int(str(options["seed"])) % len(own)]
            return found if model == "base" else Reply(said, is_cut=False)

    # Later she writes as somebody else does, for a third of the time.
    later = [
        each if number % 3 else foreign(each)
        for number, each in enumerate(data.held_out)
    ]
    found = run(HeldOutData(data.training, later), Parrot({"base": YUN, "tuned": MIA}))
    assert any("look at the copies" in note for note in found.notes)


def foreign(conversation: Dialogue) -> Dialogue:
    """Let Rita answer in the person's place."""
    turns = iter([t for turns in conversations(RITA, 9, 5) for t in turns])
    return Dialogue.of(
        replace(line, text=next(turns)) if line.speaker == PERSON else line
        for line in conversation.lines
    )


@pytest.mark.parametrize("kind", ["group", "one message each", "one of everything"])
def test_odd_exports_are_evaluated(some: HeldOutData, kind: str) -> None:
    found = {
        "group": HeldOutData(
            [in_a_group(each) for each in some.training],
            [in_a_group(each) for each in some.held_out],
        ),
        "one message each": HeldOutData(
            [Dialogue.of(each.lines[:2]) for each in some.training],
            [Dialogue.of(each.lines[:2]) for each in some.held_out],
        ),
        "one of everything": HeldOutData(some.training[:1], some.held_out[:1]),
    }[kind]
    result = run(found, Voices({"base": OSKAR, "tuned": MIA}), QUICK)
    assert result.data.heldout_turns == result.loss[0].turns > 0
    assert Evaluation.model_validate_json(result.model_dump_json()) is not None


def in_a_group(conversation: Dialogue) -> Dialogue:
    """Let two friends speak before each answer."""
    lines = []
    for line in conversation.lines:
        if line.speaker != PERSON:
            lines.append(replace(line, speaker="p9", text="hm, what do you think?"))
        lines.append(line)
    return Dialogue.of(lines)


def test_several_temperatures_are_named(some: HeldOutData) -> None:
    found = run(
        some,
        Voices({"base": OSKAR, "tuned": MIA}),
        EvaluationSettings(turns=60, rounds=5, loss_rounds=5),
    )
    assert [each.name for each in found.contestants] == [
        "base", "few_shot", "tuned", "base@0.7", "few_shot@0.7", "tuned@0.7",
    ]  # fmt: skip
    assert len(found.loss) == 3


def test_without_scores_the_loss_is_null_and_says_why(some: HeldOutData) -> None:
    server = Voices({"base": OSKAR, "tuned": MIA})
    server.scores = False
    found = run(some, server, QUICK)
    assert {each.reason for each in found.loss} == {NO_SCORES}
    assert {each.bits_per_byte for each in found.loss} == {None}
    assert found.measures is not None


def test_long_prompts_show_fewer_examples_and_that_is_said(some: HeldOutData) -> None:
    server = Voices({"base": OSKAR, "tuned": MIA})
    server.longest = 14
    found = run(some, server, QUICK)
    assert "fewer examples" in " ".join(found.notes)
    assert max(len(messages) for _, messages, _ in server.asked) <= 14
    trained = {line.text for each in some.training for line in each.lines}
    shown = [
        sum(message["content"] in trained for message in messages)
        for _, messages, _ in server.asked
    ]
    # Half as many examples, and half of these again, before there are none.
    assert {4, 8} <= set(shown)
    assert 16 not in shown


def test_turns_that_nobody_can_read_are_left_out_for_all(some: HeldOutData) -> None:
    server = Voices({"base": OSKAR, "tuned": MIA})
    server.longest = 4
    found = run(some, server, QUICK)
    assert "longer than a model's context" in " ".join(found.notes)
    assert {each.turns for each in found.loss} == {found.data.heldout_turns}


def test_a_context_too_small_for_any_turn_is_an_error(
    some: HeldOutData,
) -> None:
    server = Voices({"base": OSKAR, "tuned": MIA})
    server.longest = 0
    with pytest.raises(TrainingDataError, match="context"):
        run(some, server, QUICK)


def test_few_conversations_give_a_loss_and_no_style(data: HeldOutData) -> None:
    few = HeldOutData(data.training, data.held_out[:9])
    found = run(few, Voices({"base": OSKAR, "tuned": MIA}), QUICK)
    assert (found.measures, found.summary) == (None, None)
    assert "20 held-out conversations" in found.reasons["measures"]
    assert found.loss[0].bits_per_byte is not None
    assert "narrower than they should be" in found.notes[0]
    assert "who takes part" in found.reasons["names"]


@pytest.mark.parametrize("empty", ["training", "held_out"])
def test_an_empty_half_is_an_error(some: HeldOutData, empty: str) -> None:
    halves: dict[str, Any] = {
        "training": some.training,
        "held_out": some.held_out,
        empty: [],
    }
    with pytest.raises(TrainingDataError, match="no turn of the person"):
        run(HeldOutData(**halves), Voices({"base": OSKAR, "tuned": MIA}))


def test_a_blind_test_shows_fair_pairs_of_answers(data: HeldOutData) -> None:
    shown: list[BlindPair] = []

    def ask(pairs: list[BlindPair]) -> BlindResult:
        shown.extend(pairs)
        return blind_result(12, 20)

    found = evaluate(
        data,
        cast("ModelServer", Voices({"tuned": MIA})),
        tuned="tuned",
        settings=QUICK,
        blind=ask,
    )
    assert found.blind is not None
    assert (found.blind.right, found.blind.pairs) == (12, 20)
    real = {
        text.replace("\n\n", "\n") for each in data.held_out for text in each.replies()
    }
    assert 20 < len(shown) <= found.data.heldout_conversations
    assert all(pair.answers[pair.real] in real for pair in shown)
    assert all(pair.answers[0] != pair.answers[1] for pair in shown)
    assert 0.2 < sum(pair.real for pair in shown) / len(shown) < 0.8
    assert all(pair.before[-1].speaker != PERSON for pair in shown)


def test_copies_and_cut_answers_are_not_shown(some: HeldOutData) -> None:
    class Parrot(Voices):
        def reply(
            self, model: str, messages: Sequence[Message], **options: object
        ) -> Reply:
            del model, messages, options
            text = next(t for t in some.training[0].replies() if len(t.split()) > 8)
            return Reply(text.split("\n")[0], is_cut=False)

    class Rambler(Voices):
        def reply(
            self, model: str, messages: Sequence[Message], **options: object
        ) -> Reply:
            return replace(super().reply(model, messages, **options), is_cut=True)

    for kind in (Parrot, Rambler):
        found = evaluate(
            some,
            cast("ModelServer", kind({"tuned": MIA})),
            tuned="tuned",
            settings=QUICK,
            blind=lambda pairs: pytest.fail(f"{len(pairs)} pairs are shown"),
        )
        assert found.reasons["blind"] == "no pair of answers was fit to be shown"


def test_the_tuned_model_is_told_what_its_examples_were(some: HeldOutData) -> None:
    told = [replace(each, system="Be Mia.") for each in some.held_out[:25]]
    server = Voices({"base": OSKAR, "tuned": MIA})
    found = run(HeldOutData(some.training, told), server, QUICK)
    assert [each.prompt for each in found.contestants] == [
        "plain",
        "plain, 8 nearest",
        "as in its examples",
    ]
    prompts = {model: messages[0]["content"] for model, messages, _ in server.asked}
    assert prompts == {"base": PLAIN_PROMPT, "tuned": "Be Mia."}


def test_a_blind_test_alone_asks_the_tuned_model_only(some: HeldOutData) -> None:
    server = Voices({"tuned": MIA})
    told: list[tuple[int, int]] = []
    pairs = pairs_for_blind_test(
        some,
        cast("ModelServer", server),
        tuned="tuned",
        pairs=10,
        progress=lambda _, done, total: told.append((done, total)),
    )
    assert 5 <= len(pairs) <= 10
    held_out = {text for found in some.held_out for text in found.replies()}
    for pair in pairs:
        assert pair.answers[pair.real] in {"\n".join(bubbles(t)) for t in held_out}
    assert {model for model, _, _ in server.asked} == {"tuned"}
    assert {options["temperature"] for _, _, options in server.asked} == {0.7}
    assert told[-1] == (len(server.asked), len(server.asked))
    assert len(server.asked) <= 24


def test_the_stages_are_those_that_are_told(some: HeldOutData, server: Voices) -> None:
    told: dict[str, None] = {}
    settings = replace(QUICK, temperatures=(1.0, 0.5))
    evaluate(
        some,
        cast("ModelServer", server),
        tuned="tuned",
        base="base",
        settings=settings,
        progress=lambda what, _done, _total: told.setdefault(what),
    )
    assert list(told)[-1] == "comparing"
    assert len(told) - 1 == settings.stages == 11
