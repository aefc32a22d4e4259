"""Modelfiles for Ollama, and weights in 8 bits."""

import json
import re
import shutil
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants

from langchain_chatexports.datasets.chat_prompts import ChatPrompt
from langchain_chatexports.exceptions import ExportFormatError, LocalServerError
from langchain_chatexports.local_server import (
    EVALUATION_FILE,
    Model,
    export_model,
    find_base,
)
from langchain_chatexports.local_server import export as export_module
from langchain_chatexports.local_server.bases import gguf
from langchain_chatexports.local_server.bases.gguf_adapter import GGUFNotSupportedError
from langchain_chatexports.local_server.bases.template import (
    ChatTemplate,
    template_of,
)
from langchain_chatexports.local_server.export import (
    _dither,
    render_card,
    render_modelfile,
)
from tests.unit_tests.builders.bare_engine import BareEngine, log_likelihoods
from tests.unit_tests.builders.children import (
    call_in_process,
    derive_templates_in_process,
)
from tests.unit_tests.builders.tiny_base import write_random_adapter
from tests.unit_tests.builders.tiny_models import TINY_MODELS, tiny_model_tokenizer

_ROLES = ("user", "assistant", "user", "assistant", "assistant", "user", "user")
_TALK = [
    {"role": role, "content": f"{role} {number}"} for number, role in enumerate(_ROLES)
]
_SYSTEM = {"role": "system", "content": "Be a tortoise."}


def _render_go(text: str, messages: list[dict[str, str]]) -> str:
    """Translate the template from Go to Jinja, and render it."""
    for old, new in (
        ("range $index, $message := .Messages", "for m in messages"),
        ('if eq .Role "system"', "if m.role == 'system'"),
        ('if eq .Role "assistant"', "if m.role == 'assistant'"),
        ("if eq $index 0", "if loop.index0 == 0"),
        (
            'if not (and (eq $index 1) (eq (index $.Messages 0).Role "system"))',
            "if not (loop.index0 == 1 and messages[0].role == 'system')",
        ),
        ("else", "else"),
    ):
        text = text.replace(f"{{{{ {old} }}}}", f"{{% {new} %}}")
    text = text.replace("{{ .Content }}", "{{ m.content }}")
    end_tags = iter(_find_end_tags(text))
    text = re.sub("{{ end }}", lambda _: f"{{% {next(end_tags)} %}}", text)
    environment = jinja2.Environment(keep_trailing_newline=True)  # noqa: S701 - no HTML.
    return environment.from_string(text).render(messages=messages)


def _find_end_tags(text: str) -> list[str]:
    opened: list[str] = []
    end_tags: list[str] = []
    for kind in re.findall(r"{% (for|if) |{{ (end) }}", text):
        if kind[1]:
            end_tags.append(f"end{opened.pop()}")
        else:
            opened.append(kind[0])
    return end_tags


def _read(family: str) -> ChatTemplate:
    return template_of(tiny_model_tokenizer(family), 512)


def _render(template: ChatTemplate, talk: Any, **options: Any) -> str:
    tokenizer = tiny_model_tokenizer("smollm2")
    return str(
        tokenizer.apply_chat_template(
            talk, chat_template=template.jinja, tokenize=False, **options
        )
    )


@pytest.mark.parametrize("family", sorted(TINY_MODELS))
@pytest.mark.parametrize("has_system", [False, True])
def test_modelfile_renders_like_training(family: str, *, has_system: bool) -> None:
    template = _read(family)
    text = render_modelfile(template.markup, begin="", system=None)
    lines = text.split('"""')
    assert lines[0] == f"# {export_module._SIGN}\nFROM ./model.gguf\nTEMPLATE "
    talk = [_SYSTEM, *_TALK] if has_system else _TALK
    expected = _render(template, talk, add_generation_prompt=True)
    assert _render_go(lines[1], talk) == expected


def test_modelfile_omits_unsafe_texts() -> None:
    markup = _read("smollm2").markup
    for text in ('end"""\nFROM /etc/passwd\n"""', "{{ .System }}"):
        unsafe = markup._replace(user_header=text)
        assert "TEMPLATE" not in render_modelfile(unsafe, begin="", system=None)
    for text in ("end\nFROM /etc/passwd", 'end"', "end\u2028FROM /etc/passwd"):
        unsafe = markup._replace(end_token=text)
        assert "PARAMETER" not in render_modelfile(unsafe, begin="", system=None)
    for text in ('"""\nFROM /etc/passwd\n"""', 'a "quotation"'):
        assert "SYSTEM" not in render_modelfile(markup, begin="", system=text)


def test_begin_token_is_not_repeated() -> None:
    markup = _read("llama-3.2").markup
    begin = "<|endoftext|>"
    assert markup.start.startswith(begin)
    text = render_modelfile(markup, begin=begin, system="Be slow.\nAnd steady.")
    assert begin not in text
    assert 'SYSTEM """Be slow.\nAnd steady."""' in text


def test_small_changes_survive_eight_bits() -> None:
    """Rounding to 8 bits would undo a training run."""
    weights = np.random.default_rng(1).normal(size=(64, 256)).astype(np.float32)
    base = _in_8_bits(weights)
    change = np.float32(0.002)
    assert abs((_in_8_bits(base + change) - base).mean()) < 0.0002
    found = (_in_8_bits(_dither(base + change)) - base).mean()
    assert found == pytest.approx(change, rel=0.15)
    narrow = weights[:, :7]
    assert _dither(narrow) is narrow


def _in_8_bits(values: np.ndarray) -> np.ndarray:
    kind = GGMLQuantizationType.Q8_0
    found: np.ndarray = quants.dequantize(quants.quantize(values, kind), kind)
    return found


def test_card_has_figures_and_no_name_unless_given(tmp_path: Path) -> None:
    assert "wrote what this model answers, and not the person" in export_module._SIGN
    model = Model(
        "ft:tiny:local:rosa:1",
        tmp_path,
        created_at=1.8e9,
        base_model="tiny",
        prompt=ChatPrompt("You are Rosa."),
        person="Rosa",
        source="Rosa.zip",
        replies=1200,
    )
    row = {"kind": "tuned", "bits_per_byte": {"value": 1.234}, "told_apart": None}
    figures = {"figures": [row, {**row, "kind": "base"}]}
    (tmp_path / EVALUATION_FILE).write_text(json.dumps(figures))
    assert render_card(model).splitlines() == [
        "# A model of a person",
        "",
        export_module._SIGN,
        "",
        "- Base: tiny",
        "- Trained: 2027-01-15",
        "- Learned from: 1,200 messages",
        "- Bits per byte of unseen messages: model 1.23, base 1.23",
    ]
    assert render_card(replace(model, label="My Rosa")).startswith("# My Rosa\n")


@pytest.fixture
def model(
    tiny_base: Path, tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Model:
    """A model of a base with a `.gguf` file, and functions without children."""
    base = shutil.copytree(tiny_base, tmp_path / "bases" / "tiny")
    shutil.copyfile(tiny_gguf, base / "tiny.gguf")
    folder = write_random_adapter(base, tmp_path / "adapter")
    for file in tiny_base.glob("tokenizer*"):
        shutil.copyfile(file, folder / file.name)
    derive_templates_in_process(monkeypatch)
    for module in (export_module, gguf):
        monkeypatch.setattr(module, "call_in_child", call_in_process)
    return Model("ft:tiny:local::1", folder, base=str(base), base_model="tiny")


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("strength", [None, 0.5])
def test_export_matches_peft(
    model: Model, tmp_path: Path, strength: float | None
) -> None:
    import torch
    from peft import PeftModel
    from peft.helpers import rescale_adapter_scale
    from transformers import AutoModelForCausalLM

    target = export_model(model, tmp_path / "new" / "merged", strength=strength)
    assert find_base(target).name == "merged"
    assert "not the person" in (target / "README.md").read_text()
    assert {path.name for path in target.parent.iterdir()} == {"merged"}
    ids = torch.tensor([[5, 6, 7]])
    merged = AutoModelForCausalLM.from_pretrained(target).eval()
    plain = AutoModelForCausalLM.from_pretrained(model.base)
    tuned = PeftModel.from_pretrained(plain, model.folder).eval()
    factor = 1.0 if strength is None else strength
    with torch.inference_mode(), rescale_adapter_scale(tuned, factor):
        torch.testing.assert_close(
            merged(input_ids=ids).logits, tuned(input_ids=ids).logits
        )


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_gguf_export_matches_peft(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    assert model.folder is not None
    model = replace(model, strength=0.5)
    target = export_model(model, tmp_path / "voice", gguf=True, quantization="f16")
    lines = (target / "Modelfile").read_text("utf-8").splitlines()
    names = {path.name for path in target.iterdir()}
    assert names == {"Modelfile", "README.md", "model.gguf"}
    assert lines[1] == "FROM ./model.gguf"
    assert 'PARAMETER stop "<|im_end|>"' in lines
    assert b"{%- generation" not in (target / "model.gguf").read_bytes()
    engine = BareEngine(target / "model.gguf")
    compared = 0
    for ids in ([5, 6, 7], [9, 8, 30, 200, 5], [300, 12], [40], [7, 90, 61], [12, 77]):
        expected = log_likelihoods(Path(model.base), model.folder, ids, model.strength)
        found = engine.log_likelihoods(ids)
        compared += len(found)
        for token, value in found.items():
            assert abs(value - float(expected[token])) < 1e-3
    assert compared
    if sys.platform != "win32":
        modes = {stat.S_IMODE(path.stat().st_mode) for path in target.iterdir()}
        assert modes == {0o600}


def test_failed_gguf_export_leaves_nothing(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> NoReturn:
        msg = "there is none"
        raise GGUFNotSupportedError(msg)

    monkeypatch.setattr(export_module, "find_gguf", refuse)
    before = {*tmp_path.iterdir()}
    with pytest.raises(LocalServerError, match=r"exported: .* as GGUF: there is"):
        export_model(model, tmp_path / "voice", gguf=True)
    with pytest.raises(LocalServerError, match="q8_0 or f16"):
        export_model(model, tmp_path / "voice", gguf=True, quantization="q9")
    with pytest.raises(LocalServerError, match="already exists"):
        export_model(model, tmp_path)
    file = Path(model.folder or "") / "adapter_config.json"
    with pytest.raises(ExportFormatError, match="cannot be written: a part of its"):
        export_model(model, file / "voice")
    assert {*tmp_path.iterdir()} == before
