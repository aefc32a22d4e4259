"""The memory of a talk: messages of exports about a question, to cite."""

# ruff: noqa: RUF001 - letters and marks of other languages

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from langchain_chatexports._languages import is_common_word, language_of, main_language
from langchain_chatexports._progress import Watch, unwatched
from langchain_chatexports._terminal import message_line
from langchain_chatexports.chat_loaders.recognition import (
    estimate_message_count,
    open_exports,
)
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.personas.talk import ChatSettings
from langchain_chatexports.retrieval.documents import ChatLine
from langchain_chatexports.retrieval.index import ChatIndex, Hit
from langchain_chatexports.retrieval.queries import telling_words
from langchain_chatexports.workflows.search import index_file, read_into

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
# Ways to say "I don't know"; the first is for people who never say so.
_UNKNOWN = {
    "English": "I don't know/no idea/dunno/idk/not sure/I don't remember",
    "German": "Weiß ich nicht/keine Ahnung/weiß nicht/weiss ich nicht/kein Plan",
    "Spanish": "No sé/ni idea/no lo sé/no me acuerdo",
    "French": "Je sais pas/je ne sais pas/aucune idée/chais pas",
    "Portuguese": "Não sei/não faço ideia/não lembro",
    "Italian": "Non lo so/non so/boh/non mi ricordo",
    "Dutch": "Weet ik niet/geen idee/weet niet",
    "Polish": "Nie wiem/nie pamiętam",
    "Turkish": "Bilmiyorum/hatırlamıyorum",
    "Swedish": "Vet inte/ingen aning/vet ej",
    "CYRILLIC": "Не знаю/не помню",
    "Chinese": "不知道/不记得/不清楚",
    "Japanese": "わからない/分からない/知らない",
    "Korean": "몰라/모르겠/기억 안 나",
    "Hindi": "पता नहीं/याद नहीं",
    "ARABIC": "لا أعرف/ما أعرف",
}
_MAX_LONGER = 8
_SHORT = 3
_SIGNS = "?？؟"
# Words of questions about the present, plans and wishes, which need no chat.
_NOW = frozenset(
    """coming going doing now today tonight tomorrow shall should prefer want
    bist kommst machst gehst willst kannst gerade heute morgen jetzt soll sollen magst
    lieber estás eres vienes haces vas ahora hoy mañana quieres prefieres viens fais
    maintenant demain veux préfères vem vai agora quer prefere sei vieni fai adesso
    vuoi preferisci kom doe ga nu wil jesteś idziesz teraz wolisz neredesin şimdi
    kommer gör vill ты сейчас сегодня завтра хочешь""".split()  # noqa: SIM905 - a list of words reads worse
)
_GREETINGS = frozenset(
    """hi hello hey morning hallo moin servus guten hola buenos buenas salut bonjour
    olá oi ciao buongiorno hoi cześć merhaba selam hej привет 你好 안녕""".split()  # noqa: SIM905
)
_ASKED_FOR = tuple(
    "name time date day year number address price viel viele".split()  # noqa: SIM905
)
_ASKING = re.compile(
    r"\b(?:when|where|who|whose|which|how (?:many|much|old|long|often)|called|named|"
    rf"what\b.*\b(?:{'|'.join(_ASKED_FOR)})|"
    r"wann|wo|wohin|woher|wer|wen|wem|wessen|welche[rsnm]?|wie ?viele?|wie alt|"
    r"hei(?:ß|ss)t|hie(?:ß|ss)|cu[aá]ndo|d[oó]nde|qui[eé]n(?:es)?|cu[aá]l|"
    r"cu[aá]nt[oa]s?|llama|quand|où|qui|quel(?:le)?s?|combien|appelle|quando|onde|"
    r"quem|qua(?:l|is)|quant[oaie]s?|dove|chi|qual[ei]|wanneer|waar|welke?|hoeveel|"
    r"heet|kiedy|gdzie|kto|ile|ne zaman|nere(?:de|ye)|kim|hangi|kaç|när|var|vem|"
    r"vilk(?:en|et|a)|hur (?:många|mycket)|heter|когда|где|куда|кто|сколько|зовут)\b|"
    "什么时候|什麼時候|哪|谁|誰|几|幾|多少|いつ|どこ|だれ|いくら|언제|어디|누구|몇|얼마|"
    "कब|कहाँ|कहां|कौन|कितन|متى|أين|كم",
    re.IGNORECASE,
)
_OWNED = re.compile(r"['’]s$")
_SENTENCE_END = re.compile(r"[.!?]\s+")


class Find(NamedTuple):
    """A found message about a line of a talk."""

    line: ChatLine
    after: tuple[ChatLine, ...]
    """The messages after it."""

    @property
    def answer(self) -> ChatLine | None:
        """Another person's answer, if the message is a question."""
        if not _is_question(self.line.text):
            return None
        return next((one for one in self.after if one.sender != self.line.sender), None)

    def __str__(self) -> str:
        """Return time, sender and text in one line, and the answer in another one."""
        return "\n".join(_cited(one) for one in (self.line, self.answer) if one)


class Memory:
    """Search of exports for messages about lines of a talk.

    Attributes:
        found: The found messages about the last line.
    """

    def __init__(
        self,
        index: ChatIndex,
        person: str | None = None,
        words_of_person: Iterable[str] = (),
    ) -> None:
        """Initialize without found messages."""
        self._index = index
        chats = index.chats()
        theirs = {chat.source for chat in chats if person in chat.senders}
        self._chats = theirs if 0 < len(theirs) < len(chats) else None
        # The person's own name in a line is how they are addressed, not its topic.
        self._own_name = frozenset(re.findall(r"\w+", (person or "").casefold()))
        self._unknown = cycle(_own_refusals(words_of_person) or [""])
        self.found: list[Find] = []

    def recall(self, line: str) -> str:
        """Return text for the model about a line; empty for none."""
        words = self._topic_words(line)
        self.found[:] = self._finds(line, words)
        if not self.found:
            return ""
        found = ((find.line, *find.after) for find in self.found)
        listed = [_cited(one) for lines in found for one in lines]
        return "\n".join([_FOUND, *dict.fromkeys(listed)])[:_MAX_CHARACTERS]

    def asks(self, line: str) -> bool:
        """Return whether a line asks for a fact."""
        is_of_now = not _NOW.isdisjoint(re.findall(r"\w+", line.lower()))
        return bool(_ASKING.search(line)) and _is_question(line) and not is_of_now

    def refusal(self, line: str, talk: str = "") -> str | None:
        """Return a refusal if a line asks about an unmentioned subject."""
        if not self.asks(line):
            return None
        words = self._topic_words(line)
        is_told = any(word.casefold() in talk.casefold() for word in words)
        if not words or is_told or self._finds(line, words):
            return None
        self.found.clear()
        spoken = _UNKNOWN.get(language_of(line) or "", _UNKNOWN["English"])
        return next(self._unknown) or spoken.split("/")[0]

    def added_to(self, settings: ChatSettings) -> ChatSettings:
        """Return settings with this memory."""
        return replace(
            settings, recall=self.recall, asks=self.asks, refusal=self.refusal
        )

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

    def _finds(self, line: str, words: dict[str, int]) -> list[Find]:
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

    def _search(self, words: Sequence[str]) -> list[Find]:
        hits = self._index.search(" ".join(words), k=_MAX_FOUND, chat=self._chats)
        return [self._find(hit) for hit in hits if 2 * hit.words >= len(words)]

    def _find(self, hit: Hit) -> Find:
        """Return the first best message that is not an unanswered question."""
        found = [self._with_answer(hit, line) for line in hit.matches]
        telling = (f for f in found if f.answer or not _is_question(f.line.text))
        return next(telling, found[0])

    def _with_answer(self, hit: Hit, line: ChatLine) -> Find:
        at = hit.lines.index(line) + 1
        find = Find(line, hit.lines[at : at + _AFTER])
        if find.answer or not _is_question(line.text):
            return find
        # The answer may be in the next window.
        around = self._index.lines_around(
            line.ids[0], before=0, after=_AFTER, chat=hit.document.metadata["source"]
        )
        return Find(line, tuple(around[1][1:])) if around else find


@contextmanager
def memory_of(
    exports: Sequence[Path],
    *,
    person: str | None = None,
    words_of_person: Iterable[str] = (),
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
    file = index_file(exports, options, index_dir)
    if file.is_ready():
        with file.open() as index:
            yield Memory(index, person, words_of_person)
        return
    read = open_exports(exports, **options.export_options())
    size = estimate_message_count(read) if only_if_quick else 0
    if size is None or size > _MAX_QUICK_MESSAGES:
        yield None
        return
    with ChatIndex() if only_if_quick else file.open() as index:
        rebuild = index.rebuild if only_if_quick else partial(file.rebuild, index)
        read_into(rebuild, read, watch)
        yield Memory(index, person, words_of_person)


def _is_question(text: str) -> bool:
    return bool({*text} & {*_SIGNS}) or _ASKING.match(text) is not None


def _is_of_question(word: str) -> bool:
    return (
        is_common_word(word)
        or word.lower() in {*_NOW, *_GREETINGS, *_ASKED_FOR}
        or _ASKING.fullmatch(word) is not None
    )


def _own_refusals(texts: Iterable[str]) -> list[str]:
    """Return a person's own messages that only mean "I don't know"."""
    listed = [text.strip() for text in texts]
    spoken = _UNKNOWN.get(main_language(listed) or "")
    if spoken is None:
        return []
    phrases = spoken.casefold().split("/")
    found = Counter(
        text
        for text in listed
        for phrase in phrases
        if text.casefold().startswith(phrase) and len(text) <= len(phrase) + _MAX_LONGER
    )
    answers = [text for text, _ in found.most_common(_MAX_FOUND)]
    return answers or [spoken.split("/")[0]]


def _is_within(line: str, word: str) -> bool:
    """Return whether a word is in a line, but not at the beginning of a sentence."""
    starts = [part.split(maxsplit=1)[:1] for part in _SENTENCE_END.split(line)]
    return not any(start and start[0].startswith(word) for start in starts)


def _cited(line: ChatLine) -> str:
    time = ""
    if line.moment:
        time = f"{datetime.fromisoformat(line.moment).astimezone():%Y-%m-%d %H:%M}"
    return message_line(time, line.sender, line.text)
