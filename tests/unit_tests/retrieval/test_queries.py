import pytest

from langchain_chatexports.retrieval import ChatIndex
from langchain_chatexports.retrieval.queries import match_expression
from tests.unit_tests.builders.sessions import talk


@pytest.mark.parametrize("mark", ["\uff02", "\u201d", "\u2033", '"'])
def test_all_quotation_marks_are_accepted(mark: str) -> None:
    index = ChatIndex()
    index.rebuild([talk("Hare: the race", "Tortoise: carrots")])
    for question in (f"x{mark} OR race", f"race{mark}", f"{mark}the race{mark}"):
        assert index.search(question)


def test_star_is_not_a_prefix_operator() -> None:
    assert match_expression("東*") == match_expression("東")
    assert match_expression("東京*") == match_expression("東京")
    found = match_expression("ra*")
    assert found == match_expression("ra\uff0a")
    assert found is not None
    assert found.text == '"ra"'
