"""Make training examples in OpenAI's format from sessions."""

import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple, TypeAlias, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    ToolMessage,
    convert_to_openai_messages,
)
from typing_extensions import NotRequired, Required, TypedDict, Unpack

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
_ASSISTANT_KEYS = ("weight", "tool_calls", "function_call", "refusal")
# langchain-core converts these to parts that training files do not support.
_KINDS_WITHOUT_IMAGE = frozenset({"audio", "file", "video", "reasoning", "thinking"})
# These repeat the message's `tool_calls`.
_KINDS_OF_CALLS = frozenset({"tool_call", "tool_use", "function_call"})
_NO_CONTENT = {"content": ""}
_FIELD = re.compile(r"\{(others|owner|participants|platform|title)\}")


SystemPrompt: TypeAlias = "str | Callable[[ChatSession], str | None] | None"
"""A system prompt, or a function that returns the prompt of a session."""


class TrainingMessage(TypedDict, total=False):
    """A message in OpenAI's format."""

    role: Required[str]
    content: Required[str | list[dict[str, Any]] | None]
    name: str
    weight: int
    tool_calls: list[dict[str, Any]]
    function_call: dict[str, Any]
    tool_call_id: str
    refusal: str


class TrainingExample(TypedDict):
    """A conversation in OpenAI's format: one line of a training file."""

    messages: list[TrainingMessage]
    tools: NotRequired[list[dict[str, Any]]]
    parallel_tool_calls: NotRequired[bool]
    functions: NotRequired[list[dict[str, Any]]]


class ExampleOptions(TypedDict, total=False):
    """The options of `to_training_examples`."""

    system: SystemPrompt
    keep_leading: bool
    keep_trailing: bool
    keep_lone: bool


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

    Messages of the AI (see `MapAIMessages`) become the assistant's, and all others the
    user's; in groups, `LabelSpeakers` adds the names. Messages without text are
    skipped, and so are those after the last answer, which OpenAI refuses. Images in
    list content become OpenAI's `image_url`, and other parts (audio, files, reasoning)
    are skipped. With `additional_kwargs["weight"]` 0, an AI message is context and not
    trained on.

    Args:
        sessions: A chat loader, a session, or an iterable of sessions.
        system: A system prompt for sessions that do not begin with one. `{others}`
            (everybody except the AI), `{owner}`, `{participants}`, `{platform}` and
            `{title}` are filled in from the session; other braces are kept. Or a
            function that returns the prompt of a session, such as `persona_prompt`.
        keep_leading: Keep the AI's messages before the first message of another person.
            Some chat templates and providers require that the user begins.
        keep_trailing: Keep the messages after the last answer, as LangChain's tutorials
            do. OpenAI refuses such examples; the local server accepts them.
        keep_lone: Keep examples of a single message, which is not an answer.
        counts: A list to which the counts are added, as `Examples`. Parts of list
            content are counted separately.

    Yields:
        The examples, lazily; closing the iterator closes the loader.

    Raises:
        SenderNotFoundError: At the end, if there were messages, but none by the AI.
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
    """Turns sessions into examples, and counts their messages.

    Reasons to skip messages: `no_assistant` (no message by the AI), `not_trained` (all
    messages of the AI have weight 0), `trailing` (after the last answer), `empty` (no
    text), `unsupported` (only parts that training files do not support), `leading`
    (before the first message of a user), `lone` (a single message).
    """

    def __init__(self, **options: Unpack[ExampleOptions]) -> None:
        self.messages = Counts("Examples")
        self.sessions = Counts("Examples", "sessions")
        self.parts = Counts("Examples", "content parts")
        self._system = options.get("system")
        self._keep_leading = options.get("keep_leading", True)
        self._keep_trailing = options.get("keep_trailing", False)
        self._keep_lone = options.get("keep_lone", True)
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
        messages: list[TrainingMessage] = []
        kept: list[BaseMessage] = []
        dropped: Counter[str] = Counter()
        for message in given:
            item = training_message(message, self.parts)
            if item is not None:
                messages.append(item)
                kept.append(message)
            else:
                is_empty = isinstance(message.content, str) or not message.content
                dropped["empty" if is_empty else "unsupported"] += 1
        start = 0 if self._keep_leading else _start_of_first_prompt(messages)
        end = len(messages) if self._keep_trailing else _end_of_last_answer(messages)
        reason = "empty" if not given else _reason_to_skip(messages, start)
        if reason is None and not self._keep_lone and _is_lone(messages[start:end]):
            reason = "lone"
        if reason is not None:
            self.sessions.skip(reason)
            counts.skip(reason, len(given))
            if reason == "no_assistant":
                self._senders.update(map(_sender, given))
            return None
        counts.skipped.update(dropped)
        counts.skip("leading", start)
        counts.skip("trailing", len(messages) - end)
        messages, kept = messages[start:end], kept[start:end]
        if self._system is not None and messages[0]["role"] not in _PROMPT_ROLES:
            prompt = system_prompt(self._system, session, kept)
            if prompt:
                messages.insert(0, {"role": "system", "content": prompt})
                counts.added["system_prompt"] += 1
        counts.kept += len(messages)
        self.sessions.kept += 1
        return ConvertedSession({"messages": messages}, session, kept)

    def require_assistant(self) -> None:
        """Raise an error if no session so far has a message by the AI."""
        skipped = self.sessions.skipped
        without = skipped["no_assistant"] + skipped["empty"]
        if skipped["no_assistant"] and self.sessions.found == without:
            msg = (
                f"None of {plural(without, 'session')} has a text by the AI, so there "
                "is nothing to learn. Name the person whose messages become the AI's."
            )
            raise SenderNotFoundError(msg, self._senders)


def training_message(
    message: BaseMessage, parts: Counts | None = None
) -> TrainingMessage | None:
    """Return a message in OpenAI's format, and count the parts of list content."""
    content, extra = message.content, message.additional_kwargs
    kind = type(message)
    role = _ROLE_OF_TYPE.get(kind) or _role(message)
    item: dict[str, Any] = {"role": role, "content": content}
    name = message.name or extra.get("name")
    if name:
        item["name"] = safe_name(str(name))
    if kind is not HumanMessage:  # The common case has no other keys.
        _add_other_keys(item, message)
    if isinstance(content, str):
        has_content = bool(content) and not content.isspace()
    else:
        listed = _parts(message, parts if parts is not None else Counts())
        item["content"] = listed
        has_content = any(p["type"] != "text" or p["text"].strip() for p in listed)
    if not has_content:
        if not any(key in item for key in _ASSISTANT_KEYS[1:]):
            return None
        item["content"] = None
    return cast("TrainingMessage", item)


def _reason_to_skip(messages: Sequence[TrainingMessage], start: int) -> str | None:
    answers = [i for i, item in enumerate(messages) if item["role"] == "assistant"]
    if not answers:
        return "no_assistant"
    if answers[-1] < start:
        return "leading"
    learned = (messages[i].get("weight") != 0 for i in answers if i >= start)
    return None if any(learned) else "not_trained"


def _start_of_first_prompt(messages: Sequence[TrainingMessage]) -> int:
    others = (i for i, one in enumerate(messages) if one["role"] != "assistant")
    return next(others, len(messages))


def _end_of_last_answer(messages: Sequence[TrainingMessage]) -> int:
    end = len(messages)
    while end and messages[end - 1]["role"] != "assistant":
        end -= 1
    return end


def _is_lone(messages: Sequence[TrainingMessage]) -> bool:
    return sum(one["role"] not in _PROMPT_ROLES for one in messages) == 1


def _role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return _ROLE_OF_CHAT_MESSAGE.get(message.role, message.role)
    try:
        converted = convert_to_openai_messages([message.model_copy(update=_NO_CONTENT)])
    except ValueError as error:
        msg = f"A {type(message).__name__} cannot be trained on."
        raise TypeError(msg) from error
    return str(converted[0]["role"])


def _add_other_keys(item: dict[str, Any], message: BaseMessage) -> None:
    if isinstance(message, ToolMessage):
        item["tool_call_id"] = message.tool_call_id
    if not isinstance(message, AIMessage):
        return
    extra = message.additional_kwargs
    if not message.tool_calls and extra.keys().isdisjoint(_ASSISTANT_KEYS):
        return
    if extra.get("weight") is not None:
        item["weight"] = extra["weight"]
    if message.tool_calls:
        (converted,) = convert_to_openai_messages(
            [message.model_copy(update=_NO_CONTENT)]
        )
        item["tool_calls"] = converted["tool_calls"]
    for key in _ASSISTANT_KEYS[1:]:
        if extra.get(key):
            item.setdefault(key, extra[key])


def _parts(message: BaseMessage, counts: Counts) -> list[dict[str, Any]]:
    """Return the parts of list content that training files support."""
    parts: list[dict[str, Any]] = []
    has_calls = isinstance(message, AIMessage) and bool(message.tool_calls)
    for given in message.content:
        part = {"type": "text", "text": given} if isinstance(given, str) else given
        if has_calls and str(part.get("type")) in _KINDS_OF_CALLS:
            continue
        counts.found += 1
        converted = _openai_part(part)
        if converted is None:
            counts.skip("unsupported")
        else:
            counts.kept += 1
            parts.append(converted)
    return parts


def _openai_part(part: dict[Any, Any]) -> dict[str, Any] | None:
    kind = str(part.get("type"))
    if kind in _KINDS_WITHOUT_IMAGE:
        return None
    try:
        converted: list[Any] = convert_to_openai_messages(
            [HumanMessage([part])], text_format="block"
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None  # An unknown or incomplete part.
    # The converter makes separate messages of tool results.
    parts = [p for one in converted if one["role"] == "user" for p in one["content"]]
    if len(parts) != 1:
        return None
    kind = str(parts[0].get("type"))
    value_type = {"text": str, "image_url": dict}.get(kind)
    if value_type is None or not isinstance(parts[0].get(kind), value_type):
        return None
    return {"type": kind, kind: parts[0][kind]}


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
    # Prefer the metadata: a window may have no message of a participant.
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
