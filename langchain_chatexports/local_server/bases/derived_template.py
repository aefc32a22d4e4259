"""One template for training, inference, scoring and exported models.

Some templates, such as those of thinking models, render earlier replies differently
from the last one. So the base's own template only renders a few short chats, with
thinking switched off, and chats are assembled from the markup between messages.

Templates are untrusted programs. Each runs once, in transformers' sandbox, which has no
access to files and modules, in a child process with limited time and memory.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from langchain_chatexports.local_server.processes import (
    ChildProcessFailedError,
    call_in_child,
    limit_memory,
)
from langchain_chatexports.local_server.storage.data_directory import (
    read_json,
    user_cache_dir,
    write_json,
)

# Importing transformers takes most of it on a busy machine.
_MAX_SECONDS = 90.0
_MAX_BYTES = 1_000_000
_EXTRA_MEMORY_BYTES = 500_000_000
# Increment this when the derived pieces change.
_VERSION = 1
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


class TemplateError(ValueError):
    """The base's chat template is not supported; the message has the reason."""


@dataclass(frozen=True)
class DerivedTemplate:
    """The pieces between the messages of a chat."""

    start: str  # Before the first header of a chat without a system message.
    user_header: str
    user_end: str
    assistant_header: str
    assistant_end: str  # Starts with the end token of a reply.
    system_start: str
    system_end: str
    system_is_in_user_turn: bool  # If so, the first user message has no header.
    end_token: str

    @property
    def loss_suffix(self) -> str:
        """The markup with loss after a reply's text, including the end token."""
        return self.assistant_end.partition(self.end_token)[0] + self.end_token

    def turns(
        self, messages: Sequence[Mapping[str, str]]
    ) -> Iterator[tuple[str, str, str]]:
        """Yield each message's text with the markup before and after it.

        Only the first message can be a system message; later ones become user messages.
        """
        has_system = bool(messages) and messages[0]["role"] == "system"
        for index, message in enumerate(messages):
            text = message["content"]
            before = self.start if index == 0 else ""
            if message["role"] == "assistant":
                before += self.assistant_header
                yield (before, text, self.assistant_end)
            elif index == 0 and has_system:
                is_alone = len(messages) == 1 or messages[1]["role"] == "assistant"
                is_closed = self.system_is_in_user_turn and is_alone
                after = self.user_end if is_closed else self.system_end
                yield (self.system_start, text, after)
            else:
                is_open = index == 1 and has_system and self.system_is_in_user_turn
                before += "" if is_open else self.user_header
                yield (before, text, self.user_end)

    def render(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> str:
        """Render a chat as one string."""
        text = "".join("".join(turn) for turn in self.turns(messages))
        return text + self.assistant_header if add_generation_prompt else text

    def to_jinja(self, *, with_tools: str | None = None) -> str:
        """Return a Jinja template with the same output as `render`.

        Requests with tools are rendered by `with_tools`, the base's own template.
        """
        start, system_start, system_end, header, end, reply, reply_end = map(
            _literal,
            (
                self.start,
                self.system_start,
                self.system_end,
                self.user_header,
                self.user_end,
                self.assistant_header,
                self.assistant_end,
            ),
        )
        if self.system_is_in_user_turn:
            system_end = (
                f"({end} if messages | length == 1 or messages[1]['role'] == "
                f"'assistant' else {system_end})"
            )
            header = (
                "('' if loop.index0 == 1 and messages[0]['role'] == 'system' else "
                f"{header})"
            )
        template = (
            "{%- if messages and messages[0]['role'] == 'system' -%}"
            f"{{{{- {system_start} + messages[0]['content'] + {system_end} -}}}}"
            f"{{%- else -%}}{{{{- {start} -}}}}{{%- endif -%}}"
            "{%- for message in messages -%}"
            "{%- if message['role'] == 'assistant' -%}"
            f"{{{{- {reply} + message['content'] + {reply_end} -}}}}"
            "{%- elif not (loop.first and message['role'] == 'system') -%}"
            f"{{{{- {header} + message['content'] + {end} -}}}}"
            "{%- endif -%}{%- endfor -%}"
            f"{{%- if add_generation_prompt -%}}{{{{- {reply} -}}}}{{%- endif -%}}"
        )
        if with_tools is None:
            return template
        return (
            "{%- if tools -%}{%- set enable_thinking = false -%}"
            f"{with_tools}{{%- else -%}}{template}{{%- endif -%}}"
        )


def derive_template(
    source: str, special_tokens: Mapping[str, Any], control_tokens: Sequence[str]
) -> DerivedTemplate:
    """Derive the markup from a base's own template, and cache it.

    Raises a `TemplateError` if chats cannot be assembled from it.
    """
    specials = {name: str(token) for name, token in special_tokens.items()}
    arguments = (source, specials, list(control_tokens))
    task = json.dumps([_VERSION, *arguments])
    if len(task) > _MAX_BYTES:
        msg = "the base model's chat template has more than a million characters"
        raise TemplateError(msg)
    folder = user_cache_dir() / "templates"
    cached = folder / f"{hashlib.sha256(task.encode('ascii')).hexdigest()[:32]}.json"
    pieces = read_json(cached)
    if pieces is None:
        try:
            pieces = dict(call_in_child(_derive, *arguments, timeout=_MAX_SECONDS))
        except ChildProcessFailedError as error:
            msg = f"the base model's chat template is not supported: {error}"
            raise TemplateError(msg) from error
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(cached, pieces)
    if "error" in pieces:
        raise TemplateError(pieces["error"])
    return DerivedTemplate(**pieces)


def _derive(
    source: str, special_tokens: Mapping[str, Any], control_tokens: Sequence[str]
) -> dict[str, Any]:
    # Import it before memory is limited.
    from transformers.utils import chat_template_utils  # noqa: F401

    limit_memory(_EXTRA_MEMORY_BYTES)
    try:
        return asdict(derive_in_process(source, special_tokens, control_tokens))
    except TemplateError as error:
        return {"error": str(error)}


def derive_in_process(
    source: str, special_tokens: Mapping[str, Any], control_tokens: Sequence[str]
) -> DerivedTemplate:
    """Derive the markup in this process, without limits."""
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
    return DerivedTemplate(
        start=start,
        user_header=user_header,
        user_end=user_end,
        assistant_header=assistant_header,
        assistant_end=assistant_end + separator,
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


def _literal(text: str) -> str:
    # Jinja reads the escapes of JSON.
    return json.dumps(text, ensure_ascii=False)
