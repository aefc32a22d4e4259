"""Which turns are compared, and which were trained on."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.evaluation.conversations import (
    PERSON,
    Dialogue,
    HeldOutData,
    Utterance,
)
from langchain_chatexports.evaluation.held_out import (
    Excerpt,
    choose_excerpts,
    replies_of_others,
    unseen_conversations,
    without_near_duplicates,
)
from langchain_chatexports.exceptions import TrainingDataError
from tests.unit_tests.builders.voice_server import talks

if TYPE_CHECKING:
    from langchain_chatexports.datasets.examples import TrainingExample


def talk(*texts: str, first: str = "p1") -> Dialogue:
    """Make a conversation of two who speak in turn."""
    other = PERSON if first == "p1" else "p1"
    return Dialogue.of(
        Utterance(first if number % 2 == 0 else other, text)
        for number, text in enumerate(texts)
    )


def chosen(conversations: list[Dialogue], turns: int, least: int) -> list[Excerpt]:
    return choose_excerpts(
        conversations, max_turns=turns, min_conversations=least, seed=0
    )


def replies(excerpts: list[Excerpt]) -> list[str]:
    return [each.lines[at].text for each in excerpts for at in each.turns]


def test_lines_of_one_speaker_that_follow_each_other_are_one_turn() -> None:
    found = Dialogue.of(
        [Utterance("p1", "a"), Utterance(PERSON, "b"), Utterance(PERSON, "c")]
    )
    assert found.replies() == ["b\n\nc"]


def test_what_answers_nobody_is_no_reply() -> None:
    assert talk("hi", "hello", "bye", first=PERSON).replies() == ["bye"]


def test_forwarded_texts_are_not_the_persons() -> None:
    found = Dialogue.of(
        [Utterance("p1", "a"), Utterance(PERSON, "b", is_forwarded=True)]
    )
    assert found.replies() == []
    assert chosen([found], 9, 9) == []


def test_a_piece_begins_with_somebody_else_and_holds_what_came_before() -> None:
    (excerpt,) = chosen([talk("x", "a", "b", "c", "d", first=PERSON)], 9, 9)
    assert [line.text for line in excerpt.lines] == ["a", "b", "c", "d"]
    assert excerpt.turns == (1, 3)


def test_long_conversations_are_read_in_pieces_without_a_turn_lost() -> None:
    long = talk(*(f"line {number}" for number in range(50)))
    excerpts = chosen([long], 100, 1)
    assert len(excerpts) > 1
    assert replies(excerpts) == long.replies()
    assert all(excerpt.lines[0].speaker != PERSON for excerpt in excerpts)


def test_whole_conversations_are_chosen_until_there_are_enough_turns() -> None:
    many = [talk(*(f"{n} {k}" for k in range(8))) for n in range(100)]
    excerpts = chosen(many, 40, 5)
    assert len(replies(excerpts)) == 40
    assert {len(excerpt.turns) for excerpt in excerpts} == {4}


def test_long_conversations_give_a_stretch_each_so_that_there_are_enough() -> None:
    many = [talk(*(f"{n} {k}" for k in range(60))) for n in range(50)]
    excerpts = chosen(many, 200, 40)
    assert len({excerpt.conversation for excerpt in excerpts}) == 40
    assert len(replies(excerpts)) == 200


def test_conversations_are_numbered_without_gaps() -> None:
    many = [talk(f"{n}", f"answer {n}") for n in range(9)]
    assert sorted(excerpt.conversation for excerpt in chosen(many, 6, 3)) == [*range(6)]


def test_the_same_seed_chooses_the_same() -> None:
    many = [talk(f"{n}", f"answer {n}") for n in range(50)]
    assert chosen(many, 9, 3) == chosen(many, 9, 3)


def test_turns_that_training_has_seen_are_left_out() -> None:
    known = ("shall we meet at the old mill", "yes at nine in the evening please")
    nearly = (known[0], "yes at nine in the evening")
    other = ("shall we meet somewhere else today", "no i have to work late tonight")
    excerpts = chosen([talk(*nearly), talk(*other)], 9, 9)
    kept, dropped = without_near_duplicates(excerpts, [talk(*known)])
    assert dropped == 1
    assert replies(kept) == [other[1]]
    assert [excerpt.conversation for excerpt in kept] == [0]


@pytest.mark.parametrize(("words", "dropped"), [(20, 1), (12, 0)])
def test_half_of_the_runs_of_five_words_make_a_near_duplicate(
    words: int, dropped: int
) -> None:
    """Of 21 runs 17 are shared with 20 words, and 9 with 12 (17 / 25, 9 / 33)."""
    text = [f"word{number}" for number in range(24)]
    other = [*text[:words], *(f"new{number}" for number in range(24 - words))]
    excerpts = chosen([talk("so", " ".join(other))], 9, 9)
    assert without_near_duplicates(excerpts, [talk("so", " ".join(text))])[1] == dropped


def test_short_answers_are_everybodys_and_stay() -> None:
    excerpts = chosen([talk("ok?", "yes")], 9, 9)
    assert without_near_duplicates(excerpts, [talk("ok?", "yes")])[1] == 0


def test_windows_split_at_random_would_leak() -> None:
    """31 % of the messages, 88 % of the windows; conversations keep them apart."""
    rng = random.Random(0)
    seen = total = leaking = windows = 0
    for _ in range(60):
        messages = [*range(rng.randint(20, 60))]
        cut = [messages[at : at + 8] for at in range(0, len(messages) - 7, 6)]
        held = [window for window in cut if rng.random() < 0.1]
        trained = {m for window in cut if window not in held for m in window}
        for window in held:
            known = sum(message in trained for message in window)
            seen, total = seen + known, total + 8
            leaking, windows = leaking + (known > 0), windows + 1
    assert 0.25 < seen / total < 0.6
    assert leaking / windows > 0.85


def test_others_are_those_with_enough_turns_of_the_latest_conversations() -> None:
    old = [talk("old", "a") for _ in range(30)]
    new = [talk("new", "a") for _ in range(30)]
    rare = [Dialogue.of([Utterance("p2", "x"), Utterance(PERSON, "a")])]
    found = replies_of_others(
        HeldOutData(training=[*old, *rare], held_out=new),
        conversations=28,
        min_turns=25,
        max_people=8,
    )
    assert found == {"p1": [["new"]] * 28}


def test_what_others_only_pass_on_is_not_theirs() -> None:
    lines = [
        Utterance("p1", "mine"),
        Utterance(PERSON, "a"),
        Utterance("p1", "not", is_forwarded=True),
    ]
    found = replies_of_others(
        HeldOutData(training=[], held_out=[Dialogue.of(lines)] * 30),
        conversations=30,
        min_turns=25,
        max_people=8,
    )
    assert found == {"p1": [["mine"]] * 30}


def test_no_text_is_in_a_repr() -> None:
    data = HeldOutData(training=[talk("secret", "b")], held_out=[])
    assert "secret" not in repr(data)
    assert "secret" not in repr(chosen([talk("secret", "secret")], 9, 9))


TRAINING, HELD_OUT = talks(30, 1), talks(20, 2)


def example(conversation: Dialogue, start: int = 0) -> TrainingExample:
    """Write what a training file has of a conversation, in its own white space."""
    return {
        "messages": [
            {
                "role": "assistant" if line.speaker == PERSON else "user",
                "content": f"{line.text} ",
            }
            for line in conversation.lines[start:]
        ]
    }


def test_other_conversations_stay() -> None:
    assert unseen_conversations(HELD_OUT, TRAINING, []) == (HELD_OUT, 0)


def test_conversations_of_the_training_half_are_left_out() -> None:
    mixed = [*HELD_OUT, *TRAINING[:5]]
    assert unseen_conversations(mixed, TRAINING, []) == (HELD_OUT, 5)


def test_conversations_of_the_models_training_file_are_left_out() -> None:
    examples = [example(each) for each in HELD_OUT[:5]]
    assert unseen_conversations(HELD_OUT, TRAINING, examples) == (HELD_OUT[5:], 5)


def test_of_a_conversation_the_half_is_enough() -> None:
    long = max(HELD_OUT, key=lambda each: len(each.lines))
    window = example(long, start=2)
    assert unseen_conversations([long, *TRAINING], [], [window])[1] == 1


def test_most_of_them_is_an_error_that_says_how_to_split() -> None:
    with pytest.raises(TrainingDataError, match="trained on 20 of the 20") as raised:
        unseen_conversations(HELD_OUT, HELD_OUT, [])
    assert "prepare --split" in str(raised.value)
    assert HELD_OUT[0].lines[0].text not in str(raised.value)


def test_what_everybody_says_is_no_leak() -> None:
    small = Dialogue.of([Utterance("p1", "ok?"), Utterance(PERSON, "yes")])
    assert unseen_conversations([small], [small], []) == ([small], 0)


def test_the_same_answer_to_something_else_is_no_leak() -> None:
    said = "i will be there at nine in the evening as always"
    first, second = (
        Dialogue.of(
            [Utterance("p1", f"when do we meet in {place}?"), Utterance(PERSON, said)]
        )
        for place in ("london", "oslo")
    )
    assert unseen_conversations([first], [second], []) == ([first], 0)
