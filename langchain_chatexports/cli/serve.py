"""`chatexports serve`: run the local server in the foreground."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Annotated

import typer

from langchain_chatexports import local_server
from langchain_chatexports._extras import require_local
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
from langchain_chatexports.local_server import fitting_bases, known_bases

_WAIT_SECONDS = 3600.0


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
    require_local()
    aliases = dict(map(_parse_alias, alias or ()))
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    api_key = None
    if api_key_file is not None:
        # Non-ASCII bytes become a character that is not allowed in keys.
        text = api_key_file.expanduser().read_text("ascii", "replace")
        api_key = text.partition("\n")[0].strip()
    server = local_server.LocalServer(
        base, data_dir=data_dir, port=port, api_key=api_key, aliases=aliases
    )
    print_base(local_server.find_base(base))
    try:
        with server:
            _print_ready(server)
            _wait()
    except KeyboardInterrupt:
        print_line("Stopped. Unfinished jobs resume when the next program runs them.")


def _wait() -> None:
    """Wait for Ctrl-C."""
    while True:
        time.sleep(_WAIT_SECONDS)  # On Windows, Ctrl-C interrupts no lock.


def _print_bases() -> None:
    bases, suggested = known_bases(), fitting_bases()[-1]
    rows = [("base", "download", "memory")]
    rows += [
        (
            base.id,
            f"{(base.size_bytes or 0) / 1e9:.1f} GB",
            f"{(base.memory_bytes or 0) / 1e9:.1f} GB",
        )
        for base in bases
    ]
    notes = [
        (
            base.license or "",
            base.note,
            "" if base.is_open else "not open source",
            "accept its terms on the hub first" if base.needs_agreement else "",
            "suggested for this machine" if base.id == suggested.id else "",
        )
        for base in bases
    ]
    show_rows(rows, ("; ".join(filter(None, note)) for note in notes))
    print_line("Memory: what training needs, on top of other programs.")
    print_line(f"To use a base: {command_line('serve', '--base', 'BASE')}")


def _parse_alias(text: str) -> tuple[str, str]:
    name, separator, base = text.partition("=")
    if not (name and separator and base):
        msg = f"--alias takes NAME=BASE, not {text!r}."
        raise typer.BadParameter(msg)
    return name, base


def _print_ready(server: local_server.LocalServer) -> None:
    print_line(f"Data: {server.data_dir}")
    print_line(f"Engine: {server.engine}")
    print_line("Ready for OpenAI-compatible clients. Press Ctrl-C to stop.")
    # Printed to stdout, so that a shell can evaluate the lines.
    print(f"export OPENAI_BASE_URL={server.base_url}", flush=True)  # noqa: T201
    print(f"export OPENAI_API_KEY={server.api_key}", flush=True)  # noqa: T201
