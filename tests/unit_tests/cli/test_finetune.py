"""`chatexports finetune` against another server: what it uploads, and what it says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.cli.finetune import chat_command, train
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.finetuning.connection import Clock
from langchain_chatexports.finetuning.run import FineTuningRun
from langchain_chatexports.samples import write_imessage
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer
from tests.unit_tests.builders.tuners import make_examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


EXAMPLES: Any = make_examples()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(Clock, "sleep", lambda *_: None)
    with OpenAIServer().running() as running:
        yield running


@pytest.fixture
def finetune(
    chatexports: Callable[..., Any], server: OpenAIServer, tmp_path: Path
) -> Callable[..., Any]:
    chats = write_imessage(tmp_path / "chat.db")
    where = ("--base-url", server.base_url, "--model", BASE_MODEL, "--yes")

    def command(*options: str) -> Any:
        return chatexports("finetune", chats, "--ai", "Tortoise", *where, *options)

    return command


def last_roles(content: bytes) -> set[str]:
    return {json.loads(x)["messages"][-1]["role"] for x in content.splitlines()}


def test_what_is_uploaded_ends_with_the_ai(
    finetune: Callable[..., Any], server: OpenAIServer
) -> None:
    done = finetune()
    assert done.out.strip().endswith("ft:tiny-1:org::1")
    assert last_roles(server.contents["file-1"]) == {"assistant"}


def test_keep_trailing_is_refused_for_another_server_before_anything_is_sent(
    finetune: Callable[..., Any], server: OpenAIServer
) -> None:
    done = finetune("--keep-trailing")
    assert done.status == 1
    assert "Nothing was sent" in done.err
    assert server.requests == []


def test_messages_after_the_last_answer_pass_on_this_machine(
    server: OpenAIServer,
) -> None:
    here: Any = SimpleNamespace(
        base_model=BASE_MODEL, base_url=server.base_url, api_key=KEY
    )
    examples: Any = make_examples()
    for example in examples:
        example["messages"].append({"role": "user", "content": "Again!"})
    assert train(here, examples) == "ft:tiny-1:org::1"
    assert last_roles(server.contents["file-1"]) == {"user"}


def test_a_local_server_that_is_gone_ends_the_waiting(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langchain_chatexports.cli._jobs._WAIT_SECONDS", 0.2)
    server.statuses = ("running",)
    here: Any = SimpleNamespace(
        base_model=BASE_MODEL, base_url=server.base_url, api_key=KEY, is_running=False
    )
    with pytest.raises(LocalServerError, match="stopped before job ftjob-1"):
        train(here, EXAMPLES)


def test_a_job_that_another_command_trains_is_not_stopped(
    server: OpenAIServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FineTuningRun, "wait", interrupt)
    server.statuses = ("running",)
    here: Any = SimpleNamespace(
        base_model=BASE_MODEL,
        base_url=server.base_url,
        api_key=KEY,
        data_dir=tmp_path,
        is_shared=True,
    )
    said = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(here, EXAMPLES)
        said.append(capsys.readouterr().err)
    assert server.requests.count("POST /fine_tuning/jobs/ftjob-1/pause") == 1
    assert "Training stopped" in said[0]
    assert "Job ftjob-1 continues" in said[1]
    assert "Training stopped" not in said[1]


def test_a_job_that_another_command_deleted_is_a_line_without_a_bill(
    server: OpenAIServer, tmp_path: Path
) -> None:
    server.statuses = ("cancelled",)
    here: Any = SimpleNamespace(
        base_model=BASE_MODEL,
        base_url=server.base_url,
        api_key=KEY,
        data_dir=tmp_path,
    )
    with pytest.raises(LocalServerError, match="ftjob-1 was deleted") as caught:
        train(here, EXAMPLES)
    assert "billed" not in str(caught.value)


def test_the_server_is_named_without_its_password(
    chatexports: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chats = write_imessage(tmp_path / "chat.db")
    url = "http://me:hush@127.0.0.1:9/v1"
    done = chatexports(
        *("finetune", chats, "--ai", "Tortoise"), "--base-url", url, "--model", "m"
    )
    assert "to 127.0.0.1:9." in done.err
    assert "hush" not in done.err


def test_steps_and_loss_are_shown_without_a_terminal(
    finetune: Callable[..., Any], server: OpenAIServer
) -> None:
    def train_on(request: str) -> None:
        if request == "GET /fine_tuning/jobs/ftjob-1/events" and server.jobs:
            step = {"step": 20, "total_steps": 20, "train_loss": 1.254}
            server.say("ftjob-1", "Step 20/20", type="metrics", data=step)
            server.before_work = None

    server.before_work = train_on
    assert "  step 20/20, loss 1.25\n" in finetune().err


def test_the_same_examples_again_are_said_to_have_been_trained_on(
    finetune: Callable[..., Any], server: OpenAIServer
) -> None:
    finetune()
    assert "trained on before" in finetune().err
    assert len(server.jobs) == 1


def test_groups_hint_at_their_option(
    chatexports: Callable[..., Any], groups: Path, server: OpenAIServer
) -> None:
    where = ("--base-url", server.base_url, "--model", BASE_MODEL, "--yes")
    done = chatexports("finetune", groups, "--size", 4, *where)
    assert done.status == 0, done.err
    assert "2 conversations are groups: --label-groups tells" in done.err


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--openai"], 2, "--model"),
        (["--base-url", "http://127.0.0.1:9/v1"], 2, "--model"),
        (["--openai", "--base-url", "http://h/v1", "--model", "m"], 2, "name one"),
        (["--openai", "--model", "m", "--base", "b"], 2, "local server"),
        (["--model", "m"], 2, "--base"),
        (["--openai", "--model", "m"], 1, "Put it into OPENAI_API_KEY"),
        (["--base-url", "http://me:pw@h/v1", "--model", "m"], 1, "for http://h/v1"),
    ],
)
def test_what_is_missing_is_said_before_an_export_is_read(
    chatexports: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    status: int,
    said: str,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports("finetune", chats, "--ai", "Hare", *options)
    assert done.status == status
    assert said in " ".join(done.err.replace("\u2502", " ").split())
    assert "messages kept" not in done.err
    assert "pw" not in done.err


def test_a_server_that_is_gone_is_a_line(
    chatexports: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    chats = write_imessage(tmp_path / "chat.db")
    url = "http://127.0.0.1:9/v1"
    where = ("--base-url", url, "--model", "m", "--yes")
    done = chatexports("finetune", chats, "--ai", "Hare", *where)
    assert done.status == 1
    last = done.err.splitlines()[-1]
    assert last.startswith(f"error: {url} cannot be reached")
    assert "Nothing was ordered" in last


def test_too_few_examples_are_refused_before_anything_starts(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports("finetune", chats, "--ai", "Tortoise", "--size", "22")
    assert done.status == 1
    assert "examples are too few" in done.err
    assert "--size" in done.err
    assert done.out == ""


def test_an_upload_needs_to_be_agreed_to(
    chatexports: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports(
        *("finetune", chats, "--ai", "Tortoise", "--model", "m"),
        *("--base-url", "http://192.0.2.1:9/v1"),
    )
    assert done.status == 1
    assert "192.0.2.1:9" in done.err
    assert "--yes" in done.err
    assert "nothing was sent" in done.err


def test_the_chat_command_works_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = chat_command("ft:x", data_dir=Path("my models"))
    expected = str(tmp_path / "my models")
    assert shlex.split(command)[2:] == ["--data-dir", expected, "ft:x"]
    assert chat_command("ft:x:local::1") == "chatexports chat ft:x:local::1"


def test_the_chat_command_of_a_hostile_name_is_one_line_without_terminal_codes(
    finetune: Callable[..., Any], server: OpenAIServer
) -> None:
    server.final = {"fine_tuned_model": "ft:\x1b]0;x\x07\nrm -rf x"}
    done = finetune()
    assert done.out.isascii()
    assert done.out.removesuffix("\n").isprintable()


def test_a_server_chooses_no_option_of_the_chat_command() -> None:
    command = chat_command("--base-url=http://other", base_url="http://here/v1")
    assert shlex.split(command)[-2:] == ["--", "--base-url=http://other"]


def test_a_suffix_that_is_too_long_is_a_usage_error(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports("finetune", chats, "--ai", "Tortoise", "--suffix", "x" * 65)
    assert done.status == 2


def test_examples_and_exports_are_not_mixed(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    chatexports("prepare", chats, "--ai", "Tortoise", "-o", "out.jsonl")
    done = chatexports("finetune", chats, "out.jsonl", "--ai", "Tortoise")
    assert done.status == 1
    assert "holds examples" in done.err
