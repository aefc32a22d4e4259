"""Redaction of sessions: names and private numbers become stand-ins."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import ConfigDict, Field, SecretStr, field_validator

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.steps.base import SessionTransform, iter_sessions

if TYPE_CHECKING:
    from collections import Counter

    from langchain_core.chat_sessions import ChatSession
    from langchain_core.messages import BaseMessage
    from typing_extensions import Self

    from langchain_chatexports.redaction.redactor import Redactor
    from langchain_chatexports.redaction.spans import Span
    from langchain_chatexports.steps.base import SessionSource

__all__ = ["Redact", "names_of_export"]

_LISTS_OF_NAMES = ("participants", "handles", "nicknames", "members", "contacts")
_KEYS_OF_NAMES = ("sender", "nickname", "handle", "actor", "author")
_LISTS_WITH_NAMES = ("reactions", "reply_to", "edits")
_BYTES_OF_PARTS = frozenset({"data", "base64"})


class Redact(SessionTransform):
    """Replace what is private: the export's own names, and what has a private form.

    - Names, nicknames and handles, as senders, in texts, reactions and metadata, become
      words that can be spoken, one for each word: `Ann Lee` and `ann` stay one person.
    - Telephone numbers, e-mail addresses, links with secrets, card and account numbers,
      one-time codes, passwords, keys of services, street addresses and the paths of
      attachments become placeholders such as `[phone-0c9d4b51aa]`. Ids of sessions are
      replaced as well, and ids of messages that hold something private.
    - All of `additional_kwargs` and of the metadata is looked through. What stands
      under a key that no loader here writes is taken for a text, or for a path if it
      looks like one; what is no JSON is left out.

    A stand-in depends on the key and on what it stands for, alone, so it is the same
    in the whole export, in any order and in any process. Rules find what they know:
    read a sample before you hand anything on. Neither `repr` nor a dump nor an error
    holds key or names, so a step that was loaded from a dump must be given them again;
    a pickle holds both, for processes of your own.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    key: SecretStr | None = Field(default=None, exclude=True, repr=False, min_length=1)
    """The secret that the stand-ins depend on. Keep it, and the stand-ins stay the same
    in the next export; it stays on this machine."""

    names: tuple[str, ...] = Field(default=(), exclude=True, repr=False)
    """The names to find in texts; see `for_export`."""

    presidio: str | None = Field(default=None, min_length=1)
    """An installed spaCy pipeline, such as `en_core_web_lg`: Presidio looks through all
    texts too, for names that are not the export's above all (the extra `pii`)."""

    @field_validator("names", mode="before")
    @classmethod
    def _sorted_names(cls, value: Any) -> Any:
        # Any collection of names is taken; a tuple in one order is hashable and equal.
        if isinstance(value, Collection) and not isinstance(value, (str, bytes)):
            if all(isinstance(name, str) for name in value):
                return tuple(sorted({name.strip() for name in value} - {""}))
            return tuple(value)
        return value

    @classmethod
    def for_export(
        cls,
        loader: SessionSource,
        *,
        key: SecretStr | str | None = None,
        names: Iterable[str] = (),
        presidio: str | None = None,
    ) -> Self:
        """Make the step for an export, in one pass over its names.

        Args:
            loader: The export's loader (or sessions), before any step.
            key: The key; a new one if there is none. Keep `step.key` where you keep
                other secrets, to undo the redaction and to redact the next export in
                the same way.
            names: Further names to find, such as nicknames that only texts use.
            presidio: As the field.

        Returns:
            The step.

        Raises:
            ValueError: If two names have one stand-in under the given key, or a
                stand-in is a name (about once in a million exports): choose another.
        """
        from langchain_chatexports.redaction.key_file import new_key

        found = {*names_of_export(loader), *names}
        while True:
            secret = new_key() if key is None else key
            step = cls(key=secret, names=found, presidio=presidio)
            redactor = step._redactor()
            stand_ins = redactor.names_of_stand_ins()
            surfaces = redactor.gazetteer.surfaces
            is_apart = surfaces.keys().isdisjoint(map(str.lower, stand_ins))
            if is_apart and len(stand_ins) == len(surfaces):
                return step
            if key is not None:
                msg = (
                    "Two names have one stand-in under this key, or a stand-in is a "
                    "name of the export: choose another key."
                )
                raise ValueError(msg)

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Replace what is private in one session."""
        return (_redacted(session, self._redactor()),)

    def counting_transform(
        self, sessions: SessionSource, notes: Counter[str]
    ) -> Iterator[ChatSession]:
        """Replace what is private, and count it: places in texts, by kind.

        Args:
            sessions: A loader, a session or an iterable of sessions.
            notes: Where to count.

        Yields:
            The new sessions.
        """
        # Not the shared one: this one takes notes.
        redactor = _new_redactor(self._secret(), self.names, self.presidio)
        redactor.notes = notes
        with closing(iter_sessions(sessions)) as source:
            for session in source:
                yield _redacted(session, redactor)
                del session

    def pseudonym(self, name: str) -> str:
        """Return the stand-in of a name, such as the sender for `MapAIMessages`.

        Args:
            name: The name as the export writes it.

        Returns:
            What senders of that name are called after this step.
        """
        return self._redactor().name(name)

    def find(self, text: str) -> list[Span]:
        """Find what this step would replace in a text.

        Args:
            text: The text.

        Returns:
            The places, in order and without overlap.
        """
        return self._redactor().spans(text)

    def undo_map(self, sessions: SessionSource = ()) -> dict[str, str]:
        """Return what each stand-in stands for, for `restore` and `write_undo_map`.

        Args:
            sessions: The export's loader, before this step, to include numbers,
                addresses, secrets and ids; without it the map holds names only.

        Returns:
            The original by stand-in; it is as private as the export.
        """
        redactor = _new_redactor(self._secret(), self.names, self.presidio)
        redactor.record = redactor.names_of_stand_ins()
        for session in iter_sessions(sessions):
            _redacted(session, redactor)
        return redactor.record

    def _redactor(self) -> Redactor:
        return _shared_redactor(self._secret(), self.names, self.presidio)

    def _secret(self) -> str:
        if self.key is None:
            msg = (
                "Redact has no key. A dump holds neither the key nor the names: make "
                "the step again with Redact.for_export(loader, key=...)."
            )
            raise ChatExportError(msg)
        return self.key.get_secret_value()


def names_of_export(sessions: SessionSource) -> set[str]:
    """Collect the names of an export: participants, senders, nicknames, handles.

    Args:
        sessions: The loader, or sessions.

    Returns:
        The names as the export writes them.
    """
    names: set[str] = set()
    for session in iter_sessions(sessions):
        metadata: Any = cast("Mapping[str, Any]", session).get("metadata") or {}
        names.update(_strings([metadata.get(key) for key in _LISTS_OF_NAMES]))
        names.update(_strings(metadata.get("owner")))
        if not metadata.get("is_group"):
            names.update(_strings(metadata.get("title")))
        for message in session.get("messages", ()):
            extra = message.additional_kwargs
            names.update(_strings([extra.get(key) for key in _KEYS_OF_NAMES]))
            for key in _LISTS_WITH_NAMES:
                found = extra.get(key)
                for item in found if isinstance(found, list) else (found,):
                    if isinstance(item, Mapping):
                        names.update(_strings([item.get(k) for k in _KEYS_OF_NAMES]))
            if message.name:
                names.add(message.name)
        del session
    return names


def _new_redactor(key: str, names: tuple[str, ...], presidio: str | None) -> Redactor:
    # Its patterns take a part of what importing the whole package takes.
    from langchain_chatexports.redaction.redactor import Redactor

    return Redactor(key, names, presidio)


_shared_redactor = lru_cache(maxsize=4)(_new_redactor)


def _redacted(session: ChatSession, redactor: Redactor) -> ChatSession:
    redacted: dict[str, Any] = {}
    fields: Mapping[str, Any] = cast("Mapping[str, Any]", session)
    for key, value in fields.items():
        if key == "messages":
            redacted[key] = [_redacted_message(m, redactor) for m in value]
        elif key == "metadata" and isinstance(value, Mapping):
            redacted[key] = redactor.metadata(value)
        elif key == "functions":  # A program's, not a person's.
            redacted[key] = value
        else:
            redacted[key] = redactor.value(value, key)
    redacted.setdefault("messages", [])
    return cast("ChatSession", redacted)


def _redacted_message(message: BaseMessage, redactor: Redactor) -> BaseMessage:
    update: dict[str, Any] = {
        "content": _redacted_content(message.content, redactor),
        "additional_kwargs": redactor.value(message.additional_kwargs),
    }
    if message.response_metadata:
        update["response_metadata"] = redactor.value(message.response_metadata)
    if message.name:
        update["name"] = redactor.name(message.name)
    if message.id:
        update["id"] = redactor.message_id(message.id)
    return message.model_copy(update=update)


def _redacted_content(content: Any, redactor: Redactor) -> Any:
    if isinstance(content, str):
        return redactor.text(content)
    return [
        redactor.text(part)
        if isinstance(part, str)
        # Of images and sounds only what is written beside them.
        else {
            key: value if key in _BYTES_OF_PARTS else redactor.value(value, key)
            for key, value in part.items()
        }
        for part in content
    ]


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _strings([*value.keys(), *value.values()])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
