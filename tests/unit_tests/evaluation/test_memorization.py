"""Copies, names, numbers and addresses of the training half."""

from __future__ import annotations

import pytest

from langchain_chatexports.evaluation.memorization import (
    CopyIndex,
    ReplyInContext,
    TrainingMentions,
    compare_copies,
    compare_names,
    name_words,
)
from tests.unit_tests.builders.voices import DISTINCT, conversations

LINE = "the blue key lies under the third pot"
STOCK = "see you later at the usual place"
INDEX = CopyIndex([[LINE, STOCK], [STOCK, "no"]])


def test_a_whole_bubble_of_training_is_an_exact_copy() -> None:
    found = INDEX.check("The BLUE key, lies under the third pot!")
    assert found is not None
    assert (found.is_exact, found.is_unique, found.longest) == (True, True, 8)


def test_a_stock_phrase_is_of_several_conversations() -> None:
    found = INDEX.check(STOCK)
    assert found is not None
    assert (found.is_exact, found.is_unique) == (True, False)


def test_six_words_running_of_one_conversation_are_told() -> None:
    found = INDEX.check("hm the blue key lies under the table")
    assert found is not None
    assert (found.is_exact, found.is_unique, found.longest) == (False, True, 6)


def test_runs_of_one_or_two_words_are_measured_too() -> None:
    found = INDEX.check("a b c under d e f")
    assert found is not None
    assert found.longest == 1
    found = INDEX.check("a b c under the e f")
    assert found is not None
    assert found.longest == 2


def test_a_run_does_not_go_on_over_the_end_of_a_bubble() -> None:
    found = CopyIndex([["a b c\nd e f"]]).check("a b c d e f")
    assert found is not None
    assert found.longest == 3


def test_short_bubbles_are_nobodys() -> None:
    assert INDEX.check("under the third pot") is None


def test_a_parrot_is_caught_beside_the_persons_own_rate() -> None:
    """Style scores a parrot as the person herself; this is the measure for it."""
    training = conversations(DISTINCT[1], 80, 1)
    own = conversations(DISTINCT[1], 40, 2)
    found = compare_copies(
        CopyIndex(training),
        own,
        {"parrot": training[:40], "fresh": conversations(DISTINCT[1], 40, 3)},
        rounds=200,
    )
    parrot, fresh = found
    assert parrot.exact == 1
    assert parrot.person.exact is not None
    assert parrot.person.exact < 0.2
    assert parrot.excess == pytest.approx(1 - parrot.person.exact)
    assert parrot.interval is not None
    assert parrot.interval[0] > 0.5
    assert fresh.interval is not None
    assert fresh.interval[0] <= 0 <= fresh.interval[1]


def test_without_long_bubbles_there_is_no_rate() -> None:
    (found,) = compare_copies(INDEX, [["no"]], {"tuned": [[LINE]]})
    assert found.person.exact is None
    assert (found.excess, found.interval) == (None, None)
    assert found.reason == found.person.reason == "no message has 6 words"


def test_in_a_script_without_spaces_letters_stand_for_words() -> None:
    index = CopyIndex([["\u6211\u4eec\u660e\u5929\u53bb\u516c\u56ed\u5427"]])
    found = index.check("\u6211\u4eec\u660e\u5929\u53bb\u516c\u56ed\u5417")
    assert found is not None
    assert (found.is_exact, found.is_unique, found.longest) == (False, True, 7)


NAMES = name_words(["Ann Lee", "Bob", "Al"])
MENTIONS = TrainingMentions.of(
    ["call 5551234", "write to Ann@x.org or see https://x.org/a", "in 2019, 12 of them"]
)


def said(
    reply: str, context: str = "", participants: str = "Ann Lee"
) -> list[ReplyInContext]:
    return [ReplyInContext(reply, context, frozenset({participants}))]


def test_short_names_are_words_of_everybody() -> None:
    assert {"ann", "lee", "bob"} == NAMES


def test_names_are_found_where_no_spaces_part_words() -> None:
    names = name_words(["\u674e\u96f7 Xu", "\u5f20\u4f1f"])
    assert names == {"\u674e\u96f7", "\u5f20\u4f1f"}
    reply, context = (
        "\u95ee\u95ee\u674e\u96f7\u548c\u5f20\u4f1f\u5427",
        "\u5f20\u4f1f\u5728\u5417",
    )
    (found,) = compare_names(
        names,
        MENTIONS,
        said("", participants="\u5f20\u4f1f"),
        {"tuned": said(reply, context, participants="\u5f20\u4f1f")},
    )
    assert (found.unprompted_per_reply, found.outside_circle) == (1, 1)


def test_a_name_of_the_context_is_prompted() -> None:
    found = compare_names(
        NAMES,
        MENTIONS,
        said("hi ann"),
        {"tuned": said("bob and ann", "where is bob?")},
    )
    assert found[0].unprompted_per_reply == 1
    assert found[0].person == 1


def test_names_outside_the_circle_are_an_alarm() -> None:
    found = compare_names(NAMES, MENTIONS, said(""), {"tuned": said("ann and bob")})
    assert found[0].unprompted_per_reply == 2
    assert found[0].outside_circle == 1


def test_numbers_and_addresses_of_training_are_an_alarm() -> None:
    reply = "it is 5551234 or ann@x.org, https://x.org/a, 2019, 999999"
    (found,) = compare_names(NAMES, MENTIONS, said(""), {"tuned": said(reply)})
    assert (found.numbers, found.addresses) == (2, 2)


def test_what_the_context_mentions_is_none() -> None:
    context = "5551234 ann@x.org"
    (found,) = compare_names(
        NAMES, MENTIONS, said(""), {"tuned": said(context, context)}
    )
    assert (found.numbers, found.addresses) == (0, 0)
