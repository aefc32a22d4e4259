"""`chatexports export-model`: a tuned model for other programs."""

from __future__ import annotations

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
    gguf: Annotated[
        bool,
        typer.Option(
            "--gguf",
            help="Write model.gguf and a Modelfile, for llama.cpp and Ollama, instead "
            "of safetensors, for transformers and vLLM.",
        ),
    ] = False,
    quantize: Annotated[
        str,
        typer.Option(
            metavar="TYPE", help="What model.gguf is written in: q8_0 or f16."
        ),
    ] = "q8_0",
    data_dir: DataDir = None,
) -> None:
    """Merge a tuned model into its base, for llama.cpp, Ollama, vLLM, transformers.

    For example:
        chatexports export-model NAME merged
        chatexports export-model NAME voice --gguf
    """
    from langchain_chatexports import local_server
    from langchain_chatexports.local_server.export import how_to_run

    local_server.check_extra()
    name = local_server.find_model(model, data_dir).name
    written = local_server.export_model(
        name, folder, data_dir=data_dir, gguf=gguf, quantization=quantize
    )
    say(f"Written to {written}")
    if not gguf:
        say("For llama.cpp and Ollama: export it with --gguf, to another folder.")
    for line in how_to_run(written, gguf=gguf):
        say(line)
