"""Detect the language of short texts, by script or by common words."""

# ruff: noqa: RUF001 - letters and marks of other languages

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
# Names of letters in Unicode begin with their script; one language may use several.
_SCRIPTS = {
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "CJK": "Chinese",
    "HANGUL": "Korean",
    "DEVANAGARI": "Hindi",
}
_PUNCTUATION = ".,;:!?…\"'()[]¡¿„“”«»-–—"


def is_common_word(word: str) -> bool:
    """Return whether a word is among the most common ones of a language."""
    return any(word.lower() in known for known in _WORDS.values())


def language_of(text: str) -> str | None:
    """Return the language of a text, or its script; `None` if unknown.

    A script of several languages is returned by its Unicode name (`CYRILLIC`,
    `ARABIC`), except that languages in Latin letters are detected by common words.
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
        name for word in words for name, known in _WORDS.items() if word in known
    )
    best = counts.most_common(2)
    if (
        not best
        or best[0][1] < _MIN_WORDS
        or best[0][1] == best[-1][1] < counts.total()
    ):
        return None
    return best[0][0]


def main_language(texts: Iterable[str]) -> str | None:
    """Return the most frequent language of texts."""
    found = Counter(filter(None, map(language_of, texts)))
    return next((name for name, _ in found.most_common(1)), None)


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").split()[0].split("-")[0]
