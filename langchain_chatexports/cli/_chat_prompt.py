"""The chat at a terminal: its input line and its commands."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from langchain_chatexports._terminal import plural
from langchain_chatexports.cli._console import print_line
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.personas.talk import Voice
from langchain_chatexports.workflows.models import TunedModel
from langchain_chatexports.workflows.talk import continue_talk, new_talk_id, save_turns

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

_GREETING = "Type a message and press Enter. /help explains more, Ctrl-D ends the chat."
_HELP = """\
/retry  answer the last message again
/reset  begin a new conversation and forget this one
/help   show this
/quit   end the chat, as Ctrl-D does

The arrow keys and Ctrl-R recall earlier lines of this chat.
Ctrl-C ends an answer, or clears what you type; twice, it ends the chat.
A message that begins like a command needs a space before it."""


class TerminalChat:
    """A chat with voices, in which a person types messages and commands."""

    def __init__(
        self,
        voices: Sequence[Voice],
        answer: Callable[[Sequence[Voice]], None],
        saved_with: TunedModel | None = None,
    ) -> None:
        self._voices = voices
        self._answer = answer
        self._saved_with = saved_with
        self._talk_id = new_talk_id()
        self._commands: dict[str, Callable[[], object]] = {
            "/help": lambda: print_line(_HELP),
            "/retry": self._retry,
            "/reset": self._reset,
        }

    def run(self) -> None:
        """Answer each typed line until the person ends the chat."""
        print_line(_GREETING)
        saved_with = self._saved_with
        if saved_with and (talk_id := continue_talk(self._voices, saved_with)):
            self._talk_id = talk_id
            turns = self._voices[-1].turns
            print_line(
                f"This continues your last talk ({plural(len(turns), 'answer')}), "
                "which is kept with the model; /reset deletes it and begins a new one."
            )
            print_line(f"> {turns[-1].line}\n{turns[-1].answer.strip()}")
        session = _prompt_session()
        was_interrupted = False
        while True:
            try:
                text = session.prompt()
            except EOFError:
                return
            except KeyboardInterrupt:
                if was_interrupted and not session.default_buffer.text:
                    return
                was_interrupted = True
                print_line("Press Ctrl-C again, or Ctrl-D, to end the chat.")
                continue
            was_interrupted = False
            if text.strip() == "/quit":
                return
            self._do(text)

    def _do(self, text: str) -> None:
        command = text.rstrip()
        try:
            if command in self._commands:
                self._commands[command]()
            elif re.fullmatch(r"/[a-z]+", command):
                print_line(f"There is no command {command}. /help lists them.")
            elif text.strip():
                for voice in self._voices:
                    voice.hear(text.strip())
                self._answer_last()
        except KeyboardInterrupt:
            print_line("Stopped. /retry answers again.")
        except ChatExportError as error:
            # The server may answer the next time, and the conversation can be saved.
            print_line(f"error: {error}")

    def _answer_last(self) -> None:
        try:
            self._answer(self._voices)
        finally:
            for voice in self._voices:
                voice.stop()
            self._keep()

    def _keep(self) -> None:
        if self._saved_with:
            save_turns(self._saved_with, self._voices[-1].turns, self._talk_id)

    def _reset(self) -> None:
        for voice in self._voices:
            voice.turns.clear()
        self._keep()
        print_line("This is a new conversation.")

    def _retry(self) -> None:
        if not self._voices[0].turns:
            print_line("There is no message to answer again.")
            return
        for voice in self._voices:
            voice.hear(voice.turns.pop().line)
        self._answer_last()


def _prompt_session() -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.output import create_output

    # The default history is in memory only.
    return PromptSession(
        "> ",
        enable_suspend=True,
        # A file on stdout is for the answers only.
        output=None if sys.stdout.isatty() else create_output(sys.stderr),
    )
