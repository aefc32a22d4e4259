"""The Telegram loader: a chat or an account that Telegram Desktop exported."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

import msgspec
from typing_extensions import Unpack

from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.json_data import clean_text
from langchain_chatexports.chat_loaders.local_times import (
    LocalClock,
    find_time_zone,
    name_of_zone,
)
from langchain_chatexports.chat_loaders.messages import (
    UNKNOWN_SENDER,
    Conversation,
    Message,
    attachment,
    reactions,
)
from langchain_chatexports.chat_loaders.telegram.html_pages import find_pages, is_page
from langchain_chatexports.chat_loaders.telegram.json_files import (
    Chat,
    JsonExport,
    Reaction,
    Record,
    User,
    chats_of,
    is_json_export,
    read_export,
)
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_MESSAGE_KEYS = (b'"type": "message"', b'"type": "service"', b'class="message ')
_OWN_NAMES = ("result", "messages")
_MAX_LOOKED_AT = 100
_FIRST_RECORDS = 100  # By then, both people of a chat have usually written.
_MAX_NAMESAKES = 20
_CACHED_FILES = 4  # A chat may be in several files, which are read in turn.
_PAGE_RECORDS = 1000  # The number of messages that Telegram writes into a page.
_TWO_PEOPLE = 2
_UNSET = msgspec.UNSET
_MEDIA_TYPES = {
    "sticker": "sticker",
    "video_message": "video",
    "voice_message": "audio",
    "animation": "gif",
    "video_file": "video",
    "audio_file": "audio",
}
_OTHER_TYPES = {
    "poll": "poll",
    "location_information": "location",
    "live_location_period_seconds": "location",
    "place_name": "location",
    "contact_information": "contact",
    "contact_vcard": "contact",
    "game_title": "game",
    "invoice_information": "invoice",
    "giveaway_information": "giveaway",
    "giveaway_results": "giveaway",
    "paid_stars_amount": "paid_media",
}
_others = attrgetter(*_OTHER_TYPES)
_NONE = (_UNSET,) * len(_OTHER_TYPES)
_REACTIONS = {"custom_emoji": ":custom_emoji:", "paid": "⭐"}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# If one person wrote all of at least this many messages in a group, others are missing.
_MIN_ONE_SIDED = 10
_MAX_DIGITS = 15  # Far after the year 9999.
_LETTERS = f"{ascii_lowercase}_"


def author_of(record: Record) -> str:
    """Return the id of the author, or the name if there is none."""
    return _person(record.from_id or record.actor_id, name_of(record))


def _person(number: str | int | None, name: str) -> str:
    if isinstance(number, str):
        return number or name
    return f"user{number}" if number else name


def name_of(record: Record) -> str:
    """Return the author's name, empty for deleted accounts."""
    return clean_text(record.from_ or record.actor)


def text_of(record: Record) -> str:
    """Return the text with its parts joined; empty if it is white space."""
    text = record.text
    if isinstance(text, list) or not text:
        text = joined(text or msgspec.json.decode(record.text_entities))
    return "" if text.isspace() else text


def joined(parts: object) -> str:
    """Join a text that may be a list of strings and objects with a `text`."""
    if isinstance(parts, str):
        return parts
    texts = (
        part.get("text") if isinstance(part, dict) else part
        for part in (parts if isinstance(parts, list) else ())
    )
    return "".join(text for text in texts if isinstance(text, str))


def is_forwarded(record: Record) -> bool:
    """Return whether another person wrote the text."""
    return record.forwarded_from is not _UNSET or record.saved_from is not _UNSET


def _attachments(record: Record) -> list[dict[str, str]]:
    # Leave out paths, so that no code opens a file that an export names.
    found: dict[str, str] = {}
    if record.photo is not _UNSET:
        found["photo"] = ""
    if record.file is not _UNSET or record.media_type:
        kind = _MEDIA_TYPES.get(record.media_type or "", "file")
        name = clean_text(record.title) or clean_text(record.file_name)
        found[kind] = clean_text(record.sticker_emoji) if kind == "sticker" else name
    others = _others(record)
    if others != _NONE:
        for kind, value in zip(_OTHER_TYPES.values(), others, strict=True):
            if value is not _UNSET:
                found[kind] = ""
    if isinstance(record.poll, dict):
        found["poll"] = clean_text(joined(record.poll.get("question")))
    if "location" in found:
        found["location"] = clean_text(record.place_name)
    return [attachment(name, kind=kind) for kind, name in found.items()]


class Reader:
    """Turns the records of one chat into messages."""

    def __init__(
        self,
        chat: Chat,
        zone: tzinfo | None,
        bots: frozenset[str],
        known: Mapping[str, Collection[str]],
    ) -> None:
        self.names: dict[str, str] = {}  # The name of each id in the messages so far.
        # The number of each id, and its handles in the account's contacts.
        self.handles: dict[str, tuple[str, ...]] = {}
        self._chat = chat
        self._has_zone = zone is not None
        self.clock = LocalClock(zone)
        # Whether offsets of HTML were used, which may ignore daylight saving time.
        self.used_offset = False
        self._bots = bots
        self._known = known
        self._kind = "channel" if chat.is_channel else "bot" if chat.is_of_bot else ""
        self._counts: Counter[str] = Counter()

    @property
    def is_one_sided(self) -> bool:
        """Whether one person wrote all messages of a group."""
        is_group = self._chat.is_group and not self._chat.is_channel
        total = self._counts.total()
        return bool(is_group and len(self._counts) == 1 and total >= _MIN_ONE_SIDED)

    def message(self, record: Record | None) -> Message:
        """Return a record as a message."""
        if record is None:
            return Message(None, "", "", kind="unreadable")
        author = author_of(record)
        if self.names.get(author, UNKNOWN_SENDER) == UNKNOWN_SENDER:
            self.add_person(author, name_of(record))
        extra = self._extra(record)
        text = text_of(record)
        kind = "text"
        if record.type == "unsupported":
            kind = "empty"
        elif record.type != "message":
            kind = "system"
            extra["system"] = clean_text(record.action) or record.type or "unknown"
            text = text or clean_text(record.information_text)
            text = text or f"[{extra['system'].replace('_', ' ')}]"
        elif self._kind:
            kind = self._kind
        elif author in self._bots or (text and record.via_bot):
            kind = "bot"
        if kind == "text":
            self._counts[author] += 1
        return Message(
            self._microseconds(record),
            author,
            text,
            kind,
            "" if record.id is None else f"{self._chat.id}:{record.id}",
            extra,
        )

    def add_person(self, author: str, name: str) -> None:
        """Add the name of an id, empty for deleted accounts."""
        if author:
            self.names[author] = name or UNKNOWN_SENDER
            number = author.removeprefix("user")
            if number.isdecimal():
                # Namesakes are told apart by the first one.
                known = self._known.get(author, ())
                self.handles[author] = (author, number, *known)

    def _microseconds(self, record: Record) -> int | None:
        """Return when a message was sent, in microseconds since 1970."""
        stamp = record.date_unixtime
        with suppress(ValueError):
            if stamp and len(str(stamp)) <= _MAX_DIGITS:
                return int(stamp) * 1_000_000
        try:
            moment = datetime.fromisoformat((record.date or "").replace("Z", "+00:00"))
            if moment.tzinfo is not None and not self._has_zone:
                self.used_offset = True
                return (moment - _EPOCH) // timedelta(seconds=1) * 1_000_000
        except (OverflowError, ValueError):
            return None
        local = (moment.replace(tzinfo=timezone.utc) - _EPOCH) // timedelta(seconds=1)
        seconds = self.clock.utc(local)
        return None if seconds is None else seconds * 1_000_000

    def _extra(self, record: Record) -> dict[str, Any]:
        """Return the further keys for `additional_kwargs`."""
        extra: dict[str, Any] = {}
        if attachments := _attachments(record):
            extra["attachments"] = attachments
        if record.edited or record.edited_unixtime:
            extra["edited"] = True
        if is_forwarded(record):
            extra["forwarded"] = True
            names = map(clean_text, (record.forwarded_from, record.saved_from))
            if name := next(filter(None, names), ""):
                extra["forwarded_from"] = name
        if record.reply_to_message_id is not None:
            place = record.reply_to_peer_id or self._chat.id
            extra["reply_to"] = {"id": f"{place}:{record.reply_to_message_id}"}
        if record.reactions:
            extra["reactions"] = list(self._reactions(record.reactions))
        return extra

    def _reactions(self, items: list[Reaction]) -> Iterator[dict[str, Any]]:
        for item in items:
            reaction = _REACTIONS.get(item.type) or clean_text(item.emoji)
            if not reaction:
                continue
            senders = []
            for person in item.recent or []:
                name = clean_text(person.from_)
                senders.append(
                    _person(person.from_id, name) if name else UNKNOWN_SENDER
                )
                if name and senders[-1] not in self.names:
                    self.add_person(senders[-1], name)
            yield from reactions(reaction, senders, item.count)


class _Owner(NamedTuple):
    id: str
    name: str
    found_by: str


class TelegramChatLoader(ChatExportLoader):
    """Load the chats of a Telegram export.

    Reads Telegram Desktop's `result.json` of one chat or of an account, or its HTML
    pages. Each chat is a session. Channels, where only their owners write, and chats
    with bots are skipped; `keep=("channel", "bot")` keeps them.

    Sessions are in the order of the files, and in the order within each file.
    """

    platform = "telegram"
    suffixes = (".json", ".html", ".htm")
    names_are_in_messages = True

    def __init__(
        self,
        path: str | Path | Collection[str | Path],
        *,
        timezone: str | tzinfo | None = None,
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: `result.json`, a page in HTML, or a folder or zip with them.
            timezone: The zone of the computer that exported, such as `Europe/Berlin`,
                for exports whose times are local: JSON before about 2022, and HTML.
                Defaults to the zone of this machine.
            **options: The options of every loader, see `ChatExportLoader`. `owner` is
                an id (`user123` or `123`), a name or a user name; without it, the owner
                is found if the export has personal chats.

        Raises:
            ValueError: If there is no such zone.
        """
        super().__init__(path, **options)
        self.timezone = find_time_zone(timezone)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each chat, in the order of the files.

        Raises:
            ExportFormatError: If there is no Telegram chat.
        """
        export = _Export(files)
        owner = _find_owner(export) if self.owner is None else None
        bots, handles = export.bots, export.handles
        used_zone = used_offset = False
        one_sided = 0
        for chats in export.chats.values():
            chat = chats[0]
            reader = Reader(chat, self.timezone, bots, handles)
            if (known := owner or export.user) and not chat.is_html:
                reader.add_person(known.id, known.name)
            number = "" if chat.is_html else chat.id.lstrip(_LETTERS)
            yield Conversation(
                id=chat.id,
                messages=_messages(chats, reader, files),
                title=chat.title,
                names=reader.names,
                handles=reader.handles,
                aliases=(number,) if number else (),
                is_group=chat.is_group,
                owner=owner and (owner.name if chat.is_html else owner.id),
                owner_found_by=owner and owner.found_by,
            )
            one_sided += reader.is_one_sided
            used_zone |= reader.clock.is_used
            used_offset |= reader.used_offset
        self._warn(files, one_sided, used_zone=used_zone, used_offset=used_offset)

    def _count_messages(self) -> int:
        with self.open_export(is_quiet=True) as files:
            return sum(file.estimate_count(*_MESSAGE_KEYS) for file in files)

    def _warn(
        self, files: ExportFiles, one_sided: int, *, used_zone: bool, used_offset: bool
    ) -> None:
        what = ""
        if used_zone:
            zone = name_of_zone(self.timezone)
            files.details["time_zone"] = [zone]
            if self.timezone is None:
                what = f"are local, and read as {zone}. If the computer was elsewhere"
        elif used_offset:
            what = "have an offset that may ignore daylight saving. If they are wrong"
        if what:
            files.warn(
                f"Times in {self.path} {what}, give the zone of the computer that "
                "exported: timezone='Europe/Berlin' (--export-zone Europe/Berlin). Or "
                "export again as JSON."
            )
        if one_sided:
            files.warn(
                f"In {one_sided} of the groups in {self.path} one person wrote all "
                "messages. If others wrote there, export again without "
                '"Only my messages".'
            )


def _messages(
    chats: list[Chat], reader: Reader, files: ExportFiles
) -> Iterator[Message]:
    """Yield the messages of a chat in all exports; the first of each id is kept."""
    for chat in chats:
        ids: dict[str, str] = {}
        if chat.is_html and not chats[0].is_html:
            # HTML has names without ids, so a shared name does not identify the author.
            counts = Counter(reader.names.values())
            ids = {name: who for who, name in reader.names.items() if counts[name] == 1}
        try:
            for record in chat.records():
                if record and ids:
                    record.from_id = ids.get(name_of(record), record.from_id)
                yield reader.message(record)
        except ChatExportError as error:
            files.skip(error)


def matches(files: Iterable[ExportFile]) -> bool:
    """Return whether files are an export of Telegram, by names and first bytes."""
    # Media and contacts in the same folder may be JSON files as well.
    listed = sorted(files, key=lambda file: not file.name.startswith(_OWN_NAMES))
    first = listed[:_MAX_LOOKED_AT]
    return any(is_json_export(file) or is_page(file) for file in first)


class _Export:
    """The chats of an export, and its information about people."""

    def __init__(self, files: ExportFiles) -> None:
        self.user: User | None = None
        # The files of each chat by id: JSON before HTML, the latest first.
        self.chats: dict[str, list[Chat]] = {}
        self.handles: dict[str, set[str]] = {}  # User names and phone numbers by id.
        self._cached = lru_cache(maxsize=_CACHED_FILES)(read_export)
        read = [file for file in files if self._add(file, files)]
        pages = [file for file in files if is_page(file)]
        in_json = [chat for chats in self.chats.values() for chat in chats]
        # Newer versions can write both formats at once; then ignore the HTML.
        places = {(file.part, file.folders) for file in read}
        alone = [page for page in pages if not _is_beside(page, places)]
        html = find_pages(alone, files)
        if not in_json and not html:
            msg = (
                f"{files.path} holds no chats of a Telegram export. In Telegram "
                "Desktop export with the format JSON, and give result.json or its "
                "folder."
            )
            raise ExportFormatError(msg, path=files.path)
        for chat in html:
            self.chats.setdefault(_id_in_json(chat, in_json), []).append(chat)
        for chats in self.chats.values():
            chats.reverse()
            chats.sort(key=lambda chat: chat.is_html)
        most = max(map(len, self.chats.values()), default=0)
        if most > _CACHED_FILES:  # Or each chat would read all of its files again.
            self._cached = lru_cache(maxsize=most)(read_export)
        files.details["other_files"] = len(files.files) - len(read) - len(alone)

    def _read(self, file: ExportFile) -> JsonExport | None:
        return self._cached(file)

    @property
    def bots(self) -> frozenset[str]:
        """Ids of bots."""
        known = (chats[0] for chats in self.chats.values())
        return frozenset(chat.id for chat in known if chat.is_of_bot)

    def _add(self, file: ExportFile, files: ExportFiles) -> bool:
        """Add the chats of a file; return whether it is Telegram's."""
        try:
            found = self._read(file)
        except ChatExportError as error:
            files.skip(error)
            return False
        if found is None:
            return False
        self.user = self.user or found.user
        for user in (*found.contacts, *([found.user] if found.user else ())):
            self.handles[user.id] = user.handles
        for chat in chats_of(file, found, self._read):
            self.chats.setdefault(chat.id, []).append(chat)
        if found.is_cut_off:
            files.warn(
                f"{file.label} was cut off: Telegram stopped while writing the file. "
                "Export again to get the rest."
            )
        return True


def _is_beside(page: ExportFile, places: set[tuple[int, tuple[str, ...]]]) -> bool:
    folders = page.folders
    # In an account's export the pages of a chat are in chats/chat_001.
    outer = folders[:-2] if folders[-2:-1] == ("chats",) else folders
    return (page.part, outer) in places


def _id_in_json(page: Chat, chats: list[Chat]) -> str:
    """Return the id of an HTML chat in a JSON export; its own id if it is not there.

    The two have the same name, and the same texts for the same message numbers.
    """
    namesakes = [chat for chat in chats if chat.name and chat.name == page.name]
    del namesakes[_MAX_NAMESAKES:]
    if not namesakes:
        return page.id
    texts = {
        record.id: text
        for record in islice(page.records(), _PAGE_RECORDS)
        if record and record.type == "message" and (text := _words(record))
    }
    for chat in namesakes:
        found = [
            texts[record.id] == _words(record)
            for record in chat.records()
            if record and record.id in texts
        ]
        if sum(found) * 2 > len(found):  # Some may have been edited in between.
            return chat.id
    return page.id


def _words(record: Record) -> str:
    return " ".join(text_of(record).split())


def _find_owner(export: _Export) -> _Owner | None:
    """Find the owner of the export.

    In this precedence: the personal information in the file, the person in all personal
    chats, the author of the notes in Saved Messages.
    """
    if export.user:
        user = export.user
        return _Owner(user.id, user.name, "personal information")
    candidates: list[dict[str, str]] = []
    notes: dict[str, str] = {}
    for chats in export.chats.values():
        for chat in chats:
            if chat.type == "saved_messages":
                notes |= _authors(r for r in _first(chat) if not is_forwarded(r))
            elif chat.type in {"personal_chat", ""} and not chat.is_of_bot:
                own = _own_side(chat)
                candidates += [own] if own else []
    if candidates:
        common = set.intersection(*(set(own) for own in candidates))
        if len(common) == 1:
            owner = common.pop()
            return _Owner(owner, candidates[0][owner] or owner, "personal chats")
    if len(notes) == 1:
        ((owner, name),) = notes.items()
        return _Owner(owner, name or owner, "saved messages")
    return None


def _own_side(chat: Chat) -> dict[str, str]:
    """Return the authors in a chat who may be the owner, names by id."""
    authors = _authors(_first(chat))
    unlike = {author: name for author, name in authors.items() if name != chat.name}
    if not chat.type:
        # In HTML, only the title distinguishes a chat of two from a group.
        is_of_two = len(authors) == _TWO_PEOPLE and len(unlike) == 1
        return unlike if is_of_two else {}
    own = {author: name for author, name in authors.items() if author != chat.id}
    # In some exports ids were edited: then the other person has the chat's name.
    return unlike if len(own) > 1 and len(unlike) == 1 else own


def _authors(records: Iterable[Record]) -> dict[str, str]:
    found: dict[str, str] = {}
    for record in records:
        author = author_of(record)
        if author and not found.get(author):
            found[author] = name_of(record)
    return found


def _first(chat: Chat) -> Iterator[Record]:
    # Unreadable records are counted when the chat is read.
    with suppress(ChatExportError):
        records = (r for r in chat.records() if r and r.type == "message")
        yield from islice(records, _FIRST_RECORDS)
