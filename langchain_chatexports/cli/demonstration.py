"""`chatexports demo`: the whole way, on the sample exports, on this machine."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from langchain_chatexports.chat_loaders.facebook_messenger import (
    FolderFacebookMessengerChatLoader,
)
from langchain_chatexports.chat_loaders.imessage import IMessageChatLoader
from langchain_chatexports.cli.console import print_json, say
from langchain_chatexports.cli.side_by_side import Answer, show_side_by_side
from langchain_chatexports.cli.tuning import Order, chat_command, say_base, train
from langchain_chatexports.datasets.examples import to_training_examples
from langchain_chatexports.samples import write_imessage, write_messenger
from langchain_chatexports.steps import ChunkSessions, MapAIMessages, MergeChatRuns

if TYPE_CHECKING:
    from langchain_core.chat_loaders import BaseChatLoader
    from langchain_core.runnables import Runnable

    from langchain_chatexports.chat_loaders.base import ChatExportLoader
    from langchain_chatexports.datasets.examples import TrainingExample
    from langchain_chatexports.local_server import LocalServer

__all__ = ["run_demo"]

_AI = "Tortoise"
_QUESTION = "Are you ready for the race tomorrow?"


def run_demo(
    *, folder: Path | None, data_dir: Path | None, as_json: bool = False
) -> None:
    """Write the samples, load and prepare them, train, and answer.

    Args:
        folder: Where to write the samples; `None` for a temporary folder.
        data_dir: Where the model is kept; `None` for the default.
        as_json: Whether to write the model, the answers and the command as JSON.
    """
    from langchain_chatexports.local_server import LocalServer

    started = time.monotonic()
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        examples = _load_and_prepare(folder)
        say("")
        say("4. Train: a LoRA adapter, on this machine, behind a local server")
        say_base(None)
        server = stack.enter_context(LocalServer(data_dir=data_dir))
        # A demo that shows an earlier training again would be no demo.
        name = train(server, examples, Order(run_again=True))
        say("")
        say(f"5. Ask both: {_QUESTION}")
        answers = _answer(server, name, is_shown=not as_json)
    say("")
    say(f"Done in {time.monotonic() - started:.0f} s. Go on talking to {_AI}:")
    command = chat_command(name, data_dir=data_dir)
    if as_json:
        print_json({"model": name, "answers": answers, "chat": command})
    else:
        sys.stdout.write(f"{command}\n")


def _load_and_prepare(folder: Path) -> list[TrainingExample]:
    say("1. Sample exports, from text of our own")
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
    who = ", ".join(f"{name} {count}" for name, count in summary.senders.items())
    say(
        f"   {summary.platform}: {summary.sessions} sessions, "
        f"{summary.kept} of {summary.found} messages ({who})"
    )


def _answer(server: LocalServer, name: str, *, is_shown: bool) -> dict[str, str]:
    question = {"input": _QUESTION}
    base = Answer("base model", _chain(server, server.base_model).stream(question))
    tuned = Answer(
        f"in {_AI}'s voice", _chain(server, name).stream(question), has_bubbles=True
    )
    console = Console()
    if not is_shown:
        for answer in (base, tuned):
            answer.text = "".join(answer.pieces)
    elif console.is_terminal:
        show_side_by_side(console, (base, tuned))
    else:
        _write_plainly("base ", base)
        _write_plainly("tuned", tuned)
    return {"base": base.text, "tuned": tuned.text}


def _write_plainly(label: str, answer: Answer) -> None:
    sys.stdout.write(f"   {label}: ")
    for text in answer.pieces:
        answer.text += text
        sys.stdout.write(text)
        sys.stdout.flush()
    sys.stdout.write("\n")


def _chain(server: LocalServer, name: str) -> Runnable[dict[str, str], str]:
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    prompt = ChatPromptTemplate.from_messages([("human", "{input}")])
    model = ChatOpenAI(
        model=name,
        base_url=server.base_url,
        api_key=SecretStr(server.api_key),
        temperature=0.7,
        seed=1,
        max_completion_tokens=80,
        use_responses_api=False,
    )
    return prompt | model | StrOutputParser()
