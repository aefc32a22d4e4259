"""A talk with a tuned model or a person, the base beside it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import compress

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.languages import later
from langchain_chatexports.page.work import Work
from langchain_chatexports.personas.talk import ChatSettings, Turn, Voice
from langchain_chatexports.workflows.memory import memory_of
from langchain_chatexports.workflows.models import TunedModel
from langchain_chatexports.workflows.talk import (
    SavedTalk,
    Speaker,
    continue_talk,
    new_talk_id,
    save_turns,
    saved_talks,
    tuned_speaker,
    voices_on,
)

_SERVER_ENDED = later(
    "The model's program ended before the answer was complete: the memory of this "
    "machine may not be enough. Close other programs, and press Again to restart it."
)


class Talk:
    """The messages of a talk, and the answers of the models."""

    def __init__(self, use_server: Callable[[str | None], LocalServer]) -> None:
        # The model that answers, and the one chosen last; `None` for a person.
        self.model: TunedModel | None = None
        self.chosen: TunedModel | None = None
        self.settings = ChatSettings()
        self.with_base = False
        self.is_saved = True
        # The last one is the tuned model, or the person.
        self.voices: list[Voice] = []
        self.answering = Work()
        self._use_server = use_server
        self._speaker = Speaker()
        self._resources = ExitStack()
        self._id = new_talk_id()
        self._is_stopped = threading.Event()

    @property
    def is_ready(self) -> bool:
        return bool(self.voices)

    @property
    def lines(self) -> list[Turn]:
        """The messages, with the tuned model's answers."""
        return self.voices[-1].turns if self.voices else []

    @property
    def is_answering(self) -> bool:
        return self.is_ready and self.answering.is_running

    @property
    def can_answer_again(self) -> bool:
        return self.is_ready and bool(self.lines) and not self.answering.is_running

    @property
    def name(self) -> str:
        """The name of the model or person; empty before a talk."""
        return self.voices[-1].title if self.voices else ""

    def saved(self) -> list[SavedTalk]:
        """Return the other talks with the model, the last one first."""
        talks = saved_talks(self.model) if self.model else []
        return [talk for talk in talks if talk.id != self._id]

    def choose(self, model: TunedModel) -> bool:
        """Continue the last talk with a model; its server starts in the background."""
        title = model.person or model.short_name
        return self.begin(model, lambda: replace(tuned_speaker(model), title=title))

    def begin(
        self, model: TunedModel | None, meet: Callable[[], Speaker | None]
    ) -> bool:
        """Begin a new talk; the server starts in the background."""

        def start() -> None:
            self.leave()
            speaker = meet()
            if speaker is not None:
                self._speaker = speaker
                self._remember(speaker)
                voices, self._id = self._new_voices(), new_talk_id()
                if model is not None and self.is_saved:
                    self._id = continue_talk(voices, model) or self._id
                self.model, self.voices = model, voices

        is_started = self.answering.start(later("Starting the model"), start)
        if is_started:
            self.chosen = model
        return is_started

    def _remember(self, speaker: Speaker) -> None:
        """Open the memory of the person until the talk ends."""
        memory = memory_of(
            speaker.exports,
            person=speaker.person,
            language=speaker.language,
            only_if_quick=True,
        )
        opened = self._resources.enter_context(memory)
        self.settings = replace(self.settings, memory=opened)

    def leave(self) -> None:
        self.stop()
        self._resources.close()
        self.settings = replace(self.settings, memory=None)
        self.model, self.voices = None, []

    def _new_voices(self) -> list[Voice]:
        server = self._use_server(self._speaker.base)
        return voices_on(server, self._speaker, self.settings, with_base=True)

    def say(self, line: str) -> bool:
        """Send a line; the answers arrive in the background."""

        def hear() -> None:
            for voice in self.voices:
                voice.hear(line)

        return self._answer(hear)

    def edit(self, index: int, line: str) -> bool:
        """Replace a line, and remove all later ones."""

        def change() -> None:
            for voice in self.voices:
                voice.turns[index:] = []
                voice.hear(line)

        return index < len(self.lines) and self._answer(change)

    def again(self) -> bool:
        """Start to answer the last line again, and return whether it was possible."""

        def forget() -> None:
            for voice in self.voices:
                voice.turns[-1:] = [Turn(voice.turns[-1].line)]

        return bool(self.lines) and self._answer(forget)

    def stop(self) -> None:
        """Keep the received parts of the answers."""
        self._is_stopped.set()

    def open(self, talk_id: str | None = None) -> None:
        """Continue a saved talk with the same model, or begin a new one."""
        if self.model is not None and not self.answering.is_running:
            self._clear_lines()
            self._id = talk_id or new_talk_id()
            if talk_id:
                continue_talk(self.voices, self.model, talk_id)

    def delete(self) -> None:
        """Delete this talk, and begin a new one."""
        if not self.answering.is_running:
            self._clear_lines()
            self.save()

    def _clear_lines(self) -> None:
        for voice in self.voices:
            voice.turns.clear()

    def save(self) -> None:
        """Save the talk with its model, or delete the saved one."""
        if self.model is not None:
            lines = self.lines if self.is_saved else ()
            save_turns(self.model, lines, self._id)

    def bubbles(self, voice: Voice, index: int) -> list[str]:
        return voice.bubbles(voice.turns[index]) if index < len(voice.turns) else []

    def shown_voices(self) -> list[Voice]:
        return list(compress(self.voices, [self.with_base, True]))

    def _answer(self, change: Callable[[], None]) -> bool:
        if not self.is_ready or self.answering.is_running:
            return False
        self._is_stopped.clear()
        change()

        def answer() -> None:
            # The server may have been stopped, or restarted for another base.
            fresh = self._new_voices()
            for voice, new in zip(self.voices, fresh, strict=True):
                voice.model, voice.server = new.model, new.server
                voice.recalling = new.recalling
            # The main voice, listed last, answers first; the base is for comparison.
            with _saying_if_server_ends():
                for voice in reversed(self.shown_voices()):
                    for _ in () if self._is_stopped.is_set() else voice.answer():
                        if self._is_stopped.is_set():
                            break
            if self.is_saved:
                self.save()

        return self.answering.start(later("Answering"), answer)


@contextmanager
def _saying_if_server_ends() -> Iterator[None]:
    import httpx
    from openai import APIConnectionError

    try:
        yield
    except (ChatExportError, httpx.TransportError) as error:
        # `ChatExportError` comes before an answer, `TransportError` during one.
        is_lost = isinstance(error, httpx.TransportError)
        if not is_lost and not isinstance(error.__cause__, APIConnectionError):
            raise
        raise PageError(_SERVER_ENDED) from error
