"""Lists as OpenAI's clients read them: pages that go on after an id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["integer", "page"]


def page(
    items: Sequence[dict[str, Any]],
    query: Mapping[str, str],
    *,
    default: int,
    largest: int,
) -> dict[str, Any]:
    """Give the page of a list that `after` and `limit` ask for.

    Args:
        items: The whole list, in its order.
        query: The query of the request.
        default: Length of a page where the client says nothing.
        largest: The longest page.

    Raises:
        ApiError: If `limit` is no number in range, or `after` is not in the list.
    """
    limit = integer(query, "limit", default=default, least=1, most=largest)
    start = 0
    if query.get("after"):
        ids = [item["id"] for item in items]
        if query["after"] not in ids:
            msg = "There is nothing with the id of 'after' in this list."
            raise ApiError(msg, code="invalid_value", param="after")
        start = ids.index(query["after"]) + 1
    shown = list(items[start : start + limit])
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": start + limit < len(items),
    }


def integer(
    query: Mapping[str, str], name: str, *, default: int, least: int, most: int
) -> int:
    """Read an integer of a query.

    Raises:
        ApiError: If it is no integer in range.
    """
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < len(str(most)) + 1):
        text = "-1"
    if not least <= int(text) <= most:
        msg = f"'{name}' must be an integer from {least} to {most}."
        raise ApiError(msg, code="invalid_value", param=name)
    return int(text)
