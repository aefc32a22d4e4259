"""How the models are asked."""

from dataclasses import replace
from typing import cast

from langchain_chatexports.evaluation import (
    Evaluation,
    EvaluationSettings,
    HeldOutData,
    ModelServer,
    WrongPerson,
    evaluate,
)
from langchain_chatexports.evaluation.contestants import PLAIN_PROMPT
from langchain_chatexports.evaluation.conversations import (
    PERSON,
    Dialogue,
    Utterance,
    replies_in,
)
from langchain_chatexports.evaluation.model_server import Message
from tests.unit_tests.builders.voice_server import Voices, talks
from tests.unit_tests.builders.voices import DISTINCT

Asked = dict[str, list[list[Message]]]


def ask(*, wrong_person: WrongPerson | None = None) -> tuple[Evaluation, Asked]:
    """Evaluate, and return what each model was asked."""
    training, held_out = (
        [replace(one, system="You are Mia. You chat with Ben.") for one in talks(20, n)]
        for n in (1, 2)
    )
    voices = {"tuned": DISTINCT[0], "base": DISTINCT[1], "ben": DISTINCT[1]}
    server = Voices(voices)
    found = evaluate(
        HeldOutData(training, held_out),
        cast("ModelServer", server),
        tuned="tuned",
        base="base",
        wrong_person=wrong_person,
        settings=EvaluationSettings(20, 10, rounds=2),
    )
    asked: Asked = {name: [] for name in voices}
    for model, messages, _ in server.asked:
        asked[model].append(messages)
    return found, asked


def test_base_and_few_shot_have_the_plain_prompt_and_the_latter_examples() -> None:
    found, asked = ask()
    assert [each.kind for each in found.figures] == [
        "tuned",
        "few_shot",
        "base",
        "person",
    ]
    turns = found.data.heldout_turns
    few_shot, base = asked["base"][:turns], asked["base"][turns:]
    for shown, plain in zip(few_shot, base, strict=True):
        assert shown[0] == plain[0] == {"role": "system", "content": PLAIN_PROMPT}
        extra = len(shown) - len(plain)
        assert 2 <= extra <= 16
        roles = [message["role"] for message in shown[1 : 1 + extra]]
        assert roles == ["user", "assistant"] * (extra // 2)
        assert shown[1 + extra :] == plain[1:]


def test_the_tuned_model_is_asked_as_in_its_examples() -> None:
    _, asked = ask()
    for messages in asked["tuned"]:
        assert messages[0]["content"] == "You are Mia. You chat with Ben."
        assert messages[-1]["role"] == "user"


def test_another_persons_model_is_asked_as_that_person() -> None:
    _, asked = ask(wrong_person=WrongPerson("ben", "Ben", "Mia"))
    for messages in asked["ben"]:
        assert messages[0]["content"] == "You are Ben. You chat with Mia."


def test_a_name_that_begins_another_one_changes_as_a_whole() -> None:
    other = WrongPerson("m", "Ann", "Ann Lee")
    assert other.prompt("You are Ann Lee, not Ann.") == "You are Ann, not Ann Lee."
    assert WrongPerson("m", "Ann").prompt("You are Mia.") == "You are Mia."


def test_replies_of_the_training_are_those_to_others() -> None:
    lines = [
        Utterance("p1", "Ben: more tea?"),
        Utterance(PERSON, "always tea"),
        Utterance("p1", "ok"),
    ]
    (found,) = replies_in([Dialogue.of(lines)]).nearest("tea?", 9)
    assert (found.message, found.reply) == ("Ben: more tea?", "always tea")
