"""Which turns are compared."""

from langchain_chatexports.evaluation import HeldOutData
from langchain_chatexports.evaluation.conversations import PERSON, Dialogue, Utterance
from langchain_chatexports.evaluation.held_out import HeldOutTurn, choose_turns
from tests.unit_tests.builders.voice_server import talks


def talk(*texts: str, first: str = "p1") -> Dialogue:
    """Make a conversation of two who speak in turn."""
    other = PERSON if first == "p1" else "p1"
    return Dialogue.of(
        Utterance(first if number % 2 == 0 else other, text)
        for number, text in enumerate(texts)
    )


def chosen(
    held_out: list[Dialogue], turns: int = 9, least: int = 9
) -> list[HeldOutTurn]:
    data = HeldOutData([], held_out)
    return choose_turns(data, max_turns=turns, min_conversations=least, seed=0)


def test_a_turn_has_what_came_before_from_somebody_else_on() -> None:
    first, second = chosen([talk("x", "a", "b", "c", "d", first=PERSON)])
    assert [line.text for line in first.history] == ["a"]
    assert [line.text for line in second.history] == ["a", "b", "c"]
    assert (first.reply, second.reply) == ("b", "d")


def test_forwarded_texts_are_not_the_persons() -> None:
    lines = [Utterance("p1", "a"), Utterance(PERSON, "b", is_forwarded=True)]
    found = chosen([Dialogue.of(lines), talk("c", "d")])
    assert [turn.reply for turn in found] == ["d"]


def test_of_a_long_conversation_each_turn_has_the_last_lines() -> None:
    long = talk(*(f"line {number} {'x' * 300}" for number in range(50)))
    found = chosen([long], 100, 1)
    assert [turn.reply for turn in found] == long.replies()
    for turn in found:
        assert turn.history[0].speaker != PERSON
        assert sum(len(line.text) for line in turn.history) <= 4000


def test_a_message_of_any_length_is_answered() -> None:
    (turn,) = chosen([talk("before", "so", "x" * 9000, "ok")])[1:]
    assert [len(line.text) for line in turn.history] == [9000]
    assert [turn.reply for turn in chosen([talk("x" * 9000, "ok")])] == ["ok"]


def test_no_more_turns_than_asked_for_of_as_many_conversations() -> None:
    turns = chosen(talks(40, 2), 30, 30)
    assert len(turns) == 30
    assert {turn.conversation for turn in turns} == {*range(30)}


def test_no_text_is_in_a_repr() -> None:
    assert "secret" not in repr(chosen([talk("secret", "secret")]))
