import pytest

from langchain_chatexports._languages import detect_language, main_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I'll be there at nine, what about you?", "English"),
        ("Ich komme um neun, und du? Das ist gut.", "German"),
        ("Llego a las nueve, y t\u00fa? no s\u00e9 qu\u00e9 hacer", "Spanish"),
        ("J'arrive avec toi, et les autres dans la rue", "French"),
        ("\u660e\u5929\u89c1\uff0c\u597d\u5417", "Chinese"),
        ("\u660e\u65e5\u306f\u6642\u9593\u304c\u3042\u308b", "Japanese"),
        ("\ub0b4\uc77c \ubd10\uc694", "Korean"),
        ("\u0915\u0932 \u092e\u093f\u0932\u0947\u0902\u0917\u0947", "Hindi"),
        ("haha ok", None),
        ("\U0001f602\U0001f602", None),
    ],
)
def test_language_of_short_text_is_detected(text: str, language: str | None) -> None:
    assert detect_language(text) == language


def test_main_language_is_the_most_frequent() -> None:
    german = "Das ist nicht gut, aber ich komme"
    assert main_language([german, german, "what are you up to", "ok"]) == "German"
    assert main_language(["ok"]) is None
