"""Names, numbers and addresses that nobody had mentioned."""

from __future__ import annotations

from langchain_chatexports.evaluation.unprompted import (
    Said,
    TrainingMentions,
    compare_names,
    name_words,
)

NAMES = name_words(["Ann Lee", "Bob", "Al"])
MENTIONS = TrainingMentions.of(
    ["call 5551234", "write to Ann@x.org or see https://x.org/a", "in 2019, 12 of them"]
)


def said(reply: str, context: str = "", circle: str = "Ann Lee") -> list[Said]:
    return [Said(reply, context, frozenset({circle}))]


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
        said("", circle="\u5f20\u4f1f"),
        {"tuned": said(reply, context, circle="\u5f20\u4f1f")},
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
