"""Corrections: kept for good, read again, and used in prompts at once."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from langchain_chatexports.datasets.examples import TrainingMessage
from langchain_chatexports.datasets.replies import EarlierReply, ReplyIndex
from langchain_chatexports.exceptions import ChatExportError, ExportWarning
from langchain_chatexports.personas import Corrections, PersonaChatModel, VoicePrompt
from langchain_chatexports.personas.talk import (
    ChatSettings,
    RecalledMessages,
    Talk,
    Turn,
)
from tests.conftest import NEEDS_SIGKILL
from tests.unit_tests.builders.chat_models import Recorder

_ADD = """
import sys
from langchain_chatexports.personas import Corrections
path, who, count = sys.argv[1:]
corrections = Corrections(path)
for number in range(int(count)):
    corrections.add([{"role": "user", "content": f"{who}, {number}?"}], "no", "yes")
    print(number, flush=True)
"""


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corrections.jsonl"


def test_correction_is_kept_for_the_owner_only(path: Path) -> None:
    corrections = Corrections(path, person="Ann")
    kept = corrections.add(asked(" tea? "), "No.\n", "always\n\ntea", model="m")
    (read,) = Corrections(path)
    assert read == kept
    assert (read.question, read.said, read.better) == ("tea?", "No.", "always\n\ntea")
    assert (read.person, read.model) == ("Ann", "m")
    assert abs(read.time - time.time()) < 60
    assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not {"tea", "Ann", "No."} & {*repr(read).replace("'", " ").split()}


@pytest.mark.parametrize("in_memory", [False, True])
def test_corrections_can_be_deleted(path: Path, *, in_memory: bool) -> None:
    corrections = Corrections(None if in_memory else path)
    first = corrections.add(asked("tea?"), "No.", "always")
    second = corrections.add(asked("tea?"), "Maybe.")
    corrections.delete(first.id)
    corrections.delete("another")
    assert [*corrections] == [second]
    assert in_memory or b"always" not in path.read_bytes()


def test_same_correction_by_several_tabs_is_kept_once(path: Path) -> None:
    def add(number: int) -> None:
        Corrections(path).add(asked(f"{number % 3}?"), "No.", "yes")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    assert sorted(each.question for each in Corrections(path)) == ["0?", "1?", "2?"]


def test_other_files_are_read_and_only_deleted_from(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "older.jsonl"
    Corrections(other).add(asked("tea?"), "No.", "always")
    both = Corrections(path, others=[other, tmp_path / "missing.jsonl"])
    both.add(asked("coffee?"), "Yes.", "never")
    assert [each.better for each in both] == ["always", "never"]
    assert len(Corrections(other)) == len(Corrections(path)) == 1
    both.delete(next(iter(both)).id)
    assert [each.better for each in both] == ["never"]


def test_line_that_was_cut_is_said_and_the_rest_is_read(path: Path) -> None:
    Corrections(path).add(asked("tea?"), "No.", "always")
    Corrections(path).add(asked("coffee?"), "Yes.", "never")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.warns(ExportWarning, match="1 correction could not be read"):
        assert [each.better for each in Corrections(path)] == ["always"]
    with pytest.warns(ExportWarning):
        Corrections(path).add(asked("milk?"), "Yes.", "a drop")
    with pytest.warns(ExportWarning):
        assert [each.better for each in Corrections(path)] == ["always", "a drop"]


@pytest.mark.parametrize("line", [b"\xff\n", b"[]\n", b'{"id": 1}\n', b"[" * 9999])
def test_any_other_line_is_skipped(path: Path, line: bytes) -> None:
    path.write_bytes(line)
    with pytest.warns(ExportWarning):
        assert not [*Corrections(path)]


@NEEDS_SIGKILL
def test_killed_process_loses_no_kept_correction(path: Path) -> None:
    for seconds in (0.0, 0.1):
        path.unlink(missing_ok=True)
        with subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-c", _ADD, path, "Ann", "100000"], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            said = [first, *process.stdout.read().splitlines(keepends=True)]
        reported = sum(line.endswith(b"\n") for line in said)
        assert len(Corrections(path)) >= reported > 0


def test_two_processes_lose_nothing_of_each_other(path: Path) -> None:
    writers = [
        subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-c", _ADD, path, who, "20"], stdout=subprocess.DEVNULL
        )
        for who in ("Ann", "Ben")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len({each.question for each in Corrections(path)}) == 40


def test_full_disk_keeps_what_is_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corrections = Corrections(path)
    corrections.add(asked("tea?"), "No.", "always")
    before = path.read_bytes()

    def fail(_descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(ChatExportError, match="disk is full"):
            corrections.add(asked("coffee?"), "Yes.", "never")
    assert path.read_bytes() == before
    assert len(corrections) == 1


def test_folder_of_a_deleted_model_does_not_come_back(tmp_path: Path) -> None:
    gone = tmp_path / "model" / "corrections.jsonl"
    with pytest.raises(ChatExportError, match="does not exist"):
        Corrections(gone).add(asked("tea?"), "No.", "always")
    assert not gone.parent.exists()


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "No."),
        (asked("tea?"), " \n"),
        ([*asked("tea?"), {"role": "assistant", "content": "No."}], "No."),
    ],
)
def test_only_replies_can_be_corrected(messages: Any, said: str) -> None:
    with pytest.raises(ValueError, match="Only a reply"):
        Corrections().add(messages, said, "always")


def test_nearest_is_of_the_same_situation_and_the_latest() -> None:
    corrections = Corrections()
    corrections.add(asked("Do you want some tea?"), "No.", "sometimes")
    corrections.add(asked("Who won the race?"), "Me.", "the tortoise")
    corrections.add(asked("Do you want some tea?"), "sometimes", "always")
    corrections.add(asked("do you want tea now?"), "No.", "later")
    near = corrections.nearest("Do you want some tea")
    assert [each.better for each in near] == ["later", "always"]
    assert not corrections.nearest("It rains.")
    assert not corrections.nearest("")


def test_thousand_corrections_are_used_within_50_ms(path: Path) -> None:
    corrections = Corrections(path)
    line = "How was day {} at the river with the others, and what did you eat there?"
    first = corrections.add(asked(line.format(0)), "Fine.", "Wet.")
    others = [
        replace(first, messages=(TrainingMessage(role="user", content=line.format(n)),))
        for n in range(1, 1000)
    ]
    path.write_bytes(b"".join(msgspec.json.encode(c) + b"\n" for c in others))
    assert len(corrections) == 999
    started = time.process_time()
    corrections.add(asked(line.format(1000)), "Fine.", "Dry.")
    assert corrections.nearest(line.format(1000))[-1].better == "Dry."
    assert time.process_time() - started < 0.05


def voice(**fields: Any) -> VoicePrompt:
    pairs = [("more tea?", "No."), ("tea again?", "please"), ("who won?", "Hare")]
    replies = ReplyIndex(EarlierReply(*pair) for pair in pairs)
    return VoicePrompt(persona="You are Ann.", replies=replies, **fields)


def test_corrections_are_the_first_in_rank() -> None:
    persona = PersonaChatModel(
        model=FakeListChatModel(responses=["No."]), voice=voice(k=2)
    )
    chat = [SystemMessage("Be brief."), HumanMessage("hi"), AIMessage("hello")]
    chat.append(HumanMessage("some more tea?"))
    said = persona.invoke(chat).text
    kept = persona.correct(chat, said, "always\ntea")
    assert [m["role"] for m in kept.messages] == ["user", "assistant", "user"]
    assert kept.model == "chatexports-persona"
    system, *turns = persona.voice.invoke(["hi", "some more tea?"])
    asked = ["some more tea?", "always\ntea", "hi", "some more tea?"]
    assert [turn.text for turn in turns] == asked
    assert [turn.type for turn in turns] == ["human", "ai", "human", "human"]
    # The reply that she would not give is left out.
    assert "please" in str(system.text)
    assert "No." not in str(system.text)
    assert len(persona.voice.invoke("who won?")) == 2


def test_not_that_is_left_out() -> None:
    spoken = voice()
    persona = PersonaChatModel(model=FakeListChatModel(responses=["No."]), voice=spoken)
    assert "\nNo." in str(spoken.invoke("more tea?")[0].text)
    persona.correct("more tea?", "No.")
    assert "\nNo." not in str(spoken.invoke("more tea?")[0].text)


def test_trained_persona_uses_corrections_too() -> None:
    trained = VoicePrompt(persona="You are Ann.", label="Ben", k=0)
    trained.corrections.add(asked("tea?"), "No.", "always " * 900)
    system, message, better, line = trained.invoke("tea?")
    assert (system.text, message.text, line.text) == (
        "You are Ann.",
        "Ben: tea?",
        "Ben: tea?",
    )
    # Of thousands of characters, the prompt has the beginning.
    assert better.text.startswith("always always")
    assert len(better.text) == 500


@pytest.fixture
def corrected() -> Talk:
    model = Recorder(responses=["No.", "Yes.", "Sure."], asked=[])
    refusal = RecalledMessages(cited=("Ann: tea",), refusal="I don't know.")
    settings = ChatSettings(voice=voice(), memory=lambda _line, _history: refusal)
    talk = Talk("Ann", model, settings, name="tuned")
    talk.turns = [Turn("hi", "hello"), Turn("stopped"), Turn("more tea?", "No.")]
    talk.correct(" always ")
    return talk


def test_talk_goes_on_from_the_corrected_line(corrected: Talk) -> None:
    turn = corrected.turns[-1]
    assert (turn.answer, turn.is_corrected) == ("always", True)
    assert corrected.corrections is not None
    (kept,) = corrected.corrections
    assert [m["content"] for m in kept.messages] == ["hi", "hello", "more tea?"]
    assert kept.model == "tuned"


def test_correction_is_cited_and_replaces_a_refusal(corrected: Talk) -> None:
    corrected.add_line("even more tea?")
    assert "".join(corrected.answer()) == "No."
    cited = ["corrected by you: always", "Ann: tea"]
    assert corrected.turns[-1].cited == cited
    corrected.add_line("who won?")
    assert "".join(corrected.answer()) == "I don't know."


def test_talk_without_a_person_has_no_corrections(corrected: Talk) -> None:
    corrected.add_line("tea?")
    with pytest.raises(ChatExportError, match="no reply"):
        corrected.correct("always")
    corrected.settings = ChatSettings()
    with pytest.raises(ChatExportError, match="of a person"):
        corrected.correct("always")
