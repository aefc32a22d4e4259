"""An untrained persona's odd answer is drawn again, once."""

import asyncio

import pytest
from langchain_core.language_models import FakeListChatModel

from langchain_chatexports.personas.talk import Talk


def answer(line: str, person: str | None, *answers: str) -> str:
    model = FakeListChatModel(responses=[*answers])
    talk = Talk("test", model, imitated=person)
    talk.add_line(line)
    text = "".join(talk.answer())

    async def read() -> str:
        other = Talk("t", FakeListChatModel(responses=[*answers]), imitated=person)
        other.add_line(line)
        return "".join([piece async for piece in other.aanswer()])

    assert asyncio.run(read()) == text == talk.turns[-1].answer
    return text


@pytest.mark.parametrize(
    ("line", "person", "odd"),
    [
        ("Bist du da?", "Mama Schmidt", "Hallo, Mama! Wie geht es dir?"),
        ("Wann kommt ihr am Samstag?", "Mama", "Wann kommt ihr am Samstag?"),
        ("元気?", "陽菜", "陽菜さん、元気ですか"),
    ],
)
def test_greeting_oneself_and_repeating_are_drawn_again(
    line: str, person: str, odd: str
) -> None:
    assert answer(line, person, odd, "Gegen 3.") == "Gegen 3."
    assert answer(line, person, odd, odd) == odd  # Once only.
    assert answer(line, None, odd, "Gegen 3.") == odd  # As trained models.


@pytest.mark.parametrize(
    ("line", "text"), [("ok", "ok"), ("Und Papa?", "Das weiß nur Mama selbst")]
)
def test_other_answers_are_kept(line: str, text: str) -> None:
    assert answer(line, "Mama", text, "no") == text
