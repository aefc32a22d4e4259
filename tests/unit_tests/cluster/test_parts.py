"""A conversation's part follows from its id alone."""

from __future__ import annotations

from collections import Counter

import pytest

from langchain_chatexports.cluster.parts import part_of

PARTS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def test_the_shares_are_about_right() -> None:
    counts = Counter(part_of(f"chat-{number}", PARTS) for number in range(10_000))

    assert counts["train"] == pytest.approx(8_000, abs=200)
    assert counts["validation"] == pytest.approx(1_000, abs=150)


def test_the_part_never_changes() -> None:
    # A digest of another version of Python or of this package must not move anybody.
    halves = {"a": 0.5, "b": 0.5}
    parts = [part_of(f"chat-{number}", halves) for number in range(12)]

    assert "".join(map(str, parts)) == "bbaaaababaaa"


def test_a_salt_gives_another_split() -> None:
    ids = [f"chat-{number}" for number in range(50)]

    one, other = ([part_of(i, PARTS, salt=salt) for i in ids] for salt in ("", "2"))
    assert one != other


def test_what_is_in_no_part_has_none() -> None:
    parts = {part_of(f"chat-{number}", {"test": 0.5}) for number in range(50)}

    assert parts == {"test", None}


@pytest.mark.parametrize("parts", [{"a": 0.7, "b": 0.4}, {"a": -0.1}])
def test_impossible_shares_are_refused(parts: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="add up"):
        part_of("chat", parts)
