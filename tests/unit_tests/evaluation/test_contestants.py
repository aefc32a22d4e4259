"""The prompts of the contestants."""

from dataclasses import replace

from langchain_chatexports.evaluation import (
    Evaluation,
    EvaluationSettings,
    HeldOutData,
)
from langchain_chatexports.evaluation.contestants import PLAIN_PROMPT
from langchain_chatexports.evaluation.dialogues import (
    PERSON,
    Dialogue,
    Utterance,
    index_replies,
)
from langchain_chatexports.evaluation.model_server import Message
from tests.unit_tests.builders.voice_server import Voices, evaluate_voices, talks
from tests.unit_tests.builders.voices import DISTINCT

Prompts = dict[str, list[list[Message]]]


def run() -> tuple[Evaluation, Prompts]:
    """Evaluate, and return each model's prompts."""
    training, held_out = (
        [replace(one, system="You are Mia. You chat with Ben.") for one in talks(20, n)]
        for n in (1, 2)
    )
    server = Voices(tuned=DISTINCT[0], base=DISTINCT[1])
    found = evaluate_voices(
        server,
        HeldOutData(training, held_out),
        settings=EvaluationSettings(20, 10, rounds=2),
    )
    prompts: Prompts = {}
    for model, messages in server.requests:
        prompts.setdefault(model, []).append(messages)
    return found, prompts


def test_few_shot_prompt_adds_replies_to_that_of_the_base() -> None:
    found, prompts = run()
    kinds = [figures.kind for figures in found.figures]
    assert kinds == ["tuned", "few_shot", "base", "person"]
    turns = found.data.heldout_turns
    few_shot, base = prompts["base"][:turns], prompts["base"][turns:]
    for shown, plain in zip(few_shot, base, strict=True):
        assert shown[0] == plain[0] == {"role": "system", "content": PLAIN_PROMPT}
        extra = len(shown) - len(plain)
        assert 2 <= extra <= 16
        roles = [message["role"] for message in shown[1 : 1 + extra]]
        assert roles == ["user", "assistant"] * (extra // 2)
        assert shown[1 + extra :] == plain[1:]


def test_tuned_model_gets_prompt_of_its_examples() -> None:
    _, prompts = run()
    for messages in prompts["tuned"]:
        assert messages[0]["content"] == "You are Mia. You chat with Ben."
        assert messages[-1]["role"] == "user"


def test_index_has_replies_to_others() -> None:
    lines = [
        Utterance("p1", "Ben: more tea?"),
        Utterance(PERSON, "always tea"),
        Utterance("p1", "ok"),
    ]
    (found,) = index_replies([Dialogue.from_lines(lines)]).search("tea?", 9)
    assert (found.message, found.reply) == ("Ben: more tea?", "always tea")
