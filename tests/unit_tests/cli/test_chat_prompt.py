"""What a person types in a chat: text, keys and commands."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input

from langchain_chatexports.cli._answers import show_answers
from langchain_chatexports.cli._chat_prompt import TerminalChat
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import find_model
from langchain_chatexports.personas.talk import Voice, short_titles
from tests.unit_tests.builders.chat_models import Recorder
from tests.unit_tests.builders.kept_models import keep_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from prompt_toolkit.input import PipeInput

ENTER, NEW_LINE = "\r", "\x1b\r"
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


@pytest.mark.parametrize(
    "keys",
    [
        ["One", NEW_LINE, "two", ENTER],
        [PASTE.format("One\ntwo"), ENTER],
        [PASTE.format("One\r\ntwo"), ENTER],
    ],
    ids=["Alt-Enter", "pasted", "pasted on Windows"],
)
def test_a_message_can_have_lines(
    typing: Callable[..., str], model: Recorder, keys: list[str]
) -> None:
    typing(*keys)
    assert model.texts == [["One\ntwo"]]


def test_what_was_typed_is_in_memory_only(model: Recorder) -> None:
    with pipe_input() as pipe:
        pipe.send_text(f"Hello{ENTER}{CTRL_D}")
        chat = TerminalChat([Voice("Tortoise", model)], show_answers)
        chat.run()
    history = chat._session.history
    assert type(history) is InMemoryHistory
    assert history.get_strings() == ["Hello"]


def test_the_help_names_each_command_and_key(typing: Callable[..., str]) -> None:
    told = typing("/help", ENTER)
    words = ("/help", "/reset", "/system", "/retry", "/save FILE", "/quit")
    for word in (*words, "Alt-Enter", "Ctrl-C", "Ctrl-D"):
        assert word in told
    shown = [line for line in told.split("\n") if "\r" not in line]
    assert max(map(len, shown)) <= 80


def test_a_mistyped_command_gets_the_nearest_one(
    typing: Callable[..., str], model: Recorder
) -> None:
    assert "Did you mean '/help'?" in typing("/hlep", ENTER)
    assert not model.texts


@pytest.mark.parametrize("text", [" /help", "/home/me/chat.db is it", "/** note"])
def test_not_everything_with_a_slash_is_a_command(
    typing: Callable[..., str], model: Recorder, text: str
) -> None:
    typing(text, ENTER)
    assert model.texts == [[text.strip()]]


@pytest.mark.parametrize("word", ["/quit", "/exit", "/bye"])
def test_a_word_ends_the_chat(
    typing: Callable[..., str], model: Recorder, word: str
) -> None:
    typing(word, ENTER, "Hello", ENTER)
    assert not model.texts


def test_reset_begins_a_new_conversation(
    typing: Callable[..., str], model: Recorder
) -> None:
    typing("Hello", ENTER, "/reset", ENTER, "Ready?", ENTER)
    assert model.texts[-1] == ["Ready?"]


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
    assert "You continue your last talk (1 answer), which is kept with" in said
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


def test_there_is_nothing_to_retry_at_first(typing: Callable[..., str]) -> None:
    assert "no message" in typing("/retry", ENTER)


def test_system_shows_replaces_and_removes_the_system_message(
    typing: Callable[..., str], model: Recorder
) -> None:
    slow = ["/system Be", NEW_LINE, "slow.", ENTER, "/system", ENTER]
    told = typing(
        "/system", ENTER, *slow, "Hi", ENTER, '/system ""', ENTER, "Ho", ENTER
    )
    assert model.texts == [["Be\nslow.", "Hi"], ["Hi", "Slow.", "Ho"]]
    assert told.count("There is no system message.") == 2
    assert told.count("Be\nslow.\n") >= 2


def test_save_writes_the_conversation_for_its_owner_only(
    typing: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "my chat.txt"
    typing("/system Be slow.", ENTER, "Hello", ENTER, f"/save {path}", ENTER)
    assert path.read_text(encoding="utf-8") == (
        "System: Be slow.\n\nYou: Hello\n\nTortoise: Slow.\n"
    )
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_save_replaces_a_file_only_with_force(
    typing: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    told = typing("Hello", ENTER, f"/save {path}", ENTER)
    assert path.read_text() == "mine"
    assert f"/save --force {path}" in told.replace("\n", "")
    typing(f"/save --force {path}", ENTER)
    assert "You: Hello" in path.read_text()


@pytest.mark.parametrize("where", ["", "nowhere/chat.txt", "."])
def test_a_place_that_cannot_be_written_does_not_end_the_chat(
    typing: Callable[..., str],
    model: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    typing(f"/save {where}", ENTER, "Hello", ENTER)
    assert model.texts == [["Hello"]]


def test_a_saved_answer_has_no_terminal_codes(
    typing: Callable[..., str], model: Recorder, tmp_path: Path
) -> None:
    model.responses = ["\x1b[31mRed\x07"]
    typing("Hello", ENTER, f"/save {tmp_path / 'chat.txt'}", ENTER)
    assert "\x1b" not in (tmp_path / "chat.txt").read_text(encoding="utf-8")


def test_ctrl_c_clears_the_line_and_says_how_to_end(
    typing: Callable[..., str], model: Recorder
) -> None:
    told = typing("half", CTRL_C, "Hello", ENTER)
    assert model.texts == [["Hello"]]
    assert "Ctrl-D, ends the chat" in told


def test_ctrl_c_twice_ends_the_chat(
    typing: Callable[..., str], model: Recorder
) -> None:
    typing("half", CTRL_C, CTRL_C, "Hello", ENTER)
    assert not model.texts


def test_ctrl_c_after_a_new_line_was_begun_only_clears_it(
    typing: Callable[..., str], model: Recorder
) -> None:
    typing("half", CTRL_C, "other half", CTRL_C, "Hello", ENTER)
    assert model.texts == [["Hello"]]


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


def test_a_message_without_an_answer_is_not_remembered(
    typing: Callable[..., str], model: Recorder
) -> None:
    """Chat templates want questions and answers in turn."""

    def slow(voices: Sequence[Voice]) -> None:
        if len(voices[0].turns) == 1:
            raise KeyboardInterrupt
        list(voices[0].answer())

    typing("Hello", ENTER, "Ready?", ENTER, answer=slow)
    assert model.texts == [["Ready?"]]


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


def test_commands_are_for_all_models_of_a_chat(model: Recorder, tmp_path: Path) -> None:
    base = Recorder(responses=["Fast!", "Faster!"], asked=[])
    keys = ["/system Run.", ENTER, "Hello", ENTER, "/retry", ENTER]
    save = [f"/save {tmp_path / 'chat.txt'}", ENTER, "/reset", ENTER, "Hi", ENTER]
    with pipe_input() as pipe:
        pipe.send_text("".join([*keys, *save, CTRL_D]))
        TerminalChat(
            [Voice("base model", base), Voice("Tortoise", model)], show_answers
        ).run()
    assert base.texts == model.texts == [["Run.", "Hello"]] * 2 + [["Run.", "Hi"]]
    saved = (tmp_path / "chat.txt").read_text(encoding="utf-8")
    assert saved.endswith("You: Hello\n\nbase model: Faster!\n\nTortoise: Steady.\n")


@pytest.mark.parametrize(
    ("names", "titles"),
    [
        (["base model", "ft:b:local:tortoise:0123"], ["base model", "tortoise"]),
        (["ft:b:org:hare:ab", "ft:b:local:tortoise:01"], ["hare", "tortoise"]),
        (["ft:b:local:hare:ab", "ft:b:local:hare:01"], ["hare:ab", "hare:01"]),
        (
            ["ft:b:local:hare:ab:ckpt-step-2", "ft:b:local:hare:ab"],
            ["hare:ab:ckpt-step-2", "hare:ab"],
        ),
        (["gpt-4.1", "ft:b:local::ab"], ["gpt-4.1", "tuned model"]),
        (["ft:b:local::ab", "ft:b:local::01"], ["ab", "01"]),
    ],
)
def test_a_title_is_the_word_that_tells_models_apart(
    model: Recorder, names: list[str], titles: list[str]
) -> None:
    assert short_titles([Voice(name, model) for name in names]) == titles
