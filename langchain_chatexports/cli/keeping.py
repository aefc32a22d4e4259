"""`chatexports models` and `export-model`: what the local server keeps, without it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from langchain_chatexports.cli.console import asking, print_json, say, stdin_is_terminal
from langchain_chatexports.exceptions import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["delete_everything", "delete_models", "export", "print_models"]


def print_models(data_dir: Path | None, *, as_json: bool) -> None:
    """Write the names of the tuned models, newest first, and count the rest.

    Args:
        data_dir: Where they are kept; `None` for the default.
        as_json: Whether to write JSON.
    """
    import typer

    from langchain_chatexports.local_server import count_kept, list_models

    kept = count_kept(data_dir)
    models = list_models(data_dir)
    if as_json:
        listed = [
            {
                "model": model.name,
                "base": model.base_model,
                "created_at": model.created_at.isoformat(),
                "path": str(model.path),
            }
            for model in models
        ]
        print_json({"models": listed, "jobs": kept.jobs, "files": kept.files})
        return
    for model in models:
        typer.echo(f"{model.name}  {model.created_at:%Y-%m-%d %H:%M} UTC")
    say(
        f"{len(models)} models, {kept.jobs} jobs, {kept.files} files of examples. "
        "Talk to one: chatexports chat NAME"
    )


def delete_models(names: Sequence[str], data_dir: Path | None) -> None:
    """Delete tuned models with their checkpoints.

    Args:
        names: Their names.
        data_dir: Where they are kept; `None` for the default.
    """
    from langchain_chatexports.local_server import delete_model

    for name in names:
        delete_model(name, data_dir=data_dir)
        say(f"Deleted {name}")


def delete_everything(data_dir: Path | None, *, agreed: bool) -> None:
    """Delete all that the local server keeps, if agreed to.

    Args:
        data_dir: Where it is kept; `None` for the default.
        agreed: Whether to go on without asking.
    """
    import typer

    from langchain_chatexports import local_server

    kept = local_server.count_kept(data_dir)
    where = data_dir or local_server.default_data_dir()
    say(
        f"{where}: {kept.models} models, {kept.jobs} jobs, "
        f"{kept.files} files of examples"
    )
    if not agreed:
        if not stdin_is_terminal():
            msg = "Nobody was asked, so nothing was deleted. Add --yes to agree."
            raise LocalServerError(msg)
        with asking():
            is_agreed = typer.confirm("Delete all of it?", err=True)
        if not is_agreed:
            say("Nothing was deleted.")
            return
    local_server.delete_everything(data_dir)
    say("Deleted.")


def export(name: str, folder: Path, data_dir: Path | None) -> None:
    """Write a tuned model as a folder that needs neither PEFT nor this package.

    Args:
        name: Its name.
        folder: The folder to write.
        data_dir: Where it is kept; `None` for the default.
    """
    from langchain_chatexports.local_server import export_model

    written = export_model(name, folder, data_dir=data_dir)
    say(f"Written to {written}")
    path = shlex.quote(str(written))
    say(f"For Ollama: printf 'FROM %s\\n' {path} > Modelfile, then ollama create NAME")
    say("For llama.cpp: its convert_hf_to_gguf.py reads the folder.")
