"""The person to imitate, whose names become known while an export is read."""

from collections.abc import Callable, Iterable
from typing import ClassVar

from langchain_core.chat_sessions import ChatSession
from pydantic import ConfigDict, Field

from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.schema import sender_of
from langchain_chatexports.chat_loaders.utils import map_ai_messages_in_session
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.steps import MapAIMessages, SessionTransform


class MissedNamesError(SenderNotFoundError):
    """Messages of the person were read before their names were known.

    This happens if a person has several names, and the given one is not in the first
    conversations. Read the export again with all `names`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Initialize the error with all names of the person."""
        self.names = tuple(sorted(names))
        msg = (
            "The chosen person has other names in some conversations. Choose all of "
            f"them: {', '.join(map(repr, self.names))}."
        )
        super().__init__(msg)


class PersonNames:
    """The names of the people with given names or handles, as far as they are read."""

    def __init__(
        self,
        reading: Reading,
        people: Iterable[str],
        redact: Callable[[str], str] | None = None,
    ) -> None:
        """Initialize without reading.

        Args:
            reading: A pass that has not begun.
            people: Names or handles.
            redact: Returns a sender's name in the sessions that `select` gets.
        """
        self._reading, self._people, self._redact = reading, tuple(people), redact
        self._other_senders: set[str] = set()

    def __bool__(self) -> bool:
        """Return whether any names were given."""
        return bool(self._people)

    def find(self) -> frozenset[str]:
        """Return the names found so far."""
        find = self._reading.names.names_of
        return frozenset(name for person in self._people for name in find(person))

    def select(self, session: ChatSession) -> frozenset[str]:
        """Return the senders of a session who are the person."""
        senders = frozenset(map(sender_of, session.get("messages", ())))
        names = self._find_senders() & senders
        self._other_senders |= senders - names
        return names

    def mapping_step(self) -> SessionTransform:
        """Return the step that maps their messages; without names, the owner's."""
        return MapPerson(names=self) if self else MapAIMessages()

    def check(self) -> None:
        """Raise an error if a name was found after its messages had passed."""
        if not self._other_senders.isdisjoint(self._find_senders()):
            raise MissedNamesError(self.find())

    def _find_senders(self) -> frozenset[str]:
        names = self.find()
        return frozenset(map(self._redact, names)) if self._redact else names


class MapPerson(SessionTransform):
    """`MapAIMessages` for a person whose names become known during the pass."""

    model_config: ClassVar[ConfigDict] = ConfigDict(arbitrary_types_allowed=True)

    names: PersonNames = Field(exclude=True, repr=False)
    """The names of the person."""

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        """Map the messages of one session."""
        return (map_ai_messages_in_session(session, self.names.select(session)),)

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """Return the name of the step in summaries."""
        return super().get_name(suffix, name=name or MapAIMessages.__name__)
