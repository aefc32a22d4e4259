"""`prepare --format` and `forget`, as a person types them."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.datasets.formats.containers import file_sha256
from langchain_chatexports.datasets.jsonl import read_jsonl
from langchain_chatexports.datasets.trace_file import read_header, read_trace
from langchain_chatexports.finetuning.orders import DATA_KEY
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.samples import write_imessage, write_messenger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


SPLIT_FORMATS = ["openai", "trl", "axolotl", "llama-factory", "mlx", "parquet"]


@pytest.fixture
def threads(tmp_path: Path) -> Path:
    return write_messenger(tmp_path / "hogwarts")


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != "hogwarts"}


def test_prepare_alone_writes_a_file_with_its_card_and_its_trace(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    chatexports("prepare", threads, "-o", "out.parquet")
    assert _names(tmp_path) == {
        "out.parquet",
        "out.parquet.card.md",
        "out.parquet.trace.jsonl",
    }
    assert sum(1 for _ in read_jsonl(tmp_path / "out.parquet")) == 100


def test_a_set_has_its_card_and_its_trace(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    done = chatexports("prepare", threads, "--format", "openai", "-o", "out.jsonl")
    assert done.status == 0
    assert _names(tmp_path) == {
        "out.jsonl",
        "out.jsonl.card.md",
        "out.jsonl.trace.jsonl",
    }
    assert "Written (openai): 100 examples -> 100" in done.err
    assert "Next: chatexports finetune out.jsonl" in done.err


def test_a_set_in_openais_format_has_the_plain_files_bytes(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    chatexports("prepare", threads, "-o", "plain.jsonl")
    chatexports("prepare", threads, "--format", "openai", "-o", "set.jsonl")
    plain = (tmp_path / "plain.jsonl").read_bytes()
    assert (tmp_path / "set.jsonl").read_bytes() == plain


@pytest.mark.parametrize("name", SPLIT_FORMATS)
def test_every_format_can_be_split(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path, name: str
) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("rensa")
    done = chatexports(
        "prepare", threads, "--format", name, "--split", "--dedup", "near", "-o", "set"
    )
    assert done.status == 0, done.err
    # The samples repeat themselves, so that a part may lose all of its examples.
    assert len(read_header(tmp_path / "set").files) >= 2
    assert (tmp_path / "set.card.md").is_file()


def test_mlx_is_split_without_asking(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    pytest.importorskip("rensa")
    assert chatexports("prepare", threads, "--format", "mlx", "-o", "set").status == 0
    assert (tmp_path / "set" / "valid.jsonl").stat().st_size


def test_the_card_accounts_for_the_export(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    chatexports(
        "prepare", threads, "--format", "trl", "--consent", "All agreed.", "-o", "set"
    )
    facts = read_header(tmp_path / "set").facts
    assert facts["consent"] == "All agreed."
    assert facts["sources"][0]["platform"] == "facebook_messenger"
    assert facts["stages"][0]["name"] == "Export (facebook_messenger)"
    for stage in facts["stages"]:
        went = stage["out"] + sum(stage["left_out"].values())
        assert stage["in"] + sum(stage["added"].values()) == went
    card = (tmp_path / "set.card.md").read_text(encoding="utf-8")
    assert "Potter" not in card


def test_a_set_as_json(chatexports: Callable[..., Any], threads: Path) -> None:
    done = chatexports(
        "prepare", threads, "--format", "trl", "--json", "-o", "set.jsonl"
    )
    told = json.loads(done.out)
    assert told["files"] == {"set.jsonl": 100}
    assert told["exports"][0]["platform"] == "facebook_messenger"


def test_examples_that_were_prepared_before_can_be_converted(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    chatexports("prepare", threads, "-o", "plain.jsonl")
    done = chatexports(
        "prepare", "plain.jsonl", "--format", "axolotl", "-o", "ax.jsonl"
    )
    assert done.status == 0
    first = next(read_jsonl(tmp_path / "ax.jsonl"))
    assert {"role", "content", "train"} == set(first["messages"][0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "yaml"], "llama-factory"),
        (["--dedup", "most"], "near"),
        (["--format", "trl-kto", "--split"], "for examples"),
    ],
)
def test_words_that_are_not_known_are_usage_errors(
    chatexports: Callable[..., Any], threads: Path, arguments: list[str], said: str
) -> None:
    done = chatexports("prepare", threads, *arguments, "-o", "out")
    assert done.status == 2
    assert said in done.err


def test_labels_come_from_reactions(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    # The samples have no reactions: add one.
    message = next(threads.rglob("messages_*.json"))
    thread = json.loads(message.read_bytes())
    thread["messages"][-2]["reactions"] = thread["messages"][-1]["reactions"] = [
        {"reaction": "\u00f0\u009f\u0091\u008d", "actor": "Ghost"}
    ]
    message.write_text(json.dumps(thread))
    done = chatexports("prepare", threads, "--format", "trl-kto", "-o", "kto.jsonl")
    assert done.status == 0, done.err
    (row,) = read_jsonl(tmp_path / "kto.jsonl")
    assert row["label"] is True


def test_nothing_to_prefer_is_an_error(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    done = chatexports("prepare", threads, "--format", "trl-dpo", "-o", "dpo.jsonl")
    assert done.status == 1
    assert "nothing to write" in done.err
    assert _names(tmp_path) == set()


def test_preferences_of_nobody_list_the_senders(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports("prepare", chats, "--format", "trl-kto", "-o", "kto.jsonl")
    assert done.status == 1
    assert "Tortoise" in done.err


def test_forget_takes_a_person_out_and_lists_the_local_job(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    chatexports("prepare", threads, "--format", "openai", "-o", "set.jsonl")
    digest = file_sha256(tmp_path / "set.jsonl")
    data = DataDirectory(tmp_path / "data")
    data.prepare()
    job = {
        "model": "base",
        "metadata": {DATA_KEY: digest},
        "training_file": "file-1",
        "validation_file": None,
        "fine_tuned_model": "ft:base:local::1",
    }
    JobStore(data).create(job, private={}, events=[])
    before = sum(1 for _ in read_trace(tmp_path / "set.jsonl"))
    done = chatexports(
        "forget", "set.jsonl", "--person", "hermione granger", "--data-dir", "data"
    )
    assert done.status == 0, done.err
    left = list(read_trace(tmp_path / "set.jsonl"))
    assert 0 < len(left) < before
    assert all("Hermione Granger" not in row.origin.senders for row in left)
    assert "ft:base:local::1" in done.err


def test_forget_as_json(chatexports: Callable[..., Any], threads: Path) -> None:
    chatexports("prepare", threads, "--format", "openai", "-o", "set.jsonl")
    done = chatexports(
        "forget", "set.jsonl", "--person", "Nobody", "--data-dir", "data", "--json"
    )
    told = json.loads(done.out)
    assert (told["rows"], told["removed"], told["jobs"]) == (100, 0, [])


def test_forget_wants_to_know_whom(chatexports: Callable[..., Any]) -> None:
    done = chatexports("forget", "set.jsonl")
    assert done.status == 2
    assert "--person" in done.err


def test_forget_without_a_trace_says_what_to_do(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    chatexports("prepare", threads, "-o", "plain.jsonl")
    (tmp_path / "plain.jsonl.trace.jsonl").unlink()
    done = chatexports("forget", "plain.jsonl", "--person", "Ghost")
    assert done.status == 1
    assert "chatexports prepare" in done.err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_set_is_for_its_owner_only(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    chatexports("prepare", threads, "--format", "trl", "-o", "set.jsonl")
    for path in tmp_path.glob("set*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_part_of_which_nothing_is_left_is_said(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    """The sample's friends say much the same to Harry, week by week."""
    threads = write_messenger(tmp_path / "hogwarts")
    for options in ([], ["--json"]):
        done = chatexports("prepare", threads, "--split", "-o", "set", *options)
        assert done.status == 0
        (warning,) = [
            line for line in done.err.splitlines() if line.startswith("warning: ")
        ]
        assert warning.startswith("warning: test: no examples are left. 15 newer")
        assert "chatexports evaluate" in warning
    assert not (tmp_path / "set" / "test.jsonl").exists()
    assert json.loads(done.out)["files"] == {"train.jsonl": 71, "validation.jsonl": 3}


def test_parts_that_are_there_need_no_warning(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    done = chatexports("prepare", chats, "--ai", "Hare", "--split", "-o", "set")
    assert "warning" not in done.err
    assert (tmp_path / "set" / "test.jsonl").exists()
