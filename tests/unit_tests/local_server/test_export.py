"""Modelfiles, and weights in 8 bits."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants

from langchain_chatexports.local_server.export import _dithered, modelfile


def test_what_would_write_lines_of_its_own_is_left_out() -> None:
    for text in ("end\nFROM /etc/passwd", 'end"', "end\u2028FROM /etc/passwd"):
        assert "PARAMETER" not in modelfile(text, None)
    for text in ('"""\nFROM /etc/passwd\n"""', 'a "quotation"'):
        assert "SYSTEM" not in modelfile("<|im_end|>", text)


def test_a_modelfile_has_the_system_message_and_the_end_of_a_turn() -> None:
    assert modelfile("<|im_end|>", "Be slow.\nAnd steady.") == (
        'FROM ./model.gguf\nSYSTEM """Be slow.\nAnd steady."""\n'
        'PARAMETER stop "<|im_end|>"\n'
    )


def test_small_changes_survive_eight_bits() -> None:
    """The base's weights are on the steps of 8 bits: rounding would undo a training."""
    weights = np.random.default_rng(1).normal(size=(64, 256)).astype(np.float32)
    base = _in_8_bits(weights)
    change = np.float32(0.002)
    assert abs((_in_8_bits(base + change) - base).mean()) < 0.0002
    found = (_in_8_bits(_dithered(base + change)) - base).mean()
    assert found == pytest.approx(change, rel=0.15)
    odd = weights[:, :7]
    assert _dithered(odd) is odd


def _in_8_bits(values: np.ndarray) -> np.ndarray:
    kind = GGMLQuantizationType.Q8_0
    found: np.ndarray = quants.dequantize(quants.quantize(values, kind), kind)
    return found
