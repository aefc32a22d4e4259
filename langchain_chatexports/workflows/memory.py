"""The memory of a talk: messages of exports about a question, to cite."""

# ruff: noqa: RUF001 - letters and marks of other languages

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import orjson

from langchain_chatexports._languages import is_common_word, language_of
from langchain_chatexports._progress import Watch, unwatched
from langchain_chatexports._terminal import message_line
from langchain_chatexports.chat_loaders.recognition import (
    estimate_message_count,
    open_exports,
)
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.personas.talk import Recalled
from langchain_chatexports.retrieval.documents import ChatLine
from langchain_chatexports.retrieval.index import ChatIndex, Hit
from langchain_chatexports.retrieval.queries import telling_words
from langchain_chatexports.workflows.search import index_file, open_index

# The number of messages that are indexed in memory in about a second.
_MAX_QUICK_MESSAGES = 20_000
_MAX_FOUND = 3
# The answer to a question is mostly in the messages after it.
_AFTER = 4
# About 250 tokens, which take a second or two on two cores.
_MAX_CHARACTERS = 1000
# A word in more windows is not specific to a topic.
_MAX_SHARE, _MIN_WINDOWS = 0.02, 8
_FOUND = (
    "You remember these messages from earlier chats. If they answer the question, say "
    "what they say; otherwise say that you do not know. Do not invent anything."
)
_WORDS = orjson.loads(Path(__file__).with_name("question_words.json").read_bytes())
# Ways to say "I don't know".
_UNKNOWN: dict[str, str] = _WORDS["unknown"]
# Words of questions about the present, plans and wishes, which need no chat.
_NOW = frozenset(" ".join(_WORDS["now"]).split())
_GREETINGS = frozenset(" ".join(_WORDS["greetings"]).split())
_ASKED_FOR = tuple(" ".join(_WORDS["asked_for"]).split())
_ASKING = re.compile(
    rf"\b(?:what\b.*\b(?:{'|'.join(_ASKED_FOR)})|{'|'.join(_WORDS['asking'])})\b"
    f"|{'|'.join(_WORDS['asking_without_spaces'])}",
    re.IGNORECASE,
)
_SHORT = 3
_SIGNS = "?？؟"
_OWNED = re.compile(r"['’]s$")
_SENTENCE_END = re.compile(r"[.!?]\s+")


class Memory:
    """Recalls the messages of exports about lines of a talk."""

    def __init__(
        self, index: ChatIndex, person: str | None = None, language: str | None = None
    ) -> None:
        """Initialize the memory of a person, who answers in a language, if known."""
        self._index = index
        self._language = language
        chats = index.chats()
        theirs = {chat.source for chat in chats if person in chat.senders}
        self._chats = theirs if 0 < len(theirs) < len(chats) else None
        # The person's own name in a line is how they are addressed, not its topic.
        self._own_name = frozenset(re.findall(r"\w+", (person or "").casefold()))

    def __call__(self, line: str, talk: str = "") -> Recalled:
        """Return the messages about a line; without any, a refusal of a question."""
        words = self._topic_words(line)
        passages = self._passages(line, words)
        if passages:
            listed = dict.fromkeys(_cited(one) for lines in passages for one in lines)
            cited = (one for lines in passages for one in _told(lines) or lines[:1])
            return Recalled(
                "\n".join([_FOUND, *listed])[:_MAX_CHARACTERS],
                tuple(dict.fromkeys(map(_cited, cited))),
                is_fact=_asks(line),
            )
        is_known = any(word.casefold() in talk.casefold() for word in words)
        if not words or is_known or not _asks(line):
            return Recalled()
        spoken = self._language or language_of(line) or ""
        return Recalled(refusal=_UNKNOWN.get(spoken, _UNKNOWN["English"]))

    def _topic_words(self, line: str) -> dict[str, int]:
        """Return the topic words of a line, with their numbers of windows."""
        topical = (_OWNED.sub("", word) for word in telling_words(line))
        words = [
            word
            for word in topical
            if not _is_of_question(word) and word.casefold() not in self._own_name
        ]
        counts, windows = self._index.count_windows(words)
        most = max(_MIN_WINDOWS, _MAX_SHARE * windows)
        return {word: count for word, count in counts.items() if count <= most}

    def _passages(self, line: str, words: dict[str, int]) -> list[list[ChatLine]]:
        known = [word for word, count in words.items() if count]
        if not known:
            return []
        # Names, and nouns in German, are the subject of the question.
        named = [word for word in words if word[0].isupper() and _is_within(line, word)]
        # Half of the names are enough, but more of other words are needed. Short words
        # that are in no chat are mostly forms of "to be".
        wanted = named or [
            word for word in words if word in known or len(word) > _SHORT
        ]
        about = [word for word in wanted if word in known]
        if 2 * len(about) < len(wanted) + (not named):
            return []
        return self._search(known) or self._search(about)

    def _search(self, words: Sequence[str]) -> list[list[ChatLine]]:
        hits = self._index.search(" ".join(words), k=_MAX_FOUND, chat=self._chats)
        return [self._passage(hit) for hit in hits if 2 * hit.words >= len(words)]

    def _passage(self, hit: Hit) -> list[ChatLine]:
        """Return a matching message that tells something, and those after it."""
        source = hit.document.metadata["source"]
        passages = []
        for line in hit.matches:
            # The answer may be in the next window.
            around = self._index.lines_around(
                line.ids[0], before=0, after=_AFTER, chat=source
            )
            passages.append(around[1] if around else [line])
        return next(filter(_told, passages), passages[0])


@contextmanager
def memory_of(
    exports: Sequence[Path],
    *,
    person: str | None = None,
    language: str | None = None,
    only_if_quick: bool = False,
    options: PrepareOptions | None = None,
    index_dir: Path | None = None,
    watch: Watch = unwatched,
) -> Iterator[Memory | None]:
    """Open the memory of a talk: an index of exports.

    An index is quick if it is up to date, or in memory with few messages.
    """
    if not exports:
        yield None
        return
    options = replace(options or PrepareOptions(), chats=ChatChoice())
    in_memory = only_if_quick and not index_file(exports, options, index_dir).is_ready()
    if in_memory:
        opened = open_exports(exports, **options.export_options())
        size = estimate_message_count(opened)
        if size is None or size > _MAX_QUICK_MESSAGES:
            yield None
            return
    with open_index(
        exports,
        options=options,
        index_dir=index_dir,
        in_memory=in_memory,
        watch=watch,
    ) as found:
        yield Memory(found.index, person, language)


def _asks(line: str) -> bool:
    """Return whether a line asks for a fact."""
    is_of_now = not _NOW.isdisjoint(re.findall(r"\w+", line.lower()))
    return bool(_ASKING.search(line)) and _is_question(line) and not is_of_now


def _told(passage: Sequence[ChatLine]) -> list[ChatLine]:
    """Return the first message; a question with another person's answer, if any."""
    first, *after = passage
    if not _is_question(first.text):
        return [first]
    answer = next((one for one in after if one.sender != first.sender), None)
    return [first, answer] if answer else []


def _is_question(text: str) -> bool:
    return bool({*text} & {*_SIGNS}) or _ASKING.match(text) is not None


def _is_of_question(word: str) -> bool:
    return (
        is_common_word(word)
        or word.lower() in {*_NOW, *_GREETINGS, *_ASKED_FOR}
        or _ASKING.fullmatch(word) is not None
    )


def _is_within(line: str, word: str) -> bool:
    """Return whether a word is in a line, but not at the beginning of a sentence."""
    starts = [part.split(maxsplit=1)[:1] for part in _SENTENCE_END.split(line)]
    return not any(start and start[0].startswith(word) for start in starts)


def _cited(line: ChatLine) -> str:
    time = ""
    if line.moment:
        time = f"{datetime.fromisoformat(line.moment).astimezone():%Y-%m-%d %H:%M}"
    return message_line(time, line.sender, line.text)
