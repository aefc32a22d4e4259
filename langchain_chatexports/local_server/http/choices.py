"""One answer of a chat as it arrives, in the shape of OpenAI's chunks and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.http.tool_calls import ToolCallParser

if TYPE_CHECKING:
    from langchain_chatexports.local_server.http.answer_format import AnswerFormat
    from langchain_chatexports.local_server.inference.engine import TextPiece

__all__ = ["Choice", "FormatLostError"]


class FormatLostError(Exception):
    """The engine has not followed the answer's grammar."""


class Choice:
    """An answer as it arrives.

    Attributes:
        finish_reason: Why it ended; `None` before.
        tokens: How many tokens it has, once it has ended.
        cached_tokens: How many tokens of the prompt the engine had read before.
    """

    def __init__(
        self,
        index: int,
        expected: AnswerFormat,
        *,
        has_logprobs: bool = False,
        top_logprobs: int = 0,
        has_stops: bool = False,
    ) -> None:
        """Initialize an answer without text.

        Args:
            index: Its number in the response.
            expected: What it must be.
            has_logprobs: Whether log-probabilities were requested.
            top_logprobs: How many for each token, besides its own.
            has_stops: Whether the client's stop sequences may cut it.
        """
        self.finish_reason: str | None = None
        self.tokens = 0
        self.cached_tokens = 0
        self._index = index
        self._grammar = grammar = expected.grammar
        self._parser = (
            ToolCallParser(grammar.plain_heads) if grammar and expected.tools else None
        )
        self._has_logprobs = has_logprobs
        self._top_logprobs = top_logprobs
        self._has_stops = has_stops
        self._texts: list[str] = []
        self._contents: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._logprobs: list[dict[str, Any]] = []

    def opening(self) -> dict[str, Any]:
        """Return the choice of its first chunk."""
        return self._chunk({"role": "assistant", "content": ""})

    def add(self, piece: TextPiece) -> list[dict[str, Any]]:
        """Add a piece, and return the choices of the chunks that it makes.

        Raises:
            FormatLostError: If the answer is complete and does not follow its grammar.
        """
        self._texts.append(piece.text)
        deltas = [{"content": piece.text}] if piece.text else []
        if self._parser is not None:
            deltas = self._parser.add(piece.text)
            if piece.finish_reason:
                deltas += self._parser.finish()
        for delta in deltas:
            self._keep(delta)
        logprobs = [self._logprob(token) for token in piece.logprobs or ()]
        self._logprobs += logprobs
        if self._has_logprobs and logprobs and not deltas:
            deltas = [{}]
        chunks = [self._chunk(delta) for delta in deltas]
        if self._has_logprobs and logprobs:
            chunks[0]["logprobs"] = {"content": logprobs, "refusal": None}
        if piece.finish_reason:
            self._finish(piece)
            chunks.append(self._chunk({}))
        return chunks

    def completed(self) -> dict[str, Any]:
        """Return the choice of a whole response."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._contents) or (None if self._calls else ""),
            "refusal": None,
        }
        if self._calls:
            message["tool_calls"] = self._calls
        logprobs = {"content": self._logprobs, "refusal": None}
        return {
            "index": self._index,
            "message": message,
            "finish_reason": self.finish_reason,
            "logprobs": logprobs if self._has_logprobs else None,
        }

    def _finish(self, piece: TextPiece) -> None:
        self.tokens = piece.tokens
        self.cached_tokens = piece.cached_tokens
        self.finish_reason = piece.finish_reason
        if self._grammar is not None:
            # llama.cpp continues without a grammar that it cannot follow any more.
            is_complete = piece.finish_reason == "stop" and not self._has_stops
            if not self._grammar.accepts("".join(self._texts), is_complete=is_complete):
                msg = "llama.cpp dropped the grammar; use a simpler schema"
                raise FormatLostError(msg)
        if self._calls and self.finish_reason == "stop":
            self.finish_reason = "tool_calls"

    def _keep(self, delta: dict[str, Any]) -> None:
        self._contents.append(delta.get("content") or "")
        for call in delta.get("tool_calls", ()):
            if call["index"] == len(self._calls):
                function = dict(call["function"])
                self._calls.append(
                    {"id": call["id"], "type": call["type"], "function": function}
                )
            else:
                arguments = call["function"]["arguments"]
                self._calls[call["index"]]["function"]["arguments"] += arguments

    def _logprob(self, token: dict[str, Any]) -> dict[str, Any]:
        top = token.get("top_logprobs", ())[: self._top_logprobs]
        return {**_token(token), "top_logprobs": [_token(each) for each in top]}

    def _chunk(self, delta: dict[str, Any]) -> dict[str, Any]:
        return {
            "index": self._index,
            "delta": delta,
            "finish_reason": self.finish_reason,
            "logprobs": None,
        }


def _token(token: dict[str, Any]) -> dict[str, Any]:
    return {name: token[name] for name in ("token", "logprob", "bytes")}
