"""Show replies from one or more models in columns, in lines or as JSON."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from langchain_chatexports.cli._console import printable_lines, stdin_is_terminal
from langchain_chatexports.personas.reply_limits import split_bubbles, typing_seconds
from langchain_chatexports.personas.talk import Talk, short_titles

_FRAMES_PER_SECOND = 12
_SECONDS_BETWEEN_POLLS = 0.05
_MIN_COLUMN_WIDTH = 28
_MAX_SILENT_SECONDS = 4


def show_replies(talks: Sequence[Talk]) -> None:
    """Reply to the last message: side by side in a terminal, otherwise in turn."""
    console = Console()
    if not console.is_terminal:
        for talk in talks:
            _write_text(f"{talk.title}: " if len(talks) > 1 else "", talk)
        return
    # No standard name exists; this one follows NO_COLOR.
    is_paced = not (console.is_dumb_terminal or os.environ.get("NO_MOTION"))
    titles = zip(short_titles(talks), talks, strict=True)
    replies = [
        StreamedReply(title, talk.answer(), talk.has_bubbles, is_paced)
        for title, talk in titles
    ]
    try:
        show_side_by_side(console, replies)
    finally:
        for talk, reply in zip(talks, replies, strict=True):
            talk.stop()
            # The talk continues from what was shown.
            if reply.has_bubbles and len(reply.bubbles()) > len(reply.visible()):
                talk.turns[-1].answer = "\n\n".join(reply.visible())
            talk.turns[-1].received = reply.times


def write_json(talks: Sequence[Talk]) -> None:
    """Write each reply as a line of JSON."""
    for talk in talks:
        for _ in talk.answer():
            pass
        reply = {
            "model": talk.title,
            "text": talk.last_answer,
            "bubbles": talk.bubbles(talk.turns[-1]),
        }
        if cited := talk.turns[-1].cited:
            reply["said"] = cited
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


def _write_text(title: str, talk: Talk) -> None:
    sys.stdout.write(title)
    try:
        for piece in talk.answer():
            sys.stdout.write(piece)
            sys.stdout.flush()
    finally:
        sys.stdout.write("\n")
        sys.stdout.flush()


@dataclass
class StreamedReply:
    """A model's reply, read in a thread."""

    title: str
    pieces: Iterable[str]
    has_bubbles: bool = False
    is_paced: bool = False
    """Whether its messages appear one after another, as if they had to be typed."""

    text: str = ""
    is_complete: bool = False
    started: float = field(default_factory=time.monotonic)
    times: list[float] = field(default_factory=list)
    """When each message was completely shown, in Unix seconds."""

    error: Exception | None = None

    def read(self, stop: threading.Event) -> None:
        """Read until the reply is complete or `stop` is set."""
        try:
            for piece in self.pieces:
                if stop.is_set():
                    return
                self.text += piece
            self.is_complete = True
        except Exception as error:  # noqa: BLE001 - raised by `show_side_by_side`
            self.error = error
            stop.set()

    def bubbles(self) -> list[str]:
        """Return the messages received so far."""
        text = printable_lines(self.text).strip()
        return split_bubbles(text) if self.has_bubbles else [text] if text else []

    def visible(self) -> list[str]:
        """Return the messages to show; the first one grows while it is received."""
        bubbles = self.bubbles()
        return bubbles[: max(1, len(self.times))] if self.is_paced else bubbles

    def reveal(self) -> bool:
        """Show the next message if it is time, and return whether all are shown."""
        is_complete = self.is_complete
        bubbles = self.bubbles()
        shown, now = len(self.times), time.time()
        for bubble in bubbles[shown : len(bubbles) - (not is_complete)]:
            if self.is_paced and self.times:
                waited = now - self.times[-1]
                if 0 <= waited < typing_seconds(bubble):
                    return False
            self.times.append(now)
        return is_complete and len(self.times) == len(bubbles)


def show_side_by_side(console: Console, replies: Sequence[StreamedReply]) -> None:
    """Stream several replies in columns.

    A narrow terminal stacks them. If a reply failed, its error is raised here.
    """
    stop = threading.Event()
    # Daemon threads: neither Ctrl-C nor exit waits for a slow server.
    threads = [
        threading.Thread(target=reply.read, args=(stop,), daemon=True)
        for reply in replies
    ]
    with (
        _hidden_typing(),
        Live(
            get_renderable=lambda: _render_columns(replies, console.width),
            console=console,
            refresh_per_second=_FRAMES_PER_SECOND,
        ),
    ):
        try:
            for thread in threads:
                thread.start()
            while [reply for reply in replies if not reply.reveal()]:
                if stop.wait(_SECONDS_BETWEEN_POLLS):
                    break
        finally:
            stop.set()
    for reply in replies:
        if reply.error is not None:
            raise reply.error


@contextmanager
def _hidden_typing() -> Iterator[None]:
    """Do not show what is typed, which would break the boxes; the prompt gets it."""
    if sys.platform == "win32" or not stdin_is_terminal():
        yield
        return
    import termios

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    hidden = [*before]
    hidden[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, hidden)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


def _render_columns(replies: Sequence[StreamedReply], width: int) -> RenderableType:
    columns = [_render_column(reply) for reply in replies]
    if width < _MIN_COLUMN_WIDTH * len(replies):
        return Group(*columns)
    table = Table.grid(expand=True)
    for _ in replies:
        table.add_column(ratio=1)
    table.add_row(*columns)
    return table


def _render_column(reply: StreamedReply) -> RenderableType:
    seconds = round(time.monotonic() - reply.started)
    waiting = f"… {seconds} s" if seconds > _MAX_SILENT_SECONDS else "…"
    first, *rest = reply.visible() or ["" if reply.is_complete else waiting]
    # `Text` does not interpret markup in a model's reply.
    title = Text(printable_lines(reply.title), style="bold")
    first_panel = Panel(Text(first), title=title, title_align="left")
    return Group(first_panel, *(Panel(Text(message)) for message in rest))
