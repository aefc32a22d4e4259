"""Memory for talks: find messages in exports that answer a question."""

# ruff: noqa: RUF001 - letters and punctuation of other languages

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from langchain_chatexports._languages import detect_language, is_common_word
from langchain_chatexports._progress import Watch, no_progress
from langchain_chatexports._terminal import message_line
from langchain_chatexports.chat_loaders.recognition import (
    estimate_message_count,
    open_exports,
)
from langchain_chatexports.personas.talk import RecalledMessages
from langchain_chatexports.retrieval.documents import ChatLine
from langchain_chatexports.retrieval.index import ChatIndex, Hit
from langchain_chatexports.retrieval.queries import is_question, topic_words
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.search import get_index_file, open_index

# Indexing this many messages in memory takes about a second.
_MAX_QUICK_MESSAGES = 20_000
_MAX_HITS = 3
# The answer to a question is usually in the next messages.
_MESSAGES_AFTER = 4
# About 250 tokens, which take a second or two on two cores.
_MAX_CHARACTERS = 1000
# More frequent words are not specific to a topic.
_MAX_WINDOW_FRACTION, _MIN_WINDOWS = 0.02, 8
_RECALL_PROMPT = (
    "You remember these messages from earlier chats. If they answer the question, "
    "answer from them; otherwise say that you do not know. Do not invent anything."
)
_WORDS = msgspec.json.decode(
    Path(__file__).with_name("question_words.json").read_bytes()
)
# "I don't know", by language or script.
_REFUSALS: dict[str, str] = _WORDS["unknown"]
# Words in questions about the present, plans or wishes, which old chats cannot answer.
_PRESENT_WORDS = frozenset(" ".join(_WORDS["now"]).split())
_GREETINGS = frozenset(" ".join(_WORDS["greetings"]).split())
_FACT_WORDS = tuple(" ".join(_WORDS["asked_for"]).split())
_FACT_QUESTION = re.compile(
    rf"\b(?:what\b.*\b(?:{'|'.join(_FACT_WORDS)})|{'|'.join(_WORDS['asking'])})\b"
    f"|{'|'.join(_WORDS['asking_without_spaces'])}",
    re.IGNORECASE,
)
_MAX_SHORT_WORD = 3
_POSSESSIVE = re.compile(r"['’]s$")
_SENTENCE_END = re.compile(r"[.!?]\s+")


class _Passage(NamedTuple):
    words: int
    """How many words of the message its first line contains."""

    lines: list[ChatLine]


class Memory:
    """Retrieves exported messages that are relevant to a message of the user."""

    def __init__(
        self, index: ChatIndex, person: str | None = None, language: str | None = None
    ) -> None:
        """Initialize the memory of a person; `language` is the language of replies."""
        self._index = index
        self._language = language
        chats = index.chats()
        sources = {chat.source for chat in chats if person in chat.senders}
        self._chats = sources if 0 < len(sources) < len(chats) else None
        # In a message, the person's name is a form of address, not the topic.
        self._name_words = frozenset(re.findall(r"\w+", (person or "").casefold()))

    def __call__(self, line: str, history: str = "") -> RecalledMessages:
        """Return relevant messages; for a question that has none, a refusal."""
        words = self._count_topic_words(line)
        passages = self._find_passages(line, words)
        if passages:
            recalled_lines = dict.fromkeys(
                _format_line(line) for passage in passages for line in passage.lines
            )
            return RecalledMessages(
                "\n".join([_RECALL_PROMPT, *recalled_lines])[:_MAX_CHARACTERS],
                tuple(_cite(line, words, passages)),
                asks_for_fact=_asks_for_fact(line),
            )
        is_in_history = any(word.casefold() in history.casefold() for word in words)
        if not words or is_in_history or not _asks_for_fact(line):
            return RecalledMessages()
        language = self._language or detect_language(line) or ""
        return RecalledMessages(refusal=_REFUSALS.get(language, _REFUSALS["English"]))

    def _count_topic_words(self, line: str) -> dict[str, int]:
        """Return the topic words of a message, with the number of windows for each."""
        bare_words = (_POSSESSIVE.sub("", word) for word in topic_words(line))
        words = [
            word
            for word in bare_words
            if not _is_question_word(word) and word.casefold() not in self._name_words
        ]
        counts, windows = self._index.count_windows(words)
        limit = max(_MIN_WINDOWS, _MAX_WINDOW_FRACTION * windows)
        return {word: count for word, count in counts.items() if count <= limit}

    def _find_passages(self, line: str, words: dict[str, int]) -> list[_Passage]:
        indexed_words = [word for word, count in words.items() if count]
        if not indexed_words:
            return []
        # Capitalized words are the subject of a question: names, and German nouns.
        names = [
            word for word in words if word[0].isupper() and _is_mid_sentence(line, word)
        ]
        # The index must contain half of the names, or most of the other words,
        # ignoring short words that it lacks (mostly forms of "to be").
        required = names or [
            word
            for word in words
            if word in indexed_words or len(word) > _MAX_SHORT_WORD
        ]
        matches = [word for word in required if word in indexed_words]
        if 2 * len(matches) < len(required) + (not names):
            return []
        return self._search(indexed_words) or self._search(matches)

    def _search(self, words: Sequence[str]) -> list[_Passage]:
        hits = self._index.search(" ".join(words), k=_MAX_HITS, chat=self._chats)
        return [
            _Passage(hit.words, self._read_passage(hit))
            for hit in hits
            if 2 * hit.words >= len(words)
        ]

    def _read_passage(self, hit: Hit) -> list[ChatLine]:
        """Return a match, preferably a statement, with the messages after it."""
        source = hit.document.metadata["source"]
        passages = []
        for line in hit.matches:
            # The answer may be in the next window.
            context = self._index.message_context(
                line.ids[0], before=0, after=_MESSAGES_AFTER, chat=source
            )
            passages.append(context[1] if context else [line])
        return next(filter(_find_fact, passages), passages[0])


@contextmanager
def open_memory(
    exports: Sequence[Path],
    *,
    person: str | None = None,
    language: str | None = None,
    only_if_quick: bool = False,
    options: PrepareOptions | None = None,
    watch: Watch = no_progress,
) -> Iterator[Memory | None]:
    """Open the memory of a talk, backed by an index of exports.

    With `only_if_quick`, yield `None` if the index is out of date and the exports are
    too large to index in memory.
    """
    if not exports:
        yield None
        return
    options = replace(options or PrepareOptions(), chats=ChatFilter())
    in_memory = only_if_quick and not get_index_file(exports, options).is_ready()
    if in_memory:
        opened_exports = open_exports(exports, **options.export_options())
        size = estimate_message_count(opened_exports)
        if size is None or size > _MAX_QUICK_MESSAGES:
            yield None
            return
    with open_index(
        exports,
        options=options,
        in_memory=in_memory,
        watch=watch,
    ) as opened_index:
        yield Memory(opened_index.index, person, language)


def _cite(
    line: str, words: Collection[str], passages: Iterable[_Passage]
) -> Iterable[str]:
    """Return the lines to quote, each text of a person once.

    Under an answer to a message that asks nothing, or that has one word in common with
    them, quotes only disturb.
    """
    cited: dict[tuple[str, str], str] = {}
    for words_found, lines in passages:
        is_answer = _is_question(line) and words_found == len(words) > 1
        if is_answer or _asks_for_fact(line):
            for quoted in _find_fact(lines) or lines[:1]:
                cited.setdefault((quoted.sender, quoted.text), _format_line(quoted))
    return cited.values()


def _asks_for_fact(line: str) -> bool:
    """Return whether a message asks for a fact that chats may contain."""
    is_about_present = not _PRESENT_WORDS.isdisjoint(re.findall(r"\w+", line.lower()))
    return (
        bool(_FACT_QUESTION.search(line))
        and _is_question(line)
        and not is_about_present
    )


def _find_fact(passage: Sequence[ChatLine]) -> list[ChatLine]:
    """Return the first message; if it is a question, with another person's answer."""
    first, *later_lines = passage
    if not _is_question(first.text):
        return [first]
    answer = next((line for line in later_lines if line.sender != first.sender), None)
    return [first, answer] if answer else []


def _is_question(text: str) -> bool:
    return is_question(text) or _FACT_QUESTION.match(text) is not None


def _is_question_word(word: str) -> bool:
    return (
        is_common_word(word)
        or word.lower() in {*_PRESENT_WORDS, *_GREETINGS, *_FACT_WORDS}
        or _FACT_QUESTION.fullmatch(word) is not None
    )


def _is_mid_sentence(line: str, word: str) -> bool:
    """Return whether a word is in a message, but does not begin a sentence."""
    sentences = filter(None, map(str.strip, _SENTENCE_END.split(line)))
    return not any(sentence.startswith(word) for sentence in sentences)


def _format_line(line: ChatLine) -> str:
    time = ""
    if line.iso_time:
        time = f"{datetime.fromisoformat(line.iso_time).astimezone():%Y-%m-%d %H:%M}"
    return message_line(time, line.sender, line.text)
