"""Jobs, files and models in a workspace, without training."""

from collections.abc import Sequence
from typing import Any

from langchain_chatexports.local_server.workspace import Job, Model, State, Workspace
from langchain_chatexports.local_server.workspace.models import tuned_model_name
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

Talk = Sequence[tuple[str, str]]


def add_job(workspace: Workspace, *, mark: str = "", **order: Any) -> Job:
    """Add a queued job, with examples of its own if they have a mark."""
    if "training_file" not in order:
        file = workspace.files.create(as_jsonl(dialogues(mark=mark)))
        order["training_file"] = file.id
    order = {"base": "tiny", "base_model": "tiny", **order}
    order.setdefault("key", f"key of {mark} {len(workspace.jobs.list())}")
    return workspace.jobs.find_or_create(**order)[0]


def add_model(
    workspace: Workspace, *, mark: str = "", results: Any = None, **order: Any
) -> Model:
    """Add a job that succeeded, with a model that can be listed and deleted."""
    job = add_job(workspace, mark=mark, **order)
    folder = workspace.model_folder(job.id)
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_text(f"weights of {mark}")
    workspace.jobs.record(job.id, **(results or {}))
    name = tuned_model_name(job)
    workspace.jobs.move(
        job.id, State.SUCCEEDED, "made", sources=(State.QUEUED,), model=name
    )
    return workspace.models.find(name)


def add_tuned_model(
    workspace: Workspace,
    training: Sequence[Talk],
    held_out: Sequence[Talk],
    **order: Any,
) -> Model:
    """Add a model of training and held-out talks: lists of messages with answers."""
    files = {}
    for key, talks in (("training_file", training), ("validation_file", held_out)):
        if talks:
            content = as_jsonl([_example(talk) for talk in talks])
            files[key] = workspace.files.create(content).id
    return add_model(workspace, **files, **order)


def _example(talk: Talk) -> dict[str, Any]:
    messages = []
    for message, answer in talk:
        messages.append({"role": "user", "content": message})
        messages.append({"role": "assistant", "content": answer})
    return {"messages": messages}
