"""Stages, and why something was skipped or added, in words for people."""

from __future__ import annotations

import re

REASONS = {
    # Of the loaders.
    "auto_reply": "an automatic reply",
    "bot": "written by a bot or an app",
    "channel": "in a channel that only its owners write in",
    "deleted": "in the trash of the app",
    "draft": "never sent",
    "duplicate": "in another file of the export, too",
    "empty": "no text and nothing else",
    "excluded": "excluded by name, conversation or date",
    "media": "a photo, video, sound or file without a text",
    "orphan": "belongs to no conversation",
    "reaction": "a reaction; it stays with the message that it is about",
    "section": "in a part of the export that is not read (spam, requests)",
    "spam": "marked as spam",
    "system": "written by the app (a call, a new member, a new title)",
    "unreadable": "damaged",
    "unsent": "taken back by its sender",
    # Of the steps.
    "ai_share": "in a conversation in which the AI says too little",
    "dates": "in a conversation outside the dates",
    "group": "in a group, or in a conversation that is not a group",
    "merged": "joined with its neighbor of the same sender; its text is kept",
    "not_trained": "in examples whose answers are all context",
    "participants": "in a conversation skipped by who takes part",
    "repeated": "repeated in a window that overlaps the one before",
    "tail": "at the end of a conversation, too few for a window",
    "too_long": "longer alone than an example may be",
    "turns": "in a conversation with too few turns",
    "unnamed": "skipped by a step that does not say why",
    # Of the examples.
    "forgotten": "taken out on request, after the set was written",
    "exact": "in an example that is the same as another one",
    "leading": "by the AI, before anybody else has spoken",
    "lone": "alone in its example, where nobody is answered",
    "older_text": "in an example whose text an earlier part holds, too",
    "no_assistant": "in a conversation or window in which the AI says nothing",
    "older": "in an example older than the newest ones that were asked for",
    "no_prompt": "an answer before anybody has said anything",
    "system_prompt": "put before a conversation",
    "trailing": "after the last answer, where nothing is learned from it",
    "unsupported": "a sound, file, reasoning or other content besides texts and images",
}
"""What each reason means, by the name that loaders and steps count under."""

SHORT_REASONS = {
    "ai_share": "where the AI says too little",
    "auto_reply": "sent automatically",
    "bot": "by bots and apps",
    "channel": "in one-way channels",
    "dates": "outside the dates",
    "deleted": "deleted",
    "draft": "never sent",
    "duplicate": "found twice",
    "empty": "without text",
    "exact": "repeated",
    "excluded": "excluded by options",
    "forgotten": "taken out on request",
    "group": "skipped as groups, or as no groups",
    "leading": "before the first message of somebody else",
    "lone": "alone in a conversation",
    "media": "media without text",
    "merged": "joined with the message before",
    "older_text": "that repeat older ones",
    "no_assistant": "without a message by the AI",
    "no_prompt": "before the first message",
    "not_trained": "nothing to learn from",
    "older": "older than the newest examples asked for",
    "orphan": "in no conversation",
    "participants": "skipped by who takes part",
    "reaction": "sent as a reaction",
    "repeated": "in two windows",
    "section": "in a section that is not read",
    "spam": "spam",
    "system": "written by the app",
    "system_prompt": "system prompts",
    "tail": "left over at the end",
    "too_long": "too long",
    "trailing": "after the last answer",
    "turns": "in conversations of few turns",
    "unnamed": "skipped by other steps",
    "unreadable": "unreadable",
    "unsent": "unsent",
    "unsupported": "parts besides texts and images",
}
"""The same in two or three words, behind a count of messages."""

_STAGES = {
    "ChunkSessions": "cut into windows",
    "Duplicates": "removed duplicates",
    "Examples": "made examples",
    "LabelSpeakers": "labeled speakers",
    "MapAIMessages": "chose the AI's messages",
    "MergeChatRuns": "merged runs",
    "Newest": "kept the newest",
    "Redact": "replaced names and numbers",
    "SelectSessions": "selected conversations",
    "Split": "split into parts",
    "SplitSessions": "split at pauses",
}
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def short_reason(name: str) -> str:
    """Return in words why messages were skipped."""
    return SHORT_REASONS.get(name, name.replace("_", " "))


def stage_in_words(name: str) -> str:
    """Return in words what a stage does; of a user's own step, its name's words."""
    return _STAGES.get(name) or _CAPITAL.sub(" ", name).lower()
