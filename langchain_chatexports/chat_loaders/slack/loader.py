"""The chat loader for Slack exports."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.display_names import KnownNames
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
    Person,
)
from langchain_chatexports.chat_loaders.slack.messages import (
    Converted,
    MessageConverter,
    to_microseconds,
)
from langchain_chatexports.chat_loaders.slack.records import (
    decode_records,
    read_dump_head,
    read_records,
)
from langchain_chatexports.chat_loaders.slack.workspace import (
    CHANNEL_LISTS,
    DAY_FILE,
    USER_LISTS,
    Channel,
    read_workspace,
)
from langchain_chatexports.chat_loaders.times import EPOCH

_HEAD_BYTES = 4096
_MAX_INSPECTED_FILES = 20
_LISTING_WORK = 10  # Microseconds per person in a new list of people.


class SlackChatLoader(ChatExportLoader):
    """Load the conversations of a Slack export.

    Each channel and direct chat is a session, combined from the files of all days.
    Threads in channels are separate sessions, so that they do not interleave. The first
    message of a thread is in both sessions, and only context in the thread. In message
    text, ids are replaced with names, and links with their visible text.

    Sessions are in code-point order of the folder names, each channel before its
    threads. `owner` is the id, handle, name or e-mail address of the person who
    exported; it is detected by default if there are direct messages.
    """

    platform = "slack"
    label = "Slack export"
    remedy = (
        "It has a folder per channel with a file per day, such as "
        "general/2024-05-01.json. Pass the zip from Slack, or the folder that it "
        "unpacks to."
    )

    @classmethod
    def matches(cls, files: ExportFiles) -> bool:
        """Return whether files are a Slack export, by their names and first bytes."""
        names_by_folder: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for file in files:
            names_by_folder[file.folders].add(file.name)
        if any(
            names & USER_LISTS and names & CHANNEL_LISTS.keys()
            for names in names_by_folder.values()
        ):
            return True
        days = [file for file in files if DAY_FILE.fullmatch(file.name)]
        if days:
            heads = (file.head(_HEAD_BYTES) for file in days[:3])
            return any(head.startswith(b"[") and b'"ts"' in head for head in heads)
        dumps = [file for file in files if file.name.lower().endswith(".json")]
        return any(map(read_dump_head, dumps[:_MAX_INSPECTED_FILES]))

    def list_people(self, files: ExportFiles) -> Iterator[Mapping[str, Person]]:
        """Yield the people in `users.json`, without those of other workspaces."""
        yield read_workspace(files).people

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        """Yield each channel, followed by its threads."""
        workspace = read_workspace(files)
        converter = MessageConverter(workspace)
        if self.owner is None:
            owner = workspace.find_owner()
        else:
            known = KnownNames(self.people)
            known.add_people(converter.people)
            owner = known.find_owner(self.owner)
        for channel in workspace.channels:
            # Read before people are listed, since messages contain guests.
            messages, threads = _read_messages(channel, converter, files)
            files.spend(_LISTING_WORK * converter.add_guests())
            others = [id_ for id_ in channel.members if id_ != owner]
            names = [
                f"@{converter.get_name(id_) or id_}"
                for id_ in others or channel.members
            ]
            title = ", ".join(dict.fromkeys(names)) or channel.name
            conversation = Conversation(
                id=channel.id,
                messages=iter(messages),
                title=title if channel.is_direct else f"#{channel.name}",
                members=channel.members if channel.is_direct else (),
                people=converter.people,
                aliases=(channel.id, channel.name, f"#{channel.name}"),
                is_group=channel.kind != "dm",
                owner=DetectedOwner(owner, "direct messages") if owner else None,
            )
            del messages  # Freed once they have been converted.
            yield conversation
            yield from _iter_threads(conversation, channel, threads)


def _read_messages(
    channel: Channel, converter: MessageConverter, files: ExportFiles
) -> tuple[list[Message], dict[str, list[Message]]]:
    """Return the messages outside threads, and those in each thread."""
    rows = list(files.collect(_convert_records(channel, converter, files)))
    if len({row.message.id for row in rows}) < len(rows):
        # Only the first of several records of a message is kept.
        rows.sort(key=attrgetter("rank"), reverse=True)
    messages: list[Message] = []
    threads: dict[str, list[Message]] = defaultdict(list)
    for message, thread, _ in rows:
        if not thread or channel.is_direct:
            messages.append(message)
        elif message.id == f"{channel.id}:{thread}":
            repeat = copy(message)
            repeat.is_repeat = True
            threads[thread].append(repeat)
            messages.append(message)
        else:
            threads[thread].append(message)
    return messages, threads


def _convert_records(
    channel: Channel, converter: MessageConverter, files: ExportFiles
) -> Iterator[Converted]:
    for _, raws in files.read_each(channel.files, read_records):
        if raws is None:
            files.details["other_files"] += 1
            continue
        for size, record in decode_records(raws):
            yield converter.convert(channel.id, record, size)


def _iter_threads(
    conversation: Conversation, channel: Channel, threads: dict[str, list[Message]]
) -> Iterator[Conversation]:
    """Yield the threads of a channel as conversations, oldest first."""
    for ts in sorted(threads, key=lambda ts: (to_microseconds(ts) or 0, ts)):
        messages = threads.pop(ts)
        if all(message.is_repeat for message in messages):
            continue  # The export does not contain the replies.
        # Titles contain the time, since they must not quote messages.
        title = f"#{channel.name}, thread of {_format_minute(to_microseconds(ts) or 0)}"
        id_ = f"{channel.id}:{ts}"
        yield replace(conversation, id=id_, messages=messages, title=title)


def _format_minute(time: int) -> str:
    try:
        return f"{EPOCH + timedelta(microseconds=time):%Y-%m-%d %H:%M}"
    except OverflowError:
        return "an unknown day"
