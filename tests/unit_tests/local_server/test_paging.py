"""Lists in pages: what is shown, and whether there is more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.local_server.paging import page


@given(st.integers(0, 12), st.integers(1, 5))
def test_pages_one_after_another_are_the_whole_list(length: int, limit: int) -> None:
    items = [{"id": f"item-{number}"} for number in range(length)]
    seen: list[dict[str, str]] = []
    query = {"limit": str(limit)}
    while True:
        found = page(items, query, default=3, largest=5)
        seen += found["data"]
        assert found["has_more"] == (len(seen) < length)
        assert len(found["data"]) == min(limit, length - len(seen) + len(found["data"]))
        if not found["has_more"]:
            break
        query["after"] = found["last_id"]
    assert seen == items


def test_a_page_has_its_default_length() -> None:
    items = [{"id": str(number)} for number in range(9)]
    assert len(page(items, {}, default=3, largest=5)["data"]) == 3
