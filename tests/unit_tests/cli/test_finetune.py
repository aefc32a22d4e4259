"""`chatexports finetune`: its options, questions and output."""

import json
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.cli._training import TrainingDisplay, chat_command
from langchain_chatexports.datasets.replies import EarlierReply
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.finetuning import waiting
from langchain_chatexports.local_server import Base, State, Workspace
from langchain_chatexports.local_server.bases import base as base_module
from langchain_chatexports.personas.talk import Turn
from langchain_chatexports.samples import write_imessage
from tests.unit_tests.builders.local_jobs import count_steps, quick_server
from tests.unit_tests.builders.openai_server import BASE_MODEL, OpenAIServer
from tests.unit_tests.builders.trainers import train_slowly
from tests.unit_tests.builders.whatsapp import WhatsAppChat
from tests.unit_tests.cli.conftest import Run

# The packages have functions with these names.
TRAIN = import_module("langchain_chatexports.workflows.train")
FINETUNE = import_module("langchain_chatexports.cli.finetune")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with quick_server(monkeypatch) as running:
        yield running


@pytest.fixture
def finetune(run: Run, server: OpenAIServer, tmp_path: Path) -> Run:
    chats = write_imessage(tmp_path / "chat.db")
    server_options = ("--base-url", server.base_url, "--base", BASE_MODEL, "--yes")

    def command(*options: str) -> Any:
        return run("finetune", chats, "--ai", "Tortoise", *server_options, *options)

    return command


@pytest.fixture
def finetune_locally(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `chatexports finetune PATH…` with a trainer that counts steps."""
    data_dir = tmp_path / "data"
    count_steps(monkeypatch)
    write_imessage(tmp_path / "chat.db")

    def command(*arguments: object) -> Any:
        return run("finetune", *arguments, "--data-dir", data_dir)

    return command


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ([Turn("Hungry?", "yep")], "  > Hungry?\n  yep\nIf these make no sense"),
        (LocalServerError("No memory."), "could not answer: No memory."),
    ],
)
def test_untrained_answers_come_first_in_a_terminal(
    finetune_locally: Run, monkeypatch: pytest.MonkeyPatch, answer: Any, shown: str
) -> None:
    def answer_untrained(*_: object, **__: object) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(FINETUNE, "stdin_is_terminal", lambda: True)
    monkeypatch.setattr(FINETUNE, "answer_untrained", answer_untrained)
    turns = [Turn("Ready?", "Yes.\nGo!")]
    reply = EarlierReply("Ready?", "Always.")
    monkeypatch.setattr(FINETUNE, "answer_tuned", lambda *_, **__: turns)
    monkeypatch.setattr(FINETUNE, "sample_replies", lambda _: [reply])
    done = finetune_locally("chat.db", "--ai", "tortoise")
    assert done.status == 0, done.err
    assert shown in done.err
    compared = "  > Ready?\n  model: Yes. / Go!\n  Tortoise wrote: Always."
    order = [done.err.index(text) for text in (shown, compared, "To talk to it")]
    assert order == sorted(order)


def test_monologues_are_said_before_training(
    finetune_locally: Run, tmp_path: Path
) -> None:
    diary, lines = WhatsAppChat.ios(), []
    for number in range(20):
        text = f"I walked {number} miles today, and slept for an hour."
        diary.says("Ben", text)
        lines.append(json.dumps({"messages": [{"role": "assistant", "content": text}]}))
    export = diary.to_file(tmp_path / "_chat.txt")
    done = finetune_locally(export, "--ai", "Ben")
    assert (done.status, "contain no answers" in done.err) == (1, True)
    examples = tmp_path / "diary.jsonl"
    examples.write_text("\n".join(lines), "utf-8")
    done = finetune_locally(examples)
    assert done.status == 0, done.err
    warning = "warning: The person answers nobody in these chats"
    assert done.err.index(warning) < done.err.index("Job ")


def test_untrained_base_is_asked_for_a_new_job_only(
    finetune_locally: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def answer_untrained(*_: object, **__: object) -> list[Turn]:
        asked.append(_)
        raise KeyboardInterrupt

    monkeypatch.setattr(FINETUNE, "stdin_is_terminal", lambda: True)
    monkeypatch.setattr(FINETUNE, "answer_untrained", answer_untrained)
    monkeypatch.setattr(FINETUNE, "answer_tuned", lambda *_, **__: [])
    monkeypatch.setattr(FINETUNE, "sample_replies", lambda _: [])
    stopped = finetune_locally("chat.db", "--ai", "tortoise")
    assert (stopped.status, len(asked)) == (130, 1)
    assert "Training stopped. To resume it:" in stopped.err
    resumed = finetune_locally("chat.db", "--ai", "tortoise")
    assert (resumed.status, len(asked)) == (0, 1), resumed.err
    assert "resuming" in resumed.err


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "data")


def test_small_training_prints_base_job_and_command(
    finetune_locally: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_module, "machine_memory", lambda: 16 * 10**9)
    done = finetune_locally("chat.db", "--ai", "tortoise")
    assert done.status == 0, done.err
    lines = done.err.splitlines()
    assert len(lines) <= 9
    assert "how the person writes, not what the person knows" in lines[2]
    assert lines[0] == "chat.db: iMessage database, 223 of 223 messages kept"
    (job,) = workspace.jobs.list()
    assert f"Job {job.id}: training" in lines
    assert any(line.startswith("Base model: ") for line in lines)
    assert any(
        line.startswith("A better base, if you download it: --base ") for line in lines
    )
    assert f"  step {job.steps}/{job.steps}, loss {job.loss:.2f}" in lines
    assert lines[-1] == "To talk to it:"
    assert done.out.startswith("chatexports chat --data-dir ")
    assert done.out.count("\n") == 1
    again = finetune_locally("chat.db", "--ai", "tortoise")
    assert f"Job {job.id}: already trained on these examples" in again.err
    assert again.out == done.out


def test_ctrl_c_pauses_and_the_same_command_resumes(
    finetune_locally: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = TrainingDisplay._show_step

    def interrupt(display: TrainingDisplay, event: Any) -> None:
        shown(display, event)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingDisplay, "_show_step", interrupt)
        count_steps(patch, train_slowly)
        stopped = finetune_locally("chat.db", "--ai", "tortoise")
    (job,) = workspace.jobs.list()
    assert (stopped.status, job.state) == (130, State.PAUSED)
    *_, position, command, hint, deletion, last = stopped.err.splitlines()
    assert (
        position == f"Training stopped at step {job.step} of {job.steps}. To resume it:"
    )
    assert command.startswith("  chatexports finetune chat.db --ai tortoise --data-dir")
    assert hint == "To delete the job and its examples:"
    assert deletion.startswith(f"  chatexports models --delete {job.id} --data-dir ")
    assert last == "stopped"
    resumed = finetune_locally("chat.db", "--ai", "tortoise")
    assert resumed.status == 0, resumed.err
    assert f"resuming from the checkpoint at step {job.step}" in resumed.err


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--openai"], 2, "Add --base NAME"),
        (["--base-url", "http://127.0.0.1:9/v1"], 2, "Add --base NAME"),
        (["--openai", "--base-url", "http://h/v1", "--base", "m"], 2, "not both"),
        (["--openai", "--base", "m", "--data-dir", "d"], 2, "this machine"),
        (["--openai", "--base", "m"], 1, "Set OPENAI_API_KEY"),
        (["--base-url", "http://me:pw@h/v1", "--base", "m"], 1, "for http://h/v1"),
        (["--time", "30"], 2, "--time must be a duration (45m, 6h, 2d)"),
        (["--time", "30m", "--base", "b"], 2, "not both: --time"),
        (["--limit", "8"], 1, "The limit (8) is too low"),
    ],
)
def test_wrong_options_are_reported_first(
    run: Run,
    chats: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    done = run("finetune", chats, "--ai", "Hare", *options)
    assert done.status == status
    assert message in " ".join(done.err.split())
    assert "messages kept" not in done.err
    assert "pw" not in done.err


def test_ctrl_c_does_not_stop_job_on_another_server(
    finetune: Run, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(waiting, "sleep", interrupt)
    server.statuses = ("running",)
    done = finetune()
    assert done.status == 130
    host = server.base_url.split("/")[2]
    *_, line, again, stopped = done.err.splitlines()
    assert line == f"Job ftjob-1 is still running on {host} and may be billed."
    assert again.startswith("Run the same command again to wait for it, or")
    assert stopped == "stopped"
    assert "get(" not in done.err


def test_chat_command_has_data_dir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = chat_command("ft:x", workspace=Workspace("my models"))
    expected = str(tmp_path / "my models")
    assert shlex.split(command)[2:] == ["--data-dir", expected, "ft:x"]
    name = "ft:x:local::1"
    assert chat_command(name, workspace=Workspace()) == f"chatexports chat {name}"


def test_chat_command_is_safe(finetune: Run, server: OpenAIServer) -> None:
    command = chat_command("--base-url=http://other", base_url="http://here/v1")
    assert shlex.split(command)[-2:] == ["--", "--base-url=http://other"]
    server.final = {"fine_tuned_model": "ft:\x1b]0;x\x07\nrm -rf x"}
    done = finetune()
    assert done.out.isascii()
    assert done.out.removesuffix("\n").isprintable()


@pytest.fixture
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 GB of memory, 10 s per thousand tokens with the default, no local bases."""
    monkeypatch.setattr(base_module, "machine_memory", lambda: 16 * 10**9)
    monkeypatch.setattr(FINETUNE, "measure_speed", lambda _: 0.01)
    monkeypatch.setattr(Base, "needs_download", lambda _: True)
    monkeypatch.setattr(TRAIN, "download_base", lambda *_: None)


@pytest.mark.usefixtures("_machine")
@pytest.mark.parametrize("is_offline", [False, True])
def test_best_base_is_downloaded_with_yes(
    finetune_locally: Run, monkeypatch: pytest.MonkeyPatch, is_offline: bool
) -> None:
    downloaded = []

    def download(base: Any, _watch: Any) -> None:
        downloaded.append(base.id)
        if is_offline:
            msg = "huggingface.co cannot be reached."
            raise LocalServerError(msg)

    monkeypatch.setattr("langchain_chatexports.cli._training.download_base", download)
    done = finetune_locally("chat.db", "--ai", "Tortoise", "--time", "4h", "--yes")
    assert done.status == 0, done.err
    assert downloaded == ["Qwen/Qwen3.5-0.8B"]
    assert "Base model: Qwen3.5-0.8B, the best known one for chats in Eng" in done.err
    assert ("warning: huggingface.co cannot" in done.err) is is_offline
    assert ("A better base, if you download it" in done.err) is is_offline


@pytest.mark.usefixtures("_machine")
def test_short_time_limits_the_examples(
    finetune_locally: Run, workspace: Workspace
) -> None:
    refused = finetune_locally("chat.db", "--ai", "Tortoise", "--time", "1m")
    assert refused.status == 1
    assert "Even the smallest base would take longer" in refused.err
    limit = int(refused.err.split("(--limit ")[1].split(")")[0])
    assert workspace.jobs.list() == ()
    done = finetune_locally("chat.db", "--ai", "Tortoise", "--time", "1m", "--yes")
    assert (done.status == 0) is (limit >= 10), done.err
