"""The template that is derived from a base's own."""

import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

from langchain_chatexports.local_server.bases import derived_template
from langchain_chatexports.local_server.bases.derived_template import (
    DerivedTemplate,
    TemplateError,
    derive_in_process,
    derive_template,
)
from tests.unit_tests.builders.tiny_base import ALTERNATING, CHATML, REWRITING
from tests.unit_tests.builders.tiny_models import TRL_TEMPLATES

_SPECIALS = {"bos_token": "<s>", "eos_token": "</s>"}
_CONTROL_TOKEN = re.compile(
    r"<[|｜][^|｜<>\s]+[|｜]>|<\|turn>|<turn\|>|</?s>|<(?:start|end)_of_turn>"  # noqa: RUF001 - DeepSeek's.
)
_CHAT = ["user", "assistant", "user", "assistant"]

_NAMES = sorted(
    file.stem
    for file in TRL_TEMPLATES.glob("*.jinja")
    if not file.stem.endswith("_training")
)


def _published(name: str) -> str:
    return (TRL_TEMPLATES / f"{name}.jinja").read_text("utf-8")


def _derive(source: str) -> DerivedTemplate:
    tokens = sorted({*_CONTROL_TOKEN.findall(source), "</s>"})
    return derive_in_process(source, _SPECIALS, tokens)


def _messages(roles: list[str]) -> list[dict[str, str]]:
    return [{"role": role, "content": f" {n}. {role}"} for n, role in enumerate(roles)]


def _jinja(source: str, messages: list[dict[str, Any]], **options: Any) -> str:
    (text,), _ = render_jinja_template(
        conversations=[messages], chat_template=source, **_SPECIALS, **options
    )
    return str(text)


@pytest.mark.parametrize("roles", [["user"], ["system", "user"]])
@pytest.mark.parametrize("name", _NAMES)
def test_first_prompt_matches_the_original(name: str, roles: list[str]) -> None:
    source = _published(name)
    if roles[0] == "system" and name == "gemma":
        pytest.skip("it has no system messages")
    chat: list[dict[str, Any]] = [
        {"role": role, "content": f"{role}-1"} for role in roles
    ]
    ours = _derive(source).render(chat, add_generation_prompt=True)
    if name in {"idefics3", "llava_next", "smolvlm"}:
        for message in chat:
            message["content"] = [{"type": "text", "text": message["content"]}]
    options = {
        "add_generation_prompt": True,
        "enable_thinking": False,
        "strftime_now": derived_template._format_date,
    }
    original = derived_template._render(source, chat, {**_SPECIALS, **options})
    # An empty thought, or the name of a channel, may be added.
    assert ours.startswith(original.rstrip("\n "))
    assert len(ours) - len(original) < 40


@pytest.mark.parametrize("name", _NAMES)
def test_longer_prompt_starts_with_the_shorter_one(name: str) -> None:
    derived = _derive(_published(name))
    chat = _messages(_CHAT * 4)
    for length in range(1, len(chat), 2):
        prompt = derived.render(chat[:length], add_generation_prompt=True)
        complete = derived.render(chat, add_generation_prompt=False)
        learned = chat[length]["content"] + derived.loss_suffix
        assert complete.startswith(prompt + learned)
        assert derived.loss_suffix.endswith(derived.end_token)


@pytest.mark.parametrize("source", [CHATML, ALTERNATING, REWRITING])
def test_test_templates_are_derived(source: str) -> None:
    derived = derive_in_process(source, _SPECIALS, ["<|im_start|>", "<|im_end|>"])
    assert derived.loss_suffix == "<|im_end|>"
    assert derived.user_header == "<|im_start|>user\n"
    assert derived.assistant_header == "<|im_start|>assistant\n"


def test_plain_template_renders_like_the_original() -> None:
    derived = derive_in_process(CHATML, _SPECIALS, ["<|im_start|>", "<|im_end|>"])
    for roles in (_CHAT, ["assistant", *_CHAT], ["system", "user", "user"]):
        chat = _messages(roles)
        for prompt in (True, False):
            ours = derived.render(chat, add_generation_prompt=prompt)
            assert ours == _jinja(CHATML, chat, add_generation_prompt=prompt)


def test_consecutive_answers_are_not_merged() -> None:
    derived = _derive(_published("gemma4"))
    text = derived.render(
        _messages(["user", "assistant", "assistant"]), add_generation_prompt=False
    )
    assert text.endswith(
        "<|turn>model\n 1. assistant<turn|>\n<|turn>model\n 2. assistant<turn|>\n"
    )


def test_system_text_joins_the_first_message() -> None:
    text = _derive(_published("gemma")).render(
        _messages(["system", "user"]), add_generation_prompt=False
    )
    assert text == ("<s><start_of_turn>user\n 0. system\n\n 1. user<end_of_turn>\n")


def test_missing_end_token_is_end_of_text() -> None:
    source = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}"
        "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    )
    derived = derive_in_process(source, _SPECIALS, ["<s>", "</s>"])
    text = derived.render(_messages(_CHAT), add_generation_prompt=True)
    assert text.count("</s>") == 2
    assert derived.loss_suffix == "</s>"


def test_date_in_a_prompt_is_fixed() -> None:
    assert "Today Date: 01 Jan 2026" in _derive(_published("llama3_2")).start


_ROLES = st.lists(
    st.sampled_from(["system", "user", "assistant"]), min_size=1, max_size=6
)


@pytest.mark.parametrize(
    "name", ["qwen3_5_nothink", "gemma", "gemma4", "llama3_2", "phi3", "gptoss"]
)
@given(roles=_ROLES, prompt=st.booleans())
def test_jinja_renders_the_same(name: str, roles: list[str], *, prompt: bool) -> None:
    derived = _derive(_published(name))
    chat = _messages(roles)
    ours = derived.render(chat, add_generation_prompt=prompt)
    assert ours == _jinja(derived.to_jinja(), chat, add_generation_prompt=prompt)


def test_tools_are_rendered_by_the_original_template() -> None:
    source = _published("qwen3_5_nothink")
    both = _derive(source).to_jinja(with_tools=source)
    tools = [{"type": "function", "function": {"name": "race", "parameters": {}}}]
    chat = _messages(["user"])
    ours = _jinja(both, chat, tools=tools, add_generation_prompt=True)
    assert ours == _jinja(
        source, chat, tools=tools, add_generation_prompt=True, enable_thinking=False
    )


_DOUBLES = (
    "{% set ns = namespace(s='aaaa') %}{% for i in range(60) %}"
    "{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}"
)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ raise_exception('no') }}", "TemplateError"),
        ("{{ messages[-1]['content'] }}", "each message exactly once"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "RecursionError"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "RecursionError"),
        ("{% extends 'itself' %}", "TypeError"),
        ("{% for message in messages %}", "TemplateSyntaxError"),
    ],
)
def test_unusable_template_is_refused(source: str, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        derive_in_process(source, _SPECIALS, ["<|im_end|>"])


def test_template_is_derived_once_in_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    source = _published("llama3_2")
    found = derive_template(source, _SPECIALS, ["<|eot_id|>"])
    assert found == derive_in_process(source, _SPECIALS, ["<|eot_id|>"])
    monkeypatch.setattr(derived_template, "call_in_child", None)
    assert derive_template(source, _SPECIALS, ["<|eot_id|>"]) == found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits memory")
@pytest.mark.parametrize("source", [_DOUBLES, "{{ 'a' * 10000000000 }}"])
def test_template_memory_is_limited(source: str) -> None:
    with pytest.raises(TemplateError, match="MemoryError"):
        derive_template(source, _SPECIALS, ["<|im_end|>"])


def test_template_time_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derived_template, "_MAX_SECONDS", 0.2)
    loops = "{% for i in range(99999) %}" * 4 + "{% endfor %}" * 4
    with pytest.raises(TemplateError, match=r"more than 0\.2 seconds"):
        derive_template(loops, _SPECIALS, ["<|im_end|>"])


def test_huge_template_is_refused() -> None:
    with pytest.raises(TemplateError, match="a million characters"):
        derive_template("{{ 1 }}" * 200_000, _SPECIALS, ["<|im_end|>"])
