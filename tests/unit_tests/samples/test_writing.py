"""What all samples do where they are written: paths, refusals, and no remains."""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports import (
    ChatExportError,
    ExportAccessError,
    ExportFormatError,
)
from langchain_chatexports.samples import (
    write_discord,
    write_imessage,
    write_messenger,
    write_signal,
    write_slack,
    write_telegram,
    write_whatsapp,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

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


@pytest.mark.parametrize(
    ("writer", "name"),
    [
        (write_imessage, "chat.db"),
        (write_messenger, "hogwarts"),
        (write_discord, "discord"),
        (write_signal, "signal"),
        (write_slack, "slack"),
        (write_telegram, "telegram"),
        (write_whatsapp, "whatsapp"),
    ],
)
def test_it_is_written_into_the_working_directory(
    writer: Callable[..., Path],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert writer() == Path(name)
    assert Path(name).exists()


def test_a_failure_leaves_nothing_behind(
    platform: str,
    write: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = platform if platform in {"imessage", "messenger"} else "chats"
    reads = f"langchain_chatexports.samples.{module}.read_scenes"
    monkeypatch.setattr(reads, lambda _: {"x": None})
    with pytest.raises((KeyError, TypeError)):
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


def test_a_path_below_a_file_is_one_clear_error(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ChatExportError, match="cannot be written"):
        write(tmp_path / "file" / "below" / "sample")


@pytest.mark.skipif(sys.platform == "win32", reason="the whole path has a limit there")
@pytest.mark.parametrize(
    ("writer", "length"),
    [(write_imessage, 255 - len("-journal")), (write_messenger, 255)],
)
def test_the_longest_name_is_written(
    writer: Callable[..., Path], length: int, tmp_path: Path
) -> None:
    writer(tmp_path / ("a" * length))
