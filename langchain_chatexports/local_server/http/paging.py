"""Pages of lists, as in OpenAI's API: each continues after an id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.http.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["page"]


def page(items: Sequence[dict[str, Any]], *, after: str, limit: int) -> dict[str, Any]:
    """Return one page of a list.

    Args:
        items: The whole list, in order.
        after: The id of the item before the page; empty for the first page.
        limit: The number of items on a page.

    Raises:
        ApiError: If `after` is not in the list.
    """
    start = 0
    if after:
        ids = [item["id"] for item in items]
        if after not in ids:
            msg = "There is no item with the id of 'after' in this list."
            raise ApiError(msg, code="invalid_value", param="after")
        start = ids.index(after) + 1
    shown = list(items[start : start + limit])
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": start + limit < len(items),
    }
