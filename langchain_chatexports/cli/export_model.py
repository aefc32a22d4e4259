"""`chatexports export-model`: export a tuned model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from langchain_chatexports import local_server
from langchain_chatexports._extras import require_local
from langchain_chatexports.cli._console import print_line
from langchain_chatexports.cli._options import DataDir, command, flag, option


@command
def export_model(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="The tuned model, or the start of its name.",
        ),
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder to write.")
    ],
    *,
    gguf: Annotated[
        bool,
        flag(
            "--gguf",
            "Write model.gguf and a Modelfile for llama.cpp and Ollama, instead of "
            "safetensors for transformers and vLLM.",
        ),
    ] = False,
    strength: Annotated[
        float | None,
        option(
            "X",
            "How much of the training to merge; 0 is the base. Default: the model's.",
            min=0,
            max=1,
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Merge a tuned model into its base, for other programs.

    For example:
        chatexports export-model NAME merged
        chatexports export-model NAME voice --gguf
    """
    require_local()
    workspace = local_server.Workspace(data_dir)
    tuned = workspace.models.match(model)[0]
    path = local_server.export_model(tuned, folder, gguf=gguf, strength=strength)
    print_line(f"Wrote {path}")
    if not gguf:
        print_line("For llama.cpp and Ollama, export it to another folder with --gguf.")
        return
    for line in local_server.usage_instructions(path):
        print_line(line)
