"""`chatexports people`: who could be one person in several exports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._chat_options import (
    Contacts,
    Paths,
    ReadingOptions,
    open_exports,
    own_messages_or,
)
from langchain_chatexports.cli._console import command_line, say, show, watching_count
from langchain_chatexports.cli._options import (
    Force,
    command,
    refuse_to_overwrite,
    refuse_to_replace,
)

__all__ = ["people"]


@command
def people(
    paths: Paths = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The table to write, for you to check. Without it, it is printed.",
            show_default=False,
        ),
    ] = None,
    contacts: Contacts = None,
    reading: ReadingOptions,
    force: Force = False,
) -> None:
    """Propose who is one person in exports: a table to check, for --people.

    It compares phone numbers, e-mail addresses, handles and names, says behind each
    line what is equal where, and merges nobody by itself. What less speaks for, such as
    an equal first name, is a comment.

    For example:
        chatexports people chat.db slack.zip
        chatexports people chat.db slack.zip -o people.csv
    """
    from langchain_chatexports._files import write_whole
    from langchain_chatexports.chat_loaders.people_proposal import propose_people
    from langchain_chatexports.chat_loaders.recognition import estimate_message_count
    from langchain_chatexports.datasets.chat_choice import ChatChoice

    paths = own_messages_or(paths)
    if output is not None:
        refuse_to_overwrite(output, paths)
        refuse_to_replace(output, force=force)
    exports = open_exports(paths, contacts, ChatChoice(), reading=reading)
    passes = [(export, export.loader.counted_pass()) for export in exports]

    def messages_read() -> int:
        return sum(counted.messages_read for _, counted in passes)

    total = estimate_message_count(exports)
    with watching_count("messages", messages_read, total):
        proposal = propose_people(passes)
    found = plural(len(proposal.people), "person", "people")
    say(f"{found} with several names, {plural(len(proposal.hints), 'hint')}")
    if output is None:
        show(str(proposal).rstrip("\n"))
        return
    write_whole(output, str(proposal).encode("utf-8", "replace"))
    say(f"Written: {output}. Check each line: nobody is merged before you use it.")
    named = () if contacts is None else ("--contacts", contacts)
    words = (*paths, *named, *reading.words(), "--people", output)
    say(f"Next: {command_line('inspect', *words)}")
