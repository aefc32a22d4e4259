"""Tools in the prompt, and calls of them in the answer.

Tools, calls and results are written as text into messages, in the form of Hermes and
Qwen, so that every base's chat template can render them: the templates of small models
do not know tools, and llama.cpp's own route ignores the tools then.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.http.grammars import CALL_END, CALL_START
from langchain_chatexports.local_server.storage.data_directory import new_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ToolCallParser", "ToolMessageError", "as_text_messages"]

# Qwen2.5's words.
_INTRODUCTION = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within \
<tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""
_HEAD = re.compile(r'\s*\{"name": ("(?:[^"\\]|\\.)*"), "arguments": ')
# What may become a tag, with the spaces before it.
_TAG_BEGINS = re.compile(
    r"\s*(?:{})?$".format(
        "|".join(re.escape(CALL_START[:size]) for size in range(len(CALL_START), 0, -1))
    )
)


class ToolMessageError(ValueError):
    """Messages with tool calls or results in an impossible order."""


def as_text_messages(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Write tools, their calls and their results as text.

    Args:
        messages: Messages in OpenAI's shape.
        tools: The tools to offer, in OpenAI's shape.

    Returns:
        Messages of system, user and assistant.

    Raises:
        ToolMessageError: If a result answers no call before it.
    """
    texts: list[dict[str, Any]] = []
    calls: set[str] = set()
    was_result = False
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in calls:
                msg = f"message {index}: it answers no call of an earlier message"
                raise ToolMessageError(msg)
            result = f"<tool_response>\n{_text(message)}\n</tool_response>"
            if was_result:
                texts[-1]["content"] += f"\n{result}"
            else:
                texts.append({"role": "user", "content": result})
        elif message.get("tool_calls"):
            calls |= {call["id"] for call in message["tool_calls"]}
            texts.append({"role": "assistant", "content": _with_calls(message)})
        else:
            texts.append(dict(message))
        was_result = message["role"] == "tool"
    if tools:
        texts = _with_tools(texts, tools)
    return texts


def _with_tools(
    messages: list[dict[str, Any]], tools: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    lines = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    text = _INTRODUCTION.format(tools=lines)
    if messages and messages[0]["role"] in {"system", "developer"}:
        text = f"{_text(messages[0])}\n\n{text}"
        messages = messages[1:]
    return [{"role": "system", "content": text}, *messages]


def _with_calls(message: Mapping[str, Any]) -> str:
    said = _text(message)
    written = []
    for call in message["tool_calls"]:
        function = call["function"]
        name = json.dumps(function["name"])
        arguments = function["arguments"] or "{}"
        written.append(
            f'{CALL_START}\n{{"name": {name}, "arguments": {arguments}}}\n{CALL_END}'
        )
    return "\n".join([*([said] if said else []), *written])


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content)


class ToolCallParser:
    """Separates the text of an answer from the tool calls in it, as they arrive.

    The answer must follow a grammar of `tool_grammar`.

    Attributes:
        count: How many calls have begun.
    """

    def __init__(self, plain_heads: tuple[str, ...] = ()) -> None:
        """Initialize the parser.

        Args:
            plain_heads: What calls without their tags begin with.
        """
        self.count = 0
        self._waiting = ""
        self._plain_heads = plain_heads
        self._read = self._read_start
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False
        self._deltas: list[dict[str, Any]] = []

    def add(self, text: str) -> list[dict[str, Any]]:
        """Return the deltas of OpenAI's stream that a piece of text allows."""
        self._waiting += text
        self._deltas = []
        while self._waiting and self._read():
            pass
        return self._deltas

    def finish(self) -> list[dict[str, Any]]:
        """Return the delta of the text that waited for more."""
        rest, self._waiting = self._waiting, ""
        is_text = self._read in (self._read_start, self._read_text)
        if is_text and (rest.strip() or not self.count):
            return [{"content": rest}] if rest else []
        return []

    def _read_start(self) -> bool:
        if self._waiting.startswith(self._plain_heads):
            self._read = self._read_head
            return True
        if any(head.startswith(self._waiting) for head in self._plain_heads):
            return False
        self._read = self._read_text
        return True

    def _read_text(self) -> bool:
        text, tag, rest = self._waiting.partition(CALL_START)
        if tag:
            self._waiting = rest
            self._read = self._read_head
            text = text.rstrip()
        else:
            match = _TAG_BEGINS.search(text)
            size = match.start() if match else len(text)
            text, self._waiting = text[:size], text[size:]
        if text:
            self._deltas.append({"content": text})
        return bool(tag)

    def _read_head(self) -> bool:
        match = _HEAD.match(self._waiting)
        if match is None:
            return False
        self._waiting = self._waiting[match.end() :]
        self._read = self._read_arguments
        self.count += 1
        function = {"name": json.loads(match[1]), "arguments": ""}
        self._add_call(id=new_id("call_"), type="function", function=function)
        return True

    def _read_arguments(self) -> bool:
        for position, character in enumerate(self._waiting):
            if self._is_escaped:
                self._is_escaped = False
            elif self._is_in_string:
                self._is_escaped = character == "\\"
                self._is_in_string = character != '"'
            elif character == '"':
                self._is_in_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if not self._depth:
                    self._add_arguments(position + 1)
                    self._read = self._read_end
                    return True
        self._add_arguments(len(self._waiting))
        return False

    def _read_end(self) -> bool:
        _, tag, rest = self._waiting.partition(CALL_END)
        if tag:
            self._waiting = rest
            self._read = self._read_text
        return bool(tag)

    def _add_arguments(self, size: int) -> None:
        self._add_call(function={"arguments": self._waiting[:size]})
        self._waiting = self._waiting[size:]

    def _add_call(self, **fields: Any) -> None:
        self._deltas.append({"tool_calls": [{"index": self.count - 1, **fields}]})
