"""The interactive chat in a terminal: its prompt and its commands."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.cells import set_cell_size

from langchain_chatexports._terminal import one_line
from langchain_chatexports._translation import _, number
from langchain_chatexports.cli._console import print_line, say, say_count
from langchain_chatexports.cli._errors import print_error
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import Model
from langchain_chatexports.personas.talk import Talk, Turn
from langchain_chatexports.workflows.saved_talks import (
    SavedTalk,
    model_talks,
    new_talk_id,
)

_COMMAND_WIDTH = 15

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession


def _help() -> str:
    commands = {
        "/retry": _("generate the last reply again"),
        _("/fix TEXT"): _(
            "keep what the person would have said; the talk continues from it"
        ),
        "/not": _("the person would not say that: generate another reply"),
        "/fixes": _("list what you corrected"),
        "/unfix 2": _("delete the second correction of the list"),
        "/strength 0.7": _(
            "use less of what the model learned: from 0 (nothing) to 1 (all)"
        ),
        "/reset": _("delete this talk and start a new one"),
        "/help": _("show this help"),
        "/quit": _("end the chat, like Ctrl-D"),
    }
    lines = [
        f"{set_cell_size(command, _COMMAND_WIDTH)}{text}"
        for command, text in commands.items()
    ]
    notes = (
        _("The arrow keys and Ctrl-R recall your earlier messages."),
        _("Ctrl-C stops a reply or clears the input; press it twice to end the chat."),
        _("Put a space before a message that looks like a command."),
    )
    return "\n".join([*lines, "", *notes])


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
        self._saved = model and model_talks(model)
        self._talk_id = new_talk_id()
        self._commands: dict[str, Callable[[], object]] = {
            "/help": lambda: print_line(_help()),
            "/retry": self._retry,
            "/fix": lambda: say("Add what the person would say: /fix TEXT"),
            "/not": self._reject,
            "/fixes": self._list_corrections,
            "/unfix": lambda: say("Add a number of the list: /unfix 2"),
            "/reset": self._reset,
        }

    def run(self) -> None:
        """Reply to each message until the user ends the chat."""
        say("Type a message and press Enter. /help shows the commands, Ctrl-D quits.")
        for saved in (self._saved.list() if self._saved else ())[:1]:
            self._resume(saved)
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
                say("Press Ctrl-C again, or Ctrl-D, to quit.")
                continue
            was_interrupted = False
            if text.strip() == "/quit":
                return
            self._handle(text)

    def _resume(self, saved: SavedTalk) -> None:
        self._talk_id = saved.id
        *base_talks, talk = self._talks
        talk.turns[:] = saved.turns
        for base_talk in base_talks:  # Their replies are not saved.
            base_talk.turns[:] = [Turn(turn.line) for turn in saved.turns]
        say_count(
            "Resuming your last talk ({count} reply), saved with the model. "
            "/reset deletes it and starts a new one.",
            "Resuming your last talk ({count} replies), saved with the model. "
            "/reset deletes it and starts a new one.",
            len(saved.turns),
        )
        last = saved.turns[-1]
        print_line(f"> {last.line}\n{last.answer.strip()}")

    def _handle(self, text: str) -> None:
        command = text.rstrip()
        try:
            if match := re.fullmatch(r"/strength\s+(\d*\.?\d+)", command):
                self._set_strength(float(match[1]))
            elif match := re.fullmatch(r"/unfix\s+(\d+)", command):
                self._delete_correction(int(match[1]))
            elif match := re.fullmatch(r"/fix\s+(.+)", command, re.DOTALL):
                self._correct(match[1])
                say("Kept, and used from now on. The talk continues from it.")
            elif command in self._commands:
                self._commands[command]()
            elif re.fullmatch(r"/[a-z]+", command):
                say(
                    "Unknown command: {command}. Type /help for a list of commands.",
                    command=command,
                )
            elif text.strip():
                for talk in self._talks:
                    talk.add_line(text.strip())
                self._reply_to_last()
        except KeyboardInterrupt:
            say("Stopped. Type /retry for another reply.")
        except ChatExportError as error:
            # Continue the chat: the next request may succeed.
            print_error(error)

    def _reply_to_last(self) -> None:
        try:
            self._show_reply(self._talks)
        finally:
            for talk in self._talks:
                talk.stop()
            self._save()

    def _save(self) -> None:
        if self._saved:
            answered = [turn for turn in self._talks[-1].turns if turn.answer]
            self._saved.save(self._talk_id, answered)

    def _reset(self) -> None:
        for talk in self._talks:
            talk.turns.clear()
        self._save()
        say("Started a new talk.")

    def _set_strength(self, strength: float) -> None:
        if strength > 1:
            say("The strength must be from 0 to 1.")
            return
        talk = self._talks[-1]
        talk.settings = replace(talk.settings, strength=strength)
        say(
            "Replies from now on have strength {strength}. Try /retry.",
            strength=number(strength),
        )

    def _correct(self, better: str) -> None:
        self._talks[-1].correct(better)
        self._save()

    def _reject(self) -> None:
        self._correct("")
        self._retry()

    def _list_corrections(self) -> None:
        kept = [*(self._talks[-1].corrections or ())]
        for index, each in enumerate(kept, 1):
            better = each.better or _("not: {said}", said=each.said)
            print_line(f"{index}. {one_line(each.question)} → {one_line(better)}")
        if not kept:
            say("There are no corrections.")

    def _delete_correction(self, number: int) -> None:
        corrections = self._talks[-1].corrections
        kept = [*(corrections or ())][number - 1 : number] if number else []
        for each in kept:
            if corrections is not None:
                corrections.delete(each.id)
        print_line(
            _("Deleted.") if kept else _("No correction has this number: see /fixes")
        )

    def _retry(self) -> None:
        if not self._talks[0].turns:
            say("No message to retry yet.")
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
