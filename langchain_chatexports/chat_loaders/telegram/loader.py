"""The chat loader for Telegram Desktop exports."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from string import ascii_lowercase
from typing import Unpack

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.base import ChatExportLoader, LoaderOptions
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.local_times import find_time_zone, zone_name
from langchain_chatexports.chat_loaders.messages import Conversation, Message
from langchain_chatexports.chat_loaders.telegram.exports import (
    is_same_record,
    read_export,
)
from langchain_chatexports.chat_loaders.telegram.html_pages import is_page
from langchain_chatexports.chat_loaders.telegram.json_files import is_json_export
from langchain_chatexports.chat_loaders.telegram.messages import MessageConverter
from langchain_chatexports.chat_loaders.telegram.owner import find_owner, user_as_owner
from langchain_chatexports.chat_loaders.telegram.records import Chat, Record
from langchain_chatexports.exceptions import ChatExportError, ExportWarning

_EXPORT_NAMES = ("result", "messages")
_MAX_INSPECTED_FILES = 100
_LETTERS = f"{ascii_lowercase}_"


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
    remedy = (
        "Export again in Telegram Desktop in JSON format, and pass result.json or its "
        "folder."
    )
    has_parts = True
    message_keys = (b'"type": "message"', b'"type": "service"', b'class="message ')

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
        """Yield the chats in the order of the files."""
        export = read_export(files)
        detected_owner = find_owner(export) if self.owner is None else None
        used_zone = used_offset = False
        one_sided_count = 0
        for conversation_id, chats in export.chats.items():
            chat = chats[0]
            owner = detected_owner
            if owner and chat.user:  # Each account has its own.
                owner = user_as_owner(chat.user)
            if owner and chat.is_html:  # Pages have no ids.
                owner = owner._replace(id=owner.name)
            converter = MessageConverter(
                chat, self.timezone, export.bots, export.handles
            )
            if (person := owner or chat.user or export.user) and not chat.is_html:
                converter.add_person(person.id, person.name)
            number = "" if chat.is_html else chat.id.lstrip(_LETTERS)
            yield Conversation(
                id=conversation_id,
                messages=files.collect(_read_messages(chats, converter, files)),
                title=chat.title,
                people=converter.people,
                aliases=(number,) if number else (),
                is_group=chat.is_group,
                owner=owner,
            )
            one_sided_count += converter.is_one_sided
            used_zone |= converter.clock.is_used
            used_offset |= converter.used_offset
        self._warn_about_times(files, used_zone=used_zone, used_offset=used_offset)
        if one_sided_count:
            files.warn(
                f"In {plural(one_sided_count, 'group')} in {self.path}, one person "
                "wrote all messages. If others also wrote, export again without "
                '"Only my messages".'
            )

    def _warn_about_times(
        self, files: ExportFiles, *, used_zone: bool, used_offset: bool
    ) -> None:
        problem = ""
        if used_zone:
            zone = zone_name(self.timezone)
            files.details["time_zone"] = [zone]
            if self.timezone is None:
                problem = f"are local, and read as {zone}"
        elif used_offset:
            problem = "have an offset that may ignore daylight saving"
        if problem:
            msg = (
                f"Times in {self.path} {problem}. An export as JSON has better ones; "
                "here, the zone of the exporting computer counts."
            )
            files.warn(ExportWarning(msg, guess=("timezone", "Europe/Berlin")))


def _read_messages(
    chats: Sequence[Chat], converter: MessageConverter, files: ExportFiles
) -> Iterator[Message]:
    """Yield a chat's messages from all of its exports, preferred export first."""
    has_both = len({chat.is_html for chat in chats}) > 1
    json_records: dict[int | None, Record] = {}
    for chat in chats:
        ids: dict[str, str] = {}
        if chat.is_html and has_both:
            # HTML has no ids, and only unique names identify the author.
            names = {id_: person.name for id_, person in converter.people.items()}
            counts = Counter(names.values())
            ids = {name: id_ for id_, name in names.items() if counts[name] == 1}
        try:
            for record in chat.read_records():
                if record and chat.is_html and has_both:
                    original = json_records.get(record.id)
                    if original and is_same_record(record, original):
                        record.from_id, record.date = original.from_id, original.date
                        record.date_unixtime = original.date_unixtime
                    else:
                        record.from_id = ids.get(record.author_name, record.from_id)
                elif record and has_both:
                    json_records[record.id] = record
                yield converter.convert(record)
        except ChatExportError as error:
            files.skip(error)
