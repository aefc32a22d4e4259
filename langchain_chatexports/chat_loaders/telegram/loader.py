"""The chat loader for Telegram Desktop exports."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple, Unpack

import msgspec

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders import schema
from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.json_data import clean_text
from langchain_chatexports.chat_loaders.local_times import (
    LocalClock,
    find_time_zone,
    zone_name,
)
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    Message,
    Person,
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
    is_json_export,
    iter_chats,
    read_export,
)
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_MESSAGE_KEYS = (b'"type": "message"', b'"type": "service"', b'class="message ')
_EXPORT_NAMES = ("result", "messages")
_MAX_INSPECTED_FILES = 100
_FIRST_RECORDS = 100  # By then, both people in a chat have usually written.
_MAX_CANDIDATES = 20
_CACHED_FILES = 4  # A chat may be in several files.
_PAGE_RECORDS = 1000  # The number of messages per page.
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
_get_other_fields = attrgetter(*_OTHER_TYPES)
_NO_OTHER_FIELDS = (_UNSET,) * len(_OTHER_TYPES)
_REACTIONS = {"custom_emoji": ":custom_emoji:", "paid": "⭐"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A group with at least this many messages, all from one person, may be incomplete.
_MIN_ONE_SIDED = 10
_MAX_DIGITS = 15  # Long after the year 9999.
_LETTERS = f"{ascii_lowercase}_"


def get_author_id(record: Record) -> str:
    """Return the author's id, or the name if there is no id."""
    return _get_person_id(record.from_id or record.actor_id, get_author_name(record))


def _get_person_id(user_id: str | int | None, name: str) -> str:
    if isinstance(user_id, str):
        return user_id or name
    return f"user{user_id}" if user_id else name


def get_author_name(record: Record) -> str:
    """Return the author's name, which is empty for deleted accounts."""
    return clean_text(record.from_ or record.actor)


def get_full_text(record: Record) -> str:
    """Return the joined text, or an empty string for white space."""
    text = record.text
    if isinstance(text, list) or not text:
        text = join_text(text or msgspec.json.decode(record.text_entities))
    return "" if text.isspace() else text


def join_text(parts: object) -> str:
    """Join a string, or a list of strings and objects with a `text`."""
    if isinstance(parts, str):
        return parts
    strings = (
        part.get("text") if isinstance(part, dict) else part
        for part in (parts if isinstance(parts, list) else ())
    )
    return "".join(text for text in strings if isinstance(text, str))


def is_forwarded(record: Record) -> bool:
    """Return whether a message was forwarded, and thus written by someone else."""
    return record.forwarded_from is not _UNSET or record.saved_from is not _UNSET


def _describe_attachments(record: Record) -> list[schema.Attachment]:
    items: dict[str, schema.Attachment] = {}
    if record.photo is not _UNSET:
        items["photo"] = attachment(kind="photo")
    if record.file is not _UNSET or record.media_type:
        kind = _MEDIA_TYPES.get(record.media_type or "", "file")
        title = record.sticker_emoji if kind == "sticker" else record.title
        name = "" if kind == "sticker" else clean_text(record.file_name)
        items[kind] = attachment(name, kind=kind, title=clean_text(title))
    fields = _get_other_fields(record)
    if fields != _NO_OTHER_FIELDS:
        for kind, value in zip(_OTHER_TYPES.values(), fields, strict=True):
            if value is not _UNSET:
                items[kind] = attachment(kind=kind, title=_get_title(kind, record))
    return list(items.values())


def _get_title(kind: str, record: Record) -> str:
    """Return the question of a poll, or the name of a place."""
    if kind == "poll" and isinstance(record.poll, dict):
        return clean_text(join_text(record.poll.get("question")))
    return clean_text(record.place_name) if kind == "location" else ""


class MessageConverter:
    """Converts the records of one chat to messages."""

    def __init__(
        self,
        chat: Chat,
        zone: tzinfo | None,
        bots: frozenset[str],
        known_handles: Mapping[str, Collection[str]],
    ) -> None:
        # The people so far, by id. The handles are the id, its number, and those in the
        # account's contacts.
        self.people: dict[str, Person] = {}
        self._chat = chat
        self._has_zone = zone is not None
        self.clock = LocalClock(zone)
        # Whether offsets were used. In HTML, they may ignore daylight saving time.
        self.used_offset = False
        self._bots = bots
        self._known_handles = known_handles
        self._kind = "channel" if chat.is_channel else "bot" if chat.is_with_bot else ""
        self._counts: Counter[str] = Counter()

    @property
    def is_one_sided(self) -> bool:
        """Whether all messages in a group are from one person."""
        is_group = self._chat.is_group and not self._chat.is_channel
        total = self._counts.total()
        return bool(is_group and len(self._counts) == 1 and total >= _MIN_ONE_SIDED)

    def convert(self, record: Record | None) -> Message:
        """Convert a record; it is `None` if damaged."""
        if record is None:
            return Message(None, "", "", kind="unreadable")
        author = get_author_id(record)
        if (
            author not in self.people
            or self.people[author].name == schema.UNKNOWN_SENDER
        ):
            self.add_person(author, get_author_name(record))
        extra = self._build_extra(record)
        text = get_full_text(record)
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
            self._parse_time(record),
            author,
            text,
            kind,
            "" if record.id is None else f"{self._chat.id}:{record.id}",
            extra,
        )

    def add_person(self, author: str, name: str) -> None:
        """Add the name and handles of a person. Deleted accounts have an empty name."""
        if author:
            number = author.removeprefix("user")
            handles: tuple[str, ...] = ()
            if number.isdecimal():
                handles = (author, number, *self._known_handles.get(author, ()))
            self.people[author] = Person(name or schema.UNKNOWN_SENDER, handles)

    def _parse_time(self, record: Record) -> int | None:
        """Return when a message was sent, in microseconds since 1970."""
        stamp = record.date_unixtime
        with suppress(ValueError):
            if stamp and len(str(stamp)) <= _MAX_DIGITS:
                return int(stamp) * 1_000_000
        try:
            time = datetime.fromisoformat(record.date or "")
            if time.tzinfo is not None and not self._has_zone:
                self.used_offset = True
                return (time - _EPOCH) // timedelta(seconds=1) * 1_000_000
        except (OverflowError, ValueError):
            return None
        local = (time.replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
        seconds = self.clock.utc(local)
        return None if seconds is None else seconds * 1_000_000

    def _build_extra(self, record: Record) -> dict[str, Any]:
        """Return the optional keys for `additional_kwargs`."""
        extra: dict[str, Any] = {}
        if attachments := _describe_attachments(record):
            extra["attachments"] = attachments
        if record.edited or record.edited_unixtime:
            extra["edited"] = True
        if is_forwarded(record):
            extra["forwarded"] = True
            names = map(clean_text, (record.forwarded_from, record.saved_from))
            if name := next(filter(None, names), ""):
                extra["forwarded_from"] = name
        if record.reply_to_message_id is not None:
            chat_id = record.reply_to_peer_id or self._chat.id
            extra["reply_to"] = {"id": f"{chat_id}:{record.reply_to_message_id}"}
        if record.reactions:
            extra["reactions"] = list(self._convert_reactions(record.reactions))
        return extra

    def _convert_reactions(self, items: list[Reaction]) -> Iterator[schema.Reaction]:
        for item in items:
            reaction = _REACTIONS.get(item.type) or clean_text(item.emoji)
            if not reaction:
                continue
            senders = []
            for person in item.recent or []:
                name = clean_text(person.from_)
                senders.append(
                    _get_person_id(person.from_id, name)
                    if name
                    else schema.UNKNOWN_SENDER
                )
                if name and senders[-1] not in self.people:
                    self.add_person(senders[-1], name)
            yield from reactions(reaction, senders, item.count)


class _DetectedOwner(NamedTuple):
    id: str
    name: str
    found_by: str


class TelegramChatLoader(ChatExportLoader):
    """Load the chats of a Telegram export.

    Reads Telegram Desktop's `result.json` of a chat or an account, or its HTML pages.
    Each chat is a session. Channels, where only the owners write, and chats with bots
    are skipped, unless `keep=("channel", "bot")` is given.

    Sessions keep the order of the files, and their order within each file.
    """

    platform = "telegram"
    label = "Telegram export"
    suffixes = (".json", ".html", ".htm")
    has_parts = True

    def __init__(
        self,
        path: str | Path | Collection[str | Path],
        *,
        timezone: str | tzinfo | None = None,
        **options: Unpack[LoaderOptions],
    ) -> None:
        """Initialize the loader.

        Args:
            path: `result.json`, an HTML page, or a folder or zip that contains them.
            timezone: The time zone of the exporting computer, such as `Europe/Berlin`,
                for exports with local times: JSON before about 2022, and HTML. Defaults
                to this machine's time zone.
            **options: The options of every loader; see `ChatExportLoader`. `owner` is
                an id (`user123` or `123`), a name or a user name. By default, it is
                detected if there are personal chats.

        Raises:
            ValueError: If the time zone is unknown.
        """
        super().__init__(path, **options)
        self.timezone = find_time_zone(timezone)

    @classmethod
    def matches(cls, files: ExportFiles) -> bool:
        """Return whether files are a Telegram export, by name and first bytes."""
        # Media and contacts in the same folder may also be JSON files.
        by_name = sorted(files, key=lambda f: not f.name.startswith(_EXPORT_NAMES))
        candidates = by_name[:_MAX_INSPECTED_FILES]
        return any(is_json_export(file) or is_page(file) for file in candidates)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the chats in the order of the files.

        Raises:
            ExportFormatError: If there is no Telegram chat.
        """
        export = _Export(files)
        owner = _find_owner(export) if self.owner is None else None
        bots, handles = export.bots, export.handles
        used_zone = used_offset = False
        one_sided_count = 0
        for chats in export.chats.values():
            chat = chats[0]
            converter = MessageConverter(chat, self.timezone, bots, handles)
            if (person := owner or export.user) and not chat.is_html:
                converter.add_person(person.id, person.name)
            number = "" if chat.is_html else chat.id.lstrip(_LETTERS)
            yield Conversation(
                id=chat.id,
                messages=files.collect(_read_messages(chats, converter, files)),
                title=chat.title,
                people=converter.people,
                aliases=(number,) if number else (),
                is_group=chat.is_group,
                owner=owner and (owner.name if chat.is_html else owner.id),
                owner_found_by=owner and owner.found_by,
            )
            one_sided_count += converter.is_one_sided
            used_zone |= converter.clock.is_used
            used_offset |= converter.used_offset
        self._warn(files, one_sided_count, used_zone=used_zone, used_offset=used_offset)

    def _count_messages(self) -> int:
        with self.open_export(is_quiet=True) as files:
            return sum(file.estimate_count(*_MESSAGE_KEYS) for file in files)

    def _warn(
        self,
        files: ExportFiles,
        one_sided_count: int,
        *,
        used_zone: bool,
        used_offset: bool,
    ) -> None:
        problem = ""
        if used_zone:
            zone = zone_name(self.timezone)
            files.details["time_zone"] = [zone]
            if self.timezone is None:
                problem = f"are local, and read as {zone}. If that is wrong"
        elif used_offset:
            problem = "have an offset that may ignore daylight saving. If it is wrong"
        if problem:
            files.warn(
                f"Times in {self.path} {problem}, set the time zone of the exporting "
                "computer: timezone='Europe/Berlin' (--export-zone Europe/Berlin). Or "
                "export again as JSON."
            )
        if one_sided_count:
            files.warn(
                f"In {plural(one_sided_count, 'group')} in {self.path}, one person "
                "wrote all messages. If others also wrote, export again without "
                '"Only my messages".'
            )


def _read_messages(
    chats: list[Chat], converter: MessageConverter, files: ExportFiles
) -> Iterator[Message]:
    """Yield a chat's messages from all of its exports, preferred export first."""
    for chat in chats:
        ids: dict[str, str] = {}
        if chat.is_html and not chats[0].is_html:
            # HTML has no ids, and only unique names identify the author.
            names = {id_: person.name for id_, person in converter.people.items()}
            counts = Counter(names.values())
            ids = {name: id_ for id_, name in names.items() if counts[name] == 1}
        try:
            for record in chat.read_records():
                if record and ids:
                    record.from_id = ids.get(get_author_name(record), record.from_id)
                yield converter.convert(record)
        except ChatExportError as error:
            files.skip(error)


class _Export:
    """The chats and people of an export."""

    def __init__(self, files: ExportFiles) -> None:
        self.user: User | None = None
        # The exports of each chat by id: JSON before HTML, latest first.
        self.chats: dict[str, list[Chat]] = {}
        self.handles: dict[str, set[str]] = {}  # User names and phone numbers by id.
        self._read_cached = lru_cache(maxsize=_CACHED_FILES)(read_export)
        json_files = [file for file in files if self._add(file, files)]
        pages = [file for file in files if is_page(file)]
        json_chats = [chat for chats in self.chats.values() for chat in chats]
        # Newer versions can write both formats at once: ignore HTML next to JSON.
        json_folders = {(file.part, file.folders) for file in json_files}
        pages = [page for page in pages if not _has_json_export(page, json_folders)]
        html_chats = find_pages(pages, files)
        if not json_chats and not html_chats:
            msg = (
                f"{files.path} contains no chats from Telegram. Export again in "
                "Telegram Desktop in JSON format, and pass result.json or its "
                "folder."
            )
            raise ExportFormatError(msg, path=files.path)
        for chat in html_chats:
            self.chats.setdefault(_match_json_chat(chat, json_chats), []).append(chat)
        for chats in self.chats.values():
            chats.reverse()
            chats.sort(key=lambda chat: chat.is_html)
        file_count = max(map(len, self.chats.values()), default=0)
        # Avoid reading all files again for each chat.
        if file_count > _CACHED_FILES:
            self._read_cached = lru_cache(maxsize=file_count)(read_export)
        files.details["other_files"] = len(files.files) - len(json_files) - len(pages)

    def _read(self, file: ExportFile) -> JsonExport | None:
        return self._read_cached(file)

    @property
    def bots(self) -> frozenset[str]:
        """The ids of the bots."""
        chats = (exports[0] for exports in self.chats.values())
        return frozenset(chat.id for chat in chats if chat.is_with_bot)

    def _add(self, file: ExportFile, files: ExportFiles) -> bool:
        """Add the chats in a file. Return whether it is a Telegram export."""
        try:
            export = self._read(file)
        except ChatExportError as error:
            files.skip(error, file)
            return False
        if export is None:
            return False
        self.user = self.user or export.user
        for user in (*export.contacts, *([export.user] if export.user else ())):
            self.handles[user.id] = user.handles
        for chat in iter_chats(file, export, self._read):
            self.chats.setdefault(chat.id, []).append(chat)
        if export.is_truncated:
            files.warn(
                f"{file.label} is truncated: Telegram stopped while writing the file. "
                "Export again to get the rest."
            )
        return True


def _has_json_export(
    page: ExportFile, json_folders: set[tuple[int, tuple[str, ...]]]
) -> bool:
    folders = page.folders
    # In account exports, the pages of a chat are in chats/chat_001.
    parent = folders[:-2] if folders[-2:-1] == ("chats",) else folders
    return (page.part, parent) in json_folders


def _match_json_chat(page: Chat, chats: list[Chat]) -> str:
    """Return the id of the same chat in a JSON export, or its own id if there is none.

    The same chat has the same name, and the same text for each message id.
    """
    candidates = [chat for chat in chats if chat.name and chat.name == page.name]
    del candidates[_MAX_CANDIDATES:]
    if not candidates:
        return page.id
    texts_by_id = {
        record.id: text
        for record in islice(page.read_records(), _PAGE_RECORDS)
        if record and record.type == "message" and (text := _normalize_text(record))
    }
    for chat in candidates:
        results = [
            texts_by_id[record.id] == _normalize_text(record)
            for record in chat.read_records()
            if record and record.id in texts_by_id
        ]
        if sum(results) * 2 > len(results):  # Some messages may have been edited.
            return chat.id
    return page.id


def _normalize_text(record: Record) -> str:
    return " ".join(get_full_text(record).split())


def _find_owner(export: _Export) -> _DetectedOwner | None:
    """Find the owner of the export.

    In order of precedence: the personal information in the file, the only person in all
    personal chats, or the author of the notes in Saved Messages.
    """
    if export.user:
        user = export.user
        return _DetectedOwner(user.id, user.name, "personal information")
    candidates: list[dict[str, str]] = []
    note_authors: dict[str, str] = {}
    for chats in export.chats.values():
        for chat in chats:
            if chat.type == "saved_messages":
                note_authors |= _find_authors(
                    r for r in _read_first_records(chat) if not is_forwarded(r)
                )
            elif chat.type in {"personal_chat", ""} and not chat.is_with_bot:
                owners = _find_possible_owners(chat)
                candidates += [owners] if owners else []
    if candidates:
        common = set.intersection(*map(set, candidates))
        if len(common) == 1:
            owner = common.pop()
            return _DetectedOwner(
                owner, candidates[0][owner] or owner, "personal chats"
            )
    if len(note_authors) == 1:
        ((owner, name),) = note_authors.items()
        return _DetectedOwner(owner, name or owner, "saved messages")
    return None


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
        author = get_author_id(record)
        if author and not names.get(author):
            names[author] = get_author_name(record)
    return names


def _read_first_records(chat: Chat) -> Iterator[Record]:
    # Unreadable records are counted when the chat is read.
    with suppress(ChatExportError):
        records = (r for r in chat.read_records() if r and r.type == "message")
        yield from islice(records, _FIRST_RECORDS)
