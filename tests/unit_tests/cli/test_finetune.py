"""`chatexports finetune` against another server: what it uploads, and what it says."""

from __future__ import annotations

import json
import shlex
import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI

from langchain_chatexports import local_server
from langchain_chatexports.cli import _console, _training_plan
from langchain_chatexports.cli.finetune import chat_command, train
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.finetuning.connection import Clock
from langchain_chatexports.finetuning.run import FineTuningRun
from langchain_chatexports.local_server.bases import description, known_bases
from langchain_chatexports.local_server.storage.models import names_of_job
from langchain_chatexports.local_server.training import speed
from langchain_chatexports.local_server.training.speed import Speed
from langchain_chatexports.samples import write_imessage
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer
from tests.unit_tests.builders.tuners import make_examples
from tests.unit_tests.builders.voice_server import write_talks

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


@pytest.fixture
def here(
    chatexports: Callable[..., Any],
    server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Callable[..., Any]:
    """Run `chatexports finetune PATH…` on what stands in for this machine's server."""

    @contextmanager
    def serve(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(
            base_model=BASE_MODEL,
            base_url=server.base_url,
            api_key=KEY,
            is_shared=False,
        )

    monkeypatch.setattr(local_server, "LocalServer", serve)
    write_imessage(tmp_path / "chat.db")
    write_talks(tmp_path / "talks.jsonl", 80)

    def command(*arguments: object) -> Any:
        return chatexports("finetune", *arguments)

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


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_on_another_server_says_in_a_shells_words_how_to_go_on(
    finetune: Callable[..., Any],
    server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Clock, "sleep", interrupt)
    server.statuses = ("running",)
    done = finetune()
    assert done.status == 130
    host = server.base_url.split("/")[2]
    *_, continues, again, stopped = done.err.splitlines()
    assert continues == f"Job ftjob-1 continues on {host}, and may cost."
    assert again.startswith("Run the same command again to wait for it.")
    assert stopped == "stopped"
    assert "get(" not in done.err


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("langchain_chatexports.cli.finetune.confirmed", "Nothing was sent."),
        ("langchain_chatexports.cli._jobs.RemoteJob.take_up", "the job already"),
    ],
)
def test_ctrl_c_before_a_job_is_known_says_what_may_be_there(
    finetune: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    said: str,
) -> None:
    monkeypatch.setattr(where, interrupt)
    done = finetune()
    assert done.status == 130
    assert said in done.err
    assert "get(" not in done.err


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
    assert "No job was created" in last


def test_too_few_examples_are_refused_before_anything_starts(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    short = ("--size", "22", "--no-keep-tail")
    done = chatexports("finetune", chats, "--ai", "Tortoise", *short)
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


def rows_of(server: OpenAIServer, param: str) -> list[str]:
    """Return the rows that the last job was given as a training or validation file."""
    file_id = server.bodies[-1].get(param)
    return server.contents[file_id].decode().splitlines() if file_id else []


@pytest.mark.parametrize("validation", ["auto", "none"])
def test_a_set_is_trained_on_its_training_part_with_its_validation_part(
    chatexports: Callable[..., Any],
    here: Callable[..., Any],
    server: OpenAIServer,
    tmp_path: Path,
    validation: str,
) -> None:
    chatexports("prepare", "talks.jsonl", "--ai", "mia", "--split", "-o", "set")
    assert here("set", "--validation", validation).status == 0
    train, held_out = (
        (tmp_path / "set" / name).read_text().splitlines()
        for name in ("train.jsonl", "validation.jsonl")
    )
    assert rows_of(server, "training_file") == train
    expected = held_out if validation == "auto" else []
    assert rows_of(server, "validation_file") == expected


def test_a_set_has_its_own_validation_part(
    chatexports: Callable[..., Any], here: Callable[..., Any]
) -> None:
    chatexports("prepare", "talks.jsonl", "--ai", "mia", "--split", "-o", "set")
    done = here("set", "--validation", "0.2")
    assert done.status == 2
    assert "auto or none" in " ".join(done.err.replace("\u2502", " ").split())


def test_the_newest_conversations_are_held_out_for_validation(
    here: Callable[..., Any], server: OpenAIServer
) -> None:
    done = here("talks.jsonl", "--ai", "mia", "--size", "2", "--overlap", "0")
    trained, held_out = (
        rows_of(server, param) for param in ("training_file", "validation_file")
    )
    said = f"{len(trained):,} examples, {len(held_out):,} more held out for validation"
    assert said in done.err
    assert 5 <= len(held_out) <= len(trained) / 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("talks.jsonl", "--ai", "mia", "--size", "2", "--validation", "none"),
        ("chat.db", "--ai", "Tortoise"),
    ],
    ids=["not wanted", "not enough"],
)
def test_nothing_is_held_out_if_not_wanted_or_not_enough(
    here: Callable[..., Any], server: OpenAIServer, arguments: tuple[str, ...]
) -> None:
    here(*arguments, "--overlap", "0")
    assert rows_of(server, "training_file")
    assert rows_of(server, "validation_file") == []


def measure(server: OpenAIServer) -> None:
    """Let the job measure its training before its first step: 200 seconds."""

    def say(request: str) -> None:
        if request == "GET /fine_tuning/jobs/ftjob-1/events" and server.jobs:
            data = {"estimated_seconds": 200.0, "memory_bytes": 10**9}
            server.say("ftjob-1", "Measured", data=data)
            server.before_work = None

    server.before_work = say


def test_larger_bases_are_proposed_by_memory_and_time(
    here: Callable[..., Any], server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_bases, "machine_memory", lambda: 16 * 10**9)
    measure(server)
    lines = here("chat.db", "--ai", "Tortoise").err.splitlines()
    at = next(n for n, line in enumerate(lines) if "Larger bases" in line)
    assert lines[at - 1] == "  Measured"
    rows = [line.split() for line in lines[at + 1 : at + 4]]
    assert rows == [
        ["HuggingFaceTB/SmolLM2-360M-Instruct", "0.7", "GB", "7", "min", "Apache-2.0"],
        ["openbmb/MiniCPM5-1B", "2.2", "GB", "16", "min", "Apache-2.0"],
        ["Qwen/Qwen3.5-0.8B", "1.7", "GB", "14", "min", "Apache-2.0"],
    ]
    assert lines[at + 4].endswith("in an hour: --base Qwen/Qwen3.5-0.8B")
    assert max(map(len, lines[at : at + 5])) <= 80


def test_nothing_is_proposed_to_somebody_who_chose_a_base(
    here: Callable[..., Any], server: OpenAIServer
) -> None:
    measure(server)
    done = here("chat.db", "--ai", "Tortoise", "--base", "Qwen/Qwen3.5-0.8B")
    assert "  Measured\n" in done.err
    assert "Larger bases" not in done.err


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 GB of memory; 10 seconds a thousand tokens of the default; no base is here."""
    measured = Speed(0.01, 10**9)
    monkeypatch.setattr(known_bases, "machine_memory", lambda: 16 * 10**9)
    monkeypatch.setattr(speed, "measure_machine", lambda: measured)
    monkeypatch.setattr(description, "needs_download", lambda _: True)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("1m", "Even the smallest base takes longer than that: about "),
        ("4h", "Best base in that time: Qwen/Qwen3.5-0.8B, about "),
    ],
)
def test_the_best_base_that_trains_in_the_time_is_taken(
    here: Callable[..., Any], time: str, said: str
) -> None:
    done = here("chat.db", "--ai", "Tortoise", "--time", time, "--yes")
    assert done.status == 0
    assert said in done.err
    base = "Qwen3.5-0.8B" if "Qwen" in said else "SmolLM2-135M"
    assert f"Base model: {base}" in done.err


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("epochs", "base"), [("2", "Qwen3.5-0.8B"), ("50", "SmolLM2-135M")]
)
def test_more_passes_leave_time_for_a_smaller_base(
    here: Callable[..., Any], epochs: str, base: str
) -> None:
    options = ("--time", "1h", "--yes", "--epochs", epochs)
    done = here("chat.db", "--ai", "Tortoise", *options)
    assert f"Base model: {base}" in done.err


@pytest.mark.usefixtures("machine")
def test_a_base_is_not_downloaded_without_being_asked_for(
    here: Callable[..., Any], server: OpenAIServer
) -> None:
    done = here("chat.db", "--ai", "Tortoise", "--time", "4h")
    assert done.status == 1
    assert "not on this machine: 1.7 GB from huggingface.co" in done.err
    assert "--yes" in done.err.splitlines()[-1]
    assert server.requests == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--time", "30"), "--time must be a duration such as 45m, 6h"),
        (("--time", "0m"), "--time must be a duration such as 45m, 6h"),
        (("--time", "30m", "--base", "b"), "leave --base or --time out"),
        (("--time", "30m", "--openai", "--model", "m"), "local server"),
    ],
)
def test_a_time_is_checked_before_an_export_is_read(
    chatexports: Any, options: tuple[str, ...], said: str
) -> None:
    done = chatexports("finetune", "chat.db", *options)
    assert done.status == 2
    assert said in " ".join(done.err.replace("\u2502", " ").split())


def test_a_known_base_is_named_with_its_size_and_license(
    here: Callable[..., Any],
) -> None:
    done = here("chat.db", "--ai", "Tortoise", "--base", "Qwen/Qwen3.5-0.8B")
    assert "Base model: Qwen3.5-0.8B, 1,740 MB, from huggingface.co" in done.err
    assert "License: Apache-2.0\n" in done.err


def test_the_check_of_the_examples_shows_its_progress(
    here: Callable[..., Any], server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The local server's count went from 100 to 115."""
    monkeypatch.setattr(_console, "_SECONDS_BETWEEN_LINES", 0.01)
    monkeypatch.setattr(_training_plan, "_MIN_LONG_CHECK", 30)
    counts = iter([100, 100])
    get = OpenAI.get

    def count(client: OpenAI, path: str, **options: Any) -> Any:
        if path == "/checked_examples":
            return {"count": next(counts, 115)}
        return get(client, path, **options)

    monkeypatch.setattr(OpenAI, "get", count)
    say, is_said = _console.say, threading.Event()

    def say_and_note(text: object = "") -> None:
        say(text)
        if str(text).startswith("15 of"):
            is_said.set()

    monkeypatch.setattr(_console, "say", say_and_note)

    def wait_for_progress(request: str) -> None:
        if request == "POST /fine_tuning/jobs":
            is_said.wait(60)

    server.before_work = wait_for_progress
    done = here("chat.db", "--ai", "Tortoise")
    assert done.status == 0
    examples = len(rows_of(server, "training_file"))
    assert f"15 of {examples} examples checked" in done.err


@pytest.mark.parametrize("share", ["some", "0", "1", "-0.1", "nan"])
def test_a_validation_part_is_a_share(chatexports: Any, share: str) -> None:
    done = chatexports("finetune", "chat.db", "--validation", share)
    assert done.status == 2
    assert "--validation must be" in " ".join(done.err.split())


def test_elsewhere_nothing_is_held_out_by_itself(
    finetune: Callable[..., Any], server: OpenAIServer
) -> None:
    finetune("--size", "2", "--overlap", "0")
    assert len(rows_of(server, "training_file")) > 50
    assert rows_of(server, "validation_file") == []


@pytest.mark.parametrize("source", ["chat.db", "made.jsonl"])
def test_a_model_of_this_machine_is_called_by_the_person(
    chatexports: Callable[..., Any],
    here: Callable[..., Any],
    server: OpenAIServer,
    source: str,
) -> None:
    chatexports("prepare", "chat.db", "--ai", "Tortoise", "-o", "made.jsonl")
    here(source, *(["--ai", "Tortoise"] if source == "chat.db" else []))
    body = server.bodies[-1]
    assert body["suffix"] == "tortoise"
    assert body["metadata"]["langchain_chatexports_person"] == "Tortoise"
    told = body["metadata"]["langchain_chatexports_source"]
    assert told == ("imessage chat.db" if source == "chat.db" else source)


def test_a_suffix_that_is_given_is_taken(
    here: Callable[..., Any], server: OpenAIServer
) -> None:
    here("chat.db", "--ai", "Tortoise", "--suffix", "slow")
    assert server.bodies[-1]["suffix"] == "slow"


def test_another_server_is_told_neither_the_person_nor_the_source(
    finetune: Callable[..., Any], server: OpenAIServer
) -> None:
    finetune()
    body = server.bodies[-1]
    assert "suffix" not in body
    assert "Tortoise" not in str(body)
    assert "chat.db" not in str(body)


def test_a_number_is_no_name() -> None:
    assert names_of_job("+49 170 1234567", "x")[0] is None
