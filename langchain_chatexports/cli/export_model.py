"""`chatexports export-model`: export a tuned model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from langchain_chatexports.cli._console import print_line
from langchain_chatexports.cli._options import DataDir, command, flag
from langchain_chatexports.local_server.old_http.server import check_extra
from langchain_chatexports.workflows import models as workflow


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
    data_dir: DataDir = None,
) -> None:
    """Merge a tuned model into its base, for other programs.

    For example:
        chatexports export-model NAME merged
        chatexports export-model NAME voice --gguf
    """
    check_extra()
    name = workflow.find_tuned_model(model, data_dir).name
    path, instructions = workflow.export_model(
        name, folder, data_dir=data_dir, gguf=gguf
    )
    print_line(f"Wrote {path}")
    if not gguf:
        print_line("For llama.cpp and Ollama, export it to another folder with --gguf.")
    for line in instructions:
        print_line(line)
