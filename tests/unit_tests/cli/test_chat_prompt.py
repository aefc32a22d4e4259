"""Text, keys and commands that a person types in a chat."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input

from langchain_chatexports.cli._chat_prompt import TerminalChat
from langchain_chatexports.cli._replies import show_replies
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import Workspace
from langchain_chatexports.personas import VoicePrompt
from langchain_chatexports.personas.talk import ChatSettings, Talk, short_titles
from langchain_chatexports.workflows.saved_talks import model_talks
from tests.unit_tests.builders.chat_models import Recorder
from tests.unit_tests.builders.workspaces import add_model

ENTER = "\r"
CTRL_C, CTRL_D = "\x03", "\x04"
PASTE = "\x1b[200~{}\x1b[201~"
Typing: TypeAlias = Callable[..., str]


@contextmanager
def pipe_input() -> Iterator[PipeInput]:
    with create_pipe_input() as pipe, create_app_session(input=pipe):
        yield pipe


@pytest.fixture
def model() -> Recorder:
    return Recorder(responses=["Slow.", "Steady.", "Sure."], asked=[])


@pytest.fixture
def typing(model: Recorder, capsys: pytest.CaptureFixture[str]) -> Iterator[Typing]:
    """Type keys and Ctrl-D into a chat with the model, and return its stderr."""
    talk = Talk("Tortoise", model)

    def run(*keys: str, answer: Callable[[Sequence[Talk]], None] = show_replies) -> str:
        pipe.send_text("".join([*keys, CTRL_D]))
        TerminalChat([talk], answer).run()
        return capsys.readouterr().err

    with pipe_input() as pipe:
        yield run


def test_messages_are_answered_until_ctrl_d(typing: Typing, model: Recorder) -> None:
    typing("Hello", ENTER, "  ", ENTER, "Ready?", ENTER)
    assert model.texts == [["Hello"], ["Hello", "Slow.", "Ready?"]]


@pytest.mark.parametrize("pasted", ["One\ntwo", "One\r\ntwo"])
def test_pasted_text_keeps_lines(typing: Typing, model: Recorder, pasted: str) -> None:
    typing(PASTE.format(pasted), ENTER)
    assert model.texts == [["One\ntwo"]]


def test_help_lists_commands_and_keys(typing: Typing) -> None:
    output = typing("/help", ENTER)
    for word in ("/help", "/reset", "/retry", "/quit", "Ctrl-C", "Ctrl-D"):
        assert word in output
    assert max(len(line) for line in output.split("\n") if "\r" not in line) <= 80


def test_unknown_command_is_not_a_message(typing: Typing, model: Recorder) -> None:
    assert "Unknown command: /hlep" in typing("/hlep", ENTER)
    assert not model.texts


@pytest.mark.parametrize("text", [" /help", "/home/me/chat.db is it", "/** note"])
def test_other_text_with_a_slash_is_sent(
    typing: Typing, model: Recorder, text: str
) -> None:
    typing(text, ENTER)
    assert model.texts == [[text.strip()]]


def test_quit_ends_the_chat(typing: Typing, model: Recorder) -> None:
    typing("/quit", ENTER, "Hello", ENTER)
    assert not model.texts


def test_talk_is_saved_until_reset(
    model: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned = add_model(Workspace(tmp_path))
    assert tuned.folder is not None

    def chat(*keys: str) -> str:
        with pipe_input() as pipe:
            pipe.send_text("".join([*keys, CTRL_D]))
            TerminalChat([Talk("Tortoise", model)], show_replies, tuned).run()
        return capsys.readouterr().err

    assert "Resuming" not in chat("Hello", ENTER)
    output = chat("And now?", ENTER)
    assert "Resuming your last talk (1 reply), saved with" in output
    assert "> Hello\nSlow." in output
    (saved,) = model_talks(tuned).list()
    assert all(time.time() - turn.sent[0] < 60 for turn in saved.turns)
    assert model.texts[-1] == ["Hello", "Slow.", "And now?"]
    chat("/reset", ENTER)
    assert not list((tuned.folder / "talks").iterdir())


def test_strength_changes_the_talk(typing: Typing, model: Recorder) -> None:
    output = typing("/strength 0.7", ENTER, "Hello", ENTER, "/strength 7", ENTER)
    assert "have strength 0.7" in output
    assert "must be from 0 to 1" in output
    assert model.texts == [["Hello"]]
    assert model.extra == [{"strength": 0.7}]


def test_retry_repeats_the_last_message(typing: Typing, model: Recorder) -> None:
    typing("Hello", ENTER, "Ready?", ENTER, "/retry", ENTER, "Go!", ENTER)
    assert model.texts[1] == model.texts[2] == ["Hello", "Slow.", "Ready?"]
    assert model.texts[3][-2:] == ["Sure.", "Go!"]


def test_ctrl_c_clears_the_line(typing: Typing, model: Recorder) -> None:
    assert "or Ctrl-D, to quit" in typing("half", CTRL_C, "Hello", ENTER)
    assert model.texts == [["Hello"]]


def test_ctrl_c_keeps_the_partial_answer(typing: Typing, model: Recorder) -> None:
    interrupted: list[Iterator[str]] = []

    def answer(talks: Sequence[Talk]) -> None:
        pieces = talks[0].answer()
        if not interrupted:
            interrupted.append(pieces)
            next(pieces), next(pieces)
            raise KeyboardInterrupt
        # A thread may still read the first answer, which is ignored.
        list(interrupted[0])
        list(pieces)

    assert "Stopped." in typing("Hello", ENTER, "Ready?", ENTER, answer=answer)
    assert model.texts[-1] == ["Hello", "Sl", "Ready?"]


def test_server_error_does_not_end_the_chat(typing: Typing, model: Recorder) -> None:
    def failing(talks: Sequence[Talk]) -> None:
        if len(talks[0].turns) == 1:
            msg = "The server does not answer."
            raise ChatExportError(msg)
        list(talks[0].answer())

    output = typing("Hello", ENTER, "Ready?", ENTER, answer=failing)
    assert "error: The server does not answer." in output
    assert model.texts == [["Ready?"]]


@pytest.fixture
def corrected(model: Recorder) -> Talk:
    return Talk("Tortoise", model, ChatSettings(voice=VoicePrompt()))


def chat(talk: Talk, *keys: str) -> None:
    with pipe_input() as pipe:
        pipe.send_text("".join([*keys, CTRL_D]))
        TerminalChat([talk], show_replies).run()


def test_fix_keeps_a_correction_and_continues_from_it(
    corrected: Talk, model: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    chat(corrected, "Hello", ENTER, "/fix  Well, well", ENTER, "Ready?", ENTER)
    assert model.texts[-1] == ["Hello", "Well, well", "Ready?"]
    assert corrected.corrections is not None
    (kept,) = corrected.corrections
    assert (kept.said, kept.better) == ("Slow.", "Well, well")
    assert "Kept" in capsys.readouterr().err


def test_not_keeps_a_correction_and_replies_again(
    corrected: Talk, model: Recorder
) -> None:
    chat(corrected, "Hello", ENTER, "/not", ENTER)
    assert model.texts == [["Hello"], ["Hello"]]
    assert corrected.last_answer == "Steady."
    assert corrected.corrections is not None
    (kept,) = corrected.corrections
    assert (kept.said, kept.better) == ("Slow.", "")


def test_corrections_are_listed_and_deleted(
    corrected: Talk, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ("/fix Well", ENTER, "Ready?", ENTER, "/not", ENTER, "/fixes", ENTER)
    chat(corrected, "Hello", ENTER, *keys, "/unfix 1", ENTER, "/unfix 2", ENTER)
    assert corrected.corrections is not None
    assert [each.question for each in corrected.corrections] == ["Ready?"]
    chat(corrected, "/unfix 1", ENTER, "/fixes", ENTER)
    output = capsys.readouterr().err
    for line in ("1. Hello → Well", "2. Ready? → not: Steady.", "has this number"):
        assert line in output
    assert "There are no corrections." in output


def test_nothing_to_correct_is_said(
    corrected: Talk, capsys: pytest.CaptureFixture[str]
) -> None:
    chat(corrected, "/fix Sure", ENTER, "/not", ENTER, "/fix", ENTER)
    output = capsys.readouterr().err
    assert output.count("error: There is no reply to correct yet.") == 2
    assert "/fix TEXT" in output


def test_titles_are_short(model: Recorder) -> None:
    names = ["base model", "ft:b:local:tortoise:0123", "ft:b:local::ab"]
    titles = ["base model", "tortoise", "tuned model"]
    assert short_titles([Talk(name, model) for name in names]) == titles
