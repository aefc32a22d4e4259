"""Generated tokens as streamed text: whole characters only, and no stop texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["StopFinder", "TokenDecoder"]

_REPLACEMENT = "\ufffd"
_MAX_HELD_TOKENS = 12


class TokenDecoder:
    """Decodes tokens one by one, and holds back incomplete characters."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        # New tokens are decoded with those before: a token's text can depend on its
        # neighbors.
        self._context, self._shown = 0, 0

    def add(self, token: int) -> str:
        """Add a token, and return the text that is complete."""
        self._ids.append(token)
        return self._new_text(is_last=len(self._ids) - self._shown > _MAX_HELD_TOKENS)

    def finish(self) -> str:
        """Return the remaining text."""
        return self._new_text(is_last=True)

    def _new_text(self, *, is_last: bool) -> str:
        before = self._decode(self._ids[self._context : self._shown])
        text = self._decode(self._ids[self._context :])
        if len(text) <= len(before) or (text.endswith(_REPLACEMENT) and not is_last):
            return ""
        self._context, self._shown = self._shown, len(self._ids)
        return text[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))


class StopFinder:
    """Finds stop texts, and holds back text that may be the start of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.is_found = False

    def add(self, text: str) -> str:
        """Add text, and return what can be sent of it."""
        if self.is_found:
            return ""
        self._held += text
        found = [at for at in map(self._held.find, self._stops) if at >= 0]
        if found:
            self.is_found = True
            shown, self._held = self._held[: min(found)], ""
            return shown
        keep = max((self._overlap(stop) for stop in self._stops), default=0)
        cut = len(self._held) - keep
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def finish(self) -> str:
        """Return the text that was held back."""
        shown, self._held = self._held, ""
        return shown

    def _overlap(self, stop: str) -> int:
        for length in range(min(len(stop) - 1, len(self._held)), 0, -1):
            if self._held.endswith(stop[:length]):
                return length
        return 0
