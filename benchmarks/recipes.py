"""Convert an export to examples with this library or with langchain-community.

The recipe for langchain-community is that of LangChain's two tutorials: load, merge,
map, windows of eight messages that share two. It cannot read a zip, which is extracted
first.

`benchmarks.one_machine` runs both in turn; docs/scale.md has figures.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import zipfile
from pathlib import Path

__all__ = ["OWNER"]

OWNER = "Grace Hopper"
_SIZE, _STEP = 8, 6


def community(kind: str, path: Path, output: Path) -> None:
    """Write examples with langchain-community."""
    from langchain_community.adapters.openai import convert_messages_for_finetuning
    from langchain_community.chat_loaders.utils import map_ai_messages, merge_chat_runs

    if kind == "imessage":
        from langchain_community.chat_loaders.imessage import IMessageChatLoader

        owner, loader = "owner", IMessageChatLoader(str(path))
    else:
        from langchain_community.chat_loaders.facebook_messenger import (
            FolderFacebookMessengerChatLoader,
        )

        messages = str(path / "your_facebook_activity" / "messages")
        owner, loader = OWNER, FolderFacebookMessengerChatLoader(messages)
    merged = merge_chat_runs(loader.lazy_load())
    sessions = list(map_ai_messages(merged, sender=owner))
    with output.open("w") as file:
        for messages in convert_messages_for_finetuning(sessions):
            for start in range(0, len(messages) - _SIZE + 1, _STEP):
                window = messages[start : start + _SIZE]
                file.write(json.dumps({"messages": window}) + "\n")


def library(kind: str, path: Path, output: Path) -> None:
    """Write examples with this package and Python's default garbage collection."""
    from langchain_chatexports import (
        ChunkSessions,
        FolderFacebookMessengerChatLoader,
        IMessageChatLoader,
        MapAIMessages,
        MergeChatRuns,
        to_training_examples,
        write_jsonl,
    )

    loader = (
        IMessageChatLoader(path, people={})
        if kind == "imessage"
        else FolderFacebookMessengerChatLoader(path, owner=OWNER)
    )
    sessions = loader | MergeChatRuns() | MapAIMessages() | ChunkSessions()
    write_jsonl(to_training_examples(sessions, keep_trailing=True), output)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=["community", "library"])
    parser.add_argument("kind", choices=["imessage", "messenger"])
    parser.add_argument("path", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rare-gc", action="store_true", help="collect more rarely")
    given = parser.parse_args()
    if given.rare_gc:
        gc.set_threshold(1_000_000, 20, 100)  # As `chatexports prepare` does.
    if given.recipe == "library":
        library(given.kind, given.path, given.output)
    elif given.path.suffix == ".zip":
        with tempfile.TemporaryDirectory() as folder:
            with zipfile.ZipFile(given.path) as archive:
                archive.extractall(folder)
            community(given.kind, Path(folder), given.output)
    else:
        community(given.kind, given.path, given.output)


if __name__ == "__main__":
    main()
