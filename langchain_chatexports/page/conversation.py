"""A talk with a person: its messages, its rhythm and what is kept of it.

All tabs show the same. It lives on the event loop; what blocks is in threads.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import count
from statistics import median
from typing import Any

from langchain_chatexports._serving import log_error_location
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import Base
from langchain_chatexports.page.errors import (
    Failure,
    PageError,
    translate_error,
    translate_reply_error,
)
from langchain_chatexports.page.languages import lazy_gettext
from langchain_chatexports.page.messages import (
    Author,
    TalkState,
    Version,
    any_reply,
    missing_replies,
    reply_of,
    to_messages,
    to_text,
)
from langchain_chatexports.page.people import Person, list_people, person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.snapshot import Published
from langchain_chatexports.page.speakers import Loaded, SpeakerLoader
from langchain_chatexports.personas.reply_limits import split_bubbles, typing_seconds
from langchain_chatexports.personas.talk import Talk, Turn, correct_last
from langchain_chatexports.workflows.bases import download_base
from langchain_chatexports.workflows.saved_talks import (
    SavedTalk,
    model_talks,
    new_talk_id,
)

# Until the dots are shown, then the usual time, and then that it is slow today.
_WAITS = {"shortly": 0.4, "long": 7.6, "very long": 52.0}
_MAX_USUAL_TURNS, _MAX_USUAL_SECONDS = 20, 900.0
_BLANK_LINES = re.compile(r"\n\s*\n")
_NO_ANSWER = lazy_gettext("The model had no answer.")
_DOWNLOADING = lazy_gettext("Downloading the language model")


class Conversations:
    """The talks with all people, which all tabs share."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._by_person: dict[str, Conversation] = {}
        session.published.watch(list_people, self._update)

    def get(self, person: Person) -> Conversation:
        if person.key not in self._by_person:
            self._by_person[person.key] = Conversation(self._session, person)
        return self._by_person[person.key]

    def _update(self, people: Sequence[Person]) -> None:
        known = {person.key: person for person in people}
        for key, conversation in self._by_person.items():
            conversation.update_person(known.get(key))


class Conversation:
    """The talks with a person, one of which is open."""

    def __init__(self, session: PageSession, person: Person) -> None:
        self.published = Published(TalkState())
        self.person = person
        self.draft = ""
        # What was written in place of messages, and not kept, by turn and message.
        self.unsent: dict[tuple[int, str], str] = {}
        self._session = session
        self._speakers = SpeakerLoader(session)
        self._folder = session.stored.people_talks
        """Where the open talk is kept."""

        self._turns: dict[int, Turn] = {}
        self._numbers = count(1)
        self._read = 0
        """The turn that the model has read, and may not have answered."""

        self._is_opened = False
        # Whether the open talk was in the list of kept ones.
        self._is_listed = False
        self._reply: asyncio.Task[None] | None = None
        self._clock: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> TalkState:
        return self.published.value

    # What the reader does

    async def open(self) -> None:
        """Open the newest talk, the first time."""
        if not self._is_opened:
            self._is_opened = True
            await self.open_talk(self.person.talk)
            self._start(self._look())

    async def open_talk(self, talk: SavedTalk | None = None) -> None:
        """Open a kept talk, or a new one."""
        if talk is not None and talk.id == self.state.talk_id:
            return
        if self._saving is not None:  # In the talk that was open until now.
            await self._saving
        if talk is not None:
            talk = await asyncio.to_thread(talk.folder.get, talk.id)
        self.stop()
        model, people = self.person.model, self._session.stored.people_talks
        folder = model_talks(model) if model else people
        self._folder = talk.folder if talk else folder
        self._fill(talk.turns if talk else [], talk.draft if talk else "")
        talk_id = talk.id if talk else new_talk_id()
        self._show(talk_id=talk_id, version="after", is_kept=True)
        self._is_listed = self._is_in_list()

    def kept_talks(self) -> list[SavedTalk]:
        """Return the person's talks, newest first."""
        talks = self._session.published.value.talks
        return [talk for talk in talks if person_key(talk.person) == self.person.key]

    def send(self, text: str) -> None:
        """Add a message; what is not yet shown of a reply is dropped."""
        text = _BLANK_LINES.sub("\n", text.strip())
        if not text:
            return
        self.stop()
        self._read, turn = 0, self._last
        if turn is not None and not any_reply(turn):
            turn.line += f"\n\n{text}"
            turn.sent.append(time.time())
        else:
            self._turns[next(self._numbers)] = Turn(text, sent=[time.time()])
        self.draft = ""
        self._save()
        self.answer()

    def answer(self) -> None:
        """Answer the last message; also what *Try again* does."""
        self.stop()
        if turn := self._last:
            self._show(phase="waking", expected_seconds=self._speakers.waking_seconds)
            self._reply = self._start(self._answer(turn))
            self._clock = self._start(self._count_time())

    def stop(self) -> None:
        """Stop the reply; what is shown of it stays."""
        if self._reply is not None:
            self._reply.cancel()
        self._end(None)

    def edit(self, number: int, text: str) -> None:
        """Replace a message, and drop all that follows."""
        if number in self._turns:
            self._drop_from(number)
            self.send(text)

    def delete_from(self, number: int) -> None:
        """Delete a message, and all that follows, unless another tab did."""
        if number in self._turns:
            self._drop_from(number)
            self._save()

    def _drop_from(self, number: int) -> None:
        self.stop()
        self._turns = {n: turn for n, turn in self._turns.items() if n < number}
        self._show()

    async def correct(self, number: int, better: str) -> Failure | None:
        """Keep what the person would have said, or only "not that"; return a failure.

        The talk continues from it; "not that" of the last reply is answered again.
        """
        try:
            speaker = (await self._load()).speaker
            if number not in self._turns:
                raise PageError(lazy_gettext("This message was deleted."))
            turn = self._turns[number]
            if turn is self._last:
                self.stop()
            voice = speaker.voice if speaker else None
            corrections = voice.corrections if voice else None
            turns = [turn for n, turn in self._turns.items() if n <= number]
            model = ((speaker.model or speaker.base) if speaker else None) or ""
            await asyncio.to_thread(
                correct_last, corrections, turns, better, model=model
            )
        except (ChatExportError, OSError) as error:
            return translate_error(error)
        self._show()
        self._save()
        if turn is self._last and not better.strip():
            self.answer_again()
        return None

    def answer_again(self) -> None:
        """Replace the last reply by another one."""
        if turn := self._last:
            if self.state.version == "before":
                turn.base_answer = ""
            else:
                turn.answer, turn.received, turn.is_corrected = "", [], False
            self.answer()

    def set_version(self, version: Version) -> None:
        """Show the replies with or without training; the last one is asked for."""
        self.stop()
        self._show(version=version)
        if self.state.is_unanswered:
            self.answer()

    def set_draft(self, text: str) -> None:
        """Keep what was written, and not sent."""
        if text != self.draft:
            self.draft = text
            self._save()

    def set_kept(self, is_kept: bool) -> None:
        """Keep this talk, or not."""
        self._show(is_kept=is_kept)
        self._save()

    async def set_strength(self, strength: float) -> None:
        if model := self.person.model:
            change = self._session.workspace.models.set_strength
            try:
                await asyncio.to_thread(change, model.name, strength)
            except (ChatExportError, OSError) as error:
                self._show(failure=translate_error(error))
            self._session.poller.poke()

    async def delete(self) -> None:
        self.stop()
        self._fill([])
        self._save()
        await self.open_talk()

    def export(self) -> str:
        return to_text(self.state.messages, self.person.name)

    @property
    def usual_seconds(self) -> float | None:
        seconds = [
            turn.received[0] - turn.sent[-1]
            for turn in [*self._turns.values()][-_MAX_USUAL_TURNS:]
            if turn.sent and turn.received
        ]
        usual = [each for each in seconds if 0 < each < _MAX_USUAL_SECONDS]
        return median(usual) if usual else None

    # The language model

    def download(self) -> None:
        """Download the offered language model, and answer; it can be resumed."""
        if self.state.offer is None:
            return
        base, work = self.state.offer.base, self._session.downloading
        loop = asyncio.get_running_loop()

        def download() -> None:
            download_base(base, work.watch, check=work.check)
            loop.call_soon_threadsafe(self.use_base, base)

        work.start(_DOWNLOADING, download)

    def use_base(self, base: Base) -> None:
        """Talk with a language model that is on this computer."""
        self._speakers.base = base.id
        self._show(offer=None)
        if (turn := self._last) and not any_reply(turn):
            self.answer()
        else:
            self._start(self._look())

    # What happens elsewhere

    def update_person(self, person: Person | None) -> None:
        """Follow a change of the models and exports."""
        if person is None:
            person = replace(self.person, model=None, messages=0, training=None)
        self.person = person
        models = {m.name for m in self._session.published.value.stored.models}
        has_model = not self._folder.model or self._folder.model in models
        if not has_model or self._is_deleted():
            # Nothing must bring it back.
            self.stop()
            self._folder = self._session.stored.people_talks
            self._fill([])
            self._show(talk_id=new_talk_id(), openings=())
        if self._is_opened:
            self._start(self._look())

    # Answers

    async def _answer(self, turn: Turn) -> None:
        failure: Failure | None = None
        try:
            async with self._session.answering:
                if (await self._load()).offer is not None:
                    return
                base, main = await self._speakers.wake()
                self._show(phase="reading", expected_seconds=self.usual_seconds)
                for author in missing_replies(turn, self.state.version):
                    talk = base if author == "base" else main
                    talk.turns = [
                        Turn(each.line, reply_of(each, author) or any_reply(each))
                        for each in self._turns.values()
                        if each is not turn
                    ]
                    talk.add_line(turn.line)
                    await self._read_reply(talk, turn, author)
            if missing_replies(turn, self.state.version):
                failure = Failure(_NO_ANSWER)
        except Exception as error:  # noqa: BLE001 - its text can quote the talk.
            if not isinstance(error, (ChatExportError, OSError)):
                log_error_location(error)
            failure = translate_reply_error(error)
        finally:
            if self._reply is asyncio.current_task():  # Otherwise the next one runs.
                self._end(failure)

    async def _read_reply(self, talk: Talk, turn: Turn, author: Author) -> None:
        """Show each message of a reply when it is complete."""
        text, shown, shown_at = "", 0, 0.0
        async with aclosing(talk.aanswer()) as pieces:
            async for piece in _end_line(pieces):
                if not text:
                    self._read = max(self._turns)
                    self._show(phase="typing")
                text += piece
                for bubble in split_bubbles(text.rpartition("\n")[0])[shown:]:
                    if shown:
                        # A model that is slower than the person waits for nothing.
                        ready_at = shown_at + typing_seconds(bubble)
                        await asyncio.sleep(ready_at - time.monotonic())
                    self._add_bubble(turn, author, bubble)
                    shown, shown_at = shown + 1, time.monotonic()
        if author == "model":
            turn.is_cut, turn.cited = talk.turns[-1].is_cut, talk.turns[-1].cited
        self._show()
        self._save()

    def _add_bubble(self, turn: Turn, author: Author, bubble: str) -> None:
        reply = "\n\n".join(filter(None, (reply_of(turn, author), bubble)))
        if author == "base":
            turn.base_answer = reply
        else:
            turn.answer = reply
            turn.received.append(time.time())
        self._show()
        self._save()

    async def _count_time(self) -> None:
        for waited, seconds in _WAITS.items():
            await asyncio.sleep(seconds)
            self._show(waited=waited)

    async def _look(self) -> None:
        """Read the person in the background: openings, and what is missing."""
        try:
            await self._load()
            # The client takes seconds to import: before the first message, not after.
            await asyncio.to_thread(import_module, "langchain_openai")
        except (ChatExportError, OSError) as error:
            self._show(failure=translate_error(error))
        except Exception as error:  # noqa: BLE001 - its text can quote chats.
            log_error_location(error)

    async def _load(self) -> Loaded:
        loaded = await self._speakers.load(self.person)
        self._show(openings=loaded.openings, offer=loaded.offer)
        return loaded

    # State

    @property
    def _last(self) -> Turn | None:
        return next(reversed(self._turns.values()), None)

    def _fill(self, turns: list[Turn], draft: str = "") -> None:
        self._turns = {next(self._numbers): turn for turn in turns}
        self.draft = draft

    def _end(self, failure: Failure | None) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._reply = None
        self._show(phase="", waited="", failure=failure)

    def _show(self, **changes: Any) -> None:
        state = replace(self.state, **changes)
        messages = to_messages(self._turns, state.version, read=self._read)
        is_unanswered = bool(missing_replies(self._last, state.version))
        self.published.publish(
            replace(state, messages=tuple(messages), is_unanswered=is_unanswered)
        )

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # What is kept

    def _is_deleted(self) -> bool:
        """Return whether the open talk was deleted elsewhere."""
        if self._saving is not None and not self._saving.done():
            return False  # An emptied talk has no file for a moment.
        was_listed, self._is_listed = self._is_listed, self._is_in_list()
        if not was_listed or self._is_listed or not self.state.is_kept:
            return False
        # One that could not be read for a moment is not deleted.
        return bool(self._turns) and not self._folder.has(self.state.talk_id)

    def _is_in_list(self) -> bool:
        return any(talk.id == self.state.talk_id for talk in self.kept_talks())

    def _save(self) -> None:
        folder, person = self._folder, self.person.name
        turns = [replace(turn) for turn in self._turns.values()]
        talk_id, draft = self.state.talk_id, self.draft
        write = partial(folder.save, talk_id, turns, person=person, draft=draft)
        if not self.state.is_kept:
            write = partial(folder.delete, talk_id)
        self._saving = self._start(self._write(write, self._saving))

    async def _write(
        self, write: Callable[[], None], before: asyncio.Task[None] | None
    ) -> None:
        failure = None
        try:
            if before is not None:
                await before
            await asyncio.to_thread(write)
        except FileNotFoundError:  # The model was deleted.
            pass
        except (ChatExportError, OSError) as error:
            failure = translate_error(error)
        self._show(keep_failure=failure)
        self._session.poller.poke()


async def _end_line(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    async for piece in pieces:
        yield piece
    yield "\n"
