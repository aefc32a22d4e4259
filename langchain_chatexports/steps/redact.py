"""Redact sessions: replace names and private numbers with stand-ins."""

from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar, Self

from langchain_core.chat_sessions import ChatSession
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr

from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    iter_sessions,
)
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.redaction.phones import check_extra
from langchain_chatexports.redaction.pseudonyms import new_key
from langchain_chatexports.redaction.redactor import Redactor, session_names
from langchain_chatexports.steps.base import Names, SessionTransform


class Redact(SessionTransform):
    """Replace private data: the names in the export, numbers, addresses and secrets.

    - Names, nicknames and handles in senders, text and metadata become pronounceable
      words, always the same for the same word: `Ann Lee` and `ann` remain one person,
      and `Thảo` and `Thạo` two.
    - Phone numbers, e-mail addresses, links with secrets, card, account and id
      numbers, codes, passwords, API keys, street addresses and paths become
      placeholders such as `[phone-0c9d4b51aa]`. Session ids are also replaced.
    - `additional_kwargs` and metadata are searched recursively; values that are not
      JSON are dropped.

    A stand-in depends only on the key and the original, so it is the same everywhere in
    the export, in any order and in any process. Detection is not perfect: read a sample
    before you share anything. Needs the extra `redact`.

    The `repr`, dumps and errors contain neither key nor names, so pass them again to a
    step loaded from a dump. A pickle contains both, for your own processes.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    key: SecretStr | None = Field(default=None, exclude=True, repr=False, min_length=1)
    """The secret key for stand-ins. Keep it to redact the next export in the same
    way."""

    names: Names = Field(default=(), exclude=True, repr=False)
    """The names to find in text; see `for_export`."""

    _collector: Redactor | None = PrivateAttr(default=None)

    @classmethod
    def for_export(
        cls,
        loader: SessionSource,
        *,
        key: SecretStr | str | None = None,
        names: Iterable[str] = (),
    ) -> Self:
        """Create the step for an export, after one pass to collect its names.

        Args:
            loader: The export's loader (or sessions), before any step.
            key: The key; by default a new one. Keep `step.key` to undo the redaction
                and to redact the next export in the same way.
            names: More names to find, such as nicknames that only occur in messages.

        Returns:
            The step.

        Raises:
            MissingExtraError: If the extra `redact` is not installed.
        """
        check_extra()
        all_names = {*collect_names(loader), *names}
        return cls(key=new_key() if key is None else key, names=all_names)

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Replace private data in one session."""
        return (self._redactor().redact_session(session),)

    def pseudonym(self, name: str) -> str:
        """Return a sender's stand-in, for example for `MapAIMessages`."""
        return self._redactor().redact_name(name)

    def undo_map(self, sessions: SessionSource = ()) -> dict[str, str]:
        """Return a map from stand-ins to originals, for `restore` and `RedactionKey`.

        Args:
            sessions: The export's loader, before this step, to include numbers,
                addresses, secrets and ids; without it, the map only contains names.
                To redact the export only once, use `collecting`.

        Returns:
            The map, which is as private as the export.
        """
        originals: dict[str, str] = {}
        step = self.collecting(originals)
        for session in iter_sessions(sessions):
            step.transform_session(session)
        return originals

    def collecting(self, undo_map: dict[str, str]) -> Self:
        """Return the step, which also adds the originals to a map as it redacts.

        The map is that of `undo_map`. The step cannot be pickled.
        """
        redactor = Redactor(self._secret(), self.names)
        redactor.originals = undo_map
        for stand_in, name in redactor.name_stand_ins().items():
            undo_map.setdefault(stand_in, name)
        step = self.model_copy()
        step._collector = redactor  # noqa: SLF001 - same class
        return step

    def _redactor(self) -> Redactor:
        return self._collector or _shared_redactor(self._secret(), self.names)

    def _secret(self) -> str:
        if self.key is None:
            msg = (
                "Redact has no key, since dumps contain neither key nor names. Create "
                "the step again with Redact.for_export(loader, key=...)."
            )
            raise ChatExportError(msg)
        return self.key.get_secret_value()


def collect_names(sessions: SessionSource) -> set[str]:
    """Collect the names in an export: participants, senders, nicknames, handles."""
    names: set[str] = set()
    for session in iter_sessions(sessions):
        names |= session_names(session)
        del session
    return names


_shared_redactor = lru_cache(maxsize=4)(Redactor)
