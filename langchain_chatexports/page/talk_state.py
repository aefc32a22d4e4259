"""State of a talk with a tuned model or a person, optionally next to the base."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import compress

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import LocalServer, Model, Workspace
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.languages import lazy_gettext
from langchain_chatexports.page.work import Work
from langchain_chatexports.personas.talk import ChatSettings, Turn
from langchain_chatexports.personas.talk import Talk as ModelTalk
from langchain_chatexports.workflows.memory import open_memory
from langchain_chatexports.workflows.saved_talks import (
    SavedTalk,
    list_saved_talks,
    new_talk_id,
    resume_talk,
    save_turns,
)
from langchain_chatexports.workflows.talk import (
    Speaker,
    create_talks,
    load_tuned_speaker,
)

_ANSWER_LOST = lazy_gettext(
    "The model stopped before its reply was complete, possibly because memory ran "
    "out. Close other programs, and click Again to restart it."
)


class Talk:
    """A talk: its messages, and the models that reply."""

    def __init__(
        self, workspace: Workspace, use_server: Callable[[str | None], LocalServer]
    ) -> None:
        # The current model, and the last chosen one; `None` for a person.
        self.model: Model | None = None
        self.chosen: Model | None = None
        self.settings = ChatSettings()
        self.with_base = False
        self.is_saved = True
        # The base first, and the tuned model or the person last.
        self.voices: list[ModelTalk] = []
        self.reply_work = Work()
        self._workspace = workspace
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
        """The messages, with the tuned model's replies."""
        return self.voices[-1].turns if self.voices else []

    @property
    def is_answering(self) -> bool:
        return self.is_ready and self.reply_work.is_running

    @property
    def can_regenerate(self) -> bool:
        return self.is_ready and bool(self.lines) and not self.reply_work.is_running

    @property
    def name(self) -> str:
        """The name of the model or person; empty before a talk."""
        return self.voices[-1].title if self.voices else ""

    def saved(self) -> list[SavedTalk]:
        """Return the other saved talks with the model, newest first."""
        talks = list_saved_talks(self.model) if self.model else []
        return [talk for talk in talks if talk.id != self._id]

    def choose(self, model: Model) -> bool:
        """Continue the last talk with a model; its server starts in the background."""
        title = model.person or model.short_name
        return self.start(
            model,
            lambda: replace(load_tuned_speaker(self._workspace, model), title=title),
        )

    def start(
        self, model: Model | None, find_speaker: Callable[[], Speaker | None]
    ) -> bool:
        """Start a talk; the server starts in the background."""

        def prepare() -> None:
            self.end()
            speaker = find_speaker()
            if speaker is not None:
                self._speaker = speaker
                self._open_memory(speaker)
                voices, self._id = self._new_voices(), new_talk_id()
                if model is not None and self.is_saved:
                    self._id = resume_talk(voices, model) or self._id
                self.model, self.voices = model, voices

        is_started = self.reply_work.start(lazy_gettext("Starting the model"), prepare)
        if is_started:
            self.chosen = model
        return is_started

    def _open_memory(self, speaker: Speaker) -> None:
        """Open the person's memory for this talk."""
        memory = open_memory(
            speaker.exports,
            person=speaker.person,
            language=speaker.language,
            only_if_quick=True,
        )
        memory_function = self._resources.enter_context(memory)
        self.settings = replace(self.settings, memory=memory_function)

    def end(self) -> None:
        """End the talk without deleting its saved copy."""
        self.stop()
        self._resources.close()
        self.settings = replace(self.settings, memory=None)
        self.model, self.voices = None, []

    def _new_voices(self) -> list[ModelTalk]:
        server = self._use_server(self._speaker.base)
        return create_talks(server, self._speaker, self.settings, with_base=True)

    def send(self, line: str) -> bool:
        """Send a message; replies arrive in the background."""

        def add() -> None:
            for voice in self.voices:
                voice.add_line(line)

        return self._answer(add)

    def edit(self, index: int, line: str) -> bool:
        """Replace a message, and remove all later ones."""

        def change() -> None:
            for voice in self.voices:
                voice.turns[index:] = []
                voice.add_line(line)

        return index < len(self.lines) and self._answer(change)

    def regenerate(self) -> bool:
        """Regenerate the last reply in the background; return whether it started."""

        def remove_answers() -> None:
            for voice in self.voices:
                voice.turns[-1:] = [Turn(voice.turns[-1].line)]

        return bool(self.lines) and self._answer(remove_answers)

    def stop(self) -> None:
        """Stop replies, and keep the received text."""
        self._is_stopped.set()

    def open(self, talk_id: str | None = None) -> None:
        """Continue a saved talk with the same model, or start a new one."""
        if self.model is not None and not self.reply_work.is_running:
            self._clear_lines()
            self._id = talk_id or new_talk_id()
            if talk_id:
                resume_talk(self.voices, self.model, talk_id)

    def delete(self) -> None:
        """Delete this talk, and start a new one."""
        if not self.reply_work.is_running:
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

    def bubbles(self, voice: ModelTalk, index: int) -> list[str]:
        return voice.bubbles(voice.turns[index]) if index < len(voice.turns) else []

    def shown_voices(self) -> list[ModelTalk]:
        return list(compress(self.voices, [self.with_base, True]))

    def _answer(self, change: Callable[[], None]) -> bool:
        if not self.is_ready or self.reply_work.is_running:
            return False
        self._is_stopped.clear()
        change()

        def answer() -> None:
            # The server may have been stopped for another base.
            for voice, new in zip(self.voices, self._new_voices(), strict=True):
                voice.model, voice.server = new.model, new.server
                voice.recall_model = new.recall_model
            # The last voice replies first, since the base is only for comparison.
            with _translate_connection_errors():
                for voice in reversed(self.shown_voices()):
                    for _ in () if self._is_stopped.is_set() else voice.answer():
                        if self._is_stopped.is_set():
                            break
            if self.is_saved:
                self.save()

        return self.reply_work.start(lazy_gettext("Answering"), answer)


@contextmanager
def _translate_connection_errors() -> Iterator[None]:
    import httpx
    from openai import APIConnectionError, InternalServerError

    try:
        yield
    except (ChatExportError, httpx.TransportError) as error:
        # If the model's process ends, this is a `ChatExportError` before a reply, and a
        # `TransportError` during one.
        causes = (error, error.__cause__)
        connection_errors = (
            httpx.TransportError,
            APIConnectionError,
            InternalServerError,
        )
        if not any(isinstance(cause, connection_errors) for cause in causes):
            raise
        raise PageError(_ANSWER_LOST) from error
