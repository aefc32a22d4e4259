"""`chatexports serve`: run the local server in the foreground."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from langchain_chatexports import local_server
from langchain_chatexports.cli._console import (
    command_line,
    print_line,
    show_rows,
)
from langchain_chatexports.cli._options import (
    Base,
    DataDir,
    command,
    flag,
    option,
)
from langchain_chatexports.cli._training import print_base
from langchain_chatexports.local_server.bases.known_bases import (
    list_bases,
    suggest_base,
)
from langchain_chatexports.local_server.old_http.server import check_extra
from langchain_chatexports.workflows.models import RunningServer


@command
def serve(
    *,
    base: Base = None,
    port: Annotated[
        int, option("PORT", "Port; 0 chooses a free one.", min=0, max=65535)
    ] = 8199,
    data_dir: DataDir = None,
    alias: Annotated[
        list[str] | None,
        option(
            "NAME=BASE",
            "Another name for a base, for programs that hard-code a model name.",
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        option(
            "FILE",
            "File with the API key on its first line.",
            show_default="a new random key",
        ),
    ] = None,
    list_bases: Annotated[
        bool, flag("--list-bases", "List base models, and exit.")
    ] = False,
) -> None:
    """Run the local server, with OpenAI's API, on 127.0.0.1.

    For example:
        chatexports serve --list-bases
        chatexports serve --base Qwen/Qwen3.5-0.8B
        chatexports serve --alias gpt-3.5-turbo=SmolLM2-135M-Instruct
    """
    if list_bases:
        _print_bases()
        return
    check_extra()
    aliases = dict(map(_parse_alias, alias or ()))
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    api_key = None
    if api_key_file is not None:
        # Non-ASCII bytes become a character that is not allowed in keys.
        text = api_key_file.expanduser().read_text("ascii", "replace")
        api_key = text.partition("\n")[0].strip()
    print_base(base)
    settings = local_server.ServerSettings(
        base=base,
        port=port,
        data_dir=None if data_dir is None else str(data_dir.expanduser()),
        api_key=api_key,
        aliases=aliases,
    )
    local_server.serve_forever(settings, _print_ready)
    print_line("Stopped. Unfinished jobs resume when the server starts again.")


def _print_bases() -> None:
    suggested_base = suggest_base()
    rows = [("base", "download", "memory")]
    rows += [
        (
            base.hub_id,
            f"{base.download_bytes / 1e9:.1f} GB",
            f"{base.memory_bytes / 1e9:.1f} GB",
        )
        for base in list_bases()
    ]
    notes = [
        (
            base.license,
            base.note,
            "" if base.is_open else "not open source",
            "accept its terms on the hub first" if base.needs_agreement else "",
            "suggested for this machine" if base == suggested_base else "",
        )
        for base in list_bases()
    ]
    show_rows(rows, ("; ".join(filter(None, note)) for note in notes))
    print_line("Memory is for training only, excluding other programs.")
    print_line(f"To use a base: {command_line('serve', '--base', 'BASE')}")


def _parse_alias(text: str) -> tuple[str, str]:
    name, separator, base = text.partition("=")
    if not (name and separator and base):
        msg = f"--alias takes NAME=BASE, not {text!r}."
        raise typer.BadParameter(msg)
    return name, base


def _print_ready(info: RunningServer) -> None:
    print_line(f"Data: {info.data_dir}")
    print_line(f"Engine: {info.engine}")
    print_line("Ready for OpenAI-compatible clients. Press Ctrl-C to stop.")
    # Printed to stdout, so that a shell can evaluate the lines.
    print(f"export OPENAI_BASE_URL={info.base_url}", flush=True)  # noqa: T201
    print(f"export OPENAI_API_KEY={info.api_key}", flush=True)  # noqa: T201
