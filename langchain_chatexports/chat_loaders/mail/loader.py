"""The chat loader for e-mail."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.mail.bodies import (
    line_set,
    read_body,
    strip_quotations,
)
from langchain_chatexports.chat_loaders.mail.headers import (
    REASONS,
    Headers,
    clean_subject,
    decode_words,
    find_reason,
    read_addresses,
    read_flags,
    read_ids,
    read_roles,
    read_time,
)
from langchain_chatexports.chat_loaders.mail.mbox import RawMail, is_mail, split_mails
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
    Person,
)
from langchain_chatexports.chat_loaders.times import sort_key
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_PAIR = 2
_MAX_MEMBERS = 50
_MAIL_WORK, _PART_WORK = 100, 60  # Microseconds per message, and per part of one.


class _Item(msgspec.Struct):
    """A message, before its thread is known."""

    message: Message
    thread: str
    """Gmail's id of the thread, or the first message id of the thread."""

    ids: list[str]
    """The message's id, and those of the messages before it in the thread."""

    parent: str
    people: list[str]
    subject: str
    is_sent: bool


class _Order(NamedTuple):
    """The place of a message in its thread: never before the one it answers."""

    time: int
    depth: int


class EmailChatLoader(ChatExportLoader):
    """Load e-mail (mbox, `.eml`, Google Takeout) as conversations by thread.

    Each thread is a session, with what people wrote: without quoted text, signatures
    and forwarded messages. Newsletters, lists, spam and drafts are skipped and counted;
    a list is kept if the owner wrote in the thread.
    """

    platform = "email"
    label = "e-mail"
    suffixes = ("mbox", ".mbx", ".eml", ".gz")
    has_parts = True

    @classmethod
    def matches(cls, files: ExportFiles) -> bool:
        """Return whether a file begins like an mbox, or with a message's headers."""
        return any(map(is_mail, files.named(*cls.suffixes)))

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the threads, the most recently active last.

        Raises:
            ExportFormatError: If there is no message, or a file is damaged.
        """
        items: list[_Item] = []
        names: dict[str, str] = {}
        delivered: Counter[str] = Counter()
        found = False
        for file in files:
            if not is_mail(file):
                continue
            found = True
            try:
                with file.open() as stream:
                    for raw in split_mails(file, stream, files.spend):
                        files.spend(_MAIL_WORK + _PART_WORK * raw.parts)
                        items.append(self._read(raw, file, names, delivered))
                        files.check_count(len(items))
            except ChatExportError as error:
                files.skip(error, file)
        if not found:
            msg = (
                f"{files.path} contains no e-mail. Export your mail as mbox: from "
                "Gmail with Google Takeout, from Thunderbird or Apple Mail. For "
                "Outlook, import its file into Thunderbird first."
            )
            raise ExportFormatError(msg, path=files.path)
        own, owner = _find_owner(items, delivered)
        people = {
            address: Person(name or address, (address,))
            for address, name in names.items()
            if address not in own
        }
        if owner:
            name = names.get(owner.id) or owner.id
            people[owner.id] = Person(name, (owner.id, *sorted(own - {owner.id})))
        threads = _find_threads(items)
        items.clear()
        while threads:
            yield _build_conversation(threads.pop(), people, own, owner)

    def _read(
        self,
        raw: RawMail,
        file: ExportFile,
        names: dict[str, str],
        delivered: Counter[str],
    ) -> _Item:
        headers = Headers(raw.content)
        folder = file.name.partition(".")[0] or "".join(file.folders[-1:])
        roles = read_roles(
            headers, folder, "".join(file.folders[-1:]).partition(".")[0]
        )
        roles |= read_flags(file.name)
        senders = read_addresses(headers, b"from") or read_addresses(headers, b"sender")
        recipients = read_addresses(headers, b"to", b"cc")
        for address, name in (senders | recipients).items():
            names[address] = name or names.get(address, "")
        delivered.update(
            [*read_addresses(headers, b"delivered-to", b"x-delivered-to")][:1]
        )
        sender = next(iter(senders), "")
        row = Message(read_time(headers, raw.date), sender, "")
        row.kind = find_reason(headers, roles, sender) or row.kind
        ids = read_ids(headers, b"message-id")[:1]
        replied, references = (
            read_ids(headers, b"in-reply-to"),
            read_ids(headers, b"references"),
        )
        row.id = "".join(ids)
        # An answer on a list may be in a thread with the owner.
        is_wanted = row.kind in {"text", *self.keep} or (row.kind == "bulk" and replied)
        is_wanted = is_wanted or (
            row.kind == "bulk" and bool(headers.get(b"list-post"))
        )
        if raw.is_damaged:
            row.kind = "unreadable"
        elif is_wanted:
            body = read_body(headers, raw.content)
            row.text = body.text
            row.kind = row.kind if body.kind == "text" else body.kind
            row.extra = {"attachments": body.attachments} if body.attachments else {}
        parent = (replied or references[-1:] or [""])[-1]
        subject = decode_words(headers.get(b"subject"))
        if subject:
            row.extra["subject"] = subject
        if parent:
            row.extra["reply_to"] = {"id": parent}
        return _Item(
            row,
            headers.get(b"x-gm-thrid"),
            [*ids, *references, *replied],
            parent,
            [*dict.fromkeys([*senders, *recipients])][:_MAX_MEMBERS],
            subject,
            "sent" in roles,
        )


def _find_owner(
    items: list[_Item], delivered: Counter[str]
) -> tuple[set[str], DetectedOwner | None]:
    """Return the owner's addresses, and the most common one."""
    sent = Counter(item.message.sender for item in items if item.is_sent)
    sent.pop("", None)
    if sent:
        return {*sent}, DetectedOwner(sent.most_common(1)[0][0], "sent mail")
    senders = {item.message.sender for item in items}
    for address, _ in delivered.most_common(1):
        if address in senders:
            return {address}, DetectedOwner(address, "delivered mail")
    return set(), None


def _find_threads(items: list[_Item]) -> list[list[_Item]]:
    """Return the messages by thread, the most recently active thread first."""
    sets = DisjointSets()
    for number, item in enumerate(items):
        keys = [f"gmail:{item.thread}"] if item.thread else []
        for key in (*keys, *item.ids):
            sets.join((number,), key)
    threads: dict[object, list[_Item]] = defaultdict(list)
    for number, item in enumerate(items):
        threads[sets.find((number,))].append(item)
    ordered = list(threads.values())
    for thread in ordered:
        _sort(thread)
    ordered.sort(key=lambda thread: -sort_key(thread[-1].message.time))
    return ordered


def _sort(thread: list[_Item]) -> None:
    """Sort by time, with no answer before the message that it answers."""
    by_id = {item.message.id: item for item in thread if item.message.id}
    orders: dict[int, _Order] = {}
    for item in thread:
        chain = [item]
        seen = {id(item)}
        while (parent := by_id.get(chain[-1].parent)) and id(parent) not in seen:
            if id(parent) in orders:
                break
            seen.add(id(parent))
            chain.append(parent)
        for link in reversed(chain):
            above = by_id.get(link.parent)
            before = orders.get(id(above)) if above else None
            time = sort_key(link.message.time)
            orders[id(link)] = (
                _Order(max(time, before.time), before.depth + 1)
                if before
                else _Order(time, 0)
            )
    # A message that was moved is also marked as deleted in the old folder.
    thread.sort(key=lambda item: (*orders[id(item)], item.message.kind in REASONS))


def _build_conversation(
    thread: list[_Item],
    people: dict[str, Person],
    own: set[str],
    owner: DetectedOwner | None,
) -> Conversation:
    is_own_thread = any(item.message.sender in own for item in thread)
    lines: dict[str, frozenset[str]] = {}
    members: dict[str, None] = {}
    for item in thread:
        row = item.message
        if owner and row.sender in own:
            row.sender = owner.id
        members |= dict.fromkeys(
            owner.id if owner and person in own else person for person in item.people
        )
        if row.kind == "bulk" and is_own_thread and row.text:
            row.kind = "text"
        written = row.text
        row.text, has_cut = strip_quotations(written, lines.get(item.parent, ()))
        if written and not row.text and has_cut and row.kind == "text":
            row.kind = "forwarded"
        elif row.time is None and row.text and row.kind == "text":
            row.kind = "undated"
        if row.id:
            lines.setdefault(row.id, line_set(row.text))
    first = thread[0]
    root = first.thread or next(iter((*first.ids[1:2], *first.ids[:1])), "")
    return Conversation(
        id=root or f"{first.message.time or 0:x} {first.subject[:80]}",
        messages=[item.message for item in thread],
        title=clean_subject(first.subject) or None,
        members=tuple(members),
        people=people,
        is_group=len(members) > _PAIR,
        owner=owner,
        is_ordered=True,
    )
