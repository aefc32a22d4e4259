"""`chatexports export-model`: a tuned model for other programs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from langchain_chatexports.cli._console import say
from langchain_chatexports.cli._options import DataDir, command

__all__ = ["export_model"]


@command
def export_model(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="The tuned model: its name, or the beginning of its suffix or id.",
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="The folder to write.", show_default=False
        ),
    ],
    *,
    data_dir: DataDir = None,
) -> None:
    """Merge a tuned model into its base, for llama.cpp, Ollama, vLLM, transformers.

    For example:
        chatexports export-model NAME merged
    """
    from langchain_chatexports import local_server

    local_server.check_extra()
    name = local_server.find_model(model, data_dir).name
    written = local_server.export_model(name, folder, data_dir=data_dir)
    say(f"Written to {written}")
    path = shlex.quote(str(written))
    say(f"For Ollama: printf 'FROM %s\\n' {path} > Modelfile, then ollama create NAME")
    say("For llama.cpp: its convert_hf_to_gguf.py reads the folder.")
