"""Names and labels of tuned models."""

from pathlib import Path

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import find_model, list_models
from langchain_chatexports.local_server.storage.models import (
    EXPORTS_KEY,
    job_labels,
    name_suffix,
    rename_model,
)
from tests.unit_tests.builders.tuned_models import write_model


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data directory with two models of one person and one of another."""
    write_model(tmp_path, "97c300000001", suffix="tortoise", person="Tortoise")
    write_model(tmp_path, "97d300000002", suffix="tortoise", person="Tortoise")
    write_model(tmp_path, "0123456789ab", suffix="hare", person="李雷")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "model_id"),
    [
        ("ft:tiny:local:tortoise:97c300000001", "97c300000001"),
        ("tortoise:97d300000002", "97d300000002"),
        ("tortoise:97d", "97d300000002"),
        ("97c3", "97c300000001"),
        ("hare", "0123456789ab"),
        ("Ha", "0123456789ab"),
        ("李", "0123456789ab"),
    ],
)
def test_model_is_found_by_name_prefix(root: Path, name: str, model_id: str) -> None:
    assert find_model(name, root).path.name == model_id


def test_whole_name_takes_precedence(root: Path) -> None:
    write_model(root, "aa0000000001", suffix="hare-and-friends")
    assert find_model("hare", root).path.name == "0123456789ab"


def test_ambiguous_name_is_an_error(root: Path) -> None:
    with pytest.raises(LocalServerError, match="2 models match 'tort'") as caught:
        find_model("tort", root)
    assert "tortoise:97c300000001 (2023-" in str(caught.value)
    assert "tortoise:97d300000002 (2023-" in str(caught.value)
    assert "hare" not in str(caught.value)


@pytest.mark.parametrize("typed", ["hair", "hxre"])
def test_unknown_name_has_a_suggestion(root: Path, typed: str) -> None:
    with pytest.raises(LocalServerError, match="Did you mean 'hare'"):
        find_model(typed, root)


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("Harry Potter", "harry-potter"),
        ("José Müller-Łoś", "jose-muller-os"),
        ("李雷", ""),
        (None, ""),
        ("x" * 63 + " y", "x" * 63),
    ],
)
def test_name_suffix_is_ascii(text: str | None, suffix: str) -> None:
    assert name_suffix(text) == suffix


def test_renamed_model_is_found_by_its_label(root: Path) -> None:
    before = find_model("0123456789ab", root)
    assert before.title == "李雷"
    rename_model(before.name, " Hare,\tin  2023\x1b ", data_dir=root)
    model = find_model("hare, in", root)
    assert (model.name, model.title) == (before.name, "Hare, in 2023")
    rename_model(before.name, "", data_dir=root)
    assert find_model("0123456789ab", root) == before


@pytest.mark.parametrize(("model_id", "label"), [("0" * 12, "x"), ("01", "x" * 101)])
def test_invalid_rename_changes_nothing(root: Path, model_id: str, label: str) -> None:
    before = list_models(root)
    names = [model.name for model in before if model.path.name.startswith(model_id)]
    with pytest.raises(LocalServerError, match=r"No tuned model|100 characters"):
        rename_model((names or ["ft:none"])[0], label, data_dir=root)
    assert list_models(root) == before


def test_exports_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = (Path("chat.db"), Path("~/chat.db"))
    _, labels = job_labels("Tortoise", "chat.db", given)
    home = Path.home() / "chat.db"
    assert labels[EXPORTS_KEY] == f"{Path.cwd() / 'chat.db'}\n{home}"
