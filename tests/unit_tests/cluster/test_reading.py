"""What can be said of the Ray source without Ray."""

from __future__ import annotations

import builtins
import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_chatexports import cluster
from langchain_chatexports.cluster import session_of_row, through
from langchain_chatexports.cluster.fetching import fetched, is_url
from langchain_chatexports.cluster.reading import _row
from langchain_chatexports.exceptions import (
    ExportAccessError,
    ExportNotFoundError,
    MissingExtraError,
)
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


def test_a_store_without_folders_is_read_too() -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe_file("/bucket/export/messages/inbox/a_1/message_1.json", b"{}")

    with fetched("memory://bucket/export") as copy:
        file = copy / "messages" / "inbox" / "a_1" / "message_1.json"
        assert file.read_bytes() == b"{}"


def test_a_signed_url_of_the_web_is_one_file(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp", reason="fsspec needs it for the web")
    (tmp_path / "chat.html").write_text('<a href="other.html">')
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/chat.html?signature=1"
        with fetched(url) as copy:
            assert (copy.name, copy.read_text()) == (
                "chat.html",
                '<a href="other.html">',
            )
        server.shutdown()
    assert asked == ["/chat.html?signature=1"]


def test_a_store_that_fails_is_an_export_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    def fails(*_: object) -> None:
        msg = "connection lost"
        raise ConnectionError(msg)

    monkeypatch.setattr(fsspec.get_filesystem_class("file"), "get_file", fails)
    (tmp_path / "chat.db").touch()
    with (
        pytest.raises(ExportAccessError, match="cannot be copied"),
        fetched((tmp_path / "chat.db").as_uri()),
    ):
        pass


MESSAGES = [
    AIMessage(
        [{"type": "text", "text": "a"}],
        tool_calls=[{"name": "look", "args": {"at": [1, None]}, "id": "1"}],
        name="Bo",
        id="7",
        response_metadata={"x": 1.5},
    ),
    SystemMessage("\ud83d half"),
    ToolMessage("found", tool_call_id="1", status="error", artifact={"rows": [1]}),
    ChatMessage(content="said", role="critic"),
    HumanMessage("", additional_kwargs={"sender": "Ann", "weight": 0, "list": [{}]}),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.type)
def test_a_row_loses_nothing_of_a_message(message: BaseMessage) -> None:
    session: Any = {"messages": [message], "metadata": {"id": None, "days": [1]}}

    assert session_of_row(_row(session)) == session


def test_a_windows_path_is_no_url() -> None:
    assert not is_url(Path("C:/exports/chat.db"))
    assert is_url("s3://bucket/chat.db")
