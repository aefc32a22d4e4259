import pytest

from langchain_chatexports.redaction.gazetteer import (
    Gazetteer,
    is_handle,
    is_phone_number,
    name_words,
)

NAMES = (
    *("Ann Lee", "Mark Hollis", "Dr. Jürgen von Brandt", "José Ibáñez", "Mum ❤️"),
    *("Katherine Webb", "Liam O'Brien", "Anne-Sofie Dahl", "田中太郎", "佐々木ゆり"),
    *("김철수", "남궁민수", "สมชาย ใจดี", "李小龙", "annlee92", "@cool_cat"),
    *("+15551234567", "Me", "unknown", "🦊"),
)
GAZETTEER = Gazetteer(NAMES)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("hi Ann", ["Ann"]),
        ("Annさんは元気", ["Ann"]),
        ("Katherine씨, 안녕", ["Katherine"]),
        ("ask Mark\nHollis", ["Mark", "Hollis"]),
        ("ANN!", ["ANN"]),
        ("that's ann's", ["ann"]),
        ("Jürgens Rad", ["Jürgen"]),
        ("juergen kommt", ["juergen"]),
        ("dile a jose", ["jose"]),
        ("Ann  Lee and lee", ["Ann", "Lee"]),
        ("ann lee", ["ann", "lee"]),
        ("ask Lee", ["Lee"]),
        ("Mark, come here", ["Mark"]),
        ("I told Mark", ["Mark"]),
        ("mark hollis said", ["mark", "hollis"]),
        ("follow @AnnLee92!", ["AnnLee92"]),
        ("cool_cat is here", ["cool_cat"]),
        ("昨天李小龙来了", ["李小龙"]),
        ("小龙来了吗", ["小龙"]),
        ("15551234567", ["15551234567"]),
        ("l'Ann, d'Ann", ["Ann", "Ann"]),
        ("KatherineWebb99!", ["KatherineWebb99"]),
        ("webbkatherine is on", ["webbkatherine"]),
        ("katherine99 or ann9", ["katherine99"]),
        ("OBrien, obrien and O\u2019Brien", ["OBrien", "obrien", "Brien"]),
        ("AnneSofie", ["AnneSofie"]),
        ("太郎が来た", ["太郎"]),
        ("田中さん", ["田中"]),
        ("佐々木とゆり", ["佐々木", "ゆり"]),
        ("철수가 왔다", ["철수"]),
        ("민수야", ["민수"]),
        ("เจอสมชายแล้ว", ["สมชาย"]),
    ],
)
def test_names_are_found_in_common_spellings(text: str, names: list[str]) -> None:
    assert [text[s.start : s.end] for s in GAZETTEER.find(text)] == names


@pytest.mark.parametrize(
    "text",
    [
        *("can you mark it", "Mark the date", "él lee mucho", "annual", "von Herzen"),
        *("mum", "a cool cat", "me and unknown", "龙", "日本の太陽", "webbing", "ann9"),
        *("🦊", ""),
    ],
)
def test_other_words_are_not_names(text: str) -> None:
    assert GAZETTEER.find(text) == []


def test_full_name_does_not_span_lines() -> None:
    assert [s.start for s in GAZETTEER.find("ann\nhollis")] == [0, 4]
    assert [s.start for s in GAZETTEER.find("ann\nlee")] == [0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("田中さん", "お母さんは元気"),
        ("철수선생님", "선생님 안녕"),
        ("คุณสมชาย", "คุณสบายดีไหม"),
    ],
)
def test_title_after_a_name_is_not_a_name(name: str, text: str) -> None:
    assert Gazetteer([name]).find(text) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Dr. Jürgen von Brandt", ["Jürgen", "Brandt"]),
        ("J. R. Ewing", ["Ewing"]),
        ("Mum", ["Mum"]),
        ("Ann 2", ["Ann"]),
        ("李雷", ["李雷"]),
        ("🦊", []),
    ],
)
def test_titles_and_initials_are_not_name_words(name: str, words: list[str]) -> None:
    assert name_words(name) == words


def test_handles_and_numbers_are_recognized() -> None:
    assert [is_handle(n) for n in ("annlee92", "a.b", "Ann", "Ann 2")] == [1, 1, 0, 0]
    numbers = ("+1 (555) 123", "12345", "Ann", "12")
    assert [is_phone_number(n) for n in numbers] == [1, 1, 0, 0]


def test_plural_of_a_common_word_is_not_a_name() -> None:
    gazetteer = Gazetteer(["Rose Ling"])
    assert gazetteer.find("the roses are red") == []
    assert [span[:2] for span in gazetteer.find("Lings book")] == [(0, 4)]
