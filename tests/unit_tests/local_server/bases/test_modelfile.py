"""Modelfiles, as Ollama's parser reads them."""

from __future__ import annotations

import re

import pytest

from langchain_chatexports.local_server.bases.modelfile import modelfile

_INSTRUCTIONS = {"FROM", "ADAPTER", "SYSTEM", "PARAMETER"}
# As Ollama's parser reads it: an instruction, and a value that is quoted once, quoted
# three times, or reaches to the end of the line.
_INSTRUCTION = re.compile(
    r"(?P<name>[A-Z]+) (?:stop )?"
    r'(?:"""(?P<block>.*?)"""|"(?P<text>[^"\n]*)"|(?P<plain>[^"\n]+))\n',
    re.DOTALL,
)


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


def test_each_instruction_is_read_as_it_was_meant() -> None:
    text = modelfile(
        model="/a folder/base.gguf",
        adapter="./adapter.gguf",
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
    text = modelfile(model="./m.gguf", adapter=None, system=None, stops=[stop, "</s>"])
    assert text == 'FROM ./m.gguf\nPARAMETER stop "</s>"\n'


def test_a_system_message_that_would_end_its_quotation_is_left_out() -> None:
    text = modelfile(
        model="./m.gguf",
        adapter=None,
        system='"""\nFROM /etc/passwd\n"""',
        stops=[],
    )
    assert text == "FROM ./m.gguf\n"
