"""Detect the language of short text, by script or by common words."""

# ruff: noqa: RUF001 - letters and marks in other languages

import unicodedata
from collections import Counter
from collections.abc import Iterable

_COMMON_WORDS = {
    "English": "the and you that it is was for are with this have not but what your "
    "i'm don't just can so my me we do no yes of to they he she",
    "German": "der die das und ich du nicht ist ein eine mit auf für den dem es wir "
    "ihr sie auch noch schon ja nein was wie mal dann aber hab bin von zu",
    "Spanish": "el la los las que y en un una no es por con para pero como más me te "
    "se lo mi tu yo ya muy está qué sí del al hoy",
    "French": "le la les des et je tu il elle nous vous pas est un une que qui dans "
    "pour mais avec c'est j'ai ça oui non moi toi ce du au",
    "Portuguese": "o os as que e eu você não é um uma com para mas como mais me te se "
    "meu já muito está sim da do na no ao hoje",
    "Italian": "il lo gli che e io tu non è un una con per ma come più mi ti si mio "
    "già molto sì della nel sono hai ho di da anche",
    "Dutch": "de het een en ik je niet is met op voor van we wel ook nog maar dat wat "
    "hoe ja nee als dan heb ben er te zo",
    "Polish": "i w nie na się że to jest z do jak ale co tak mi ci ja ty po za już "
    "mam był czy jeszcze",
    "Turkish": "ve bir bu da de ben sen çok ne için ama var yok evet hayır mi mı gibi "
    "daha şey değil",
    "Swedish": "och det är att jag du inte en ett som på med för vi har den av till "
    "om men nej ja så",
}
_WORDS = {name: frozenset(words.split()) for name, words in _COMMON_WORDS.items()}
_MIN_LETTERS = 4
_MIN_WORDS = 2
# A letter's Unicode name begins with its script; one language may use several scripts.
_SCRIPTS = {
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "CJK": "Chinese",
    "HANGUL": "Korean",
    "DEVANAGARI": "Hindi",
}
_PUNCTUATION = ".,;:!?…\"'()[]¡¿„“”«»-–—"


def is_common_word(word: str) -> bool:
    """Return whether a word is among the most common words of any language."""
    return any(word.lower() in common_words for common_words in _WORDS.values())


def detect_language(text: str) -> str | None:
    """Detect the language or script of text; `None` if unknown.

    Languages in Latin script are detected by common words. A script shared by several
    languages is returned by its Unicode name, such as `CYRILLIC` or `ARABIC`.
    """
    scripts = Counter(
        _SCRIPTS.get(script, script)
        for script in map(_script, filter(str.isalpha, text))
    )
    if scripts.total() < _MIN_LETTERS:
        return None
    (script, count), *_ = scripts.most_common(1)
    if scripts["Japanese"] * 5 > scripts.total():  # Japanese mixes kanji and kana.
        return "Japanese"
    if script != "LATIN" or count * 2 <= scripts.total():
        return script
    words = [word.strip(_PUNCTUATION) for word in text.lower().split()]
    counts = Counter(
        language
        for word in words
        for language, common_words in _WORDS.items()
        if word in common_words
    )
    if not counts:
        return None
    (language, count), *others = counts.most_common(2)
    is_tied = any(other_count == count for _, other_count in others)
    return None if count < _MIN_WORDS or is_tied else language


def main_language(texts: Iterable[str]) -> str | None:
    """Return the most frequent language in a list of texts; `None` if unknown."""
    languages = Counter(filter(None, map(detect_language, texts)))
    return next((name for name, _ in languages.most_common(1)), None)


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").split()[0].split("-")[0]
