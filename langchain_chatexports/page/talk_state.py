"""A talk with a tuned model, its base beside it; in memory until one saves it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import compress

from langchain_chatexports.exceptions import ChatExportError, LocalServerError
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.page.work import Work
from langchain_chatexports.personas.talk import ChatSettings, Turn, Voice, bubbles_of
from langchain_chatexports.workflows.models import TunedModel
from langchain_chatexports.workflows.talk import Speaker, tuned_speaker, voices_on


class Talk:
    """What was said, and what the models answer.

    Attributes:
        model: The tuned model; `None` until the server that has it runs.
        chosen: The tuned model that was chosen last; `None` before the first.
        settings: How to talk.
        with_base: Whether the base answers, too.
        voices: Who answers; the last one is the tuned model.
        answering: Starts the model, and answers.
    """

    def __init__(self, use_server: Callable[[str | None], LocalServer]) -> None:
        """Initialize a talk with nobody.

        Args:
            use_server: Returns the local server of a base.
        """
        self.model: TunedModel | None = None
        self.chosen: TunedModel | None = None
        self.settings = ChatSettings()
        self.with_base = False
        self.voices: list[Voice] = []
        self.answering = Work()
        self._use_server = use_server
        self._speaker = Speaker()
        self._is_stopped = threading.Event()

    @property
    def lines(self) -> list[Turn]:
        """What was said, with the tuned model's answers."""
        return self.voices[-1].turns if self.voices else []

    def choose(self, model: TunedModel) -> bool:
        """Begin a new talk with a model; its server starts in the background.

        Args:
            model: The model.

        Returns:
            Whether that was started.
        """

        def begin() -> None:
            self.model = None
            title = model.person or model.short_name
            self._speaker = replace(tuned_speaker(model), title=title)
            self.voices = self._new_voices(model)
            # Only now can it be asked.
            self.model = model

        is_started = self.answering.start("Starting the model", begin)
        if is_started:
            self.chosen = model
        return is_started

    def _new_voices(self, model: TunedModel) -> list[Voice]:
        server = self._use_server(model.base)
        return voices_on(server, self._speaker, self.settings, with_base=True)

    def say(self, line: str) -> bool:
        """Say a line; the answers arrive in the background.

        Args:
            line: What the person says.

        Returns:
            Whether it was heard.
        """

        def hear() -> None:
            for voice in self.voices:
                voice.hear(line)

        return self._answer(hear)

    def again(self) -> bool:
        """Answer the last line again, and return whether that was started."""

        def forget() -> None:
            for voice in self.voices:
                voice.turns[-1:] = [Turn(voice.turns[-1].line)]

        return bool(self.lines) and self._answer(forget)

    def stop(self) -> None:
        """Keep what has arrived of the answers."""
        self._is_stopped.set()

    def clear(self) -> None:
        """Begin again with the same model."""
        self.stop()
        for voice in self.voices:
            voice.turns.clear()

    def to_json(self) -> str:
        """Return the talk, to be kept: JSON with a list of turns."""
        name = self.model.name if self.model else None
        turns = [
            {
                "you": turn.line,
                **{
                    voice.title: self.bubbles(voice, place)
                    for voice in self.shown_voices()
                },
            }
            for place, turn in enumerate(self.lines)
        ]
        settings = {"temperature": self.settings.temperature}
        talk = {"model": name, **settings, "turns": turns}
        return json.dumps(talk, ensure_ascii=False, indent=1)

    def bubbles(self, voice: Voice, place: int) -> list[str]:
        """Return the messages that a voice has answered to a line.

        Args:
            voice: The voice.
            place: Which line.
        """
        text = voice.turns[place].answer if place < len(voice.turns) else ""
        if voice.has_bubbles:
            return bubbles_of(text)
        return [text.strip()] if text.strip() else []

    def shown_voices(self) -> list[Voice]:
        """Return who answers, as it was chosen."""
        return list(compress(self.voices, [self.with_base, True]))

    def _answer(self, change: Callable[[], None]) -> bool:
        model = self.model
        if model is None or self.answering.is_running:
            return False
        self._is_stopped.clear()
        change()

        def answer() -> None:
            # The server can have been stopped, or restarted for another base.
            fresh = self._new_voices(model)
            for voice, new in zip(self.voices, fresh, strict=True):
                voice.model, voice.server = new.model, new.server
            # The tuned model is the one that is waited for.
            with _saying_if_server_ends():
                for voice in reversed(self.shown_voices()):
                    for _ in () if self._is_stopped.is_set() else voice.answer():
                        if self._is_stopped.is_set():
                            break

        return self.answering.start("Answering", answer)


@contextmanager
def _saying_if_server_ends() -> Iterator[None]:
    import httpx
    from openai import APIConnectionError

    try:
        yield
    except (ChatExportError, httpx.TransportError) as error:
        # The client raises the first before an answer, and the other in the middle.
        is_lost = isinstance(error, httpx.TransportError)
        if not is_lost and not isinstance(error.__cause__, APIConnectionError):
            raise
        msg = (
            "The model's program ended before the answer was whole: the memory of this "
            "machine may not be enough. Close other programs, and press Again: it is "
            "started anew."
        )
        raise LocalServerError(msg) from error
