"""What a person types in a chat: text, keys and commands."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input

from langchain_chatexports.cli._answers import show_answers
from langchain_chatexports.cli._chat_prompt import TerminalChat
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import find_model
from langchain_chatexports.personas.talk import Voice, short_titles
from tests.unit_tests.builders.chat_models import Recorder
from tests.unit_tests.builders.kept_models import keep_model

ENTER = "\r"
CTRL_C, CTRL_D = "\x03", "\x04"
PASTE = "\x1b[200~{}\x1b[201~"


@contextmanager
def pipe_input() -> Iterator[PipeInput]:
    with create_pipe_input() as pipe, create_app_session(input=pipe):
        yield pipe


@pytest.fixture
def model() -> Recorder:
    return Recorder(responses=["Slow.", "Steady.", "Sure."], asked=[])


@pytest.fixture
def typing(
    model: Recorder, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Type keys into a chat with the model, and Ctrl-D; returns what is said."""
    voice = Voice("Tortoise", model)

    def run(
        *keys: str, answer: Callable[[Sequence[Voice]], None] = show_answers
    ) -> str:
        pipe.send_text("".join([*keys, CTRL_D]))
        TerminalChat([voice], answer).run()
        return capsys.readouterr().err

    with pipe_input() as pipe:
        yield run


def test_a_message_is_answered_until_ctrl_d(
    typing: Callable[..., str], model: Recorder
) -> None:
    typing("Hello", ENTER, "  ", ENTER, "Ready?", ENTER)
    assert model.texts == [["Hello"], ["Hello", "Slow.", "Ready?"]]


@pytest.mark.parametrize("pasted", ["One\ntwo", "One\r\ntwo"])
def test_pasted_text_keeps_its_lines(
    typing: Callable[..., str], model: Recorder, pasted: str
) -> None:
    typing(PASTE.format(pasted), ENTER)
    assert model.texts == [["One\ntwo"]]


def test_the_help_names_each_command_and_key(typing: Callable[..., str]) -> None:
    told = typing("/help", ENTER)
    words = ("/help", "/reset", "/retry", "/quit")
    for word in (*words, "Ctrl-C", "Ctrl-D"):
        assert word in told
    shown = [line for line in told.split("\n") if "\r" not in line]
    assert max(map(len, shown)) <= 80


def test_a_mistyped_command_is_not_a_message(
    typing: Callable[..., str], model: Recorder
) -> None:
    assert "no command /hlep. /help lists them." in typing("/hlep", ENTER)
    assert not model.texts


@pytest.mark.parametrize("text", [" /help", "/home/me/chat.db is it", "/** note"])
def test_not_everything_with_a_slash_is_a_command(
    typing: Callable[..., str], model: Recorder, text: str
) -> None:
    typing(text, ENTER)
    assert model.texts == [[text.strip()]]


def test_a_word_ends_the_chat(typing: Callable[..., str], model: Recorder) -> None:
    typing("/quit", ENTER, "Hello", ENTER)
    assert not model.texts


def test_a_chat_is_saved_with_its_model_until_it_begins_anew(
    model: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_model(tmp_path, "1" * 12)
    tuned = find_model("1" * 12, tmp_path)

    def chat(*keys: str) -> str:
        with pipe_input() as pipe:
            pipe.send_text("".join([*keys, CTRL_D]))
            TerminalChat([Voice("Tortoise", model)], show_answers, tuned).run()
        return capsys.readouterr().err

    assert "You continue" not in chat("Hello", ENTER)
    said = chat("And now?", ENTER)
    assert "This continues your last talk (1 answer), which is kept with" in said
    assert "> Hello\nSlow." in said
    assert model.texts[-1] == ["Hello", "Slow.", "And now?"]
    chat("/reset", ENTER)
    assert not list((tuned.path / "talks").iterdir())


def test_retry_answers_the_last_message_again(
    typing: Callable[..., str], model: Recorder
) -> None:
    typing("Hello", ENTER, "Ready?", ENTER, "/retry", ENTER, "Go!", ENTER)
    assert model.texts[1] == model.texts[2] == ["Hello", "Slow.", "Ready?"]
    assert model.texts[3][-2:] == ["Sure.", "Go!"]


def test_ctrl_c_clears_the_line_and_says_how_to_end(
    typing: Callable[..., str], model: Recorder
) -> None:
    told = typing("half", CTRL_C, "Hello", ENTER)
    assert model.texts == [["Hello"]]
    assert "or Ctrl-D, to end the chat" in told


def test_ctrl_c_keeps_what_has_arrived_of_an_answer(
    typing: Callable[..., str], model: Recorder
) -> None:
    late: list[Iterator[str]] = []

    def interrupted(voices: Sequence[Voice]) -> None:
        pieces = voices[0].answer()
        if not late:
            late.append(pieces)
            next(pieces), next(pieces)
            raise KeyboardInterrupt
        # What a thread still reads of the first answer belongs to nobody.
        list(late[0])
        list(pieces)

    told = typing("Hello", ENTER, "Ready?", ENTER, answer=interrupted)
    assert "Stopped." in told
    assert model.texts[-1] == ["Hello", "Sl", "Ready?"]


def test_a_server_that_fails_once_does_not_end_the_chat(
    typing: Callable[..., str], model: Recorder
) -> None:
    def failing(voices: Sequence[Voice]) -> None:
        if len(voices[0].turns) == 1:
            msg = "The server does not answer."
            raise ChatExportError(msg)
        list(voices[0].answer())

    told = typing("Hello", ENTER, "Ready?", ENTER, answer=failing)
    assert "error: The server does not answer." in told
    assert model.texts == [["Ready?"]]


def test_a_title_is_short(model: Recorder) -> None:
    names = ["base model", "ft:b:local:tortoise:0123", "ft:b:local::ab"]
    titles = ["base model", "tortoise", "tuned model"]
    assert short_titles([Voice(name, model) for name in names]) == titles
