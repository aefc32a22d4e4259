"""Show the answers of one or several models in columns, in lines or as JSON."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from langchain_chatexports.cli._console import printable_lines
from langchain_chatexports.personas.reply_limits import bubbles_of
from langchain_chatexports.personas.talk import Voice, short_titles

_FRAMES_PER_SECOND = 12
_SECONDS_BETWEEN_POLLS = 0.05
_MIN_COLUMN_WIDTH = 28


def show_answers(voices: Sequence[Voice]) -> None:
    """Answer the last message: side by side at a terminal, else one after another."""
    console = Console()
    if not console.is_terminal:
        for voice in voices:
            _write_plainly(f"{voice.title}: " if len(voices) > 1 else "", voice)
        return
    titles = zip(short_titles(voices), voices, strict=True)
    show_side_by_side(
        console,
        [Answer(title, voice.answer(), voice.has_bubbles) for title, voice in titles],
    )


def write_json(voices: Sequence[Voice]) -> None:
    """Answer each input line with a line of JSON."""
    for voice in voices:
        for _ in voice.answer():
            pass
        answer = {
            "model": voice.title,
            "text": voice.last,
            "bubbles": voice.bubbles(voice.turns[-1]),
        }
        if cited := voice.turns[-1].cited:
            answer["said"] = cited
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _write_plainly(title: str, voice: Voice) -> None:
    sys.stdout.write(title)
    try:
        for piece in voice.answer():
            sys.stdout.write(piece)
            sys.stdout.flush()
    finally:
        sys.stdout.write("\n")
        sys.stdout.flush()


@dataclass
class Answer:
    """One model's answer, which is read in a thread."""

    title: str
    pieces: Iterable[str]
    has_bubbles: bool = False
    text: str = ""
    is_complete: bool = False
    error: Exception | None = None

    def read(self, is_over: threading.Event) -> None:
        """Read the answer to its end, or until `is_over` is set."""
        try:
            for piece in self.pieces:
                if is_over.is_set():
                    return
                self.text += piece
            self.is_complete = True
        except Exception as error:  # noqa: BLE001 - raised where the answers are shown
            self.error = error
            is_over.set()


def show_side_by_side(console: Console, answers: Sequence[Answer]) -> None:
    """Show several answers in columns while they arrive.

    A narrow terminal shows them below each other. Errors of an answer are raised here.
    """
    is_over = threading.Event()
    # Daemons, so that neither Ctrl-C nor the program's end waits for a slow server.
    threads = [
        threading.Thread(target=answer.read, args=(is_over,), daemon=True)
        for answer in answers
    ]
    with Live(
        get_renderable=lambda: _columns(answers, console.width),
        console=console,
        refresh_per_second=_FRAMES_PER_SECOND,
    ):
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                if is_over.wait(_SECONDS_BETWEEN_POLLS):
                    break
        finally:
            is_over.set()
    for answer in answers:
        if answer.error is not None:
            raise answer.error


def _columns(answers: Sequence[Answer], width: int) -> RenderableType:
    shown = [_column(answer) for answer in answers]
    if width < _MIN_COLUMN_WIDTH * len(answers):
        return Group(*shown)
    table = Table.grid(expand=True)
    for _ in answers:
        table.add_column(ratio=1)
    table.add_row(*shown)
    return table


def _column(answer: Answer) -> RenderableType:
    text = printable_lines(answer.text).strip()
    waiting = "" if answer.is_complete else "…"
    texts = bubbles_of(text) if answer.has_bubbles else [text]
    first, *others = texts if text else [waiting]
    # A `Text`, so that a model's words are not read as markup.
    title = Text(printable_lines(answer.title), style="bold")
    panels = [Panel(Text(first), title=title, title_align="left")]
    return Group(*panels, *(Panel(Text(text)) for text in others))
