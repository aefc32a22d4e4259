"""Whether replies can be told to belong to their messages."""

from collections.abc import Callable, Sequence
from html import unescape
from itertools import chain

import pytest

from langchain_chatexports._languages import main_language
from langchain_chatexports.evaluation import EvaluationSettings, HeldOutData
from langchain_chatexports.evaluation.dialogues import Dialogue
from langchain_chatexports.evaluation.model_server import Message, Reply, ScoredReply
from langchain_chatexports.evaluation.page import (
    render_evaluation_page,
    summarize_evaluation,
)
from langchain_chatexports.evaluation.results import Evaluation
from langchain_chatexports.evaluation.sense import choose_blocks
from tests.unit_tests.builders.voice_server import Voices, evaluate_voices, talks
from tests.unit_tests.builders.written_talks import (
    SPEAKERS,
    read_talks,
    written_dialogues,
)

TALKS = written_dialogues("mechanic")
# Too few for the detector, which takes longer.
DATA = HeldOutData(TALKS[40:], TALKS[:19])

Answer = Callable[[str], str]


class Reader(Voices):
    """A base that knows which message each reply of the written talks answers."""

    def __init__(self, answer: Answer, dialogues: Sequence[Dialogue] = TALKS) -> None:
        super().__init__()
        pairs = chain.from_iterable(dialogue.exchanges() for dialogue in dialogues)
        self._messages = {reply.text: message.text for message, reply in pairs}
        self._answer = answer

    def reply(
        self, model: str, messages: Sequence[Message], **options: object
    ) -> Reply:
        del model, options
        return Reply(self._answer(messages[-1]["content"]), is_cut=False)

    def score(self, model: str, messages: Sequence[Message]) -> list[ScoredReply]:
        self.requests.append((model, list(messages)))
        *_, message, reply = (each["content"] for each in messages)
        nll = 2.0 * len(reply)
        # After a long message, every reply is likelier, as with real models.
        nll -= len(message) + 5.0 * (self._messages.get(reply) == message)
        return [ScoredReply(len(messages) - 1, nll, 1.0, len(reply), 1)]


REPLIES = {
    message.text: reply.text
    for dialogue in TALKS
    for message, reply in dialogue.exchanges()
}
OTHERS = dict(zip(REPLIES, [*REPLIES.values()][8:] + ["yep"] * 8, strict=True))


def run(answer: Answer, data: HeldOutData = DATA) -> tuple[Evaluation, Reader]:
    server = Reader(answer)
    settings = EvaluationSettings(60, 40, rounds=200)
    return evaluate_voices(server, data, settings=settings), server


def test_fitting_replies_belong_to_their_messages() -> None:
    found, _ = run(REPLIES.__getitem__)
    for kind in ("person", "tuned"):
        figures = found.get(kind)
        assert figures is not None
        assert figures.matched is not None
        assert figures.matched.value == pytest.approx(1.0)
    sentence = "replies, 100 of 100 can be told to belong to their message, of eight"
    assert sentence in " ".join(summarize_evaluation(found))


def test_shuffled_replies_do_not() -> None:
    found, _ = run(OTHERS.__getitem__)
    tuned = found.get("tuned")
    assert tuned is not None
    assert tuned.matched is not None
    assert tuned.matched.value < 0.2


@pytest.mark.parametrize("text", ["yep", ""])
def test_one_reply_to_everything_is_no_better_than_chance(text: str) -> None:
    found, _ = run(lambda _: text)
    tuned = found.get("tuned")
    assert tuned is not None
    assert tuned.matched is not None
    assert tuned.matched.value <= 1 / 8
    assert tuned.talk.reused == 0  # Too short to count.


def test_base_scores_but_is_not_measured() -> None:
    found, server = run(REPLIES.__getitem__)
    for kind in ("base", "few_shot"):
        figures = found.get(kind)
        assert figures is not None
        assert figures.matched is None
    short = [model for model, messages in server.requests if len(messages) == 2]
    assert {*short} >= {"base"}


def test_chat_in_which_real_replies_fit_nothing_is_not_used() -> None:
    data = HeldOutData(talks(40, 1), talks(19, 2))
    found, _ = run(lambda _: "yep", data)
    person, tuned = found.get("person"), found.get("tuned")
    assert person is not None
    assert person.matched is not None
    assert tuned is not None
    assert tuned.matched is None
    assert "could as well belong" in found.reasons["matched"]
    sentence = "about their messages was not measured: the person's own"
    assert sentence in " ".join(summarize_evaluation(found))
    assert sentence in unescape(render_evaluation_page(found))


def test_few_messages_or_no_base_are_a_reason() -> None:
    few, _ = run(REPLIES.__getitem__, HeldOutData(TALKS[40:], TALKS[:3]))
    assert few.reasons["matched"] == "it needs 8 different held-out messages"
    alone = evaluate_voices(
        Reader(REPLIES.__getitem__), DATA, base=None, settings=EvaluationSettings(9)
    )
    assert alone.reasons["matched"] == "it needs the base model"


def test_blocks_have_eight_different_messages_of_many_dialogues() -> None:
    messages = ["ok?", "ok?", *(f"message {number}" for number in range(40))]
    groups = [number // 4 for number in range(42)]
    blocks = choose_blocks(messages, groups)
    assert len(blocks) == 5
    for block in blocks:
        assert len({messages[index] for index in block}) == len(block) == 8
    assert len({groups[index] for index in blocks[0]}) == 8


def test_reply_to_several_messages_is_counted() -> None:
    found, _ = run(lambda _: "put the kettle on then")
    tuned = found.get("tuned")
    assert tuned is not None
    assert tuned.talk.reused == 1
    assert tuned.talk.copied == 0


@pytest.mark.parametrize("name", SPEAKERS)
def test_written_talks_are_coherent_and_half_are_questions(name: str) -> None:
    talks_read = read_talks(name)
    assert len(talks_read) == 100
    assert sum(lines[0].text.endswith("?") for lines in talks_read) == 50
    person = SPEAKERS[name]
    texts = [line.text for lines in talks_read for line in lines]
    assert len({*texts}) >= len(texts) - 2
    for lines in talks_read:
        assert lines[0].speaker != person == lines[1].speaker
    language = "English" if name == "mechanic" else "German"
    assert main_language(texts) == language
