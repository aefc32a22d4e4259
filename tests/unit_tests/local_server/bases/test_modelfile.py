"""Modelfiles say what the chat template says, in Ollama's language."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jinja2
import pytest

from langchain_chatexports.local_server.bases.modelfile import (
    find_turn_texts,
    modelfile,
)
from tests.unit_tests.builders.tiny_base import (
    ALTERNATING,
    CHATML,
    REWRITING,
    tiny_tokenizer,
)

_INSTRUCTIONS = {"FROM", "ADAPTER", "TEMPLATE", "SYSTEM", "PARAMETER"}
# As Ollama's parser reads it: an instruction, and a value that is quoted once, quoted
# three times, or reaches to the end of the line.
_INSTRUCTION = re.compile(
    r"(?P<name>[A-Z]+) (?:stop )?"
    r'(?:"""(?P<block>.*?)"""|"(?P<text>[^"\n]*)"|(?P<plain>[^"\n]+))\n',
    re.DOTALL,
)
_TALK = [
    {"role": "system", "content": "Be a tortoise."},
    {"role": "user", "content": "Ready?"},
    {"role": "assistant", "content": "Slow and steady."},
    {"role": "user", "content": "Go!"},
]


def _template(name: str) -> str:
    own = {"chatml": CHATML, "alternating": ALTERNATING}
    if name in own:
        return own[name]
    spec = find_spec("trl")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "chat_templates"
    return (folder / f"{name}.jinja").read_text("utf-8")


def _parse(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = _INSTRUCTION.match(text, at)
        assert match is not None, text[at:]
        assert match["name"] in _INSTRUCTIONS
        value = next(
            match[k] for k in ("block", "text", "plain") if match[k] is not None
        )
        found.append((match["name"], value))
        at = match.end()
    return found


def _render_go(template: str, messages: list[dict[str, str]]) -> str:
    """Render the few parts of Go's language that are used, by Jinja."""
    for pattern, replacement in (
        (r"{{ range \.Messages }}", "{% for m in messages %}"),
        (r'{{ if eq \.Role "(\w+)" }}', r"{% if m.role == '\1' %}"),
        (r'{{ else if eq \.Role "(\w+)" }}', r"{% elif m.role == '\1' %}"),
        (r"{{ \.Content }}", "{{ m.content }}"),
        (r"{{ end }}{{ end }}", "{% endif %}{% endfor %}"),
    ):
        template = re.sub(pattern, replacement, template)
    assert not re.search(r"{{ (?!m\.content)", template)
    environment = jinja2.Environment(keep_trailing_newline=True)  # noqa: S701 - no HTML.
    return environment.from_string(template).render(messages=messages)


@pytest.mark.parametrize(
    ("name", "has_system"),
    [
        ("chatml", True),
        ("qwen2_5", True),
        ("qwen3_instruct_2507", True),
        ("llama3", True),
        ("gemma", False),
        ("gemma3", False),
        ("alternating", False),
    ],
)
def test_ollama_renders_a_chat_as_the_chat_template_does(
    name: str, *, has_system: bool
) -> None:
    tokenizer = tiny_tokenizer(_template(name))
    turns = find_turn_texts(tokenizer)
    assert turns is not None
    text = modelfile(
        model="./model.gguf",
        adapter=None,
        turns=turns,
        system=None,
        stops=["<|im_end|>"],
    )
    (template,) = [value for kind, value in _parse(text) if kind == "TEMPLATE"]
    talk = _TALK if has_system else _TALK[1:]
    wanted: Any = tokenizer.apply_chat_template(
        talk, tokenize=False, add_generation_prompt=True
    )
    assert _render_go(template, talk) == wanted


def test_the_default_system_message_of_a_template_is_found() -> None:
    turns = find_turn_texts(tiny_tokenizer(_template("qwen2_5")))
    assert turns is not None
    assert turns.default_system is not None
    assert turns.default_system.startswith("You are Qwen")


@pytest.mark.parametrize("template", [REWRITING, "{{ 'always the same' }}"])
def test_a_template_that_does_more_is_left_to_ollama(template: str) -> None:
    assert find_turn_texts(tiny_tokenizer(template)) is None
    text = modelfile(
        model="./model.gguf", adapter=None, turns=None, system=None, stops=[]
    )
    assert _parse(text) == [("FROM", "./model.gguf")]


def test_each_instruction_is_read_as_it_was_meant() -> None:
    text = modelfile(
        model="/a folder/base.gguf",
        adapter="./adapter.gguf",
        turns=None,
        system='Be "slow".\nAnd steady.',
        stops=["<|im_end|>", 'a "quoted" end'],
    )
    assert _parse(text) == [
        ("FROM", "/a folder/base.gguf"),
        ("ADAPTER", "./adapter.gguf"),
        ("SYSTEM", 'Be "slow".\nAnd steady.'),
        ("PARAMETER", "<|im_end|>"),
        ("PARAMETER", 'a "quoted" end'),
    ]


@pytest.mark.parametrize(
    "stop",
    [
        'end"""\nFROM /etc/passwd\n"""',
        "end\nFROM /etc/passwd",
        "end\rFROM /etc/passwd",
        'end"',
        "end\u2028FROM /etc/passwd",
    ],
)
def test_an_end_token_that_would_write_lines_is_left_out(stop: str) -> None:
    text = modelfile(
        model="./m.gguf", adapter=None, turns=None, system=None, stops=[stop, "</s>"]
    )
    assert text == 'FROM ./m.gguf\nPARAMETER stop "</s>"\n'


def test_a_system_message_that_would_end_its_quotation_is_left_out() -> None:
    text = modelfile(
        model="./m.gguf",
        adapter=None,
        turns=None,
        system='"""\nFROM /etc/passwd\n"""',
        stops=[],
    )
    assert text == "FROM ./m.gguf\n"
