"""`chatexports demo`: from sample exports to a tuned model, on this machine."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._answers import show_answers
from langchain_chatexports.cli._console import command_line, print_json, say
from langchain_chatexports.cli._options import AsJson, DataDir, command
from langchain_chatexports.personas.talk import ChatSettings, make_voice

if TYPE_CHECKING:
    from langchain_core.chat_loaders import BaseChatLoader

    from langchain_chatexports.chat_loaders.base import ChatExportLoader
    from langchain_chatexports.datasets.examples import TrainingExample
    from langchain_chatexports.local_server import LocalServer

__all__ = ["demo"]

_AI = "Tortoise"
_SHOWN_SENDERS = 3
_QUESTION = "Are you ready for the race tomorrow?"


@command
def demo(
    *,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where to write the sample exports.",
            show_default="a temporary folder",
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show every step: sample exports, examples, a fine-tune here, an answer.

    For example:
        chatexports demo
    """
    from langchain_chatexports.cli._training import (
        TrainingDisplay,
        chat_command,
        say_base,
    )
    from langchain_chatexports.local_server.http.server import check_extra
    from langchain_chatexports.workflows.train import (
        JobData,
        TrainingSettings,
        open_server,
        train_on,
    )

    check_extra()
    started = time.monotonic()
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        examples = _load_and_prepare(folder)
        say("")
        say("4. Train: a LoRA adapter, on this machine, behind a local server")
        say_base(None)
        server = stack.enter_context(open_server(None, data_dir, on_event=say))
        data = JobData(examples, person=_AI, source="sample chat.db")
        # Train again also where an earlier demo has trained on the same examples.
        again = TrainingSettings(run_again=True)
        with TrainingDisplay(data_dir) as show:
            name = train_on(server, data, settings=again, on_event=show)
        say("")
        say(f"5. Ask both: {_QUESTION}")
        answers = _answer(server, name, is_shown=not as_json)
    say("")
    say(f"Done in {time.monotonic() - started:.0f} s. To continue with {_AI}:")
    chat = chat_command(name, data_dir=data_dir)
    where = () if data_dir is None else ("--data-dir", data_dir.expanduser().absolute())
    page = command_line("open", *where)
    if as_json:
        print_json({"model": name, "answers": answers, "chat": chat, "open": page})
        return
    sys.stdout.write(f"{chat}\n")
    sys.stdout.flush()
    say("Without a terminal, in the browser, also with your own chats:")
    sys.stdout.write(f"{page}\n")


def _load_and_prepare(folder: Path) -> list[TrainingExample]:
    from langchain_chatexports import (
        ChunkSessions,
        FolderFacebookMessengerChatLoader,
        IMessageChatLoader,
        MapAIMessages,
        MergeChatRuns,
        to_training_examples,
    )
    from langchain_chatexports.samples import write_imessage, write_messenger

    say("1. Write sample exports")
    chats = write_imessage(folder / "chat.db")
    threads = write_messenger(folder / "hogwarts")
    say(f"   {chats}")
    say(f"   {threads}")
    say("")
    say("2. Load")
    imessage = IMessageChatLoader(path=chats)
    messenger = FolderFacebookMessengerChatLoader(path=threads)
    for loader in (imessage, messenger):
        _say_found(loader)
    say("")
    say("3. Prepare")
    windows = (
        messenger
        | MergeChatRuns()
        | MapAIMessages(sender="Harry Potter")
        | ChunkSessions(size=8, overlap=2)
    )
    count = sum(1 for _ in to_training_examples(windows))
    say(f"   Messenger: {count} windows of 8 messages in Harry Potter's voice")
    dialogues: BaseChatLoader = imessage | MergeChatRuns() | MapAIMessages(sender=_AI)
    examples = list(to_training_examples(dialogues))
    say(f"   iMessage: {len(examples)} dialogues in {_AI}'s voice; one begins")
    for message in examples[0]["messages"][:4]:
        say(f"     {message['role']:>9}: {message['content']}")
    return examples


def _say_found(loader: ChatExportLoader) -> None:
    summary = loader.inspect()
    shown = islice(summary.senders.items(), _SHOWN_SENDERS)
    who = ", ".join(f"{name} {count}" for name, count in shown)
    if (more := len(summary.senders) - _SHOWN_SENDERS) > 0:
        who += f", {plural(more, 'other')}"
    say(
        f"   {summary.platform}: {summary.sessions} sessions, "
        f"{summary.kept} of {summary.found} messages ({who})"
    )


def _answer(server: LocalServer, name: str, *, is_shown: bool) -> dict[str, str]:
    settings = ChatSettings(None, temperature=0.7, max_tokens=80, seed=1)
    where = (settings, server.base_url, server.api_key)
    base = make_voice(server.base_model, *where, title="base model")
    tuned = make_voice(name, *where, title=f"in {_AI}'s voice", is_tuned=True)
    for voice in (base, tuned):
        voice.hear(_QUESTION)
    if is_shown:
        show_answers((base, tuned))
        return {"base": base.last, "tuned": tuned.last}
    return {"base": "".join(base.answer()), "tuned": "".join(tuned.answer())}
