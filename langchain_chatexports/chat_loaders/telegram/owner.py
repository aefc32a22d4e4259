"""Find the owner of an export."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice

from langchain_chatexports.chat_loaders.messages import DetectedOwner
from langchain_chatexports.chat_loaders.telegram.exports import Export
from langchain_chatexports.chat_loaders.telegram.records import Chat, Record, User
from langchain_chatexports.exceptions import ChatExportError

_FIRST_RECORDS = 100  # By then, both people in a chat have usually written.
_TWO_PEOPLE = 2


def find_owner(export: Export) -> DetectedOwner | None:
    """Find the owner of the export.

    In order of precedence: the personal information in the file, the only person in all
    personal chats, or the author of the notes in Saved Messages.
    """
    if export.user:
        return user_as_owner(export.user)
    candidates: list[dict[str, str]] = []
    note_authors: dict[str, str] = {}
    for chats in export.chats.values():
        for chat in chats:
            if chat.type == "saved_messages":
                note_authors |= _find_authors(
                    r for r in _read_first_records(chat) if not r.is_forwarded
                )
            elif chat.type in {"personal_chat", ""} and not chat.is_with_bot:
                owners = _find_possible_owners(chat)
                candidates += [owners] if owners else []
    if candidates:
        common = set.intersection(*map(set, candidates))
        if len(common) == 1:
            owner = common.pop()
            return DetectedOwner(owner, "personal chats", candidates[0][owner] or owner)
    if len(note_authors) == 1:
        ((owner, name),) = note_authors.items()
        return DetectedOwner(owner, "saved messages", name or owner)
    return None


def user_as_owner(user: User) -> DetectedOwner:
    """Return the user of an account as its owner."""
    return DetectedOwner(user.id, "personal information", user.name)


def _find_possible_owners(chat: Chat) -> dict[str, str]:
    """Return the names of possible owners among the authors of a chat, by id."""
    authors = _find_authors(_read_first_records(chat))
    other_authors = {
        author: name for author, name in authors.items() if name != chat.name
    }
    if not chat.type:
        # In HTML, the title is the only hint at a chat between two people.
        is_one_to_one = len(authors) == _TWO_PEOPLE and len(other_authors) == 1
        return other_authors if is_one_to_one else {}
    owners = {author: name for author, name in authors.items() if author != chat.id}
    # If ids were edited, recognize the other person by the chat's name.
    return other_authors if len(owners) > 1 and len(other_authors) == 1 else owners


def _find_authors(records: Iterable[Record]) -> dict[str, str]:
    names: dict[str, str] = {}
    for record in records:
        author = record.author_id
        if author and not names.get(author):
            names[author] = record.author_name
    return names


def _read_first_records(chat: Chat) -> Iterator[Record]:
    # Unreadable records are counted when the chat is read.
    with suppress(ChatExportError):
        records = (r for r in chat.read_records() if r and r.type == "message")
        yield from islice(records, _FIRST_RECORDS)
