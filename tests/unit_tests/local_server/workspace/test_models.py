"""Names and labels of tuned models."""

from dataclasses import replace
from pathlib import Path

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.errors import NotFoundError
from langchain_chatexports.local_server.workspace import Model, Workspace, job_labels
from langchain_chatexports.local_server.workspace.models import (
    EXPORTS_KEY,
    name_suffix,
)
from langchain_chatexports.local_server.workspace.records import PERSON_KEY
from tests.unit_tests.builders.workspaces import add_model


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def models(workspace: Workspace) -> list[Model]:
    """Two models of one person and one of another."""
    people = [("tortoise", "Tortoise"), ("tortoise", "Tortoise"), ("hare", "李雷")]
    return [
        add_model(workspace, suffix=suffix, metadata={PERSON_KEY: person})
        for suffix, person in people
    ]


def test_model_is_found_by_its_names(workspace: Workspace, models: list[Model]) -> None:
    tortoise, _, hare = models
    model_id = tortoise.short_name.split(":")[1]
    for name in (tortoise.name, tortoise.short_name, model_id, tortoise.job_id):
        assert workspace.models.find(name) == tortoise
    assert workspace.models.find(tortoise.short_name[:-2]) == tortoise
    for name in ("hare", "Ha", "李"):
        assert workspace.models.find(name) == hare


def test_whole_name_takes_precedence(workspace: Workspace, models: list[Model]) -> None:
    add_model(workspace, suffix="hare-and-friends")
    assert workspace.models.find("hare") == models[-1]


def test_ambiguous_name_is_an_error(workspace: Workspace, models: list[Model]) -> None:
    with pytest.raises(LocalServerError, match="2 models match 'tort'") as caught:
        workspace.models.find("tort")
    assert all(model.name in str(caught.value) for model in models[:2])
    assert "hare" not in str(caught.value)


def test_models_of_one_person_match(workspace: Workspace, models: list[Model]) -> None:
    first, second, hare = models
    assert workspace.models.match("tort") == (second, first)
    assert workspace.models.match() == (hare, second, first)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("typed", ["hair", "hxre"])
def test_unknown_name_has_a_suggestion(workspace: Workspace, typed: str) -> None:
    with pytest.raises(NotFoundError, match="Did you mean 'hare'"):
        workspace.models.find(typed)


def test_first_model_is_still_to_train(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match="chatexports finetune"):
        workspace.models.match()


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


def test_renamed_model_is_found_by_its_label(
    workspace: Workspace, models: list[Model]
) -> None:
    before = models[-1]
    assert before.title == "李雷"
    workspace.models.rename(before.name, " Hare,\tin  2023\x1b ")
    model = workspace.models.find("hare, in")
    assert (model.name, model.title) == (before.name, "Hare, in 2023")
    workspace.models.rename(before.name, "")
    assert workspace.models.find(before.name) == before


def test_strength_is_stored_and_limited(
    workspace: Workspace, models: list[Model]
) -> None:
    assert models[0].strength == pytest.approx(1.0)
    workspace.models.set_strength(models[0].name, 0.75)
    changed = workspace.models.find(models[0].name)
    assert changed == replace(models[0], strength=0.75)
    with pytest.raises(LocalServerError, match="from 0"):
        workspace.models.set_strength(models[0].name, 1.5)


def test_invalid_rename_changes_nothing(
    workspace: Workspace, models: list[Model]
) -> None:
    with pytest.raises(LocalServerError, match="100 characters"):
        workspace.models.rename(models[0].name, "x" * 101)
    with pytest.raises(NotFoundError, match="No model"):
        workspace.models.rename("ft:none", "x")
    assert workspace.models.list() == tuple(models[::-1])


def test_exports_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = (Path("chat.db"), Path("~/chat.db"))
    suffix, labels = job_labels("Tortoise", "chat.db", given)
    home = Path.home() / "chat.db"
    assert labels[EXPORTS_KEY] == f"{Path.cwd() / 'chat.db'}\n{home}"
    assert (suffix, job_labels("+49 170", "x")[0]) == ("tortoise", None)


def test_size_is_that_of_the_folder(models: list[Model]) -> None:
    assert models[0].size_bytes == len("{}") + len("weights of ")
