"""People and conversations that an index must not have."""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import TYPE_CHECKING

from langchain_chatexports.chat_loaders.people import name_key
from langchain_chatexports.retrieval.storage import set_setting, setting

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from langchain_chatexports.chat_loaders.documents import ChatFacts, ChatLine

__all__ = ["Forgotten"]

_SALT_BYTES = 16
_DIGEST_BYTES = 16
_PAIR = 2


class Forgotten:
    """Who and what was forgotten, as salted hashes: no name stays in the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read what an index must not have."""
        self._connection = connection
        self._salt = _salt(connection)
        self._digests = {
            bytes(digest)
            for (digest,) in connection.execute("SELECT digest FROM forgotten")
        }

    def add(self, people: Iterable[str], conversations: Iterable[str]) -> None:
        """Note people by their names, and conversations by their ids."""
        new = {self._digest("person", name_key(name)) for name in people}
        new |= {self._digest("conversation", one) for one in conversations}
        self._connection.executemany(
            "INSERT OR IGNORE INTO forgotten VALUES (?)", ((digest,) for digest in new)
        )
        self._digests |= new

    def rest(
        self, facts: ChatFacts, lines: Sequence[ChatLine]
    ) -> tuple[ChatFacts, Sequence[ChatLine]] | None:
        """Return what may stay of a chat; `None` if nothing may."""
        if not self._digests:
            return facts, lines
        ids = (facts.session_id, facts.thread_id, facts.source)
        if any(one and self.has_conversation(one) for one in ids):
            return None
        names = {line.sender for line in lines}.union(facts.participants)
        gone = {name for name in names if self.has_person(name)}
        if not gone:
            return facts, lines
        # Also a group of two is a chat between them and one other.
        if facts.is_group is False or len(names - gone) < _PAIR:
            return None
        rest = [line for line in lines if line.sender not in gone]
        participants = tuple(name for name in facts.participants if name not in gone)
        title = facts.title.casefold()
        is_named = any(name.casefold() in title for name in gone)
        facts = facts._replace(
            participants=participants, title="" if is_named else facts.title
        )
        return (facts, rest) if rest else None

    def has_person(self, name: str) -> bool:
        """Return whether somebody of that name was forgotten."""
        return self._digest("person", name_key(name)) in self._digests

    def has_conversation(self, conversation: str) -> bool:
        """Return whether the conversation with that id was forgotten."""
        return self._digest("conversation", conversation) in self._digests

    def _digest(self, kind: str, key: str) -> bytes:
        text = f"{kind}\0{key}".encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=_DIGEST_BYTES, key=self._salt).digest()


def _salt(connection: sqlite3.Connection) -> bytes:
    salt = setting(connection, "salt")
    if salt is None:
        salt = secrets.token_hex(_SALT_BYTES)
        set_setting(connection, "salt", salt)
    return salt.encode()
