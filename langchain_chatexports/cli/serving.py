"""`chatexports serve`: the local server in the foreground."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from langchain_chatexports._regular_files import open_regular_file
from langchain_chatexports.cli.console import print_json, say
from langchain_chatexports.cli.tuning import say_base
from langchain_chatexports.exceptions import LocalServerError

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_chatexports.local_server import ServerInfo

__all__ = ["print_bases", "serve"]

# Longer than any key may be.
_MAX_KEY_LINE_BYTES = 4096


def serve(
    *,
    base: str | None,
    port: int,
    data_dir: Path | None,
    alias: list[str] | None,
    api_key: str | None,
    api_key_file: Path | None,
    max_training_jobs: int,
    as_json: bool = False,
) -> None:
    """Run the server until Ctrl-C.

    Args:
        base: The base model; `None` for the default.
        port: The port; 0 for any free one.
        data_dir: Where to keep files and models; `None` for the default.
        alias: More names for the base, as `NAME=BASE`.
        api_key: The key to ask for; `None` for the file's, or a new random one.
        api_key_file: A file whose first line is the key.
        max_training_jobs: How many jobs may train at the same time.
        as_json: Whether to write address and key as JSON.
    """
    import typer

    from langchain_chatexports.local_server import ServerSettings, serve_forever

    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    if api_key is not None and api_key_file is not None:
        msg = "--api-key and --api-key-file exclude each other."
        raise typer.BadParameter(msg)
    if api_key is not None:
        say(
            "Everybody on this machine can see --api-key in the list of processes. "
            "Give the key in a file: --api-key-file FILE."
        )
    if api_key_file is not None:
        api_key = _read_key(api_key_file.expanduser())
    say_base(base)
    settings = ServerSettings(
        base=base,
        port=port,
        data_dir=None if data_dir is None else str(data_dir.expanduser()),
        api_key=api_key,
        aliases=dict(_parsed_alias(text) for text in alias or ()),
        max_training_jobs=max_training_jobs,
    )
    serve_forever(settings, _say_ready_as_json if as_json else _say_ready)
    say("Stopped. Unfinished jobs go on with the next start.")


def print_bases(*, as_json: bool = False) -> None:
    """Write the bases that are known to work, and the one that suits this machine.

    Args:
        as_json: Whether to write JSON.
    """
    import typer

    from langchain_chatexports.local_server import list_bases, suggest_base

    suggested = suggest_base()
    if as_json:
        listed = [
            {
                "base": base.hub_id,
                "download_bytes": base.download_bytes,
                "memory_bytes": base.memory_bytes,
                "licence": base.license,
                "needs_agreement": base.needs_agreement,
                "is_suggested": base == suggested,
            }
            for base in list_bases()
        ]
        print_json(listed)
        return
    typer.echo(f"{'base':38} {'download':>9} {'memory':>8}  license")
    for base in list_bases():
        notes = [
            base.license,
            base.note,
            "asks for an agreement on the hub" if base.needs_agreement else "",
            "suggested for this machine" if base == suggested else "",
        ]
        typer.echo(
            f"{base.hub_id:38} {base.download_bytes / 1e9:>6.1f} GB "
            f"{base.memory_bytes / 1e9:>5.1f} GB  {'; '.join(filter(None, notes))}"
        )
    say("Memory is what training takes. Any of them: chatexports serve --base BASE")


def _parsed_alias(text: str) -> tuple[str, str]:
    import typer

    name, separator, base = text.partition("=")
    if not (name and separator and base):
        msg = f"--alias takes NAME=BASE, not {text!r}."
        raise typer.BadParameter(msg)
    return name, base


def _read_key(path: Path) -> str:
    with open_regular_file(path) as file:
        line = file.readline(_MAX_KEY_LINE_BYTES)
    # A byte that is not ASCII becomes a character that no key can have.
    key = line.decode("ascii", "replace").strip()
    if not key:
        msg = f"The first line of {path} is empty. Write the key there."
        raise LocalServerError(msg)
    return key


def _say_ready(info: ServerInfo) -> None:
    say(f"Data: {info.data_dir}")
    say("Ready. Point any program that speaks OpenAI's protocol here; Ctrl-C stops.")
    # On stdout and ready for a shell: this is the output of the command.
    print(f"export OPENAI_BASE_URL={info.base_url}", flush=True)  # noqa: T201
    print(f"export OPENAI_API_KEY={info.api_key}", flush=True)  # noqa: T201


def _say_ready_as_json(info: ServerInfo) -> None:
    say("Ready; Ctrl-C stops.")
    print_json(
        {
            "base_url": info.base_url,
            "api_key": info.api_key,
            "base_model": info.base_model,
            "data_dir": info.data_dir,
        }
    )
