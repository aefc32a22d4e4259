"""A table of people as a step's setting."""

from functools import lru_cache
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator

from langchain_chatexports.chat_loaders.people import PeopleTable, people_table

_Rows: TypeAlias = tuple[tuple[str, ...], ...]


def _rows(given: Any) -> Any:
    # Plain tuples can be serialized, hashed and compared.
    return people_table(given).rows if given else ()


PeopleRows: TypeAlias = Annotated[_Rows, BeforeValidator(_rows)]
"""The names and handles of each person; a file, a `PeopleTable` or a mapping is read
when the step is created."""


def shared_name(people: _Rows, name: str) -> str:
    """Return the display name of a name, itself if it is not in the table."""
    return _table(people).name_of(name) if people else name


@lru_cache(maxsize=8)
def _table(people: _Rows) -> PeopleTable:
    return people_table(people)
