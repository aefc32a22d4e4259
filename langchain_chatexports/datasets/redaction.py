"""Redaction of training examples and their origins."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_chatexports._names import safe_name
from langchain_chatexports.redaction.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langchain_chatexports.datasets.trace import ExampleOrigin

__all__ = ["ExampleRedactor"]

# What is no text: roles, ids and weights of OpenAI's shape.
_KEPT_KEYS = frozenset(
    {"role", "weight", "tool_call_id", "id", "type", "tools", "functions"}
)
_CALLS = frozenset({"function", "function_call"})


class ExampleRedactor:
    """Replaces private text in examples, as `Redact` does in sessions."""

    def __init__(
        self, key: str, names: Iterable[str] = (), presidio: str | None = None
    ) -> None:
        """Initialize the redactor.

        Args:
            key: The key of the stand-ins.
            names: The names to find, as the export writes them.
            presidio: As for `Redact`.
        """
        self._redactor = Redactor(key, names, presidio)
        self._redactor.record = self._redactor.names_of_stand_ins()
        self.replaced: Counter[str] = Counter()
        """Places in texts that were replaced so far, by kind."""
        self._redactor.notes = self.replaced

    @property
    def stand_ins(self) -> dict[str, str]:
        """The originals of the stand-ins so far, by stand-in."""
        return dict(self._redactor.record or {})

    def example(self, example: Mapping[str, Any]) -> dict[str, Any]:
        """Redact an example of any format.

        Args:
            example: The example, which stays as it is.
        """
        return {key: self._value(value, key) for key, value in example.items()}

    def origin(self, origin: ExampleOrigin) -> ExampleOrigin:
        """Redact an origin: names and ids of conversations."""
        return replace(
            origin,
            session_id=self._identifier(origin.session_id),
            thread_id=self._identifier(origin.thread_id),
            senders=tuple(map(self._redactor.name, origin.senders)),
            participants=tuple(map(self._redactor.name, origin.participants)),
        )

    def _identifier(self, found: str | None) -> str | None:
        return found and self._redactor.identifier(found)

    def _value(self, value: Any, key: str) -> Any:
        if key in _KEPT_KEYS:
            return value
        if isinstance(value, str):
            if key == "name":
                # Written with `_` for what providers refuse in a name.
                return safe_name(self._redactor.name(value.replace("_", " ")))
            return self._redactor.text(value)
        if isinstance(value, list):
            return [self._value(item, key) for item in value]
        if isinstance(value, dict):
            redacted = self.example(value)
            if key in _CALLS and "name" in value:
                redacted["name"] = value["name"]  # A function's.
            return redacted
        return value
