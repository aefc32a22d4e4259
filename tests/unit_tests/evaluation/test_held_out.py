"""The choice of held-out turns."""

from langchain_chatexports.evaluation import HeldOutData
from langchain_chatexports.evaluation.dialogues import PERSON, Dialogue, Utterance
from langchain_chatexports.evaluation.held_out import HeldOutTurn, choose_turns
from tests.unit_tests.builders.voice_server import talks


def talk(*texts: str, first: str = "p1") -> Dialogue:
    """Create a conversation of two people who take turns."""
    other = PERSON if first == "p1" else "p1"
    return Dialogue.from_lines(
        Utterance(first if number % 2 == 0 else other, text)
        for number, text in enumerate(texts)
    )


def choose(
    held_out: list[Dialogue], turns: int = 9, least: int = 9
) -> list[HeldOutTurn]:
    data = HeldOutData([], held_out)
    return choose_turns(data, max_turns=turns, min_dialogues=least, seed=0)


def test_history_begins_with_another_person() -> None:
    first, second = choose([talk("x", "a", "b", "c", "d", first=PERSON)])
    assert [line.text for line in first.history] == ["a"]
    assert [line.text for line in second.history] == ["a", "b", "c"]
    assert (first.reply, second.reply) == ("b", "d")


def test_forwarded_texts_are_not_turns() -> None:
    lines = [Utterance("p1", "a"), Utterance(PERSON, "b", is_forwarded=True)]
    found = choose([Dialogue.from_lines(lines), talk("c", "d")])
    assert [turn.reply for turn in found] == ["d"]


def test_history_is_limited() -> None:
    long = talk(*(f"line {number} {'x' * 300}" for number in range(50)))
    found = choose([long], 100, 1)
    assert [turn.reply for turn in found] == long.replies()
    for turn in found:
        assert turn.history[0].speaker != PERSON
        assert sum(len(line.text) for line in turn.history) <= 4000


def test_long_message_is_kept() -> None:
    (turn,) = choose([talk("before", "so", "x" * 9000, "ok")])[1:]
    assert [len(line.text) for line in turn.history] == [9000]
    assert [turn.reply for turn in choose([talk("x" * 9000, "ok")])] == ["ok"]


def test_turns_come_from_enough_conversations() -> None:
    turns = choose(talks(40, 2), 30, 30)
    assert len(turns) == 30
    assert {turn.dialogue for turn in turns} == {*range(30)}


def test_repr_has_no_text() -> None:
    assert "secret" not in repr(choose([talk("secret", "secret")]))
