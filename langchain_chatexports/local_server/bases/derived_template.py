"""One template for training, answers, scores and exported models.

A base's own template may render earlier answers differently from the last one, as those
of thinking models do. So a few short chats are rendered with it, with thinking switched
off, and chats are built from the text between their messages.

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
    ChildError,
    call_in_child,
    limit_memory,
)
from langchain_chatexports.local_server.storage.data_directory import (
    read_json,
    user_cache_dir,
    write_json,
)

_MAX_SECONDS = 30.0
_MAX_BYTES = 1_000_000
_MORE_MEMORY_BYTES = 500_000_000
# Increment it if other pieces are derived.
_FORM = 1
# A template with today's date would change on each day after a training.
_DATE = date(2026, 1, 1)
_OFF = {"enable_thinking": False, "thinking": False}
_THOUGHTS = (
    ("<think>", "\n\n</think>\n\n"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
)
_QUESTION, _ANSWER, _REPLY, _RULES = "hare-1", "tortoise-1", "hare-2", "rules-1"


class TemplateError(ValueError):
    """The base's chat template cannot be used; the message has the reason."""


@dataclass(frozen=True)
class DerivedTemplate:
    """The pieces between the messages of a chat."""

    start: str  # Of a chat without a system message, up to the first header.
    user_header: str
    user_end: str
    assistant_header: str
    assistant_end: str  # Starts with the end token of an answer.
    system_start: str
    system_end: str
    system_is_in_user_turn: bool  # The first user message then has no header.
    end_token: str

    @property
    def learned_end(self) -> str:
        """The learned markup after an answer's text, including the end token."""
        return self.assistant_end.partition(self.end_token)[0] + self.end_token

    def turns(
        self, messages: Sequence[Mapping[str, str]]
    ) -> Iterator[tuple[str, str, str]]:
        """Yield the markup before each message, its text, and that after it.

        A system message that is not the first message is rendered as a user's.
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
        """Return a chat as one text."""
        text = "".join("".join(turn) for turn in self.turns(messages))
        return text + self.assistant_header if add_generation_prompt else text

    def to_jinja(self, *, with_tools: str | None = None) -> str:
        """Return a template in Jinja that renders chats as `render` does.

        If `with_tools` is the publisher's template, it renders requests with tools.
        """
        start, system_start, system_end, header, end, answer, answered = map(
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
            f"{{{{- {answer} + message['content'] + {answered} -}}}}"
            "{%- elif not (loop.first and message['role'] == 'system') -%}"
            f"{{{{- {header} + message['content'] + {end} -}}}}"
            "{%- endif -%}{%- endfor -%}"
            f"{{%- if add_generation_prompt -%}}{{{{- {answer} -}}}}{{%- endif -%}}"
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
    """Derive the pieces from a base's own template, and cache them for the user.

    Raises a `TemplateError` if longer prompts cannot be built from pieces.
    """
    specials = {name: str(token) for name, token in special_tokens.items()}
    given = (source, specials, list(control_tokens))
    task = json.dumps([_FORM, *given])
    if len(task) > _MAX_BYTES:
        msg = "the base model's chat template has more than a million characters"
        raise TemplateError(msg)
    folder = user_cache_dir() / "templates"
    cached = folder / f"{hashlib.sha256(task.encode('ascii')).hexdigest()[:32]}.json"
    found = read_json(cached)
    if found is None:
        try:
            found = dict(call_in_child(_derive, *given, timeout=_MAX_SECONDS))
        except ChildError as error:
            msg = f"the base model's chat template cannot be used: {error}"
            raise TemplateError(msg) from error
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(cached, found)
    if "error" in found:
        raise TemplateError(found["error"])
    return DerivedTemplate(**found)


def _derive(
    source: str, special_tokens: Mapping[str, Any], control_tokens: Sequence[str]
) -> dict[str, Any]:
    # Imported before memory is limited.
    from transformers.utils import chat_template_utils  # noqa: F401

    limit_memory(_MORE_MEMORY_BYTES)
    try:
        return asdict(derive_in_process(source, special_tokens, control_tokens))
    except TemplateError as error:
        return {"error": str(error)}


def derive_in_process(
    source: str, special_tokens: Mapping[str, Any], control_tokens: Sequence[str]
) -> DerivedTemplate:
    """Derive the pieces in this process, without limits."""
    probe = _Probe(source, special_tokens)
    start, to_answer = probe.split([_QUESTION])
    chat = [_QUESTION, _ANSWER, _REPLY]
    _, to_earlier_answer, after_answer, _ = probe.split(chat)
    to_answer = _without_thinking(to_answer)
    if to_earlier_answer.startswith(to_answer):
        # The common beginning of all answers, such as the name of a channel.
        to_answer = to_earlier_answer
    # A space at the end would be a separate token, which no answer's text follows.
    to_answer = to_answer.rstrip(" ")
    user_end = probe.common_end([_QUESTION], to_answer, control_tokens)
    assistant_end = probe.common_end([_QUESTION, _ANSWER], after_answer, control_tokens)
    found = _first_of(control_tokens, after_answer)
    end_token = found or str(special_tokens.get("eos_token") or "")
    if not end_token:
        msg = "no token ends an answer in the base model's chat template"
        raise TemplateError(msg)
    if found is None:
        after_answer, assistant_end = end_token + after_answer, end_token
    elif found not in assistant_end:
        assistant_end = after_answer.partition(found)[0] + found
    user_header = after_answer.removeprefix(assistant_end)
    assistant_header = to_answer.removeprefix(user_end)
    # The start of a chat has no separator before its header.
    separator = user_header[: len(user_header) - _common_suffix(start, user_header)]
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
        self._variables = {**special_tokens, **_OFF, "strftime_now": _written_date}

    def split(self, texts: list[str]) -> list[str]:
        """Return the markup around the texts of a chat, in order."""
        pieces = []
        rest = self._render(texts, add_generation_prompt=True)
        for text in texts:
            before, found, rest = rest.partition(text)
            if not found or text in rest:
                msg = (
                    "the base model's chat template does not write each message of a "
                    "chat once, and in order"
                )
                raise TemplateError(msg)
            pieces.append(before)
        return [*pieces, rest]

    def common_end(
        self, texts: list[str], following: str, control_tokens: Sequence[str]
    ) -> str:
        """Return the markup after the last text whatever the next one is."""
        try:
            rendered = self._render(texts, add_generation_prompt=False)
        except TemplateError:
            return ""
        pattern = re.compile("|".join(map(re.escape, [*control_tokens, "\n"])))
        end = rendered.rpartition(texts[-1])[2]
        last = 0
        for found in pattern.finditer(following):
            if end[: found.end()] != following[: found.end()]:
                break
            last = found.end()
        return following[:last]

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


def _written_date(form: str) -> str:
    return _DATE.strftime(form)


def _without_thinking(to_answer: str) -> str:
    """Close a thought that the generation prompt opens."""
    for tag, end in _THOUGHTS:
        if to_answer.rfind(tag) > to_answer.rfind(end.strip()):
            return to_answer[: to_answer.rfind(tag)] + tag + end
    return to_answer


def _first_of(tokens: Sequence[str], text: str) -> str | None:
    pattern = "|".join(map(re.escape, sorted(tokens, key=len, reverse=True)))
    found = re.search(pattern, text) if pattern else None
    return found.group() if found else None


def _common_suffix(first: str, second: str) -> int:
    length = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        length += 1
    return length


def _literal(text: str) -> str:
    # Jinja reads the escapes of JSON.
    return json.dumps(text, ensure_ascii=False)
