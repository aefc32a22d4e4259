"""Questions as expressions of SQLite's full-text search."""

import sqlite3
import unicodedata

import pytest
from hypothesis import strategies as st

from langchain_chatexports.retrieval import ChatIndex
from langchain_chatexports.retrieval.queries import match_expression, searchable
from tests.unit_tests.builders.sessions import talk

# What NFKC makes to a quotation mark, an operator or a sign of FTS5.
_SIGNS = [
    sign
    for sign in map(chr, range(0x80, 0x110000))
    if not sign.isalnum()
    and set(unicodedata.normalize("NFKC", sign)) & set('"*^:(){}+-')
]
_questions = st.lists(
    st.one_of(
        st.sampled_from(_SIGNS),
        st.sampled_from(["a", "OR", "NEAR(a b)", "東", " "]),
        st.sampled_from('"*^:()+-'),
        st.text(max_size=4),
    ),
    max_size=8,
).map("".join)


def _found(expression: str) -> object:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
        connection.execute("INSERT INTO words VALUES (?)", (searchable("a race"),))
        found = "SELECT count(*) FROM words WHERE words MATCH ?"
        return connection.execute(found, (expression,)).fetchone()[0]


@pytest.mark.parametrize("mark", ["\uff02", "\u201d", "\u2033", '"'])
def test_quotation_marks_of_any_width_are_no_error(mark: str) -> None:
    index = ChatIndex()
    index.rebuild([talk("Hare: the race", "Tortoise: carrots")])
    for question in (f"x{mark} OR race", f"race{mark}", f"{mark}the race{mark}"):
        assert index.search(question)


def test_a_star_in_a_question_is_no_prefix() -> None:
    assert match_expression("東*") == match_expression("東")
    assert match_expression("東京*") == match_expression("東京")
    found = match_expression("ra*")
    assert found == match_expression("ra\uff0a")
    assert found is not None
    assert found.text == '"ra"'
