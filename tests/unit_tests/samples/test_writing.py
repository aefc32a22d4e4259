"""What all samples do where they are written: paths, refusals, and no remains."""

import errno
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import ExportAccessError, ExportFormatError
from langchain_chatexports.samples import (
    write_discord,
    write_imessage,
    write_messenger,
    write_signal,
    write_slack,
    write_telegram,
    write_whatsapp,
)

WRITERS: dict[str, Callable[..., Path]] = {
    "imessage": write_imessage,
    "messenger": write_messenger,
    "discord": write_discord,
    "signal": write_signal,
    "slack": write_slack,
    "telegram": write_telegram,
    "whatsapp": write_whatsapp,
}


@pytest.fixture(params=WRITERS)
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def write(platform: str) -> Callable[..., Path]:
    return WRITERS[platform]


def test_a_failure_leaves_nothing_behind(
    platform: str,
    write: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = platform if platform in {"imessage", "messenger"} else "chats"
    reads = f"langchain_chatexports.samples.{module}.read_scenes"
    monkeypatch.setattr(reads, lambda _: {"x": None})
    with pytest.raises((TypeError, ValueError)):
        write(tmp_path / "sample")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["mkdir", "replace"])
@pytest.mark.parametrize("kind", [PermissionError, OSError])
def test_a_refusal_of_the_system_is_one_clear_error(
    write: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    kind: type[Any],
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise kind(errno.EACCES if kind is PermissionError else errno.ENOSPC, "no")

    target = tmp_path / "sample"
    monkeypatch.setattr(Path, call, refuse)
    expected = ExportAccessError if kind is PermissionError else ExportFormatError
    with pytest.raises(expected, match=re.escape(f"{target} cannot be written")):
        write(target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    sys.platform == "win32" or getattr(os, "geteuid", lambda: 0)() == 0,
    reason="root writes everywhere",
)
def test_a_read_only_folder_is_one_clear_error(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ExportAccessError, match="a folder of your own"):
            write(tmp_path / "sample")
    finally:
        tmp_path.chmod(0o700)
