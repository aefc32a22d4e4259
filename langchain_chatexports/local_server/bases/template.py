"""The chat template of a base: one text for training, answers and scores.

Some templates, such as those of thinking models, render earlier replies differently
from the last one. So we render short chats with the base's own template, thinking
switched off, cut out the markup between the messages, and write a template with just
that. It marks what is learned with `{% generation %}`, which llama.cpp ignores.

Templates are untrusted programs. Each runs once, in transformers' sandbox, which has no
access to files and modules, in a child process with limited time and memory.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

from langchain_chatexports.local_server.bases.cache import (
    cache_folder,
    read_json,
    write_json,
)
from langchain_chatexports.local_server.bases.preparation import (
    complete_base,
    file_key,
    load_tokenizer,
)
from langchain_chatexports.local_server.processes import (
    ChildProcessFailedError,
    call_in_child,
    limit_memory,
)

# Importing transformers takes most of it on a busy machine.
_MAX_SECONDS = 120.0
_MAX_CHARACTERS = 1_000_000
_EXTRA_MEMORY_BYTES = 500_000_000
# Increment this when the derived template changes.
_VERSION = 3
_FILES = ("*.json", "*.jinja", "tokenizer*")
# With today's date, prompts would differ from those used in training.
_DATE = date(2026, 1, 1)
_THINKING_OFF = {"enable_thinking": False, "thinking": False}
_THOUGHTS = (
    ("<think>", "\n\n</think>\n\n"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
)
_QUESTION, _ANSWER, _REPLY, _RULES = "hare-1", "tortoise-1", "hare-2", "rules-1"
_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


class TemplateError(ValueError):
    """The base's chat template is not supported; the message has the reason."""


class MessageError(ValueError):
    """A message that a text model does not support; the error does not quote it."""


class TemplateMessage(NamedTuple):
    """A message reduced to its role and text."""

    role: str
    text: str
    has_loss: bool
    message_index: int


class Markup(NamedTuple):
    """The pieces between the messages of a chat."""

    start: str
    """Before the first header of a chat without a system message."""

    user_header: str
    user_end: str
    reply_header: str
    reply_end: str
    """What is learned of the markup after a reply, with the end token."""

    gap: str
    """The rest of the markup after a reply."""

    system_start: str
    system_end: str
    system_is_in_user_turn: bool
    """If so, the first user message has no header."""

    end_token: str


@dataclass(frozen=True)
class ChatTemplate:
    """A template that renders each message in the same way, wherever it stands."""

    markup: Markup
    control_tokens: tuple[str, ...]
    context: int
    """The context length in tokens."""

    original: str | None = None
    """The base's own template, if it renders tools and their calls."""

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the template of an `asdict`, read from JSON."""
        markup, tokens = Markup(*record["markup"]), tuple(record["control_tokens"])
        return cls(markup, tokens, record["context"], record["original"])

    @cached_property
    def jinja(self) -> str:
        """The template without tools; `{% generation %}` marks what is learned."""
        return _write_jinja(self.markup)

    @property
    def has_tools(self) -> bool:
        """Whether requests can have tools."""
        return self.original is not None

    @property
    def jinja_with_tools(self) -> str:
        """The template, with the base's own one for requests with tools."""
        if self.original is None:
            return self.jinja
        return (
            "{%- if tools -%}{%- set enable_thinking = false -%}"
            f"{self.original}{{%- else -%}}{self.jinja}{{%- endif -%}}"
        )

    def prepare(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
        """Return the messages that the template renders.

        Raises a `MessageError` if one of them is not text.
        """
        return [
            {"role": message.role, "content": self.escape(message.text)}
            for message in reduce_messages(messages)
        ]

    @cached_property
    def role_strings(self) -> tuple[str, ...]:
        """Markup that is plain text, such as `[INST]`, `USER:` and `### Response:`."""
        return _find_role_strings(self.markup, self.control_tokens)

    def escape(self, text: str) -> str:
        """Insert a space into markup, which could start another message."""
        splits = [(token, 1) for token in self.control_tokens]
        splits += [(string, -1) for string in self.role_strings]
        for piece, at in splits:
            # A replacement can leave one that overlapped.
            while piece in text:
                text = text.replace(piece, f"{piece[:at]} {piece[at:]}")
        return text


def reduce_messages(messages: Sequence[Mapping[str, Any]]) -> list[TemplateMessage]:
    """Reduce OpenAI's messages to roles and text.

    `developer` counts as `system`. Messages with `weight` 0 have no loss. A refusal
    counts as text. System messages at the start are joined.
    """
    reduced: list[TemplateMessage] = []
    for index, message in enumerate(messages):
        role = _ROLES.get(str(message.get("role")))
        if role is None or message.get("tool_calls") or message.get("function_call"):
            msg = f"message {index}: the local server only supports text, no tool calls"
            raise MessageError(msg)
        content = message.get("content")
        if not content and message.get("refusal"):
            content = message["refusal"]
        text = _extract_text(content, index)
        has_loss = role == "assistant" and message.get("weight", 1) != 0
        if role == "system" and len(reduced) == 1 and reduced[0].role == "system":
            reduced[0] = reduced[0]._replace(text=f"{reduced[0].text}\n\n{text}")
        else:
            reduced.append(TemplateMessage(role, text, has_loss, index))
    return reduced


def _extract_text(content: Any, index: int) -> str:
    if isinstance(content, str):
        # Tokenizers reject lone surrogates.
        return content.encode("utf-8", "replace").decode("utf-8")
    if isinstance(content, list) and content:
        parts = [
            part.get("text", part.get("refusal"))
            for part in content
            if isinstance(part, Mapping)
        ]
        texts = [text for text in parts if isinstance(text, str)]
        if len(texts) == len(content):
            return "".join(_extract_text(text, index) for text in texts)
    msg = f"message {index}: the content is not text"
    raise MessageError(msg)


def read_template(directory: Path) -> ChatTemplate:
    """Return the chat template of a base's directory, without importing transformers.

    A child process derives it once, and the result is cached. Raises a `TemplateError`
    if the base has no template that chats can be assembled from.
    """
    # A conversion takes longer than the template may.
    complete_base(directory)
    files = sorted({file for pattern in _FILES for file in directory.glob(pattern)})
    key = json.dumps([_VERSION, str(directory), *map(file_key, files)])
    cached = (
        cache_folder("templates")
        / f"{hashlib.sha256(key.encode('ascii')).hexdigest()[:32]}.json"
    )
    record = read_json(cached)
    if record is None:
        try:
            record = dict(
                call_in_child(_derive_record, str(directory), timeout=_MAX_SECONDS)
            )
        except ChildProcessFailedError as error:
            msg = f"the base model's chat template is not supported: {error}"
            raise TemplateError(msg) from error
        write_json(cached, record)
    if "error" in record:
        raise TemplateError(record["error"])
    return ChatTemplate.from_record(record)


def _derive_record(directory: str) -> dict[str, Any]:
    tokenizer, context = load_tokenizer(Path(directory))
    # Import it before memory is limited.
    from transformers.utils import chat_template_utils  # noqa: F401

    limit_memory(_EXTRA_MEMORY_BYTES)
    try:
        return asdict(template_of(tokenizer, context))
    except TemplateError as error:
        return {"error": str(error)}


def template_of(tokenizer: Any, context: int) -> ChatTemplate:
    """Derive the template of a tokenizer in this process, without limits."""
    source = getattr(tokenizer, "chat_template", None)
    if isinstance(source, dict):
        source = source.get("default")
    if not source or not isinstance(source, str):
        msg = (
            "the base model has no chat template; use an instruction-tuned model "
            "(its name often ends in -Instruct, -Chat or -it)"
        )
        raise TemplateError(msg)
    if len(source) > _MAX_CHARACTERS:
        msg = "the base model's chat template has more than a million characters"
        raise TemplateError(msg)
    added = tokenizer.added_tokens_decoder.values()
    control = {token.content for token in added if token.special}
    control_tokens = sorted({*control, *tokenizer.all_special_tokens} - {""})
    specials = {k: str(token) for k, token in tokenizer.special_tokens_map.items()}
    return derive_template(source, specials, control_tokens, context)


def derive_template(
    source: str,
    special_tokens: Mapping[str, Any],
    control_tokens: Sequence[str],
    context: int,
) -> ChatTemplate:
    """Derive a template from a base's own one."""
    return ChatTemplate(
        _derive_markup(source, special_tokens, control_tokens),
        tuple(control_tokens),
        context,
        source if re.search(r"\btools\b", source) else None,
    )


def _write_jinja(markup: Markup) -> str:
    start, header, end = map(
        _literal, (markup.start, markup.user_header, markup.user_end)
    )
    reply, reply_end, gap = map(
        _literal, (markup.reply_header, markup.reply_end, markup.gap)
    )
    system_start, system_end = map(_literal, (markup.system_start, markup.system_end))
    if markup.system_is_in_user_turn:
        system_end = (
            f"({end} if messages | length == 1 or messages[1]['role'] == "
            f"'assistant' else {system_end})"
        )
        header = (
            "('' if loop.index0 == 1 and messages[0]['role'] == 'system' else "
            f"{header})"
        )
    return (
        "{%- if messages and messages[0]['role'] == 'system' -%}"
        f"{{{{- {system_start} + messages[0]['content'] + {system_end} -}}}}"
        f"{{%- else -%}}{{{{- {start} -}}}}{{%- endif -%}}"
        "{%- for message in messages -%}"
        "{%- if message['role'] == 'assistant' -%}"
        f"{{{{- {reply} -}}}}"
        f"{{%- generation -%}}{{{{- message['content'] + {reply_end} -}}}}"
        f"{{%- endgeneration -%}}{{{{- {gap} -}}}}"
        "{%- elif not (loop.first and message['role'] == 'system') -%}"
        f"{{{{- {header} + message['content'] + {end} -}}}}"
        "{%- endif -%}{%- endfor -%}"
        f"{{%- if add_generation_prompt -%}}{{{{- {reply} -}}}}{{%- endif -%}}"
    )


def _find_role_strings(
    markup: Markup, control_tokens: Sequence[str]
) -> tuple[str, ...]:
    """Return the parts of a markup that name a role without a control token."""
    header = markup.start + markup.user_header
    pieces = (
        markup.start,
        markup.user_header,
        markup.user_end,
        markup.reply_header,
        markup.reply_end,
        markup.gap,
        markup.system_start.removeprefix(header).removeprefix(markup.start),
        markup.system_end.removesuffix(markup.user_header),
    )
    tokens = sorted({*control_tokens, markup.end_token}, key=len, reverse=True)
    between = re.compile("|".join(map(re.escape, tokens)))
    parts = {part.strip() for piece in pieces for part in between.split(piece)}
    # A role's bare name, as between the tokens of ChatML, is a word of many texts.
    return tuple(
        sorted(
            part
            for part in parts
            if any(map(str.isalpha, part)) and not part.replace(" ", "").isalnum()
        )
    )


def _literal(text: str) -> str:
    # Jinja reads the escapes of JSON.
    return json.dumps(text, ensure_ascii=False)


def _derive_markup(
    source: str, special_tokens: Mapping[str, Any], control_tokens: Sequence[str]
) -> Markup:
    probe = _Probe(source, special_tokens)
    start, to_reply = probe.split([_QUESTION])
    chat = [_QUESTION, _ANSWER, _REPLY]
    _, to_earlier_reply, after_reply, _ = probe.split(chat)
    to_reply = _close_thinking(to_reply)
    if to_earlier_reply.startswith(to_reply):
        # The common start of all replies, such as the name of a channel.
        to_reply = to_earlier_reply
    # Tokenizers join a space with the next word, so none is left at the end.
    to_reply = to_reply.rstrip(" ")
    user_end = probe.find_common_end([_QUESTION], to_reply, control_tokens)
    assistant_end = probe.find_common_end(
        [_QUESTION, _ANSWER], after_reply, control_tokens
    )
    first_token = _find_first_token(control_tokens, after_reply)
    end_token = first_token or str(special_tokens.get("eos_token") or "")
    if not end_token:
        msg = "the base model's chat template has no token that ends a reply"
        raise TemplateError(msg)
    if first_token is None:
        after_reply, assistant_end = end_token + after_reply, end_token
    elif first_token not in assistant_end:
        assistant_end = after_reply.partition(first_token)[0] + first_token
    user_header = after_reply.removeprefix(assistant_end)
    assistant_header = to_reply.removeprefix(user_end)
    # At the start of a chat, no separator precedes the header.
    separator = user_header[
        : len(user_header) - _common_suffix_length(start, user_header)
    ]
    user_header = user_header.removeprefix(separator)
    if assistant_header.startswith(separator):
        assistant_header = assistant_header.removeprefix(separator)
        user_end += separator
    start = start.removesuffix(user_header)
    system_start, system_end = start + user_header, "\n\n"
    is_in_user_turn = True
    try:
        system_start, between, _ = probe.split([_RULES, _QUESTION])
    except TemplateError:
        pass  # The template rejects system messages.
    else:
        is_in_user_turn = not between.endswith(user_header)
        system_end = between if is_in_user_turn else between.removesuffix(user_header)
    after_reply = assistant_end + separator
    learned, token, gap = after_reply.partition(end_token)
    return Markup(
        start=start,
        user_header=user_header,
        user_end=user_end,
        reply_header=assistant_header,
        reply_end=learned + token,
        gap=gap,
        system_start=system_start,
        system_end=system_end,
        system_is_in_user_turn=is_in_user_turn,
        end_token=end_token,
    )


class _Probe:
    """Renders short chats with a base's own template."""

    def __init__(self, source: str, special_tokens: Mapping[str, Any]) -> None:
        self._source = source
        self._variables = {
            **special_tokens,
            **_THINKING_OFF,
            "strftime_now": _format_date,
        }

    def split(self, texts: list[str]) -> list[str]:
        """Return the markup before and after each text, in order."""
        pieces = []
        rest = self._render(texts, add_generation_prompt=True)
        for text in texts:
            before, match, rest = rest.partition(text)
            if not match or text in rest:
                msg = (
                    "the base model's chat template does not render each message "
                    "exactly once and in order"
                )
                raise TemplateError(msg)
            pieces.append(before)
        return [*pieces, rest]

    def find_common_end(
        self, texts: list[str], following: str, control_tokens: Sequence[str]
    ) -> str:
        """Return the markup that always follows the last text."""
        try:
            rendered = self._render(texts, add_generation_prompt=False)
        except TemplateError:
            return ""
        pattern = re.compile("|".join(map(re.escape, [*control_tokens, "\n"])))
        end = rendered.rpartition(texts[-1])[2]
        length = 0
        for match in pattern.finditer(following):
            if end[: match.end()] != following[: match.end()]:
                break
            length = match.end()
        return following[:length]

    def _render(self, texts: list[str], *, add_generation_prompt: bool) -> str:
        roles = {_ANSWER: "assistant", _RULES: "system"}
        chat = [(roles.get(text, "user"), text) for text in texts]
        plain = [{"role": role, "content": text} for role, text in chat]
        # Templates of vision models require lists.
        parts = [
            {"role": role, "content": [{"type": "text", "text": text}]}
            for role, text in chat
        ]
        options = {**self._variables, "add_generation_prompt": add_generation_prompt}
        try:
            rendered = _render(self._source, plain, options)
            if all(text in rendered for text in texts):
                return rendered
        except TemplateError:
            pass
        return _render(self._source, parts, options)


def _render(source: str, messages: list[dict[str, Any]], options: Any) -> str:
    from transformers.utils import chat_template_utils

    try:
        # `render_jinja_template` has no `strftime_now`.
        template = chat_template_utils._compile_jinja_template(source)  # noqa: SLF001
        return str(template.render(messages=messages, **options))
    except Exception as error:
        msg = (
            "the base model's chat template cannot render a simple chat "
            f"({type(error).__name__})"
        )
        raise TemplateError(msg) from error


def _format_date(date_format: str) -> str:
    return _DATE.strftime(date_format)


def _close_thinking(to_reply: str) -> str:
    """Close the thinking block that a generation prompt opens."""
    for tag, end in _THOUGHTS:
        if to_reply.rfind(tag) > to_reply.rfind(end.strip()):
            return to_reply[: to_reply.rfind(tag)] + tag + end
    return to_reply


def _find_first_token(tokens: Sequence[str], text: str) -> str | None:
    pattern = "|".join(map(re.escape, sorted(tokens, key=len, reverse=True)))
    match = re.search(pattern, text) if pattern else None
    return match.group() if match else None


def _common_suffix_length(first: str, second: str) -> int:
    length = 0
    for left, right in zip(reversed(first), reversed(second), strict=False):
        if left != right:
            break
        length += 1
    return length
