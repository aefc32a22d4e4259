"""Redaction of sessions: names and private numbers become stand-ins."""

from collections.abc import Collection, Iterable
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
from langchain_chatexports.redaction.phones import check_extra
from langchain_chatexports.redaction.pseudonyms import new_key
from langchain_chatexports.redaction.redactor import Redactor, names_of_session
from langchain_chatexports.steps.base import SessionTransform


class Redact(SessionTransform):
    """Replace private data: the names in the export, numbers, addresses and secrets.

    - Names, nicknames and handles, as senders, in texts and in metadata, become
      pronounceable words, the same for each word: `Ann Lee` and `ann` stay one person.
    - Telephone numbers, e-mail addresses, links with secrets, card, account and id
      numbers, codes, passwords, keys of services, street addresses and paths become
      placeholders such as `[phone-0c9d4b51aa]`. Ids of sessions are replaced as well.
    - All of `additional_kwargs` and of the metadata is searched; values that are not
      JSON are dropped.

    A stand-in depends only on the key and the original, so it is the same in the whole
    export, in any order and in any process. The rules do not find everything: read a
    sample before you share anything. Needs the extra `redact`.

    The `repr`, dumps and errors contain neither key nor names, so a step loaded from a
    dump needs them again. A pickle contains both, for your own processes.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    key: SecretStr | None = Field(default=None, exclude=True, repr=False, min_length=1)
    """The secret that the stand-ins depend on. Keep it to get the same stand-ins in the
    next export."""

    names: tuple[str, ...] = Field(default=(), exclude=True, repr=False)
    """The names to find in texts; see `for_export`."""

    @field_validator("names", mode="before")
    @classmethod
    def _sorted_names(cls, value: Any) -> Any:
        # A sorted tuple is hashable, and equal for any collection of the same names.
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
            key: The key; by default a new one. Keep `step.key` to undo the redaction
                and to redact the next export in the same way.
            names: Further names to find, such as nicknames that only texts use.

        Returns:
            The step.

        Raises:
            MissingExtraError: If the extra `redact` is not installed.
        """
        check_extra()
        found = {*names_of_export(loader), *names}
        return cls(key=new_key() if key is None else key, names=found)

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Replace private data in one session."""
        return (self._redactor().session(session),)

    def pseudonym(self, name: str) -> str:
        """Return the stand-in of a sender, for example for `MapAIMessages`."""
        return self._redactor().name(name)

    def undo_map(self, sessions: SessionSource = ()) -> dict[str, str]:
        """Return the originals by stand-in, for `restore` and a `RedactionKey`.

        Args:
            sessions: The export's loader, before this step, to include numbers,
                addresses, secrets and ids; without it the map holds names only.

        Returns:
            The originals; the mapping is as private as the export.
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
                "Redact has no key. Dumps contain neither the key nor the names: "
                "create the step again with Redact.for_export(loader, key=...)."
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
