"""The interactive chat in a terminal: its prompt and its commands."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from langchain_chatexports._terminal import one_line, plural
from langchain_chatexports.cli._console import print_line
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import Model
from langchain_chatexports.personas.talk import Talk
from langchain_chatexports.workflows.saved_talks import (
    new_talk_id,
    resume_talk,
    save_turns,
)

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

_GREETING = "Type a message and press Enter. /help shows the commands, Ctrl-D quits."
_HELP = """\
/retry         generate the last reply again
/fix TEXT      keep what the person would have said; the talk continues from it
/not           the person would not say that: generate another reply
/fixes         list what you corrected
/unfix 2       delete the second correction of the list
/strength 0.7  use less of what the model learned: from 0 (nothing) to 1 (all)
/reset         delete this talk and start a new one
/help          show this help
/quit          end the chat, like Ctrl-D

The arrow keys and Ctrl-R recall your earlier messages.
Ctrl-C stops a reply or clears the input; press it twice to end the chat.
Put a space before a message that looks like a command."""


class TerminalChat:
    """A chat in which the user types messages and commands."""

    def __init__(
        self,
        talks: Sequence[Talk],
        show_reply: Callable[[Sequence[Talk]], None],
        model: Model | None = None,
    ) -> None:
        self._talks = talks
        self._show_reply = show_reply
        self._model = model
        self._talk_id = new_talk_id()
        self._commands: dict[str, Callable[[], object]] = {
            "/help": lambda: print_line(_HELP),
            "/retry": self._retry,
            "/fix": lambda: print_line("Add what the person would say: /fix TEXT"),
            "/not": self._reject,
            "/fixes": self._list_corrections,
            "/unfix": lambda: print_line("Add a number of the list: /unfix 2"),
            "/reset": self._reset,
        }

    def run(self) -> None:
        """Reply to each message until the user ends the chat."""
        print_line(_GREETING)
        model = self._model
        if model and (talk_id := resume_talk(self._talks, model)):
            self._talk_id = talk_id
            turns = self._talks[-1].turns
            count = plural(len(turns), "reply", "replies")
            print_line(
                f"Resuming your last talk ({count}), saved with "
                "the model. /reset deletes it and starts a new one."
            )
            print_line(f"> {turns[-1].line}\n{turns[-1].answer.strip()}")
        session = _create_prompt_session()
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
                print_line("Press Ctrl-C again, or Ctrl-D, to quit.")
                continue
            was_interrupted = False
            if text.strip() == "/quit":
                return
            self._handle(text)

    def _handle(self, text: str) -> None:
        command = text.rstrip()
        try:
            if match := re.fullmatch(r"/strength\s+(\d*\.?\d+)", command):
                self._set_strength(float(match[1]))
            elif match := re.fullmatch(r"/unfix\s+(\d+)", command):
                self._delete_correction(int(match[1]))
            elif match := re.fullmatch(r"/fix\s+(.+)", command, re.DOTALL):
                self._correct(match[1])
                print_line("Kept, and used from now on. The talk continues from it.")
            elif command in self._commands:
                self._commands[command]()
            elif re.fullmatch(r"/[a-z]+", command):
                print_line(
                    f"Unknown command: {command}. Type /help for a list of commands."
                )
            elif text.strip():
                for talk in self._talks:
                    talk.add_line(text.strip())
                self._reply_to_last()
        except KeyboardInterrupt:
            print_line("Stopped. Type /retry for another reply.")
        except ChatExportError as error:
            # Continue the chat: the next request may succeed.
            print_line(f"error: {error}")

    def _reply_to_last(self) -> None:
        try:
            self._show_reply(self._talks)
        finally:
            for talk in self._talks:
                talk.stop()
            self._save()

    def _save(self) -> None:
        if self._model:
            save_turns(self._model, self._talks[-1].turns, self._talk_id)

    def _reset(self) -> None:
        for talk in self._talks:
            talk.turns.clear()
        self._save()
        print_line("Started a new talk.")

    def _set_strength(self, strength: float) -> None:
        if strength > 1:
            print_line("The strength must be from 0 to 1.")
            return
        talk = self._talks[-1]
        talk.settings = replace(talk.settings, strength=strength)
        print_line(f"Replies from now on have strength {strength:g}. Try /retry.")

    def _correct(self, better: str) -> None:
        self._talks[-1].correct(better)
        self._save()

    def _reject(self) -> None:
        self._correct("")
        self._retry()

    def _list_corrections(self) -> None:
        kept = [*(self._talks[-1].corrections or ())]
        for number, each in enumerate(kept, 1):
            better = each.better or f"not: {each.said}"
            print_line(f"{number}. {one_line(each.question)} → {one_line(better)}")
        if not kept:
            print_line("There are no corrections.")

    def _delete_correction(self, number: int) -> None:
        corrections = self._talks[-1].corrections
        kept = [*(corrections or ())][number - 1 : number] if number else []
        for each in kept:
            if corrections is not None:
                corrections.delete(each.id)
        print_line("Deleted." if kept else "No correction has this number: see /fixes")

    def _retry(self) -> None:
        if not self._talks[0].turns:
            print_line("No message to retry yet.")
            return
        for talk in self._talks:
            talk.add_line(talk.turns.pop().line)
        self._reply_to_last()


def _create_prompt_session() -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.output import create_output

    # The default history stays in memory.
    return PromptSession(
        "> ",
        enable_suspend=True,
        # If stdout is a file, only the replies are written to it.
        output=None if sys.stdout.isatty() else create_output(sys.stderr),
    )
