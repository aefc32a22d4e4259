"""Chat templates that loop, grow or fail raise an error, and the next one renders."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.local_server.bases import rendering
from langchain_chatexports.local_server.bases.chat_template import (
    ChatTemplate,
    TemplateError,
)
from langchain_chatexports.local_server.bases.rendering import (
    RefusedError,
    RenderingError,
    render_chat,
)
from tests.unit_tests.builders.tiny_base import CHATML, tiny_tokenizer, write_tiny_base
from tests.unit_tests.local_server.conftest import asking

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ASKED = [{"role": "user", "content": "Are you ready?"}]
_LOOPS = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}"
)
_HOSTILE = {
    "loops": _LOOPS,
    "loops over messages": "{% for m in messages %}" + _LOOPS + "{% endfor %}",
    "doubles": (
        "{% set n = namespace(x='ab') %}{% for i in range(60) %}"
        "{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}"
    ),
    "multiplies": "{{ 'a' * 10**11 }}",
    "centers": "{{ 'a' | center(10**11) }}",
    "formats": "{{ '%099999999999d' % 1 }}",
    "raises to a power": "{{ 9 ** (9 ** 9) }}",
    "calls itself": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "speaks at length": "{% for i in range(99999) %}" + "a" * 99 + "{% endfor %}",
}


def _render(template: str, messages: Any = _ASKED) -> str:
    return render_chat(template, messages, for_answer=True, special_tokens={})


@pytest.mark.parametrize("template", _HOSTILE.values(), ids=_HOSTILE)
def test_a_hostile_template_is_an_error_and_the_next_one_renders(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _render(CHATML)
    monkeypatch.setattr(rendering, "_RENDER_SECONDS", 2.0)
    started = time.monotonic()
    with pytest.raises((RenderingError, RefusedError)):
        _render(template)
    assert time.monotonic() - started < 120
    monkeypatch.undo()
    assert _render(CHATML).endswith("<|im_start|>assistant\n")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_the_memory_of_a_template_is_limited() -> None:
    with pytest.raises(RenderingError, match="MemoryError"):
        _render(_HOSTILE["multiplies"])


def test_what_a_template_refuses_is_told_apart() -> None:
    with pytest.raises(RefusedError):
        _render("{{ raise_exception('no') }}")


def test_special_tokens_reach_the_template() -> None:
    tokens = {"bos_token": "<s>"}
    text = render_chat(
        "{{ bos_token }}", _ASKED, for_answer=False, special_tokens=tokens
    )
    assert text == "<s>"


@pytest.mark.parametrize("text", ["\u2028", "\x00", "\U0001f422", "a" * 5_000_000])
def test_any_text_is_rendered_as_it_is(text: str) -> None:
    said = [{"role": "user", "content": text}]
    assert _render("{{ messages[0].content }}", said) == text


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_killed_renderer_is_started_again() -> None:
    _render(CHATML)
    process = rendering._RENDERER._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert _render(CHATML)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_renders_beside_its_parent() -> None:
    _render(CHATML)
    child = os.fork()
    if child == 0:
        os._exit(0 if _render("child") == "child" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert _render("parent") == "parent"


@pytest.mark.parametrize("template", ["{% for", {"a": CHATML}, [1]])
def test_a_template_that_is_none_is_an_error_of_ours(template: Any) -> None:
    tokenizer = tiny_tokenizer(None)
    tokenizer.chat_template = template
    with pytest.raises(TemplateError):
        ChatTemplate(tokenizer)


def test_a_server_with_a_hostile_template_says_so_and_lives(
    make_service: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "_RENDER_SECONDS", 2.0)
    base = write_tiny_base(tmp_path / "hostile", template=_LOOPS)
    service = make_service(tmp_path / "data", base=base)
    service.queue.start = lambda: None
    with asking(service) as http:
        for _ in range(2):
            body = {"model": "tiny", "messages": _ASKED}
            response = http.post("/v1/chat/completions", json=body)
            assert response.status_code == 503
            assert "template" in response.json()["error"]["message"]
        assert http.get("/v1/models").status_code == 200
