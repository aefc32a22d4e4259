"""Training examples made from sessions, in OpenAI's shape."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import repeat
from typing import Any, NamedTuple, TypeAlias, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    convert_to_openai_messages,
)
from typing_extensions import NotRequired, Required, TypedDict

from langchain_chatexports._names import safe_name
from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import Counts, entered_at_end
from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    iter_sessions,
)
from langchain_chatexports.exceptions import SenderNotFoundError

_ROLE_OF_TYPE: dict[type, str] = {HumanMessage: "user", AIMessage: "assistant"}
_ROLE_OF_CHAT_MESSAGE = {"human": "user", "ai": "assistant"}
_PROMPT_ROLES = frozenset({"system", "developer"})
_ASSISTANT_KEYS = frozenset({"weight", "tool_calls", "function_call", "refusal"})
# langchain-core converts these to parts that OpenAI's training files cannot hold.
_KINDS_WITHOUT_IMAGE = frozenset({"audio", "file", "video", "reasoning", "thinking"})
# What these say is in the message's `tool_calls`, too.
_KINDS_OF_CALLS = frozenset({"tool_call", "tool_use", "function_call"})
_FIELD = re.compile(r"\{(others|owner|participants|platform|title)\}")


SystemPrompt: TypeAlias = "str | Callable[[ChatSession], str | None] | None"
"""A system prompt, or a function that returns that of a session."""


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


def to_training_examples(
    sessions: SessionSource,
    *,
    system: SystemPrompt = None,
    keep_leading: bool = True,
    keep_trailing: bool = False,
    keep_lone: bool = True,
    counts: list[Counts] | None = None,
) -> Iterator[TrainingExample]:
    """Turn each session into a training example.

    Messages of the AI (see `MapAIMessages`) become the assistant's, all others the
    user's, in groups too: `LabelSpeakers` adds who speaks. Messages without text are
    skipped, and so are those after the last answer: nothing is learned from them, and
    OpenAI refuses them. Images of list content, in any form that langchain-core
    converts, become OpenAI's `image_url`; other parts (sounds, files, reasoning) are
    skipped. `additional_kwargs["weight"]` 0 of an AI message makes it
    context, which is not learned from.

    Args:
        sessions: A chat loader, a session, or an iterable of sessions.
        system: A system prompt for sessions that do not begin with one. `{others}`
            (everybody but the AI), `{owner}`, `{participants}`, `{platform}` and
            `{title}` in it are filled in from the session; other braces stay. Or a
            function that returns the prompt of a session, such as `persona_prompt`.
        keep_leading: Keep the AI's messages before the first message of another person.
            Some chat templates and providers want the user to begin.
        keep_trailing: Keep the messages after the last answer, as LangChain's tutorials
            do. OpenAI refuses such examples; the local server takes them.
        keep_lone: Keep examples of one message, which answers nobody.
        counts: Where to enter what is kept and what is skipped, as `Examples`; parts
            of list content have a stage of their own if there are any.

    Yields:
        The examples, lazily; closing the iterator closes the loader.

    Raises:
        SenderNotFoundError: At the end, if sessions had messages and none has one by
            the AI.
    """
    converter = SessionConverter(
        system=system,
        keep_leading=keep_leading,
        keep_trailing=keep_trailing,
        keep_lone=keep_lone,
    )
    with closing(converter.convert_all(sessions, counts)) as all_converted:
        for converted in all_converted:
            yield converted.example
            del converted


class ConvertedSession(NamedTuple):
    """An example, and the messages of the session that it was made from."""

    example: TrainingExample
    session: ChatSession
    kept: Sequence[BaseMessage]


class SessionConverter:
    """Turns sessions into examples, and counts what becomes of their messages.

    The reasons: `no_assistant` (no message by the AI), `not_trained` (all the AI's
    messages have weight 0), `trailing` (after the last answer), `empty` (no text, or no
    message at all), `unsupported` (nothing but parts that training files cannot hold),
    `leading` (before the first message of a user), `lone` (one message, and nothing
    that it answers).
    """

    def __init__(
        self,
        *,
        system: SystemPrompt = None,
        keep_leading: bool = True,
        keep_trailing: bool = False,
        keep_lone: bool = True,
    ) -> None:
        self.messages = Counts("Examples")
        self.sessions = Counts("Examples", "sessions")
        self.parts = Counts("Examples", "content parts")
        self._system = system
        self._keep_leading = keep_leading
        self._keep_trailing = keep_trailing
        self._keep_lone = keep_lone
        self._senders: Counter[str] = Counter()

    def convert_all(
        self, sessions: SessionSource, counts: list[Counts] | None
    ) -> Generator[ConvertedSession, None, None]:
        """Convert sessions lazily."""
        counts = counts if counts is not None else []
        with (
            entered_at_end(counts, self.messages, self.sessions),
            closing(iter_sessions(sessions)) as source,
        ):
            try:
                for session in source:
                    converted = self.convert(session)
                    if converted is not None:
                        yield converted
                    del session, converted
            finally:
                if self.parts.found:
                    counts.append(self.parts)
        self.require_assistant()

    def convert(self, session: ChatSession) -> ConvertedSession | None:
        """Convert one session."""
        given = session.get("messages", ())
        counts = self.messages
        counts.found += len(given)
        self.sessions.found += 1
        listed: list[BaseMessage] = []
        items = map(training_message, given, repeat(listed))
        messages = [item for item in items if item is not None]
        start = 0 if self._keep_leading else _start_of_first_prompt(messages)
        reason = _reason_to_skip(given, messages, start)
        if reason is not None:
            self.sessions.skip(reason)
            counts.skip(reason, len(given))
            if reason == "no_assistant":
                self._senders.update(map(_sender, given))
            return None
        end = len(messages) if self._keep_trailing else _end_of_last_answer(messages)
        if not self._keep_lone and _is_lone(messages[start:end]):
            self.sessions.skip("lone")
            counts.skip("lone", len(given))
            return None
        kept: Sequence[BaseMessage] = given
        if len(messages) < len(given):
            kept = [one for one in given if training_message(one) is not None]
            self._count_dropped(given)
        counts.skip("leading", start)
        counts.skip("trailing", len(messages) - end)
        if start or end < len(messages):
            messages, kept = messages[start:end], kept[start:end]
        has_prompt = messages[0]["role"] in _PROMPT_ROLES
        if self._system is not None and not has_prompt:
            prompt = system_prompt(self._system, session, kept)
            if prompt:
                messages.insert(0, {"role": "system", "content": prompt})
                counts.added["system_prompt"] += 1
        counts.kept += len(messages)
        self.sessions.kept += 1
        if listed:
            self._count_parts(kept)
        return ConvertedSession({"messages": messages}, session, kept)

    def _count_dropped(self, given: Sequence[BaseMessage]) -> None:
        for message in given:
            if training_message(message) is None:
                _, unsupported = _parts(message)
                self.messages.skip("unsupported" if unsupported else "empty")

    def _count_parts(self, kept: Sequence[BaseMessage]) -> None:
        for message in kept:
            if type(message.content) is list:
                parts, unsupported = _parts(message)
                self.parts.found += len(parts) + unsupported
                self.parts.kept += len(parts)
                self.parts.skip("unsupported", unsupported)

    def require_assistant(self) -> None:
        """Raise an error if no session so far had anything to learn from."""
        skipped = self.sessions.skipped
        without = skipped["no_assistant"] + skipped["empty"]
        if skipped["no_assistant"] and self.sessions.found == without:
            msg = (
                f"None of {plural(without, 'session')} has a text by the AI, so there "
                "is nothing to learn. Name whose messages become the AI's."
            )
            raise SenderNotFoundError(msg, self._senders)


def training_message(
    message: BaseMessage, listed: list[BaseMessage] | None = None
) -> TrainingMessage | None:
    """Return a message in OpenAI's shape."""
    content, extra = message.content, message.additional_kwargs
    # The common case first: a person's text and nothing else.
    kind = type(message)
    role = _ROLE_OF_TYPE.get(kind) or _role(message)
    item: dict[str, Any] = {"role": role, "content": content}
    name = message.name or extra.get("name")
    if name:
        item["name"] = safe_name(str(name))
    if kind is not HumanMessage:
        _add_other_keys(item, message)
    if isinstance(content, list):
        item["content"], _ = _parts(message)
        if listed is not None:
            listed.append(message)
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


def _is_lone(messages: Sequence[TrainingMessage]) -> bool:
    return sum(one["role"] not in _PROMPT_ROLES for one in messages) == 1


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


def _add_other_keys(item: dict[str, Any], message: BaseMessage) -> None:
    if isinstance(message, ToolMessage):
        item["tool_call_id"] = message.tool_call_id
    if not isinstance(message, AIMessage):
        return
    extra = message.additional_kwargs
    if not message.tool_calls and _ASSISTANT_KEYS.isdisjoint(extra):
        return
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


def _parts(message: BaseMessage) -> tuple[list[dict[str, Any]], int]:
    """Return what a training file can hold of list content, and how much it cannot."""
    parts: list[dict[str, Any]] = []
    unsupported = 0
    for given in message.content if isinstance(message.content, list) else ():
        part = {"type": "text", "text": given} if isinstance(given, str) else given
        converted = _openai_part(part)
        if converted is not None:
            parts.append(converted)
        elif not _is_carried_call(part, message):
            unsupported += 1
    return parts, unsupported


def _openai_part(part: dict[Any, Any]) -> dict[str, Any] | None:
    kind = str(part.get("type"))
    if kind in _KINDS_WITHOUT_IMAGE:
        return None
    if kind not in {"text", "image_url"}:
        part = _converted_part(part)
        kind = str(part.get("type"))
    value_type = {"text": str, "image_url": dict}.get(kind)
    if value_type is None or not isinstance(part.get(kind), value_type):
        return None
    return {"type": kind, kind: part[kind]}


def _converted_part(part: dict[Any, Any]) -> dict[Any, Any]:
    try:
        converted = convert_to_openai_messages(
            [HumanMessage([part])], text_format="block"
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}  # The converter knows no such part, or it lacks something.
    parts = [
        one
        for message in converted
        if message["role"] == "user"  # Results of tools become messages of their own.
        for one in message["content"]
    ]
    return parts[0] if len(parts) == 1 else {}


def _is_carried_call(part: dict[Any, Any], message: BaseMessage) -> bool:
    return (
        str(part.get("type")) in _KINDS_OF_CALLS
        and isinstance(message, AIMessage)
        and bool(message.tool_calls)
    )


def _has_content(content: str | list[dict[str, Any]]) -> bool:
    if isinstance(content, str):
        return bool(content) and not content.isspace()
    return any(part["type"] != "text" or part["text"].strip() for part in content)


def _sender(message: BaseMessage) -> str:
    return str(message.additional_kwargs.get("sender", "unknown"))


def system_prompt(
    system: SystemPrompt, session: ChatSession, messages: Sequence[BaseMessage]
) -> str | None:
    """Return the system prompt of an example."""
    if system is None or isinstance(system, str):
        return None if system is None else filled_prompt(system, session)
    return system({**session, "messages": messages})


def filled_prompt(template: str, session: ChatSession) -> str:
    """Fill in the fields of a system prompt from a session."""
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
    # A window may lack a person's messages; the metadata lists all participants.
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
