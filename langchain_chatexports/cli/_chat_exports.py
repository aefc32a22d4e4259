"""The person of exports in a chat, without a training: their style and replies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.recognition import set_parts
from langchain_chatexports.cli._chat_options import own_messages_or
from langchain_chatexports.cli._console import say
from langchain_chatexports.cli._finetune_data import read_examples
from langchain_chatexports.cli.prepare import say_speaker
from langchain_chatexports.datasets.chat_prompts import PERSONA_REPLIES
from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.datasets.trace import speaker_of
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.personas import VoicePrompt

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Person", "exports_among", "read_person"]


class Person(NamedTuple):
    """Whom a base model answers as."""

    name: str | None
    voice: VoicePrompt


def exports_among(
    words: Sequence[str],
    options: PrepareOptions,
    data_dir: Path | None,
    *,
    names_model: bool,
) -> list[Path]:
    """Return the exports that were named; none if it is a model that was named.

    Args:
        words: What was named.
        options: What was chosen of exports, if anything was.
        data_dir: Where tuned models are kept; `None` for the default.
        names_model: Whether a single word names a model of another server.
    """
    paths = [Path(word) for word in words]
    if len(paths) > 1 or options != PrepareOptions():
        return own_messages_or(paths)
    if names_model or not paths or not paths[0].expanduser().exists():
        return []
    return [] if _is_kept(words[0], data_dir) else paths


def _is_kept(name: str, data_dir: Path | None) -> bool:
    from langchain_chatexports.local_server import find_model

    try:
        find_model(name, data_dir)
    except LocalServerError:
        return False
    return True


def read_person(
    paths: Sequence[Path], options: PrepareOptions, replies: int | None
) -> Person:
    """Read the person's words, and say whose they are.

    Args:
        paths: Exports, files of examples, or sets, of which the training part is read.
        options: Whose words, and of which chats.
        replies: Maximum number of earlier replies in the prompt; `None` for the
            default.

    Raises:
        SenderNotFoundError: If nobody has the name.
        TrainingDataError: If nobody is answered.
    """
    files = [set_parts(path).get("train", path) for path in paths]
    done, examples = read_examples(files, options)
    say_speaker(done)
    k = PERSONA_REPLIES if replies is None else replies
    voice = VoicePrompt.from_examples((item.example for item in examples), k=k)
    name = options.ai_role or speaker_of(examples)
    known = plural(len(voice.replies), "earlier reply", "earlier replies")
    say(
        f"No training: the model answers as {name or 'the person'}, and sees up to "
        f"{min(k, len(voice.replies))} of {known} with each message."
    )
    return Person(name, voice)
