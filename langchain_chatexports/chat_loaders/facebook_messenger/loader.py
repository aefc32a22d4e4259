"""The Messenger loaders: one file, or a whole export."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from operator import attrgetter
from typing import Any, ClassVar

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.facebook_messenger.owner import (
    FoundOwner,
    find_owner,
)
from langchain_chatexports.chat_loaders.facebook_messenger.records import (
    ThreadDocument,
    has_url,
    is_thread_head,
    read_thread,
)
from langchain_chatexports.chat_loaders.facebook_messenger.system_lines import (
    LineReader,
    is_deleted_account,
)
from langchain_chatexports.chat_loaders.facebook_messenger.threads import (
    INSTAGRAM,
    MessengerExport,
    Thread,
    is_html_thread,
    is_in_export_folder,
)
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.messages import Conversation, Message
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError

_SENDER_KEY = b'"sender'  # `sender_name` or `senderName`, in Meta's two formats.
_HEAD_BYTES = 4096
_MAX_LOOKED_AT = 100
_ZIP_NAMES = ("facebook-", "instagram-")
_FEW = 2  # People in a chat that is not a group.
_SECOND = 1_000_000
_MAX_PLACEHOLDER_LENGTH = 100
_KINDS = {"attachment": "media", "reaction": "reaction"}  # Others are `system`.


class _MessengerChatLoader(ChatExportLoader):
    """Base class of Meta's loaders."""

    platform: ClassVar[str] = "facebook_messenger"
    suffixes: ClassVar[tuple[str, ...]] = (".json", ".html")

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the threads in code-point order of their folders' names."""
        export = MessengerExport(files)
        if not export.threads:
            raise _no_thread(files, has_html=export.html_files > 0)
        owner = None if self.owner else find_owner(export)
        files.details["other_files"] = len(export.others)
        has_read = False
        for thread in export.threads:
            if conversation := _conversation(thread, files, owner, self.owner):
                has_read = True
                held = [conversation]
                del conversation
                yield held.pop()
        if not has_read:
            msg = (
                f"{files.path} holds no Messenger thread that can be read. "
                "Download the export again."
            )
            raise ExportFormatError(msg, path=files.path)

    def find_owner(self) -> str | None:
        """Return the owner's name, if it can be found; unreadable files are ignored."""
        with self.open_export(is_quiet=True) as files:
            found = find_owner(MessengerExport(files))
            return found[0] if found else None

    def handles(self) -> Mapping[str, Collection[str]]:
        """Return an empty mapping: these exports have names only."""
        return {}

    def _count_messages(self) -> int:
        with self.open_export(is_quiet=True) as files:
            return sum(file.estimate_count(_SENDER_KEY) for file in files)


class SingleFileFacebookMessengerChatLoader(_MessengerChatLoader):
    """Load one JSON file of a Messenger or Instagram export as one session.

    A long thread has several numbered files of up to 10,000 messages each. This loader
    reads one file; `FolderFacebookMessengerChatLoader` with the path of the thread's
    folder reads all of them as one session.
    """

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield the thread of the file."""
        if not files.is_single_file:
            msg = (
                f"{files.path} is not a JSON file. "
                "Use FolderFacebookMessengerChatLoader for a folder or a zip."
            )
            raise ExportFormatError(msg, path=files.path)
        yield from super().conversations(files)


class FolderFacebookMessengerChatLoader(_MessengerChatLoader):
    """Load a Messenger or Instagram export, one session a conversation.

    The path may be Meta's zip (read in place, never unpacked), a folder at any level
    (the unpacked export, `messages`, a section such as `inbox`, one thread), a folder
    of several zips or unpacked parts, or a list of those. The files of a thread are
    joined over all of them, without duplicates. End-to-end encrypted chats, which Meta
    exports separately, join the older part of the same conversation.

    The sections `filtered_threads` and `message_requests`, which are mostly spam, and
    `your_group_messages`, which repeats groups of the inbox, are skipped unless `keep`
    has `section` or the path names them. `owner` is the owner's
    name as written in the export. Sessions are in code-point order of the thread
    folders' names.
    """


def matches(files: ExportFiles) -> bool:
    """Return whether files are Meta's, by their names and first bytes.

    A part with media only is recognized by the name of its zip.
    """
    name = files.path.name.lower()
    if name.endswith(".zip") and name.startswith(_ZIP_NAMES):
        return True
    json_files = 0
    for file in files:
        if is_in_export_folder(file) or is_html_thread(file.name):
            return True
        is_json = files.is_single_file or file.name.lower().endswith(".json")
        if is_json and json_files < _MAX_LOOKED_AT:
            json_files += 1
            if is_thread_head(file.head(_HEAD_BYTES)):
                return True
    return False


def _documents(thread: Thread, files: ExportFiles) -> list[ThreadDocument]:
    """Parse the files of a thread, oldest first."""
    documents: list[ThreadDocument] = []
    for entry in thread.sorted_files:
        try:
            document = read_thread(entry.file)
            if document is None and files.is_single_file:
                raise _no_thread(files)
        except ChatExportError as error:
            files.skip(error)
            continue
        if document is None:
            files.details["other_files"] += 1
            continue
        document.is_skipped = entry.is_skipped
        documents.append(document)
        files.check_count(sum(len(each.records) for each in documents))
    return documents


def _conversation(
    thread: Thread, files: ExportFiles, found: FoundOwner | None, given: str | None
) -> Conversation | None:
    documents = _documents(thread, files)
    if not documents:
        return None
    # The current title and members are in the file with the newest message, if it has
    # them.
    documents_by_age = sorted(documents, key=lambda d: (d.is_skipped, -d.newest))
    heads = [document.head for document in documents_by_age]
    listed = next((head.participants for head in heads if head.participants), [])
    is_group = next((h.is_group for h in heads if h.is_group is not None), None)
    members = [name for name in dict.fromkeys(listed) if not is_deleted_account(name)]
    messages = _merged(documents)
    people = dict.fromkeys([*members, *(message.sender for message in messages)])
    people.pop("", None)
    owner, found_by = found or (None, None)
    _find_system_lines(messages, LineReader(people, given or owner))
    return Conversation(
        id=thread.id,
        messages=iter(messages),  # Keeps no reference to the list.
        title=next((head.title for head in heads if head.title), None),
        members=members,
        names={name: name for name in people},
        is_group=len(listed) > _FEW or None if is_group is None else is_group,
        platform=INSTAGRAM if thread.is_instagram else None,
        owner=owner,
        owner_found_by=found_by,
        is_ordered=True,
    )


def _merged(files: list[ThreadDocument]) -> list[Message]:
    """Join the messages of a thread's files, oldest first.

    Messages with equal times keep the order of their file, starting at its oldest end.
    Messages without a time come first, in the order of their file.
    """
    _mark_duplicates(files)
    for file in files:
        for message in file.messages if file.is_skipped else ():
            if message.kind == "text":
                message.kind = "section"
    directions = [_is_newest_first(file.messages) for file in files]
    usual = next((d for d in directions if d is not None), None)
    if usual is None:
        # All times within each file are equal, so use the order of their numbers.
        usual = _is_newest_first([m for file in reversed(files) for m in file.messages])
    undated: list[Message] = []
    dated: list[Message] = []
    for file, direction in zip(files, directions, strict=True):
        undated += [m for m in file.messages if m.time is None]
        if usual if direction is None else direction:
            file.messages.reverse()
        dated += [m for m in file.messages if m.time is not None]
    dated.sort(key=attrgetter("time"))
    return undated + dated


def _find_system_lines(messages: list[Message], reader: LineReader) -> None:
    """Set the kinds of system lines, in messages sorted oldest first."""
    placeholders = _placeholders(messages)
    for message in messages:
        text = message.text
        if message.kind != "text" or not text:
            continue
        has_attachment = "attachments" in message.extra
        if placeholders and text in placeholders:
            line: str | None = "attachment"
        else:
            line = reader.kind_of(text, message.sender, has_attachment=has_attachment)
        if line is None:
            continue
        message.kind = _KINDS.get(line, "system")
        if message.kind == "media":
            message.text = "" if has_attachment else "[attachment]"
        else:
            message.extra[message.kind] = line if message.kind == "system" else True


def _is_newest_first(messages: list[Message]) -> bool | None:
    times = (m.time for m in messages if m.time is not None)
    backwards = (m.time for m in reversed(messages) if m.time is not None)
    first, last = next(times, None), next(backwards, None)
    return None if first is None or last is None or first == last else first > last


def _mark_duplicates(files: list[ThreadDocument]) -> None:
    """Mark messages that another file contains as well.

    Duplicates have the same sender, time, text and attachments, but in different files:
    within one file, the person really wrote the same text twice.
    """
    # The exports of 2018 round to seconds; later ones have milliseconds.
    unit = _SECOND if any(file.is_coarse for file in files) else 1
    shared = _shared_times(files, unit)
    seen: dict[object, list[Message]] = {}
    best_first = sorted(files, key=lambda file: (file.is_skipped, file.is_coarse))
    for file in best_first if shared else ():
        counts: Counter[object] = Counter()
        for message in file.messages:
            time = None if message.time is None else message.time // unit
            if time not in shared or not (message.text or message.extra):
                continue
            content = time, *_content(message)
            copies, nth = seen.setdefault(content, []), counts[content]
            counts[content] += 1
            if nth == len(copies):  # The n-th in one file is the n-th in the others.
                copies.append(message)
                continue
            if _knowledge(message) > _knowledge(copies[nth]):
                copies[nth].kind, copies[nth].extra = message.kind, message.extra
            message.kind = "duplicate"


def _shared_times(files: list[ThreadDocument], unit: int) -> set[int | None]:
    seen: set[int | None] = set()
    shared: set[int | None] = set()
    for file in files if len(files) > 1 else ():
        times = {None if m.time is None else m.time // unit for m in file.messages}
        shared |= times & seen
        seen |= times
    return shared


def _content(message: Message) -> tuple[object, ...]:
    attachments = message.extra.get("attachments", ())
    return message.sender, message.text, tuple(map(_attachment_key, attachments))


def _attachment_key(attachment: dict[str, str]) -> tuple[str, ...]:
    kind, uri = attachment["type"], attachment.get("uri", "")
    if kind != "link":
        # Folder names differ between the kinds of exports.
        uri = uri.rpartition("/")[2]
    return kind, uri, attachment.get("text", "")


def _knowledge(message: Message) -> tuple[bool, int]:
    """Rank copies of a message by the information in their export.

    A later export marks unsent messages, and has more reactions; an older one has
    fields of system lines that later ones lack.
    """
    return message.kind != "text", len(message.extra.get("reactions", ()))


def _placeholders(messages: Collection[Message]) -> set[str]:
    """Return the placeholder texts of shared attachments, in any language.

    They are short, and occur several times, but only in messages with a share.
    """
    on_shares = Counter(
        message.text
        for message in messages
        if message.extra  # Most messages have none, so check this first.
        and message.kind == "text"
        and _has_share(message.extra)
        and len(message.text) <= _MAX_PLACEHOLDER_LENGTH
    )
    repeated = {
        text for text, count in on_shares.items() if count > 1 and not has_url(text)
    }
    if not repeated:
        return repeated
    return repeated.difference(m.text for m in messages if not _has_share(m.extra))


def _has_share(extra: dict[str, Any]) -> bool:
    return any(item["type"] == "link" for item in extra.get("attachments", ()))


def _no_thread(files: ExportFiles, *, has_html: bool = False) -> ExportFormatError:
    path = files.path
    if has_html or (files.is_single_file and files.files[0].head(1) == b"<"):
        msg = (
            f"{path} is a Messenger export in HTML, which carries no reliable times or "
            "senders. Request it again from Accounts Center (Your information and "
            "permissions, Export your information) with the format set to JSON."
        )
    elif files.is_single_file:
        msg = (
            f"{path} is not a Messenger thread in JSON. Give the zip from Meta, the "
            "folder that it unpacks to, or a file named message_1.json in it."
        )
    else:
        msg = (
            f"{path} holds no Messenger thread in JSON. Give Meta's zip or the folder "
            "that it unpacks to. If there are several parts, put them all into one "
            "folder and give that: some parts have media only. Zips in subfolders are "
            "not found."
        )
    return ExportFormatError(msg, path=path)
