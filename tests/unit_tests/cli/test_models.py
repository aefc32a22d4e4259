"""`chatexports models`, `export-model`, and the list of bases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.cli import _console
from langchain_chatexports.local_server import count_kept, list_bases, suggest_base
from tests.unit_tests.builders.kept_models import keep_model

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


@pytest.fixture
def names(tmp_path: Path) -> Any:
    """Two models in the folder `kept`, newest first."""
    return [keep_model(tmp_path / "kept", f"{n:012x}") for n in (2, 1)]


def test_models_are_listed_newest_first(chatexports: Any, names: Any) -> None:
    done = chatexports("models", "--data-dir", "kept")
    listed = [line.split()[0] for line in done.out.splitlines()[1:]]
    assert [f"ft:tiny:local::{name}" for name in listed] == names
    assert "2 models, 2 jobs, 2 files" in done.err


def test_the_table_of_models_says_who_from_what_and_fits_80_columns(
    chatexports: Any, tmp_path: Path
) -> None:
    keep_model(
        *(tmp_path / "kept", f"{7:012x}"),
        suffix="Jean Tortoise",
        person="Jean Tortoise",
        source="iMessage database, chat.db " + 9 * "and another one.db ",
        base_model="SmolLM2-135M-Instruct-with-a-rather-long-name",
        created_at=1_700_000_000,
    )
    head, row, told = chatexports("models", "--data-dir", "kept").out.splitlines()
    assert head.split() == ["model", "date", "size", "base"]
    assert row.split()[:4] == [f"jean-tortoise:{7:012x}", "2023-11-14", "0.0", "MB"]
    assert "SmolLM2-135M-Instruct" in row
    assert told.startswith("    Jean Tortoise, from iMessage database, chat.db and")
    assert max(map(len, (head, row, told))) <= 80


def test_a_name_too_long_for_the_table_is_its_id(
    chatexports: Any, tmp_path: Path
) -> None:
    keep_model(tmp_path / "kept", f"{7:012x}", suffix="x" * 60)
    _, row = chatexports("models", "--data-dir", "kept").out.splitlines()
    assert row.split()[0] == f"{7:012x}"


def test_models_as_json_say_where_they_are(
    chatexports: Any, names: Any, tmp_path: Path
) -> None:
    done = chatexports("models", "--data-dir", "kept", "--json")
    told = json.loads(done.out)
    assert [model["model"] for model in told["models"]] == names
    assert told["models"][0]["path"] == str(tmp_path / "kept" / "models" / f"{2:012x}")
    assert (told["jobs"], told["files"]) == (2, 2)


def test_models_are_deleted_by_name(chatexports: Any, names: Any) -> None:
    delete = ("models", "--delete", names[0], "--yes")
    done = chatexports(*delete, "--data-dir", "kept")
    assert done.status == 0
    assert names[0] not in chatexports("models", "--data-dir", "kept").out


@pytest.mark.parametrize("typed", ["tort", "97c3"])
def test_a_model_is_deleted_by_the_beginning_of_its_name(
    chatexports: Any, tmp_path: Path, typed: str
) -> None:
    keep_model(tmp_path / "kept", "97c300000000", suffix="tortoise")
    keep_model(tmp_path / "kept", "0123456789ab", suffix="hare")
    delete = ("models", "--delete", typed, "--yes")
    done = chatexports(*delete, "--data-dir", "kept")
    assert done.err.startswith("Deleted ft:tiny:local:tortoise:97c300000000")
    assert count_kept(tmp_path / "kept").models == 1


def test_nothing_is_deleted_if_one_of_the_names_is_unknown(
    chatexports: Any, names: Any, tmp_path: Path
) -> None:
    delete = ("models", "--delete", names[0], "--delete", "nobody", "--yes")
    assert chatexports(*delete, "--data-dir", "kept").status == 1
    assert count_kept(tmp_path / "kept").models == 2


def test_a_model_is_deleted_with_its_examples(
    chatexports: Any, names: Any, tmp_path: Path
) -> None:
    chatexports("models", "--delete", names[0], "--yes", "--data-dir", "kept")
    assert count_kept(tmp_path / "kept").files == 1


def test_without_a_terminal_a_model_is_deleted_only_with_yes(
    chatexports: Any, names: Any, tmp_path: Path
) -> None:
    done = chatexports("models", "--delete", names[0], "--data-dir", "kept")
    assert (done.status, "--yes" in done.err) == (1, True)
    assert count_kept(tmp_path / "kept").models == 2


@pytest.mark.parametrize(("answer", "left"), [("n", 2), ("y", 1)])
def test_at_a_terminal_a_model_is_deleted_only_if_agreed_to(
    chatexports: Any,
    names: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    left: int,
) -> None:
    monkeypatch.setattr(_console, "stdin_is_terminal", lambda: True)
    arguments = ("models", "--delete", names[0], "--data-dir", "kept")
    assert chatexports(*arguments, stdin=f"{answer}\n").status == 0
    assert count_kept(tmp_path / "kept").models == left


@pytest.mark.parametrize("everything", [False, True])
def test_as_json_a_deletion_says_what_is_left(
    chatexports: Any, names: Any, *, everything: bool
) -> None:
    what = ("--delete-everything",) if everything else ("--delete", names[0])
    done = chatexports("models", *what, "--yes", "--data-dir", "kept", "--json")
    left = [model["model"] for model in json.loads(done.out)["models"]]
    assert left == ([] if everything else names[1:])


@pytest.mark.usefixtures("names")
def test_everything_is_deleted_only_if_agreed_to(
    chatexports: Any, tmp_path: Path
) -> None:
    arguments = ("models", "--delete-everything", "--data-dir", "kept")
    refused = chatexports(*arguments)
    assert refused.status == 1
    assert "--yes" in refused.err
    assert count_kept(tmp_path / "kept").models == 2
    assert chatexports(*arguments, "--yes").status == 0
    assert count_kept(tmp_path / "kept").models == 0


@pytest.mark.parametrize("options", [(), ("--delete-everything", "--yes")])
def test_a_folder_of_other_things_is_refused_in_a_line(
    chatexports: Any, tmp_path: Path, options: tuple[str, ...]
) -> None:
    precious = tmp_path / "project" / "models" / "bert" / "precious"
    precious.parent.mkdir(parents=True)
    precious.touch()
    done = chatexports("models", *options, "--data-dir", "project")
    assert done.status == 1
    assert "not a data directory" in done.err
    assert "Traceback" not in done.err
    assert precious.exists()


@pytest.mark.usefixtures("names")
def test_at_a_terminal_it_is_asked_for(
    chatexports: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_console, "stdin_is_terminal", lambda: True)
    arguments = ("models", "--delete-everything", "--data-dir", "kept")
    assert "Nothing was deleted" in chatexports(*arguments, stdin="n\n").err
    assert count_kept(tmp_path / "kept").models == 2
    chatexports(*arguments, stdin="y\n")
    assert count_kept(tmp_path / "kept").models == 0


def test_an_export_of_no_model_is_a_line(chatexports: Any, names: Any) -> None:
    done = chatexports("export-model", "ft:none", "merged", "--data-dir", "kept")
    assert done.status == 1
    assert names[0] in done.err
    assert "Traceback" not in done.err


def test_each_base_is_listed_with_size_memory_and_license(chatexports: Any) -> None:
    done = chatexports("serve", "--list-bases")
    assert all(len(line) <= 80 for line in done.out.splitlines())
    # Notes are below their base.
    rows = done.out.replace("\n    ", "; ").splitlines()[1:]
    assert [row.split()[0] for row in rows] == [base.hub_id for base in list_bases()]
    for row, base in zip(rows, list_bases(), strict=True):
        assert f"{base.memory_bytes / 1e9:.1f} GB  {base.license}" in row
        assert ("suggested" in row) == (base == suggest_base())
    assert "tiny demo model" in rows[0]
