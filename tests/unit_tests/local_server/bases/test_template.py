"""The template that is derived from a base's own."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

from langchain_chatexports.local_server.bases import template
from langchain_chatexports.local_server.bases.template import (
    ChatTemplate,
    TemplateError,
    derive_template,
    read_template,
)
from tests.unit_tests.builders.tiny_base import (
    ALTERNATING,
    CHATML,
    REWRITING,
    tiny_tokenizer,
)
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


def _derive(source: str, tokens: Any = None) -> ChatTemplate:
    tokens = tokens or sorted({*_CONTROL_TOKEN.findall(source), "</s>"})
    return derive_template(source, _SPECIALS, tokens, 512)


def _messages(roles: list[str]) -> list[dict[str, str]]:
    return [{"role": role, "content": f" {n}. {role}"} for n, role in enumerate(roles)]


def _jinja(source: str, messages: list[dict[str, Any]], **options: Any) -> str:
    (text,), _ = render_jinja_template(
        conversations=[messages], chat_template=source, **_SPECIALS, **options
    )
    return str(text)


def _render(derived: ChatTemplate, messages: list[Any], *, prompt: bool) -> str:
    return _jinja(derived.jinja, messages, add_generation_prompt=prompt)


def _learned(derived: ChatTemplate, messages: list[Any]) -> list[str]:
    (text,), (spans,) = render_jinja_template(
        conversations=[messages],
        chat_template=derived.jinja,
        return_assistant_tokens_mask=True,
    )
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize("roles", [["user"], ["system", "user"]])
@pytest.mark.parametrize("name", _NAMES)
def test_first_prompt_matches_the_original(name: str, roles: list[str]) -> None:
    source = _published(name)
    if roles[0] == "system" and name == "gemma":
        pytest.skip("it has no system messages")
    chat: list[dict[str, Any]] = [
        {"role": role, "content": f"{role}-1"} for role in roles
    ]
    ours = _render(_derive(source), chat, prompt=True)
    if name in {"idefics3", "llava_next", "smolvlm"}:
        for message in chat:
            message["content"] = [{"type": "text", "text": message["content"]}]
    options = {
        "add_generation_prompt": True,
        "enable_thinking": False,
        "strftime_now": template._format_date,
    }
    original = template._render(source, chat, {**_SPECIALS, **options})
    # An empty thought, or the name of a channel, may be added.
    assert ours.startswith(original.rstrip("\n "))
    assert len(ours) - len(original) < 40


@pytest.mark.parametrize("name", _NAMES)
def test_longer_prompt_starts_with_the_shorter_one(name: str) -> None:
    derived = _derive(_published(name))
    chat = _messages(_CHAT * 4)
    complete = _render(derived, chat, prompt=False)
    learned = _learned(derived, chat)
    for reply, length in enumerate(range(1, len(chat), 2)):
        prompt = _render(derived, chat[:length], prompt=True)
        assert complete.startswith(prompt + learned[reply])
        assert prompt.endswith(derived.markup.reply_header)
        assert learned[reply].startswith(chat[length]["content"])
        assert learned[reply].endswith(derived.markup.end_token)


@pytest.mark.parametrize("source", [CHATML, ALTERNATING, REWRITING])
def test_test_templates_are_derived(source: str) -> None:
    derived = _derive(source, ["<|im_start|>", "<|im_end|>"])
    assert derived.markup.reply_header == "<|im_start|>assistant\n"
    assert "<|im_start|>user\n 0. user<|im_end|>" in _render(
        derived, _messages(["user"]), prompt=False
    )


def test_plain_template_renders_like_the_original() -> None:
    derived = _derive(CHATML, ["<|im_start|>", "<|im_end|>"])
    for roles in (_CHAT, ["assistant", *_CHAT], ["system", "user", "user"]):
        chat = _messages(roles)
        for prompt in (True, False):
            ours = _render(derived, chat, prompt=prompt)
            assert ours == _jinja(CHATML, chat, add_generation_prompt=prompt)


def test_consecutive_answers_are_not_merged() -> None:
    derived = _derive(_published("gemma4"))
    text = _render(derived, _messages(["user", "assistant", "assistant"]), prompt=False)
    assert text.endswith(
        "<|turn>model\n 1. assistant<turn|>\n<|turn>model\n 2. assistant<turn|>\n"
    )


def test_system_text_joins_the_first_message() -> None:
    derived = _derive(_published("gemma"))
    text = _render(derived, _messages(["system", "user"]), prompt=False)
    assert text == ("<s><start_of_turn>user\n 0. system\n\n 1. user<end_of_turn>\n")


def test_missing_end_token_is_end_of_text() -> None:
    source = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}"
        "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    )
    derived = _derive(source, ["<s>", "</s>"])
    assert _render(derived, _messages(_CHAT), prompt=True).count("</s>") == 2
    assert _learned(derived, _messages(_CHAT)) == [
        " 1. assistant</s>",
        " 3. assistant</s>",
    ]


def test_date_in_a_prompt_is_fixed() -> None:
    derived = _derive(_published("llama3_2"))
    text = _render(derived, _messages(["user"]), prompt=False)
    assert "Today Date: 01 Jan 2026" in text


_ROLES = st.lists(
    st.sampled_from(["system", "user", "assistant"]), min_size=1, max_size=6
)


@pytest.mark.parametrize(
    "name", ["qwen3_5_nothink", "gemma", "gemma4", "llama3_2", "phi3", "gptoss"]
)
@given(roles=_ROLES)
def test_each_message_is_rendered_once_and_in_order(
    name: str, roles: list[str]
) -> None:
    derived = _derive(_published(name))
    chat = _messages(roles)
    text = _render(derived, chat, prompt=False)
    positions = [text.index(message["content"]) for message in chat]
    assert positions == sorted(positions)
    replies = [m["content"] for m in chat if m["role"] == "assistant"]
    learned = _learned(derived, chat)
    assert all(part.startswith(r) for part, r in zip(learned, replies, strict=True))


# Their roles are plain text. Each is similar to the published one of its family.
_PLAIN = {
    "llama2": """
{%- if messages[0]['role'] == 'system' -%}
{%- set rules = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' -%}
{%- set messages = messages[1:] -%}{%- else -%}{%- set rules = '' -%}{%- endif -%}
{%- for m in messages -%}{%- if m['role'] == 'user' -%}
{{- bos_token + '[INST] ' + (rules if loop.first else '') + m['content'] -}}
{{- ' [/INST]' -}}{%- else -%}{{- ' ' + m['content'] + ' ' + eos_token -}}
{%- endif -%}{%- endfor -%}""",
    "vicuna": """A chat between a user and an assistant. {% for m in messages -%}
{%- if m['role'] == 'assistant' -%}{{- 'ASSISTANT: ' + m['content'] + eos_token -}}
{%- else -%}{{- 'USER: ' + m['content'] + ' ' -}}{%- endif -%}{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%}""",
    "alpaca": """{{ bos_token }}Write a response.

{% for m in messages -%}{%- if m['role'] == 'assistant' -%}
{{- '### Response:\\n' + m['content'] + eos_token + '\\n\\n' -}}{%- else -%}
{{- '### Instruction:\\n' + m['content'] + '\\n\\n' -}}{%- endif -%}{%- endfor -%}
{%- if add_generation_prompt -%}{{- '### Response:\\n' -}}{%- endif -%}""",
    "zephyr": """{%- for m in messages -%}
{{- '<|' + m['role'] + '|>\\n' + m['content'] + eos_token + '\\n' -}}{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\\n' -}}{%- endif -%}""",
}
_LLAMA2_MARKERS = ["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"]
_MARKERS = {
    "llama2": _LLAMA2_MARKERS,
    "llava_next": _LLAMA2_MARKERS,
    "vicuna": ["USER:", "ASSISTANT:"],
    "alpaca": ["### Instruction:", "### Response:"],
    "zephyr": ["<|system|>", "<|user|>", "<|assistant|>"],
    "idefics3": ["User:", "Assistant:", "<end_of_utterance>"],
    "smolvlm": ["User:", "Assistant:", "<end_of_utterance>"],
}
_CUT = st.integers(0, 4)


def _texts(markers: list[str]) -> st.SearchStrategy[str]:
    """Texts of markers, their parts and others."""
    part = st.builds(
        lambda marker, start, end: marker[start : len(marker) - end],
        st.sampled_from(markers),
        _CUT,
        _CUT,
    )
    piece = st.sampled_from([*markers, "\n", " ", "a", ":", "<", "["]) | part
    return st.lists(piece, max_size=12).map("".join)


@pytest.mark.parametrize("name", [*_NAMES, *_PLAIN])
@given(data=st.data())
def test_no_text_opens_another_turn(name: str, data: st.DataObject) -> None:
    """Whatever one text is, the other turns and their labels are the same."""
    source = _PLAIN.get(name) or _published(name)
    derived = _derive(source, ["<s>", "</s>"] if name in _PLAIN else None)
    chat = _messages(["system", *_CHAT])
    rendered = _render(derived, chat, prompt=True)
    tokens = [token for token in derived.control_tokens if token in rendered]
    markers = [*tokens, *_MARKERS.get(name, [])]
    pattern = "|".join(map(re.escape, markers))
    place = data.draw(st.integers(0, len(chat) - 1))
    text = data.draw(_texts(markers))
    results = []
    for content in ("hare", text):
        chat[place] = {**chat[place], "content": content}
        prepared = derived.prepare(chat)
        others = [m["content"] for n, m in enumerate(prepared) if n != place]
        learned = _learned(derived, prepared)
        if chat[place]["role"] == "assistant":
            learned.pop(place // 2 - 1)
        rendered = _render(derived, prepared, prompt=True)
        results.append((re.findall(pattern, rendered), others, learned))
    assert results[0] == results[1]


def test_tools_are_rendered_by_the_original_template() -> None:
    source = _published("qwen3_5_nothink")
    derived = _derive(source)
    assert derived.has_tools
    both = derived.jinja_with_tools
    tools = [{"type": "function", "function": {"name": "race", "parameters": {}}}]
    chat = _messages(["user"])
    ours = _jinja(both, chat, tools=tools, add_generation_prompt=True)
    assert ours == _jinja(
        source, chat, tools=tools, add_generation_prompt=True, enable_thinking=False
    )
    assert _jinja(both, chat) == _jinja(derived.jinja, chat)
    assert _derive(CHATML).jinja_with_tools == _derive(CHATML).jinja


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
        _derive(source, ["<|im_end|>"])


def _write_base(folder: Path, source: str) -> Path:
    tiny_tokenizer(source).save_pretrained(folder)
    settings = {"model_type": "llama", "max_position_embeddings": 300}
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(autouse=True)
def _temporary_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_template_is_derived_once_in_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = _write_base(tmp_path / "base", CHATML)
    found = read_template(base)
    assert found == template.template_of(tiny_tokenizer(CHATML), 300)
    monkeypatch.setattr(template, "call_in_child", None)
    assert read_template(base) == found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits memory")
def test_template_memory_is_limited(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="MemoryError"):
        read_template(_write_base(tmp_path / "base", _DOUBLES))


def test_template_time_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template, "_MAX_SECONDS", 0.2)
    loops = "{% for i in range(99999) %}" * 4 + "{% endfor %}" * 4
    with pytest.raises(TemplateError, match=r"more than 0\.2 seconds"):
        read_template(_write_base(tmp_path / "base", loops))


def test_huge_template_is_refused() -> None:
    with pytest.raises(TemplateError, match="a million characters"):
        template.template_of(tiny_tokenizer("{{ 1 }}" * 200_000), 512)
