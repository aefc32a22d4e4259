"""Which base this machine should use, and what a training with it takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports.datasets.preparation import Preparation, PrepareOptions
from langchain_chatexports.datasets.training_data import TrainingData
from langchain_chatexports.local_server.bases import known_bases
from langchain_chatexports.workflows import choose_base
from langchain_chatexports.workflows.bases import (
    downloaded_bases,
    find_base,
    fitting_bases,
)
from tests.unit_tests.builders.tuners import make_examples

EXAMPLES: Any = make_examples()
DATA = TrainingData(EXAMPLES, [], 0, Preparation([], PrepareOptions()), None, "")


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_bases, "machine_memory", lambda: 16 * 10**9)


def test_the_largest_base_that_trains_in_the_time_is_chosen() -> None:
    choice = choose_base(DATA, 10**9, seconds_per_token=0.01)
    assert choice.limit is None
    assert choice.base.id == fitting_bases()[-1].id
    less = choose_base(DATA, choice.seconds / 2, seconds_per_token=0.01)
    assert less.base.id != choice.base.id
    assert less.seconds <= choice.seconds / 2


def test_where_none_fits_it_says_how_many_examples_would() -> None:
    whole = choose_base(DATA, 10**9, seconds_per_token=0.01)
    smallest = fitting_bases()[0]
    default = whole.seconds / (whole.base.training_seconds(1.0) or 1.0)
    choice = choose_base(DATA, default / 2, seconds_per_token=0.01)
    assert choice.base == smallest
    assert choice.limit is not None
    assert 0.4 * len(EXAMPLES) <= choice.limit <= 0.5 * len(EXAMPLES)


def test_a_known_base_has_its_size_and_license() -> None:
    base = find_base("Qwen/Qwen3.5-0.8B")
    assert (base.name, base.license) == ("Qwen3.5-0.8B", "Apache-2.0")
    assert base.memory_bytes


def test_downloaded_bases_have_their_size_on_disk(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = SimpleNamespace(HF_HUB_CACHE=str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants", constants)
    blobs = tmp_path / "models--Qwen--Qwen3.5-0.8B" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "a").write_bytes(b"12345")
    assert downloaded_bases() == [("Qwen/Qwen3.5-0.8B", 5)]
