"""Redaction of sessions: names and private numbers become stand-ins."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from functools import lru_cache
from typing import Any, ClassVar

from langchain_core.chat_sessions import ChatSession
from pydantic import ConfigDict, Field, SecretStr, field_validator
from typing_extensions import Self

from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    iter_sessions,
)
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.redaction.key_file import new_key
from langchain_chatexports.redaction.phones import check_extra
from langchain_chatexports.redaction.redactor import Redactor, names_of_session
from langchain_chatexports.redaction.spans import Span
from langchain_chatexports.steps.base import SessionTransform


class Redact(SessionTransform):
    """Replace what is private: the export's own names, and what has a private form.

    - Names, nicknames and handles, as senders, in texts and in metadata, become words
      that can be spoken, one for each word: `Ann Lee` and `ann` stay one person.
    - Telephone numbers, e-mail addresses, links with secrets, card, account and id
      numbers, codes, passwords, keys of services, street addresses and paths become
      placeholders such as `[phone-0c9d4b51aa]`. Ids of sessions are replaced as well.
    - All of `additional_kwargs` and of the metadata is searched; what is not JSON in
      them is dropped.

    A stand-in depends only on the key and the original, so it is the same in the whole
    export, in any order and in any process. Rules find what they know: read a sample
    before you share anything. Needs the extra `redact`.

    Neither `repr` nor a dump nor an error holds key or names: a step from a dump must
    be given them again. A pickle holds both, for processes of your own.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    key: SecretStr | None = Field(default=None, exclude=True, repr=False, min_length=1)
    """The secret that the stand-ins depend on. Keep it, and the stand-ins stay the same
    in the next export; it stays on this machine."""

    names: tuple[str, ...] = Field(default=(), exclude=True, repr=False)
    """The names to find in texts; see `for_export`."""

    @field_validator("names", mode="before")
    @classmethod
    def _sorted_names(cls, value: Any) -> Any:
        # Any collection of names is taken; a tuple in one order is hashable and equal.
        if isinstance(value, Collection) and not isinstance(value, (str, bytes)):
            return tuple(sorted({str(name).strip() for name in value} - {""}))
        return value

    @classmethod
    def for_export(
        cls,
        loader: SessionSource,
        *,
        key: SecretStr | str | None = None,
        names: Iterable[str] = (),
    ) -> Self:
        """Return the step for an export, after one pass over its names.

        Args:
            loader: The export's loader (or sessions), before any step.
            key: The key; a new one if there is none. Keep `step.key` to undo the
                redaction and to redact the next export in the same way.
            names: Further names to find, such as nicknames that only texts use.

        Returns:
            The step.

        Raises:
            MissingExtraError: If the extra `redact` is not installed.
            ValueError: If two names have one stand-in under the given key, or a
                stand-in is a name (about once in a million exports): choose another.
        """
        check_extra()
        found = {*names_of_export(loader), *names}
        while True:
            secret = new_key() if key is None else key
            step = cls(key=secret, names=found)
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
        return (self._redactor().session(session),)

    def counting_transform(
        self, sessions: SessionSource, notes: Counter[str]
    ) -> Iterator[ChatSession]:
        """Replace what is private, and count places in texts by kind in `notes`."""
        # Not the shared one: this one counts.
        redactor = Redactor(self._secret(), self.names)
        redactor.notes = notes
        with closing(iter_sessions(sessions)) as source:
            for session in source:
                yield redactor.session(session)
                del session

    def pseudonym(self, name: str) -> str:
        """Return the stand-in of a sender, for example for `MapAIMessages`."""
        return self._redactor().name(name)

    def find(self, text: str) -> list[Span]:
        """Return the places that this step would replace in a text, in order."""
        return self._redactor().spans(text)

    def undo_map(self, sessions: SessionSource = ()) -> dict[str, str]:
        """Return what each stand-in stands for, for `restore` and a `RedactionKey`.

        Args:
            sessions: The export's loader, before this step, to include numbers,
                addresses, secrets and ids; without it the map holds names only.

        Returns:
            The original by stand-in; it is as private as the export.
        """
        redactor = Redactor(self._secret(), self.names)
        redactor.record = redactor.names_of_stand_ins()
        for session in iter_sessions(sessions):
            redactor.session(session)
        return redactor.record

    def _redactor(self) -> Redactor:
        return _shared_redactor(self._secret(), self.names)

    def _secret(self) -> str:
        if self.key is None:
            msg = (
                "Redact has no key. A dump holds neither the key nor the names: make "
                "the step again with Redact.for_export(loader, key=...)."
            )
            raise ChatExportError(msg)
        return self.key.get_secret_value()


def names_of_export(sessions: SessionSource) -> set[str]:
    """Return the names of an export: participants, senders, nicknames, handles."""
    names: set[str] = set()
    for session in iter_sessions(sessions):
        names |= names_of_session(session)
        del session
    return names


_shared_redactor = lru_cache(maxsize=4)(Redactor)
