"""Sessions to training examples: one conversation, one line of a training file."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from typing_extensions import NotRequired, Required, TypedDict

from langchain_chatexports._names import safe_name
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.steps.base import iter_sessions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from langchain_core.chat_sessions import ChatSession

    from langchain_chatexports.steps.base import SessionSource

__all__ = [
    "ConvertedSession",
    "ExampleCounts",
    "TrainingExample",
    "TrainingMessage",
    "convert_session",
    "filled_prompt",
    "require_assistant",
    "safe_name",
    "to_training_examples",
    "training_message",
]

_ROLE_OF_TYPE: dict[type, str] = {HumanMessage: "user", AIMessage: "assistant"}
_ROLE_OF_CHAT_MESSAGE = {"human": "user", "ai": "assistant"}
_ASSISTANT_KEYS = frozenset({"weight", "tool_calls", "function_call", "refusal"})
_FIELD = re.compile(r"\{(others|owner|participants|platform|title)\}")


class TrainingMessage(TypedDict, total=False):
    """One message in OpenAI's shape."""

    role: Required[str]
    content: Required[str | list[dict[str, Any]] | None]
    name: str
    weight: int
    tool_calls: list[dict[str, Any]]
    function_call: dict[str, Any]
    tool_call_id: str
    refusal: str


class TrainingExample(TypedDict):
    """One conversation in OpenAI's shape: a line of a training file."""

    messages: list[TrainingMessage]
    tools: NotRequired[list[dict[str, Any]]]
    parallel_tool_calls: NotRequired[bool]
    functions: NotRequired[list[dict[str, Any]]]


@dataclass
class ExampleCounts:
    """What became of the sessions: pass a new one to `to_training_examples`.

    `sessions` = `examples` + the sum of `sessions_left_out`, and `messages_in` =
    `messages_out` + the sum of `messages_left_out`. System prompts that were added are
    in neither, but in `system_prompts`. The reasons: `no_assistant` (no message by the
    AI), `not_trained` (all the AI's messages have weight 0), `trailing` (after the last
    answer), `empty` (no text, or no message at all), `leading` (before the first
    message of a user).
    """

    sessions: int = 0
    examples: int = 0
    messages_in: int = 0
    messages_out: int = 0
    system_prompts: int = 0
    sessions_left_out: Counter[str] = field(default_factory=Counter)
    messages_left_out: Counter[str] = field(default_factory=Counter)
    senders: Counter[str] = field(default_factory=Counter, repr=False)
    """Messages by sender, for the error that lists them; not in the `repr`."""

    def add(self, other: ExampleCounts) -> None:
        """Add the counts of other sessions."""
        self.sessions += other.sessions
        self.examples += other.examples
        self.messages_in += other.messages_in
        self.messages_out += other.messages_out
        self.system_prompts += other.system_prompts
        self.sessions_left_out.update(other.sessions_left_out)
        self.messages_left_out.update(other.messages_left_out)
        self.senders.update(other.senders)


def to_training_examples(
    sessions: SessionSource,
    *,
    system: str | None = None,
    keep_leading: bool = True,
    keep_trailing: bool = False,
    counts: ExampleCounts | None = None,
) -> Iterator[TrainingExample]:
    """Turn each session into a training example.

    Messages of the AI (see `MapAIMessages`) become the assistant's, all others the
    user's, in groups too: there `LabelSpeakers` says who speaks. What carries no text
    is left out, and so is what follows the last answer: it is not learned from, and
    OpenAI refuses it. `additional_kwargs["weight"]` 0 of an AI message makes it
    context, which is not learned from.

    Args:
        sessions: A chat loader, a session, or an iterable of sessions.
        system: A system prompt for sessions that do not begin with one. `{others}`
            (everybody but the AI), `{owner}`, `{participants}`, `{platform}` and
            `{title}` in it stand for what is known of the session; other braces stay.
        keep_leading: Keep the AI's messages before the first one of somebody else.
            Some chat templates and providers want the user to begin.
        keep_trailing: Keep the messages after the last answer, as LangChain's tutorials
            do. OpenAI refuses such examples; the local server takes them.
        counts: Where to count what is kept and what is left out.

    Yields:
        The examples, lazily; closing the iterator closes the loader.

    Raises:
        SenderNotFoundError: At the end, if sessions had messages and none has one by
            the AI.
    """
    counts = counts if counts is not None else ExampleCounts()
    with closing(iter_sessions(sessions)) as source:
        for session in source:
            converted = convert_session(
                session,
                system=system,
                keep_leading=keep_leading,
                keep_trailing=keep_trailing,
                counts=counts,
            )
            if converted is not None:
                yield converted.example
            del session
    require_assistant(counts)


class ConvertedSession(NamedTuple):
    """An example, and the messages of the session that it was made from."""

    example: TrainingExample
    kept: Sequence[BaseMessage]


def convert_session(
    session: ChatSession,
    *,
    system: str | None = None,
    keep_leading: bool = True,
    keep_trailing: bool = False,
    counts: ExampleCounts,
) -> ConvertedSession | None:
    """Turn one session into an example, and say which messages it is made from.

    Args:
        session: The session.
        system: As for `to_training_examples`.
        keep_leading: As for `to_training_examples`.
        keep_trailing: As for `to_training_examples`.
        counts: Where to count.

    Returns:
        Both, or `None` where there is nothing to learn from.
    """
    given = session.get("messages", ())
    counts.sessions += 1
    counts.messages_in += len(given)
    messages = [item for item in map(training_message, given) if item is not None]
    start = 0 if keep_leading else _start_of_first_prompt(messages)
    reason = _reason_to_skip(given, messages, start)
    if reason is not None:
        counts.sessions_left_out[reason] += 1
        counts.messages_left_out.update({reason: len(given)})
        if reason == "no_assistant":
            counts.senders.update(map(_sender, given))
        return None
    end = len(messages) if keep_trailing else _end_of_last_answer(messages)
    kept: Sequence[BaseMessage] = given
    if len(messages) < len(given):
        kept = [message for message in given if training_message(message) is not None]
    _count_left_out(counts, "empty", len(given) - len(messages))
    _count_left_out(counts, "leading", start)
    _count_left_out(counts, "trailing", len(messages) - end)
    if start or end < len(messages):
        messages, kept = messages[start:end], kept[start:end]
    counts.examples += 1
    counts.messages_out += len(messages)
    if system is not None and messages[0]["role"] not in {"system", "developer"}:
        prompt = filled_prompt(system, session)
        messages.insert(0, {"role": "system", "content": prompt})
        counts.system_prompts += 1
    return ConvertedSession({"messages": messages}, kept)


def require_assistant(counts: ExampleCounts) -> None:
    """Make sure that a whole set had something to learn from.

    Args:
        counts: The counts after the last session.

    Raises:
        SenderNotFoundError: If sessions had messages, and none has a text by the AI.
    """
    left_out = counts.sessions_left_out
    without = left_out["no_assistant"] + left_out["empty"]
    if left_out["no_assistant"] and counts.sessions == without:
        msg = (
            f"None of the {counts.sessions} sessions has a text by the AI, so there "
            "is nothing to learn. Name the sender to learn from: "
            "MapAIMessages(sender=...)."
        )
        raise SenderNotFoundError(msg, counts.senders)


def training_message(message: BaseMessage) -> TrainingMessage | None:
    """Return a message in OpenAI's shape.

    Args:
        message: A message of any kind that has a role.

    Returns:
        The message, or `None` where it holds nothing.

    Raises:
        TypeError: If messages of its kind have no role.
    """
    content, extra = message.content, message.additional_kwargs
    # The common case first: a text and nothing else.
    role = _ROLE_OF_TYPE.get(type(message)) or _role(message)
    item: dict[str, Any] = {"role": role, "content": content}
    name = message.name or extra.get("name")
    if name:
        item["name"] = safe_name(str(name))
    if isinstance(message, AIMessage):
        if message.tool_calls or not _ASSISTANT_KEYS.isdisjoint(extra):
            _add_assistant_keys(item, message)
    elif isinstance(message, ToolMessage):
        item["tool_call_id"] = message.tool_call_id
    if isinstance(content, list):
        item["content"] = _parts(content)
    elif content and not content.isspace():
        return cast("TrainingMessage", item)
    if not _has_content(item["content"]):
        if not any(key in item for key in ("tool_calls", "function_call", "refusal")):
            return None
        item["content"] = None
    return cast("TrainingMessage", item)


def _reason_to_skip(
    given: Sequence[BaseMessage], messages: Sequence[TrainingMessage], start: int
) -> str | None:
    if not given:
        return "empty"
    # Answers before `start` are not given. Nearly always the first look ends it.
    for message in messages[start:] if start else messages:
        if message["role"] == "assistant" and message.get("weight") != 0:
            return None
    answers = [i for i, item in enumerate(messages) if item["role"] == "assistant"]
    if not answers:
        return "no_assistant"
    return "leading" if answers[-1] < start else "not_trained"


def _count_left_out(counts: ExampleCounts, reason: str, count: int) -> None:
    if count:
        counts.messages_left_out[reason] += count


def _start_of_first_prompt(messages: Sequence[TrainingMessage]) -> int:
    start = 0
    while start < len(messages) and messages[start]["role"] == "assistant":
        start += 1
    return start


def _end_of_last_answer(messages: Sequence[TrainingMessage]) -> int:
    end = len(messages)
    while messages[end - 1]["role"] != "assistant":
        end -= 1
    return end


def _role(message: BaseMessage) -> str:
    if isinstance(message, HumanMessage):
        return "user"
    if isinstance(message, AIMessage):
        return "assistant"
    if isinstance(message, SystemMessage):
        return str(message.additional_kwargs.get("__openai_role__", "system"))
    if isinstance(message, ToolMessage):
        return "tool"
    if isinstance(message, FunctionMessage):
        return "function"
    if isinstance(message, ChatMessage):
        return _ROLE_OF_CHAT_MESSAGE.get(message.role, message.role)
    msg = f"A {type(message).__name__} has no role in a training example."
    raise TypeError(msg)


def _add_assistant_keys(item: dict[str, Any], message: AIMessage) -> None:
    extra = message.additional_kwargs
    weight = extra.get("weight")
    if weight is not None:
        item["weight"] = weight
    if message.tool_calls:
        item["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {
                    "name": call["name"],
                    "arguments": json.dumps(call["args"], ensure_ascii=False),
                },
            }
            for call in message.tool_calls
        ]
    elif extra.get("tool_calls"):
        item["tool_calls"] = extra["tool_calls"]
    for key in ("function_call", "refusal"):
        if extra.get(key):
            item[key] = extra[key]


def _parts(content: list[str | dict[Any, Any]]) -> list[dict[str, Any]]:
    # What is neither text nor image (tool calls, reasoning) has no place in a content.
    parts = [{"type": "text", "text": p} if isinstance(p, str) else p for p in content]
    return [
        {"type": kind, kind: part[kind]}
        for part in parts
        for kind, type_ in (("text", str), ("image_url", dict))
        if part.get("type") == kind and isinstance(part.get(kind), type_)
    ]


def _has_content(content: str | list[dict[str, Any]]) -> bool:
    if isinstance(content, str):
        return bool(content) and not content.isspace()
    return any(part["type"] != "text" or part["text"].strip() for part in content)


def _sender(message: BaseMessage) -> str:
    return str(message.additional_kwargs.get("sender", "unknown"))


def filled_prompt(template: str, session: ChatSession) -> str:
    """Fill in a system prompt's fields with what is known of a session.

    Args:
        template: The prompt, as for `to_training_examples`.
        session: The session.

    Returns:
        The prompt; what is not known is empty.
    """
    metadata: Mapping[str, Any] = cast("Mapping[str, Any]", session).get("metadata", {})
    values = {
        "others": ", ".join(_others(session, metadata)),
        "owner": metadata.get("owner") or "",
        "participants": ", ".join(metadata.get("participants", ())),
        "platform": metadata.get("platform") or "",
        "title": metadata.get("title") or "",
    }
    return _FIELD.sub(lambda match: str(values[match[1]]), template)


def _others(session: ChatSession, metadata: Mapping[str, Any]) -> list[str]:
    # A window may lack somebody's messages: who takes part is told by the metadata.
    speakers: dict[str, None] = {}
    ai: set[str] = set()
    for message in session.get("messages", ()):
        extra = message.additional_kwargs
        if _role(message) != "assistant":
            if extra.get("sender"):
                speakers[str(extra["sender"])] = None
            continue
        ai.add(_sender(message))
        if extra.get("is_from_me") and metadata.get("owner"):
            ai.add(str(metadata["owner"]))
    listed = metadata.get("participants") or speakers
    return [name for name in listed if name not in ai]
