"""Convert sessions to training examples in OpenAI's format."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple, Required, TypeAlias

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage
from typing_extensions import TypedDict

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import Counts, append_on_exit
from langchain_chatexports.chat_loaders.schema import keys_of, metadata_of, sender_of
from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    iter_sessions,
)
from langchain_chatexports.exceptions import SenderNotFoundError

_ROLES = {"human": "user", "ai": "assistant", "system": "system"}
_PROMPT_ROLES = frozenset({"system", "developer"})

SystemPrompt: TypeAlias = "str | Callable[[ChatSession], str | None] | None"
"""A system prompt, or a function that returns the prompt of a session."""


class TrainingMessage(TypedDict, total=False):
    """A message in OpenAI's format."""

    role: Required[str]
    content: Required[str]
    weight: int


class TrainingExample(TypedDict):
    """An example in OpenAI's format: one line of a training file."""

    messages: list[TrainingMessage]


def to_training_examples(
    sessions: SessionSource,
    *,
    system: SystemPrompt = None,
    keep_trailing: bool = False,
    keep_single_messages: bool = True,
    counts: list[Counts] | None = None,
) -> Iterator[TrainingExample]:
    """Convert each session to a training example.

    AI messages (see `MapAIMessages`) get the role `assistant`, and all others the role
    `user`; in groups, `LabelSpeakers` adds the names. Messages without text are
    skipped, as well as those after the last answer, which OpenAI does not accept. AI
    messages with `additional_kwargs["weight"]` 0 are context and not trained on.

    Args:
        sessions: A chat loader, a session, or an iterable of sessions.
        system: A system prompt for sessions that do not begin with one; `{others}` in
            it is replaced with the names of all people except the AI. Or a function
            that returns a session's prompt, such as `persona_prompt`.
        keep_trailing: Keep the messages after the last answer, as LangChain's tutorials
            do. The local server accepts such examples, but OpenAI does not.
        keep_single_messages: Keep examples with a single message, which does not reply
            to anything.
        counts: A list to append the counts to, as stage `Examples`.

    Yields:
        The examples, lazily; closing the iterator closes the loader.

    Raises:
        SenderNotFoundError: At the end, if there were messages, but none from the AI.
        TypeError: If a message contains an image, a tool call or other parts that are
            not text.
    """
    with closing(
        convert_sessions(
            sessions,
            system=system,
            keep_trailing=keep_trailing,
            keep_single_messages=keep_single_messages,
            counts=counts,
        )
    ) as conversions:
        for converted in conversions:
            yield converted.example
            del converted


class ConvertedSession(NamedTuple):
    """An example with its session and messages."""

    example: TrainingExample
    session: ChatSession
    kept: Sequence[BaseMessage]


def convert_sessions(
    sessions: SessionSource,
    *,
    system: SystemPrompt = None,
    keep_trailing: bool = False,
    keep_single_messages: bool = True,
    counts: list[Counts] | None = None,
) -> Generator[ConvertedSession, None, None]:
    """Convert sessions lazily, as `to_training_examples` does.

    Reasons to skip messages: `no_assistant` (no message from the AI), `not_trained`
    (all AI messages have weight 0), `trailing` (after the last answer), `empty` (no
    text), `lone` (a single message).
    """
    message_counts = Counts("Examples")
    session_counts = Counts("Examples", "sessions")
    senders: Counter[str] = Counter()
    with (
        append_on_exit(
            counts if counts is not None else [], message_counts, session_counts
        ),
        closing(iter_sessions(sessions)) as source,
    ):
        for session in source:
            messages = session.get("messages", ())
            message_counts.found += len(messages)
            session_counts.found += 1
            converted = [(training_message(message), message) for message in messages]
            items = [item for item, _ in converted if item]
            end = len(items) if keep_trailing else _last_answer_end(items)
            reason = (
                _skip_reason(items[:end], keep_single_messages) if messages else "empty"
            )
            if reason is not None:
                session_counts.skip(reason)
                message_counts.skip(reason, len(messages))
                if reason == "no_assistant":
                    senders.update(map(sender_of, messages))
                continue
            message_counts.skip("empty", len(messages) - len(items))
            message_counts.skip("trailing", len(items) - end)
            items, kept = items[:end], [m for item, m in converted if item][:end]
            prompt = _system_prompt(system, session, kept)
            if prompt and items[0]["role"] not in _PROMPT_ROLES:
                items.insert(0, {"role": "system", "content": prompt})
                message_counts.added["system_prompt"] += 1
            message_counts.kept += len(items)
            session_counts.kept += 1
            yield ConvertedSession({"messages": items}, session, kept)
            del session, messages, converted, items, kept
    skipped = session_counts.skipped
    without_ai = skipped["no_assistant"] + skipped["empty"]
    if skipped["no_assistant"] and session_counts.found == without_ai:
        msg = (
            f"None of {plural(without_ai, 'session')} contains text from the AI, so "
            "there is nothing to learn. Choose the person who should become the AI."
        )
        raise SenderNotFoundError(msg, senders)


def training_message(message: BaseMessage) -> TrainingMessage | None:
    """Return a message in OpenAI's format; `None` if it has no text."""
    content, extra = message.content, message.additional_kwargs
    role = _ROLES.get(message.type) or _find_role(message)
    is_text = isinstance(content, str) or all(map(_is_text, content))
    has_calls = isinstance(message, AIMessage) and message.tool_calls
    if role is None or not is_text or has_calls or extra.get("function_call"):
        msg = (
            f"A {type(message).__name__} with images, tools or other parts cannot be "
            "used for training, since examples are text. Exclude its session."
        )
        raise TypeError(msg)
    text = content if isinstance(content, str) else str(message.text)
    if not text or text.isspace():
        return None
    item: TrainingMessage = {"role": role, "content": text}
    if role == "assistant" and extra.get("weight") is not None:
        item["weight"] = extra["weight"]
    return item


def _find_role(message: BaseMessage) -> str | None:
    """Return the role of a chat message or a chunk; `None` for other types."""
    chat_role = message.role if isinstance(message, ChatMessage) else None
    # A chunk's type is its class name, such as `AIMessageChunk`.
    kind = (chat_role or message.type).removesuffix("MessageChunk")
    return _ROLES.get(kind.lower(), chat_role)


def _is_text(part: str | Mapping[Any, Any]) -> bool:
    return isinstance(part, str) or part.get("type") == "text"


def _skip_reason(
    messages: Sequence[TrainingMessage], keep_single_messages: bool
) -> str | None:
    assistant_messages = [item for item in messages if item["role"] == "assistant"]
    if not assistant_messages:
        return "no_assistant"
    if all(item.get("weight") == 0 for item in assistant_messages):
        return "not_trained"
    count = sum(item["role"] not in _PROMPT_ROLES for item in messages)
    return None if count > 1 or keep_single_messages else "lone"


def _last_answer_end(messages: Sequence[TrainingMessage]) -> int:
    end = len(messages)
    while end and messages[end - 1]["role"] != "assistant":
        end -= 1
    return end


def _system_prompt(
    system: SystemPrompt, session: ChatSession, messages: Sequence[BaseMessage]
) -> str | None:
    if system is None:
        return None
    if isinstance(system, str):
        return system.replace("{others}", ", ".join(_other_people(session)))
    return system({**session, "messages": messages})


def _other_people(session: ChatSession) -> list[str]:
    # Prefer the metadata: some participants may have no message in a window.
    metadata = metadata_of(session)
    senders: dict[str, None] = {}
    ai_names: set[str] = set()
    for message in session.get("messages", ()):
        if not isinstance(message, AIMessage):
            senders[sender_of(message)] = None
            continue
        ai_names.add(sender_of(message))
        if keys_of(message).get("is_from_me") and metadata.get("owner"):
            ai_names.add(str(metadata["owner"]))
    participants = metadata.get("participants") or senders
    return [name for name in participants if name not in ai_names]
