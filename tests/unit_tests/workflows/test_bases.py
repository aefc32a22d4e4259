"""The base for a machine, and its training time."""

from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import (
    Base,
    Workspace,
    find_base,
    fitting_bases,
    list_downloaded_bases,
)
from langchain_chatexports.local_server.bases import base as base_module
from langchain_chatexports.workflows import choose_base
from langchain_chatexports.workflows.bases import (
    choose_chat_base,
    detect_language,
    download_base,
    estimate_speed,
    language_warning,
)
from langchain_chatexports.workflows.preparation import Preparation, PrepareOptions
from langchain_chatexports.workflows.training_data import TrainingData
from tests.unit_tests.builders.hub import CUT_AFTER, Hub
from tests.unit_tests.builders.tuners import make_examples
from tests.unit_tests.builders.workspaces import add_model

BASES = import_module("langchain_chatexports.workflows.bases")
SMALL, BEST = "Qwen/Qwen3.5-0.8B", "Qwen/Qwen3.5-2B"


def make_data(examples: Any) -> TrainingData:
    return TrainingData(examples, [], 0, Preparation([], PrepareOptions()), None, "")


def german(count: int = 10) -> Any:
    turns = [("user", "Wie geht es dir?"), ("assistant", "Mir geht es auch nicht gut.")]
    messages = [{"role": role, "content": text} for role, text in turns]
    return [{"messages": messages} for _ in range(count)]


EXAMPLES: Any = make_examples()
DATA = make_data(EXAMPLES)
GERMAN = make_data(german())


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The local bases, none at first; 24 GB of memory and two cores."""
    found: set[str] = set()
    monkeypatch.setattr(base_module, "machine_memory", lambda: 24 * 10**9)
    monkeypatch.setattr(BASES, "thread_count", lambda: 2)
    monkeypatch.setattr(Base, "needs_download", lambda base: base.id not in found)
    return found


def test_largest_base_within_the_time_is_chosen() -> None:
    choice = choose_base(DATA, 10**9, seconds_per_token=0.01)
    assert choice.limit is None
    assert choice.base.id == fitting_bases()[-1].id
    less = choose_base(DATA, choice.seconds / 2, seconds_per_token=0.01)
    assert less.base.id != choice.base.id
    assert less.seconds <= choice.seconds / 2


def test_too_little_time_limits_the_examples() -> None:
    best = choose_base(DATA, 10**9, seconds_per_token=0.01)
    smallest = fitting_bases()[0]
    default = best.seconds / (best.base.training_seconds(1.0) or 1.0)
    choice = choose_base(DATA, default / 2, seconds_per_token=0.01)
    assert choice.base == smallest
    assert choice.limit is not None
    assert 0.4 * len(EXAMPLES) <= choice.limit <= 0.5 * len(EXAMPLES)


def test_default_choice_speaks_the_language() -> None:
    choice = choose_base(GERMAN, seconds_per_token=0.002)
    assert (choice.base.id, choice.language) == (BEST, "German")
    text = str(choice)
    assert text.startswith(
        "Base model: Qwen3.5-2B, the best known one for chats in Ger"
    )
    assert "; 6.8 GB from huggingface.co; trains in 1 min to 2 min; " in text
    assert text.endswith("license: Apache-2.0")
    slow = choose_base(GERMAN, seconds_per_token=100.0)
    assert (slow.base.id, slow.limit) == (SMALL, None)
    english = choose_base(DATA, seconds_per_token=100.0)
    assert not english.base.is_default


def test_best_local_base_is_chosen_without_downloads(local: set[str]) -> None:
    english = choose_base(DATA, downloads=False)
    assert english.base.is_default
    assert english.better is not None
    with pytest.raises(LocalServerError, match=r"supports German. Download Qwen/Qwen3"):
        choose_base(GERMAN, downloads=False)
    local.add(SMALL)
    choice = choose_base(GERMAN, downloads=False, seconds_per_token=0.002)
    assert (choice.base.id, choice.better and choice.better.id) == (SMALL, BEST)
    assert "already downloaded" in str(choice)


def test_talk_prefers_local_bases(local: set[str]) -> None:
    assert choose_chat_base("German").base.id == BEST
    assert choose_chat_base(None, downloads=False).base.is_default
    local.add(SMALL)
    choice = choose_chat_base("German")
    assert (choice.base.id, choice.better and choice.better.id) == (SMALL, BEST)
    assert "; replies in about " in str(choice)


def test_small_machine_error_names_a_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_module, "machine_memory", lambda: 4 * 10**9)
    with pytest.raises(LocalServerError, match=f"{SMALL}, needs 4.5 GB: try --base"):
        choose_base(GERMAN)


@pytest.mark.parametrize(
    ("base", "language", "warns"),
    [
        (None, "German", True),
        (None, "English", False),
        (None, None, False),
        (SMALL, "German", False),
        ("openbmb/MiniCPM5-1B", "Chinese", False),
        ("openbmb/MiniCPM5-1B", "CYRILLIC", True),
        ("somebody/else", "German", False),
    ],
)
def test_unsupported_language_is_a_warning(
    base: str | None, language: str | None, warns: bool
) -> None:
    assert (language_warning(find_base(base), language) is not None) is warns


def test_language_is_detected_from_examples() -> None:
    assert detect_language(german(2000)) == "German"
    assert detect_language([]) is None


def test_download_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub", reason="needs the extra `local`")
    from huggingface_hub import constants

    folder = tmp_path / "base"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(2 * CUT_AFTER))
    seen: list[int] = []

    @contextmanager
    def watch(what: str, done: Any, total: int | None) -> Any:
        assert (what, total) == ("MB", 2610)
        yield
        seen.append(done())

    with Hub(SMALL, folder).running() as hub:
        hub.cuts = 1
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        base = find_base(SMALL)
        download_base(base, watch)
        weights = "model.safetensors"
        offsets = [offset for name, offset, _ in hub.sent if name == weights]
    assert seen == [2 * CUT_AFTER // 10**6]
    first, second = offsets
    assert first == 0
    assert 0 < second <= CUT_AFTER


def test_downloaded_bases_have_a_size(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub", reason="needs the extra `local`")
    constants = SimpleNamespace(HF_HUB_CACHE=str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants", constants)
    blobs = tmp_path / "models--Qwen--Qwen3.5-0.8B" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "a").write_bytes(b"12345")
    found = [(base.id, base.size_bytes) for base in list_downloaded_bases()]
    assert found == [("Qwen/Qwen3.5-0.8B", 5)]


def test_finished_job_tells_the_speed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base with twice the parameters trains more slowly than the default."""
    assert estimate_speed(workspace) == 0.0023
    model = add_model(workspace, base_model="Qwen3.5-0.8B", results={})
    workspace.jobs.record(model.job_id, trained_tokens=2000)
    for step in range(1, 11):
        with monkeypatch.context() as patch:
            # A pause does not count.
            patch.setattr("time.time", lambda now=step: 10.0 * now + 900 * (now > 5))
            workspace.jobs.log_step(model.job_id, step, 10, 1.0)
    seconds = find_base(SMALL).training_seconds(estimate_speed(workspace) * 2000)
    assert seconds == pytest.approx(100.0)
