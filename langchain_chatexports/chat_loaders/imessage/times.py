"""Apple's times: the epoch, and the SQL that reads the units of `message.date`."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_chatexports.chat_loaders.imessage.schema import Schema

__all__ = ["APPLE_EPOCH_SECONDS", "time_of"]

APPLE_EPOCH_SECONDS = 978_307_200
"""2001-01-01 UTC in seconds since 1970."""

_FIRST_NANOSECONDS = 10**12
_LAST_UNIX_SECONDS = 253_402_300_799  # End of the year 9999.
_DAY_SECONDS = 86_400


def time_of(schema: Schema) -> str:
    """Return the expression for microseconds since 1970, `NULL` without a time.

    There is no flag for the unit of `date`, and upgraded databases hold several:
    nanoseconds since 2001 from 10**12 on, seconds since 2001 below, and Unix seconds
    where those would lie in the future. A database made by hand can have them as text.
    """
    value = schema.column("message", "date")
    number = f"CAST({value} AS INTEGER)"
    # First what nearly all rows have: the whole takes half the time then.
    return f"""CASE
        WHEN {value} >= {_FIRST_NANOSECONDS} AND typeof({value}) = 'integer'
            THEN {value} / 1000 + {APPLE_EPOCH_SECONDS}000000
        WHEN typeof({value}) IN ('integer', 'real') THEN {_moment_of(value)}
        WHEN typeof({value}) = 'text' AND CAST({number} AS TEXT) = {value}
            THEN {_moment_of(number)}
        END"""


def _moment_of(number: str) -> str:
    tomorrow = int(time()) + _DAY_SECONDS
    return f"""CASE
        WHEN {number} <= 0 THEN NULL
        WHEN {number} >= {_FIRST_NANOSECONDS}
            THEN CAST({number} AS INTEGER) / 1000 + {APPLE_EPOCH_SECONDS}000000
        WHEN {number} + {APPLE_EPOCH_SECONDS} <= {tomorrow}
            THEN CAST(({number} + {APPLE_EPOCH_SECONDS}) * 1000000 AS INTEGER)
        WHEN {number} <= {_LAST_UNIX_SECONDS}
            THEN CAST({number} * 1000000 AS INTEGER)
        END"""
