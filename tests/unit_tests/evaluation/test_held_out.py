"""Which turns are compared."""

from langchain_chatexports.evaluation import HeldOutData
from langchain_chatexports.evaluation.conversations import PERSON, Dialogue, Utterance
from langchain_chatexports.evaluation.held_out import Excerpt, choose_excerpts
from tests.unit_tests.builders.voice_server import talks


def talk(*texts: str, first: str = "p1") -> Dialogue:
    """Make a conversation of two who speak in turn."""
    other = PERSON if first == "p1" else "p1"
    return Dialogue.of(
        Utterance(first if number % 2 == 0 else other, text)
        for number, text in enumerate(texts)
    )


def chosen(held_out: list[Dialogue], turns: int = 9, least: int = 9) -> list[Excerpt]:
    data = HeldOutData([], held_out)
    return choose_excerpts(data, max_turns=turns, min_conversations=least, seed=0)


def replies(excerpts: list[Excerpt]) -> list[str]:
    return [each.lines[at].text for each in excerpts for at in each.turns]


def test_an_excerpt_begins_with_somebody_else_and_has_what_came_before() -> None:
    (excerpt,) = chosen([talk("x", "a", "b", "c", "d", first=PERSON)])
    assert [line.text for line in excerpt.lines] == ["a", "b", "c", "d"]
    assert excerpt.turns == (1, 3)


def test_forwarded_texts_are_not_the_persons() -> None:
    lines = [Utterance("p1", "a"), Utterance(PERSON, "b", is_forwarded=True)]
    found = chosen([Dialogue.of(lines), talk("c", "d")])
    assert replies(found) == ["d"]


def test_long_conversations_are_read_in_excerpts_without_a_turn_lost() -> None:
    long = talk(*(f"line {number}" for number in range(50)))
    excerpts = chosen([long], 100, 1)
    assert len(excerpts) > 1
    assert replies(excerpts) == long.replies()
    assert all(excerpt.lines[0].speaker != PERSON for excerpt in excerpts)


def test_no_more_turns_than_asked_for_of_as_many_conversations() -> None:
    excerpts = chosen(talks(40, 2), 30, 30)
    assert len(replies(excerpts)) == 30
    assert {excerpt.conversation for excerpt in excerpts} == {*range(30)}


def test_no_text_is_in_a_repr() -> None:
    assert "secret" not in repr(chosen([talk("secret", "secret")]))
