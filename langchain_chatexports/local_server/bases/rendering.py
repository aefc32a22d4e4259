"""Rendering of chat templates in a child process with time and memory limits.

A template is a program that comes with the base. Its sandbox keeps it from files and
modules, but it can loop forever, or double a text until memory is full, in a single C
call that no signal handler interrupts. A child process can be killed.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.processes import (
    child_command,
    child_environment,
    detached_flags,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["RefusedError", "RenderingError", "main", "render_chat"]

# Megabytes of chat take well below a second, even on a busy machine.
_RENDER_SECONDS = 20.0
_START_SECONDS = 120.0
_MAX_MEMORY_BYTES = 2 * 2**30
# A template renders a chat once, with some text of its own.
_MAX_GROWTH = 4
_MAX_OWN_BYTES = 2**20


class RenderingError(Exception):
    """A template cannot be rendered, or not within its limits."""


class RefusedError(Exception):
    """A template refuses a chat."""


def render_chat(
    template: str,
    messages: Sequence[Mapping[str, str]],
    *,
    for_answer: bool,
    special_tokens: Mapping[str, Any],
) -> str:
    """Return a chat as a chat template renders it.

    Args:
        template: The template, in Jinja.
        messages: The messages, each with role and content.
        for_answer: Whether to end with the start of an assistant message.
        special_tokens: The texts of the tokenizer's special tokens, by name.

    Raises:
        RefusedError: If the template refuses the chat.
        RenderingError: If it fails, or takes too much time or memory.
    """
    request = {
        "template": template,
        "messages": list(messages),
        "for_answer": for_answer,
        "special_tokens": special_tokens,
    }
    answer = _RENDERER.ask(json.dumps(request, default=str).encode("ascii") + b"\n")
    if "text" in answer:
        return str(answer["text"])
    if answer.get("refused"):
        raise RefusedError(answer["refused"])
    raise RenderingError(answer.get("error", "it cannot be rendered"))


class _Renderer:
    """The child process, started at the first request and again after it was killed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def ask(self, request: bytes) -> dict[str, Any]:
        with self._lock:
            if self._owner != os.getpid():
                # A fork must not use its parent's pipes.
                self._process, self._owner = None, os.getpid()
            if self._process is None or self._process.poll() is not None:
                self.close()
                self._process = _start()
                if not self._exchange(b"", _START_SECONDS):
                    return {"error": "its child process does not start"}
            line = self._exchange(request, _RENDER_SECONDS)
        if not line:
            msg = (
                f"it takes more than {_RENDER_SECONDS:g} seconds or more memory than "
                "any chat needs"
            )
            return {"error": msg}
        value = json.loads(line)
        return value if isinstance(value, dict) else {}

    def _exchange(self, order: bytes, seconds: float) -> bytes:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return b""  # pragma: no cover - both are pipes.
        alarm = threading.Timer(seconds, process.kill)
        alarm.start()
        try:
            process.stdin.write(order)
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        finally:
            alarm.cancel()
        if not line.endswith(b"\n"):
            self.close()
            return b""
        return line

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter, our own module.
        child_command("langchain_chatexports.local_server.bases.rendering"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_environment(threads=1, offline=True),
        **detached_flags(),
    )


_RENDERER = _Renderer()
atexit.register(_RENDERER.close)


def main() -> None:
    """Render requests from standard input until it is closed."""
    import transformers.utils.chat_template_utils  # noqa: F401 - import before "ready": it takes a second.

    _limit_memory()
    _write({"ready": True})
    for line in sys.stdin.buffer:
        if hasattr(signal, "alarm"):
            # If the parent was killed, nothing else ends a template that loops.
            signal.alarm(round(2 * _RENDER_SECONDS))
        _write(_answer(line))
        if hasattr(signal, "alarm"):
            signal.alarm(0)


def _answer(line: bytes) -> dict[str, Any]:
    from jinja2 import TemplateError as JinjaError
    from transformers.utils.chat_template_utils import render_jinja_template

    request = json.loads(line)
    try:
        (text,), _ = render_jinja_template(
            conversations=[request["messages"]],
            chat_template=request["template"],
            add_generation_prompt=request["for_answer"],
            **request["special_tokens"],
        )
    except (JinjaError, ValueError, TypeError) as error:
        return {"refused": type(error).__name__}
    except Exception as error:  # noqa: BLE001 - a template may raise anything.
        return {"error": f"it ends with {type(error).__name__}"}
    if len(text) > _MAX_GROWTH * len(line) + _MAX_OWN_BYTES:
        return {"error": "its output is much longer than the chat"}
    return {"text": text}


def _limit_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    # macOS has this limit but does not enforce it.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))


def _write(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
