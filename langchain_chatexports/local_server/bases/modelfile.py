"""Modelfiles, by which Ollama loads a GGUF file.

The format: https://docs.ollama.com/modelfile. Its `TEMPLATE` is in Go's language, so
the chat template is translated: into the text before and after a message of each role,
which is how those of chat models are built. A chat template that does more is left to
Ollama, which reads the one in the GGUF file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.bases.rendering import (
    RefusedError,
    RenderingError,
    render_chat,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TurnTexts", "find_turn_texts", "modelfile"]

# No template changes these, and none has them.
_MARKS = {role: f"a-{role}-message" for role in ("system", "user", "assistant")}


@dataclass(frozen=True)
class TurnTexts:
    """What a chat template writes around the messages of each role."""

    around: dict[str, tuple[str, str]]
    """The texts before and after a message, by role; a template without a system role
    has none."""

    default_system: str | None
    """The system message of a chat that has none."""

    head: str = ""
    """What stands before a chat; not the token that llama.cpp puts there itself."""

    def render(self, roles: Sequence[str]) -> str:
        """Return a chat of marks, up to where the answer begins."""
        turns = [_MARKS[role].join(self.around[role]) for role in roles]
        return "".join([self.head, *turns, self.around["assistant"][0]])


def modelfile(
    *,
    model: str,
    adapter: str | None,
    turns: TurnTexts | None,
    system: str | None,
    stops: Sequence[str],
) -> str:
    """Return a Modelfile.

    Args:
        model: The path of the GGUF file.
        adapter: The path of an adapter's GGUF file.
        turns: What the chat template writes.
        system: The system message of chats.
        stops: The texts that end an answer.
    """
    lines = [f"FROM {model}"]
    if adapter is not None:
        lines.append(f"ADAPTER {adapter}")
    if turns is not None:
        lines.append(f"TEMPLATE {_quoted(_go_template(turns))}")
    # A triple quotation mark would end it, and nothing escapes one.
    if system and '"""' not in system and not system.endswith('"'):
        lines.append(f"SYSTEM {_quoted(system)}")
    # The base's publisher chose them: none may write lines of its own.
    lines += [
        f"PARAMETER stop {_quoted(text)}"
        for text in stops
        if text.isprintable() and not text.endswith('"') and '"""' not in text
    ]
    return "\n".join(lines) + "\n"


def find_turn_texts(tokenizer: Any) -> TurnTexts | None:
    """Return what a tokenizer's chat template writes around messages.

    Args:
        tokenizer: The tokenizer of transformers.

    Returns:
        The texts, or `None` if the template does more than that.
    """
    try:
        return _find(tokenizer)
    except (RefusedError, RenderingError, ValueError):
        return None


def _find(tokenizer: Any) -> TurnTexts | None:
    user = _render(tokenizer, ["user"])
    answered = _render(tokenizer, ["user", "assistant"])
    again = _render(tokenizer, ["user", "assistant", "user"])
    opening, after_user = user.split(_MARKS["user"])
    before_user, _ = _added(answered, again).split(_MARKS["user"])
    around = {
        "user": (before_user, after_user),
        "assistant": _pair(_added(user, answered), "assistant"),
    }
    if not opening.endswith(before_user):
        return None
    opening = opening.removesuffix(before_user)
    begin = str(tokenizer.bos_token or "")
    if not opening.startswith(begin):
        begin = ""
    opening = opening.removeprefix(begin)
    # llama.cpp puts it before every prompt then.
    is_added = tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    try:
        with_system = _render(tokenizer, ["system", "user"]).removeprefix(begin)
        before, between = with_system.removesuffix(after_user).split(_MARKS["system"])
        after, separator, rest = between.partition(before_user + _MARKS["user"])
        if separator and not rest:
            around["system"] = (before, after)
    except RefusedError:
        pass
    default = _default_system(opening, around.get("system"))
    if opening and default is None:
        return None
    turns = TurnTexts(around, default, "" if is_added else begin)
    return turns if _is_right(tokenizer, turns, begin if is_added else "") else None


def _is_right(tokenizer: Any, turns: TurnTexts, begin: str) -> bool:
    talk = ["user", "assistant", "user"]
    if "system" in turns.around:
        talk = ["system", *talk]
    elif turns.default_system is not None:
        return False
    rendered = _render(tokenizer, talk, for_answer=True).removeprefix(begin)
    parts = [turns.head, *(text for pair in turns.around.values() for text in pair)]
    is_plain = not any("{{" in text or '"""' in text for text in parts)
    return is_plain and rendered == turns.render(talk)


def _default_system(opening: str, around: tuple[str, str] | None) -> str | None:
    if not opening or around is None:
        return None
    before, after = around
    if not (opening.startswith(before) and opening.endswith(after)):
        return None
    return opening.removeprefix(before).removesuffix(after)


def _render(tokenizer: Any, roles: Sequence[str], *, for_answer: bool = False) -> str:
    return render_chat(
        tokenizer.get_chat_template(),
        [{"role": role, "content": _MARKS[role]} for role in roles],
        for_answer=for_answer,
        special_tokens=tokenizer.special_tokens_map,
    )


def _added(shorter: str, longer: str) -> str:
    if not longer.startswith(shorter):
        msg = "the template rewrites earlier messages"
        raise ValueError(msg)
    return longer.removeprefix(shorter)


def _pair(text: str, role: str) -> tuple[str, str]:
    before, after = text.split(_MARKS[role])
    return before, after


def _go_template(turns: TurnTexts) -> str:
    around = dict(turns.around)
    # As in Ollama's own template of Gemma: better than leaving it out.
    around.setdefault("system", around["user"])
    branches = [
        f'if eq .Role "{role}" }}}}{before}{{{{ .Content }}}}{after}'
        for role, (before, after) in around.items()
    ]
    inner = "{{ else ".join(branches)
    return (
        f"{turns.head}{{{{ range .Messages }}}}{{{{ "
        f"{inner}{{{{ end }}}}{{{{ end }}}}{around['assistant'][0]}"
    )


def _quoted(text: str) -> str:
    return f'"""{text}"""' if "\n" in text or '"' in text else f'"{text}"'
