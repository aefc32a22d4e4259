"""Downloads of bases from a hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import (
    DiskFullError,
    LocalServer,
    NoConnectionError,
)
from langchain_chatexports.local_server.bases.download import download_model
from langchain_chatexports.local_server.bases.preparation import load_tokenizer
from tests.integration_tests.local_server.conftest import open_client
from tests.unit_tests.builders.hub import CUT_AFTER, Hub
from tests.unit_tests.builders.tiny_models import write_tiny_model

_HUB_ID = "Qwen/Qwen3.5-0.8B"


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("hub") / "tiny_model", "qwen3.5")


@pytest.fixture
def hub(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hub]:
    from huggingface_hub import constants

    with Hub(_HUB_ID, tiny_model).running() as hub:
        cache = tmp_path / "hf"
        # The child reads the environment, and this process has read it already.
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        yield hub


def _weights_sent(hub: Hub) -> int:
    return sum(size for name, _, size in hub.sent if name == "model.safetensors")


def test_base_is_downloaded_once_with_progress(hub: Hub) -> None:
    reports: list[tuple[int, int]] = []
    folder = download_model(
        _HUB_ID, on_progress=lambda done, total: reports.append((done, total))
    )
    size = sum(len(content) for content in hub.files.values())
    assert reports[0] == (0, size)
    assert reports[-1] == (size, size)
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    tokenizer, _ = load_tokenizer(folder)
    assert tokenizer.chat_template
    hub.sent.clear()
    assert download_model(_HUB_ID) == folder
    assert hub.sent == []


def test_pickles_are_not_downloaded(hub: Hub) -> None:
    hub.files["pytorch_model.bin"] = b"a pickle"
    folder = download_model(_HUB_ID)
    assert not (folder / "pytorch_model.bin").exists()
    assert "pytorch_model.bin" not in {name for name, _, _ in hub.sent}


def test_downloads_resume(hub: Hub) -> None:
    hub.files["more.safetensors"] = bytes(2 * CUT_AFTER)
    hub.cuts = 1000
    with pytest.raises(NoConnectionError, match="the connection was lost"):
        download_model(_HUB_ID)
    hub.cuts = 0
    hub.sent.clear()
    folder = download_model(_HUB_ID)
    assert (folder / "more.safetensors").stat().st_size == 2 * CUT_AFTER
    assert {name for name, _, _ in hub.sent} == {"more.safetensors"}


def test_gated_model_error_has_its_url(hub: Hub) -> None:
    hub.is_gated = True
    with pytest.raises(LocalServerError, match="is gated") as failed:
        download_model(_HUB_ID)
    assert f"{hub.url}/{_HUB_ID}" in str(failed.value)
    assert "hf auth login" in str(failed.value)


@pytest.mark.usefixtures("hub")
def test_unknown_hub_id_is_an_error() -> None:
    with pytest.raises(LocalServerError, match="has no such model") as failed:
        download_model("Qwen/Qwen3.5-0.7B")
    assert "Qwen/Qwen3.5-0.7B" in str(failed.value)


def test_missing_network_is_an_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing listens on this port.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NoConnectionError, match=r"cannot be reached\. Check"):
        download_model(_HUB_ID)
    assert hub.sent == []


def test_full_disk_is_an_error_before_the_download(hub: Hub) -> None:
    hub.claimed_size = 10**18
    with pytest.raises(DiskFullError, match=r"GB free.*HF_HOME"):
        download_model(_HUB_ID)
    assert hub.sent == []


def test_server_starts_with_a_hub_base(hub: Hub, tmp_path: Path, caplog: Any) -> None:
    with LocalServer(_HUB_ID, data_dir=tmp_path / "data", threads=1) as server:
        client = open_client(server)
        answer = client.chat.completions.create(
            model="Qwen3.5-0.8B",
            messages=[{"role": "user", "content": "Ready?"}],
            max_tokens=2,
        )
    assert answer.usage is not None
    # Random weights may end an answer with their first token.
    assert answer.usage.completion_tokens <= 2
    assert f"Downloading {_HUB_ID}" in caplog.text
    assert _weights_sent(hub) == len(hub.files["model.safetensors"])
