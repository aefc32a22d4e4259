"""Stages, and why something was skipped or added, in words for people."""

import re

REASONS = {
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
    "forgotten": "removed on request",
    "group": "skipped as groups, or as no groups",
    "leading": "before anybody else wrote",
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
"""What each reason means, behind a count of messages."""

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
    return REASONS.get(name, name.replace("_", " "))


def stage_in_words(name: str) -> str:
    """Return in words what a stage does; of a user's own step, its name's words."""
    return _STAGES.get(name) or _CAPITAL.sub(" ", name).lower()
