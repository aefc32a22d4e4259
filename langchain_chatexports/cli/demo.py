"""`chatexports demo`: turn sample chats into a tuned model on this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

from langchain_chatexports._extras import require_local
from langchain_chatexports.cli._console import (
    command_line,
    print_line,
    say,
    show,
    show_progress,
)
from langchain_chatexports.cli._options import DataDir, command
from langchain_chatexports.cli._replies import show_replies
from langchain_chatexports.cli._training import (
    TrainingDisplay,
    chat_command,
    data_dir_options,
    print_base,
)
from langchain_chatexports.local_server import Workspace, find_base
from langchain_chatexports.personas.talk import ChatSettings
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.workflows import PrepareOptions
from langchain_chatexports.workflows.prepare import prepare
from langchain_chatexports.workflows.talk import load_tuned_speaker, open_talk
from langchain_chatexports.workflows.train import train

_AI = "Tortoise"
_QUESTION = "Are you ready for the race tomorrow?"
_MAX_PREVIEW_MESSAGES = 4


@command
def demo(*, data_dir: DataDir = None) -> None:
    """Try every step on sample chats, with a tiny model.

    For example:
        chatexports demo
    """
    require_local()
    workspace = Workspace(data_dir)
    with tempfile.TemporaryDirectory() as folder:
        say("1. Write sample chats of Tortoise and Hare")
        chats = write_imessage(Path(folder) / "chat.db")
        data = prepare(chats, PrepareOptions(ai=(_AI,)))
    print_line()
    say("2. Prepare: {data}, imitating {name}. The first one:", data=data, name=_AI)
    for message in data.examples[0]["messages"][:_MAX_PREVIEW_MESSAGES]:
        print_line(f"   {message['role']:>9}: {message['content']}")
    print_line()
    say("3. Train a LoRA adapter on this machine")
    print_base(find_base(None), examples=data.examples, workspace=workspace)
    with TrainingDisplay(workspace) as display:
        model = train(data, workspace=workspace, on_event=display, watch=show_progress)
    print_line()
    say("4. Ask both: {question}", question=_QUESTION)
    settings = ChatSettings(None, temperature=0.7, max_tokens=80, seed=1)
    speaker = load_tuned_speaker(workspace, model)
    with open_talk(speaker, settings, workspace, with_base=True) as talks:
        for talk in talks:
            talk.add_line(_QUESTION)
        show_replies(talks)
    print_line()
    say("To continue with {name}:", name=_AI)
    show(chat_command(model.name, workspace=workspace))
    say("Or use your own chats in the browser:")
    show(command_line("open", *data_dir_options(workspace)))
