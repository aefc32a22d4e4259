"""Which turns are compared."""

from __future__ import annotations

import random

import pytest

from langchain_chatexports.evaluation.held_out import (
    PERSON,
    Conversation,
    HeldOutData,
    Line,
    Piece,
    chosen_pieces,
    turns_of_others,
    without_known_turns,
)


def talk(*texts: str, first: str = "p1") -> Conversation:
    """Make a conversation of two who speak in turn."""
    other = PERSON if first == "p1" else "p1"
    return Conversation.of(
        Line(first if number % 2 == 0 else other, text)
        for number, text in enumerate(texts)
    )


def chosen(conversations: list[Conversation], turns: int, least: int) -> list[Piece]:
    return chosen_pieces(
        conversations, most_turns=turns, least_conversations=least, seed=0
    )


def count(pieces: list[Piece]) -> int:
    return sum(len(piece.turns) for piece in pieces)


def test_lines_of_one_speaker_that_follow_each_other_are_one_turn() -> None:
    found = Conversation.of([Line("p1", "a"), Line(PERSON, "b"), Line(PERSON, "c")])
    assert found.replies() == ["b\n\nc"]


def test_what_answers_nobody_is_no_reply() -> None:
    assert talk("hi", "hello", "bye", first=PERSON).replies() == ["bye"]


def test_forwarded_texts_are_not_the_persons() -> None:
    found = Conversation.of([Line("p1", "a"), Line(PERSON, "b", is_forwarded=True)])
    assert found.replies() == []
    assert chosen([found], 9, 9) == []


def test_a_piece_begins_with_somebody_else_and_holds_what_came_before() -> None:
    (piece,) = chosen([talk("x", "a", "b", "c", "d", first=PERSON)], 9, 9)
    assert [line.text for line in piece.lines] == ["a", "b", "c", "d"]
    assert [(turn.line, turn.reply) for turn in piece.turns] == [(1, "b"), (3, "d")]


def test_long_conversations_are_read_in_pieces_without_a_turn_lost() -> None:
    long = talk(*(f"line {number}" for number in range(50)))
    pieces = chosen([long], 100, 1)
    assert len(pieces) > 1
    assert [turn.reply for piece in pieces for turn in piece.turns] == long.replies()
    assert all(piece.lines[0].speaker != PERSON for piece in pieces)


def test_whole_conversations_are_chosen_until_there_are_enough_turns() -> None:
    many = [talk(*(f"{n} {k}" for k in range(8))) for n in range(100)]
    pieces = chosen(many, 40, 5)
    assert count(pieces) == 40
    assert {len(piece.turns) for piece in pieces} == {4}


def test_long_conversations_give_a_stretch_each_so_that_there_are_enough() -> None:
    many = [talk(*(f"{n} {k}" for k in range(60))) for n in range(50)]
    pieces = chosen(many, 200, 40)
    assert len({piece.conversation for piece in pieces}) == 40
    assert count(pieces) == 200


def test_conversations_are_numbered_without_gaps() -> None:
    many = [talk(f"{n}", f"answer {n}") for n in range(9)]
    assert sorted(piece.conversation for piece in chosen(many, 6, 3)) == [*range(6)]


def test_the_same_seed_chooses_the_same() -> None:
    many = [talk(f"{n}", f"answer {n}") for n in range(50)]
    assert chosen(many, 9, 3) == chosen(many, 9, 3)


def test_turns_that_training_has_seen_are_left_out() -> None:
    known = ("shall we meet at the old mill", "yes at nine in the evening please")
    nearly = (known[0], "yes at nine in the evening")
    other = ("shall we meet somewhere else today", "no i have to work late tonight")
    pieces = chosen([talk(*nearly), talk(*other)], 9, 9)
    kept, dropped = without_known_turns(pieces, [talk(*known)])
    assert dropped == 1
    assert [turn.reply for piece in kept for turn in piece.turns] == [other[1]]
    assert [piece.conversation for piece in kept] == [0]


@pytest.mark.parametrize(("words", "dropped"), [(20, 1), (12, 0)])
def test_half_of_the_runs_of_five_words_make_a_near_duplicate(
    words: int, dropped: int
) -> None:
    """Of 21 runs 17 are shared with 20 words, and 9 with 12 (17 / 25, 9 / 33)."""
    text = [f"word{number}" for number in range(24)]
    other = [*text[:words], *(f"new{number}" for number in range(24 - words))]
    pieces = chosen([talk("so", " ".join(other))], 9, 9)
    assert without_known_turns(pieces, [talk("so", " ".join(text))])[1] == dropped


def test_short_answers_are_everybodys_and_stay() -> None:
    pieces = chosen([talk("ok?", "yes")], 9, 9)
    assert without_known_turns(pieces, [talk("ok?", "yes")])[1] == 0


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
    rare = [Conversation.of([Line("p2", "x"), Line(PERSON, "a")])]
    found = turns_of_others(
        HeldOutData(training=[*old, *rare], held_out=new),
        conversations=28,
        least_turns=25,
        most_people=8,
    )
    assert found == {"p1": [["new"]] * 28}


def test_what_others_only_pass_on_is_not_theirs() -> None:
    lines = [
        Line("p1", "mine"),
        Line(PERSON, "a"),
        Line("p1", "not", is_forwarded=True),
    ]
    found = turns_of_others(
        HeldOutData(training=[], held_out=[Conversation.of(lines)] * 30),
        conversations=30,
        least_turns=25,
        most_people=8,
    )
    assert found == {"p1": [["mine"]] * 30}


def test_no_text_is_in_a_repr() -> None:
    data = HeldOutData(training=[talk("secret", "b")], held_out=[])
    assert "secret" not in repr(data)
    assert "secret" not in repr(chosen([talk("secret", "secret")], 9, 9))
