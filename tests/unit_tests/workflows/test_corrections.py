"""Where corrections are kept, listed, forgotten and learned."""

from pathlib import Path

import pytest

from langchain_chatexports.local_server import Model, Workspace, job_labels
from langchain_chatexports.workflows import (
    delete_everything,
    delete_remaining,
    forget,
    list_data,
    load_person,
)
from langchain_chatexports.workflows.corrections import (
    open_corrections,
)
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.talk import load_tuned_speaker
from tests.unit_tests.builders.whatsapp import WhatsAppChat
from tests.unit_tests.builders.workspaces import add_model

_ASKED = [{"role": "user", "content": "Tea?"}]


def zoe(workspace: Workspace, mark: str) -> Model:
    labels = job_labels("Zoë Quark", "chat.db")[1]
    return add_model(workspace, mark=mark, metadata=labels)


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    chat = WhatsAppChat.ios()
    for number in range(40):
        chat.says("Ben", f"Do you have number {number}?")
        chat.says("Zoë Quark", f"I have {number} and no more.")
    return chat.to_file(tmp_path / "_chat.txt")


def test_model_knows_all_corrections_of_its_person(
    workspace: Workspace, tmp_path: Path
) -> None:
    old, new = zoe(workspace, "1"), zoe(workspace, "2")
    add_model(workspace, mark="3")
    for number, models in enumerate(((), [old], [new])):
        kept = open_corrections("zoë quark", models, tmp_path)
        kept.add(_ASKED, f"No {number}.", "always")
    speaker = load_tuned_speaker(workspace, old, index_dir=tmp_path)
    assert speaker.voice is not None
    assert len(speaker.voice.corrections) == 3
    speaker.voice.corrections.add(_ASKED, "Never.", "always")
    data = list_data(workspace, tmp_path)
    assert data.corrections == {"": 1, old.name: 2, new.name: 1}
    assert "4 corrections" in str(data)
    workspace.delete(old.name)
    assert list_data(workspace, tmp_path).corrections == {"": 1, new.name: 1}


def test_forgotten_person_has_no_corrections(
    workspace: Workspace, tmp_path: Path
) -> None:
    model, indexes = zoe(workspace, "1"), tmp_path / "indexes"
    open_corrections("Zoë Quark", [model], indexes).add(_ASKED, "No.", "yes")
    open_corrections("Zoë Quark", index_dir=indexes).add(_ASKED, "No.", "yes")
    open_corrections("Ben", index_dir=indexes).add(_ASKED, "No.", "yes")
    done = forget(None, people=["zoe quark"], workspace=workspace, index_dir=indexes)
    assert done.corrections == 1
    delete_remaining(done.remaining, workspace)
    assert list_data(workspace, indexes).corrections == {"": 1}
    (left,) = (indexes / "corrections").glob("*.jsonl")
    assert b"Ben" in left.read_bytes()
    delete_everything(workspace, indexes)
    assert not [*(indexes / "corrections").iterdir()]


def test_untrained_person_uses_corrections(chat: Path, tmp_path: Path) -> None:
    indexes = tmp_path / "indexes"
    options = PrepareOptions(ai=("Zoë Quark",))
    speaker = load_person(chat, options, index_dir=indexes)
    assert speaker.voice is not None
    speaker.voice.corrections.add(_ASKED, "No.", "always")
    again = load_person(chat, options, index_dir=indexes)
    assert again.voice is not None
    prompt = [message.text for message in again.voice.invoke("Tea?")]
    assert prompt[1:] == ["Tea?", "always", "Tea?"]
