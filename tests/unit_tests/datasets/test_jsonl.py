import errno
import io
import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
from langchain_chatexports.exceptions import (
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
)
from tests.unit_tests.builders.tuners import make_examples


def written(*examples: Any) -> bytes:
    buffer = io.BytesIO()
    write_jsonl(examples, buffer)
    return buffer.getvalue()


def test_file_and_buffer_get_the_same_bytes(tmp_path: Path) -> None:
    examples = make_examples(3)
    assert write_jsonl(examples, tmp_path / "a.jsonl") == 3
    assert (tmp_path / "a.jsonl").read_bytes() == written(*examples)
    assert write_jsonl(iter(examples), str(tmp_path / "b.jsonl")) == 3
    assert (tmp_path / "b.jsonl").read_bytes() == written(*examples)
    assert {path.name for path in tmp_path.iterdir()} == {"a.jsonl", "b.jsonl"}


def test_surrogates_are_joined_or_replaced() -> None:
    assert written({"a": "x\ud83dy"}) == '{"a": "x\ufffdy"}\n'.encode()
    assert written({"a": "\ud83d\ude00"}) == '{"a": "😀"}\n'.encode()


def test_unicode_line_separators_are_escaped() -> None:
    text = "a\x85b\u2028c\u2029d\x0be\x0cf\x1cg\r\nh"
    data = written({"a": text})
    assert len(data.decode().splitlines()) == 1
    assert json.loads(data) == {"a": text}


any_text = st.text(st.characters(exclude_categories=[]))  # Including lone surrogates.
any_message = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"])}
    | {"content": any_text | st.none() | st.lists(any_text, max_size=1)},
    optional={"name": any_text, "weight": st.just(0)},
)


@given(
    st.fixed_dictionaries(
        {"messages": st.lists(any_message, max_size=3)}, optional={"tools": st.just([])}
    )
)
def test_lines_match_the_standard_library(example: Any) -> None:
    text = json.dumps(example, ensure_ascii=False)
    clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    for end in "\x85\u2028\u2029":
        clean = clean.replace(end, f"\\u{ord(end):04x}")
    assert written(example) == f"{clean}\n".encode()


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        written({"a": float("nan")})


def test_text_buffer_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        write_jsonl(make_examples(1), io.StringIO())  # type: ignore[arg-type] # on purpose


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_file_is_private_with_any_umask(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        write_jsonl(make_examples(1), path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old")

    def failing() -> Iterator[dict[str, Any]]:
        yield from make_examples(2)
        msg = "the export broke"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="broke"):
        write_jsonl(failing(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_read_only_folder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(ExportAccessError, match=r"a\.jsonl.*folder of your own"):
        write_jsonl(make_examples(1), tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "Free some space"), (errno.EIO, "'no'. Check the path")],
)
def test_disk_errors_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ExportFormatError, match=remedy):
        write_jsonl(make_examples(1), tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="the whole path has a limit there")
def test_too_long_name_is_an_error(tmp_path: Path) -> None:
    longest = tmp_path / ("a" * 255)
    assert write_jsonl(make_examples(1), longest) == 1
    assert list(tmp_path.iterdir()) == [longest]
    with pytest.raises((ExportFormatError, ExportNotFoundError), match="cannot be"):
        write_jsonl(make_examples(1), tmp_path / ("a" * 256))
    assert list(tmp_path.iterdir()) == [longest]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_target_of_a_link_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "real.jsonl"
    target.write_text("old")
    link = tmp_path / "link.jsonl"
    link.symlink_to(target)
    write_jsonl(make_examples(1), link)
    assert link.is_symlink()
    assert target.read_bytes() == written(*make_examples(1))


def read(tmp_path: Path, data: bytes) -> list[Any]:
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    return list(read_jsonl(path))


def test_bom_carriage_returns_and_empty_lines(tmp_path: Path) -> None:
    assert read(tmp_path, b'\xef\xbb\xbf{"a": 1}\r\n\n{"a": 2}\r\n\n \n') == [
        {"a": 1},
        {"a": 2},
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": 1}\nsecret\n', "Line 2 of .* is not JSON"),
        (b'{"a": 1}\n["secret"]\n', "Line 2 of .* is not a JSON object"),
        (b'{"a": 1}\n\xff"secret"\n', "Line 2 of .* is not UTF-8"),
        (b'{"a": 1}\n' + b"[" * 100_000, "Line 2 of .* is not JSON"),
        (b'{"a": 1}\n{"a": ' + b"9" * 5000 + b"}\n", "Line 2 of .* is not JSON"),
    ],
)
def test_bad_line_is_named_by_number(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(ExportFormatError, match=reason) as caught:
        read(tmp_path, data)
    assert "secret" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportNotFoundError, match=r"no-such\.jsonl"):
        list(read_jsonl(tmp_path / "no-such.jsonl"))


def test_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ExportFormatError, match="is a folder"):
        list(read_jsonl(tmp_path))
    with pytest.raises(ExportFormatError, match="is a folder"):
        write_jsonl(make_examples(1), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    sys.platform == "win32" or getattr(os, "geteuid", lambda: 0)() == 0,
    reason="root reads everything",
)
def test_unreadable_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.touch(mode=0)
    with pytest.raises(ExportAccessError, match="permissions"):
        list(read_jsonl(path))
