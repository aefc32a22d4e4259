"""The chat loader for e-mail."""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import chain

import msgspec

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.disjoint_sets import DisjointSets
from langchain_chatexports.chat_loaders.export_file import ExportFile
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.mail.bodies import (
    MAX_PARTS,
    read_body,
    strip_quotations,
)
from langchain_chatexports.chat_loaders.mail.headers import (
    REASONS,
    Part,
    clean_subject,
    decode_words,
    find_reason,
    find_roles,
    read_addresses,
    read_ids,
    read_roles,
    read_time,
)
from langchain_chatexports.chat_loaders.mail.mbox import is_mail, split_mails
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
    Person,
)
from langchain_chatexports.chat_loaders.times import sort_key
from langchain_chatexports.exceptions import ExportFormatError

_PAIR = 2
_MAX_MEMBERS = 50
# Microseconds per message, and per part of one. This also limits the messages.
_MAIL_WORK, _PART_WORK = 100, 60


class _Item(msgspec.Struct, gc=False):
    """A message, before its thread is known."""

    message: Message
    thread: str
    """Gmail's id of the thread."""

    ids: tuple[str, ...]
    """The message's id, and those of the messages before it in the thread."""

    parent: str
    people: tuple[str, ...]
    is_sent: bool


class EmailChatLoader(ChatExportLoader):
    """Load e-mail (mbox, `.eml`, Google Takeout) as conversations by thread.

    Each thread is a session, with what people wrote: without quoted text, signatures
    and forwarded messages. Newsletters, lists, spam and drafts are skipped and counted;
    a list is kept if the owner wrote in the thread.
    """

    platform = "email"
    label = "e-mail"
    suffixes = ("mbox", ".mbx", ".eml", ".gz")
    remedy = (
        "Export your mail as mbox: from Gmail with Google Takeout, from Thunderbird or "
        "Apple Mail. For Outlook, import its file into Thunderbird first."
    )
    has_parts = True

    @classmethod
    def is_export(cls, file: ExportFile) -> bool:
        """Return whether a file begins like an mbox, or with a message's headers."""
        return is_mail(file)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the threads, the most recently active last.

        Raises:
            ExportFormatError: If there is no message, or a file is damaged.
        """
        mailbox = _Mailbox(self.keep, self.owner or "", files)
        for _ in self.read_exports(files, mailbox.read):
            pass
        yield from mailbox.conversations()


class _Mailbox:
    """The messages of all files, and the names of people by address."""

    def __init__(self, keep: Collection[str], owner: str, files: ExportFiles) -> None:
        self._owner = owner.strip().lower()
        self._files = files
        self._items: list[_Item] = []
        self._wanted = {"text", *keep}
        self._names: dict[str, str] = {}
        self._delivered: Counter[str] = Counter()

    def read(self, file: ExportFile) -> None:
        """Add the messages of a file."""
        if self._files.is_single_file and not is_mail(file):
            msg = f"{file.path} contains no e-mail. {EmailChatLoader.remedy}"
            raise ExportFormatError(msg, path=file.path)
        folder = "".join(file.folders[-1:])
        folders = (file.name.partition(".")[0] or folder, folder.partition(".")[0])
        roles = find_roles(folders, file.name)
        with file.open() as stream:
            for content, date in split_mails(file, stream, self._files.spend):
                parts = min(content.count(b"\n--"), MAX_PARTS)
                self._files.spend(_MAIL_WORK + _PART_WORK * parts)
                self._add(Part(content), date, roles)

    def _add(self, mail: Part, date: str, file_roles: AbstractSet[str]) -> None:
        """Add a message, with the date of its separator."""
        roles = read_roles(mail) | file_roles
        senders = read_addresses(mail, b"from") or read_addresses(mail, b"sender")
        people = senders | read_addresses(mail, b"to", b"cc")
        for address, name in people.items():
            self._names[address] = name or self._names.get(address, "")
        if delivered := read_addresses(mail, b"delivered-to", b"x-delivered-to"):
            self._delivered[next(iter(delivered))] += 1
        sender = next(iter(senders), "")
        ids = read_ids(mail, b"message-id")[:1]
        replied, references = (
            read_ids(mail, name) for name in (b"in-reply-to", b"references")
        )
        row = Message(read_time(mail, date), sender, "", id="".join(ids))
        row.kind = find_reason(mail, roles, sender) or row.kind
        # An answer on a list may be in a thread with the owner.
        is_on_list = row.kind == "bulk" and (replied or mail.get(b"list-post"))
        if row.kind in self._wanted or is_on_list:
            read_body(mail, row)
        parent = (replied or references[-1:] or [""])[-1]
        if subject := decode_words(mail.get(b"subject")):
            row.extra["subject"] = subject
        if parent:
            row.extra["reply_to"] = {"id": parent}
        item = _Item(
            row,
            mail.get(b"x-gm-thrid"),
            (*ids, *references, *replied),
            parent,
            tuple(people)[:_MAX_MEMBERS],
            "sent" in roles,
        )
        self._items.append(item)

    def conversations(self) -> Iterator[Conversation]:
        """Yield the threads, the most recently active last, and free their messages."""
        own, owner = self._find_owner()
        people = {
            address: Person(name or address, (address,))
            for address, name in self._names.items()
            if address not in own
        }
        if owner:
            name = self._names.get(owner.id) or owner.id
            people[owner.id] = Person(name, (owner.id, *sorted(own - {owner.id})))
        threads = self._find_threads()
        self._items.clear()
        while threads:
            yield _build_conversation(threads.pop(), people, own, owner)

    def _find_owner(self) -> tuple[set[str], DetectedOwner | None]:
        """Return the owner's addresses, and the most common one."""
        sent = Counter(item.message.sender for item in self._items if item.is_sent)
        sent.pop("", None)
        if self._owner in self._names:
            sent[self._owner] += 1
        if sent:
            return {*sent}, DetectedOwner(sent.most_common(1)[0][0], "sent mail")
        senders = {item.message.sender for item in self._items}
        for address, _ in self._delivered.most_common(1):
            if address in senders:
                return {address}, DetectedOwner(address, "delivered mail")
        return set(), None

    def _find_threads(self) -> list[list[_Item]]:
        """Return the messages by thread, the most recently active thread first."""
        sets = DisjointSets()
        firsts: list[Hashable] = []
        for number, item in enumerate(self._items):
            keys = (f"gmail:{item.thread}", *item.ids) if item.thread else item.ids
            firsts.append(keys[0] if keys else number)
            for key in keys[1:]:
                sets.join(keys[0], key)
        threads: dict[Hashable, list[_Item]] = defaultdict(list)
        for first, item in zip(firsts, self._items, strict=True):
            threads[sets.find(first)].append(item)
        ordered = list(map(_sort, threads.values()))
        ordered.sort(key=lambda thread: -sort_key(thread[-1].message.time))
        return ordered


def _sort(thread: list[_Item]) -> list[_Item]:
    """Sort by time, with no answer before the message that it answers."""
    # A message that was moved is also marked as deleted in the old folder.
    thread.sort(
        key=lambda item: (sort_key(item.message.time), item.message.kind in REASONS)
    )
    missing = {item.message.id for item in thread if item.message.id}
    ordered: list[_Item] = []
    waiting: dict[str, list[_Item]] = defaultdict(list)
    for item in thread:
        if item.parent in missing and item.parent != item.message.id:
            waiting[item.parent].append(item)
            continue
        placed = [item]
        while placed:
            ordered.append(placed.pop())
            id_ = ordered[-1].message.id
            missing.discard(id_)
            placed += reversed(waiting.pop(id_, ()))
    return [*ordered, *chain.from_iterable(waiting.values())]


def _build_conversation(
    thread: Iterable[_Item],
    people: dict[str, Person],
    own: set[str],
    owner: DetectedOwner | None,
) -> Conversation:
    is_own_thread = any(item.message.sender in own for item in thread)
    texts: dict[str, str] = {}
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
        row.text, has_cut = strip_quotations(written, texts.get(item.parent, ""))
        if written and not row.text and has_cut and row.kind == "text":
            row.kind = "forwarded"
        elif row.time is None and row.text and row.kind == "text":
            row.kind = "undated"
        if row.id:
            texts.setdefault(row.id, row.text)
    first, *_ = thread
    root = first.thread or next(iter((*first.ids[1:2], *first.ids[:1])), "")
    subject = first.message.extra.get("subject", "")
    return Conversation(
        id=root or f"{first.message.time or 0:x} {subject[:80]}",
        messages=[item.message for item in thread],
        title=clean_subject(subject) or None,
        members=tuple(members),
        people=people,
        is_group=len(members) > _PAIR,
        owner=owner,
        is_ordered=True,
    )
