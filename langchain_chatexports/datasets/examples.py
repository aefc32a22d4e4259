"""Make training examples in OpenAI's format from sessions."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple, TypeAlias, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage
from typing_extensions import Required, TypedDict

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import Counts, entered_at_end
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
    """A conversation in OpenAI's format: one line of a training file."""

    messages: list[TrainingMessage]


def to_training_examples(
    sessions: SessionSource,
    *,
    system: SystemPrompt = None,
    keep_trailing: bool = False,
    keep_lone: bool = True,
    counts: list[Counts] | None = None,
) -> Iterator[TrainingExample]:
    """Turn each session into a training example.

    Messages of the AI (see `MapAIMessages`) become the assistant's, and all others the
    user's; in groups, `LabelSpeakers` adds the names. Messages without text are
    skipped, and so are those after the last answer, which OpenAI refuses. With
    `additional_kwargs["weight"]` 0, an AI message is context and not trained on.

    Args:
        sessions: A chat loader, a session, or an iterable of sessions.
        system: A system prompt for sessions that do not begin with one, in which
            `{others}` is replaced by everybody except the AI. Or a function that
            returns the prompt of a session, such as `persona_prompt`.
        keep_trailing: Keep the messages after the last answer, as LangChain's tutorials
            do. OpenAI refuses such examples; the local server accepts them.
        keep_lone: Keep examples of a single message, which answers nothing.
        counts: A list to which the counts are added, as `Examples`.

    Yields:
        The examples, lazily; closing the iterator closes the loader.

    Raises:
        SenderNotFoundError: At the end, if there were messages, but none by the AI.
        TypeError: If a message has an image, a tool call or anything else that is not
            text.
    """
    with closing(
        converted_sessions(
            sessions,
            system=system,
            keep_trailing=keep_trailing,
            keep_lone=keep_lone,
            counts=counts,
        )
    ) as all_converted:
        for converted in all_converted:
            yield converted.example
            del converted


class ConvertedSession(NamedTuple):
    """An example, and the messages of the session that it was made from."""

    example: TrainingExample
    session: ChatSession
    kept: Sequence[BaseMessage]


def converted_sessions(
    sessions: SessionSource,
    *,
    system: SystemPrompt = None,
    keep_trailing: bool = False,
    keep_lone: bool = True,
    counts: list[Counts] | None = None,
) -> Generator[ConvertedSession, None, None]:
    """Convert sessions lazily, as `to_training_examples` does.

    Reasons to skip messages: `no_assistant` (no message by the AI), `not_trained` (all
    messages of the AI have weight 0), `trailing` (after the last answer), `empty` (no
    text), `lone` (a single message).
    """
    messages, passed = Counts("Examples"), Counts("Examples", "sessions")
    silent: Counter[str] = Counter()
    with (
        entered_at_end(counts if counts is not None else [], messages, passed),
        closing(iter_sessions(sessions)) as source,
    ):
        for session in source:
            given = session.get("messages", ())
            messages.found += len(given)
            passed.found += 1
            with_text = [(training_message(message), message) for message in given]
            found = [(item, message) for item, message in with_text if item]
            items = [item for item, _ in found]
            end = len(items) if keep_trailing else _end_of_last_answer(items)
            reason = _reason_to_skip(items[:end], keep_lone) if given else "empty"
            if reason is not None:
                passed.skip(reason)
                messages.skip(reason, len(given))
                if reason == "no_assistant":
                    silent.update(map(_sender, given))
                continue
            messages.skip("empty", len(given) - len(items))
            messages.skip("trailing", len(items) - end)
            items, kept = items[:end], [message for _, message in found[:end]]
            prompt = _system_prompt(system, session, kept)
            if prompt and items[0]["role"] not in _PROMPT_ROLES:
                items.insert(0, {"role": "system", "content": prompt})
                messages.added["system_prompt"] += 1
            messages.kept += len(items)
            passed.kept += 1
            yield ConvertedSession({"messages": items}, session, kept)
            del session, given, with_text, found, items, kept
    without = passed.skipped["no_assistant"] + passed.skipped["empty"]
    if passed.skipped["no_assistant"] and passed.found == without:
        msg = (
            f"None of {plural(without, 'session')} has a text by the AI, so there "
            "is nothing to learn. Name the person whose messages become the AI's."
        )
        raise SenderNotFoundError(msg, silent)


def training_message(message: BaseMessage) -> TrainingMessage | None:
    """Return a message in OpenAI's format; `None` if it has no text."""
    content, extra = message.content, message.additional_kwargs
    named = message.role if isinstance(message, ChatMessage) else None
    # Of chunks, the type is the class, such as `AIMessageChunk`.
    kind = (named or message.type).removesuffix("MessageChunk")
    role = _ROLES.get(kind.lower(), named)
    is_text = isinstance(content, str) or all(map(_is_text, content))
    has_calls = isinstance(message, AIMessage) and message.tool_calls
    if role is None or not is_text or has_calls or extra.get("function_call"):
        msg = (
            f"A {type(message).__name__} with images, tools or other parts cannot be "
            "trained on: examples are texts. Leave its session out."
        )
        raise TypeError(msg)
    text = content if isinstance(content, str) else str(message.text)
    if not text or text.isspace():
        return None
    item: TrainingMessage = {"role": role, "content": text}
    if role == "assistant" and extra.get("weight") is not None:
        item["weight"] = extra["weight"]
    return item


def _is_text(part: str | Mapping[Any, Any]) -> bool:
    return isinstance(part, str) or part.get("type") == "text"


def _reason_to_skip(messages: Sequence[TrainingMessage], keep_lone: bool) -> str | None:
    answers = [item for item in messages if item["role"] == "assistant"]
    if not answers:
        return "no_assistant"
    if all(item.get("weight") == 0 for item in answers):
        return "not_trained"
    count = sum(item["role"] not in _PROMPT_ROLES for item in messages)
    return "lone" if count == 1 and not keep_lone else None


def _end_of_last_answer(messages: Sequence[TrainingMessage]) -> int:
    end = len(messages)
    while end and messages[end - 1]["role"] != "assistant":
        end -= 1
    return end


def _sender(message: BaseMessage) -> str:
    return str(message.additional_kwargs.get("sender", "unknown"))


def _system_prompt(
    system: SystemPrompt, session: ChatSession, messages: Sequence[BaseMessage]
) -> str | None:
    if system is None:
        return None
    if isinstance(system, str):
        return system.replace("{others}", ", ".join(_others(session)))
    return system({**session, "messages": messages})


def _others(session: ChatSession) -> list[str]:
    # Prefer the metadata: a window may have no message of a participant.
    metadata: Mapping[str, Any] = cast("Mapping[str, Any]", session).get("metadata", {})
    speakers: dict[str, None] = {}
    ai: set[str] = set()
    for message in session.get("messages", ()):
        if not isinstance(message, AIMessage):
            speakers[_sender(message)] = None
            continue
        ai.add(_sender(message))
        if message.additional_kwargs.get("is_from_me") and metadata.get("owner"):
            ai.add(str(metadata["owner"]))
    listed = metadata.get("participants") or speakers
    return [name for name in listed if name not in ai]
