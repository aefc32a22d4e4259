"""Spans that overlap become one."""

from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.redaction.spans import KINDS, Span, without_overlap


def test_the_longest_part_gives_the_kind() -> None:
    spans = [Span(0, 3, "name"), Span(2, 9, "email"), Span(8, 10, "name")]
    assert without_overlap(spans) == [Span(0, 10, "email")]


def test_neighbors_stay_apart() -> None:
    spans = [Span(3, 5, "name"), Span(0, 3, "name")]
    assert without_overlap(spans) == [Span(0, 3, "name"), Span(3, 5, "name")]


@given(
    st.lists(
        st.builds(Span, st.integers(0, 30), st.integers(0, 30), st.sampled_from(KINDS))
    )
)
def test_the_same_characters_are_covered_and_each_once(spans: list[Span]) -> None:
    covered = {i for span in spans for i in range(span.start, span.end)}
    joined = [i for span in without_overlap(spans) for i in range(span.start, span.end)]
    assert sorted(covered) == joined
