"""What can be said of the Ray source without Ray."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports import cluster
from langchain_chatexports.cluster import session_of_row, through
from langchain_chatexports.cluster.fetching import fetched, is_url
from langchain_chatexports.cluster.reading import _row
from langchain_chatexports.exceptions import ExportNotFoundError, MissingExtraError
from langchain_chatexports.samples import write_imessage, write_messenger
from langchain_chatexports.steps import MapAIMessages, MergeChatRuns
from tests.unit_tests.builders.sessions import talk

if TYPE_CHECKING:
    from collections.abc import Callable

pytest.importorskip("fsspec", reason="needs the extra ray")

TALK = talk("Ann: hi", "Ann: there", "Bo: yes")


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_ray(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "ray":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_ray)

    with pytest.raises(MissingExtraError, match=r"langchain-chatexports\[ray\]"):
        cluster.read_exports("chat.db")


def test_a_row_holds_a_whole_session() -> None:
    session = next(iter(MapAIMessages(sender="Ann").lazy_transform([TALK])))

    assert session_of_row(_row(session)) == session


def test_rows_pass_through_steps() -> None:
    row = _row(TALK)

    (merged,) = through(MergeChatRuns())(row)
    assert session_of_row(merged) == MergeChatRuns().invoke([TALK])[0]


@pytest.mark.parametrize("write", [write_imessage, write_messenger])
def test_a_url_is_copied_and_the_copy_removed(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    source = write(tmp_path / "export")

    with fetched(source.as_uri()) as copy:
        assert copy != source
        files = sorted(p.relative_to(copy) for p in copy.rglob("*"))
        assert files == sorted(p.relative_to(source) for p in source.rglob("*"))
        assert copy.exists()
    assert not copy.exists()


def test_the_newest_messages_come_along(tmp_path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f"chat.db{ending}").write_bytes(b"x" + ending.encode())

    with fetched((tmp_path / "chat.db").as_uri()) as copy:
        assert copy.with_name("chat.db-wal").read_bytes() == b"x-wal"


def test_a_path_is_read_in_place(tmp_path: Path) -> None:
    with fetched(str(tmp_path)) as path:
        assert path == tmp_path


def test_nothing_at_a_url_is_said_so(tmp_path: Path) -> None:
    with (
        pytest.raises(ExportNotFoundError, match="Check the URL"),
        fetched((tmp_path / "none.zip").as_uri()),
    ):
        pass


def test_a_windows_path_is_no_url() -> None:
    assert not is_url(Path("C:/exports/chat.db"))
    assert is_url("s3://bucket/chat.db")
