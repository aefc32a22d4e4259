"""ChatLab's exchange format: types, people, owner, ids, damage."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import ChatLabChatLoader
from langchain_chatexports.chat_loaders.schema import keys_of, metadata_of
from langchain_chatexports.exceptions import ExportFormatError, UnknownFormatError
from tests.unit_tests.builders.chatlab import (
    NOON,
    member,
    says,
    write_json,
    write_lines,
)
from tests.unit_tests.builders.sessions import open_export

ANN, BEN = member("ann", "Ann"), member("ben", "Ben")
MEMBER_LINE = {"_type": "member", "platformId": "ann", "accountName": "Ann B."}
KEPT = ("media", "system", "unsent", "undated")


def read(path: Path, **options: Any) -> list[tuple[str, str]]:
    """Return the senders and texts of the only chat."""
    (session,) = ChatLabChatLoader(path, **options).load()
    return [(keys_of(m).get("sender", ""), str(m.content)) for m in session["messages"]]


def test_chat_is_a_session(tmp_path: Path) -> None:
    reply = says("ben", "Hello", 1, 25, platformMessageId="2", replyToMessageId="1")
    path = write_json(
        tmp_path / "ben.json",
        says("ann", "Hi", platformMessageId="1"),
        reply,
        members=[ANN, member("ben", "Ben", roles=[{"id": "admin"}], aliases=["B"])],
        ownerId="ann",
    )
    (session,) = open_export(path).loader.load()
    first, second = session["messages"]
    assert keys_of(first).get("message_time") == NOON
    assert [keys_of(m).get("is_from_me") for m in (first, second)] == [True, False]
    assert keys_of(second).get("reply_to") == {"id": first.id}
    metadata = metadata_of(session)
    assert (metadata["platform"], metadata["title"]) == ("wechat", "Ben")
    assert metadata["is_group"] is False
    summary = ChatLabChatLoader(path).inspect()
    assert (summary.owner, summary.owner_found_by) == ("Ann", "the export")


LINES: dict[str, tuple[list[Any], str, list[tuple[str, str]]]] = {
    "lines": ([says("ann", "Hi")], "\n", [("Ann", "Hi")]),
    "CRLF": ([says("ann", "Hi")], "\r\n", [("Ann", "Hi")]),
    "comments and empty lines": (["# x", "", says("ann", "Hi")], "\n", [("Ann", "Hi")]),
    "broken line": (['{"_type": "mes', says("ann", "Hi")], "\n", [("Ann", "Hi")]),
    "members at the end": ([says("ann", "Hi"), MEMBER_LINE], "\n", [("Ann B.", "Hi")]),
}


@pytest.mark.parametrize(("lines", "end", "expected"), LINES.values(), ids=LINES)
def test_json_lines(tmp_path: Path, lines: Any, end: str, expected: Any) -> None:
    path = write_lines(tmp_path / "ben.jsonl", *lines, end=end)
    for mark in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(mark + path.read_bytes())
        assert read(path) == expected
    summary = open_export(path).loader.inspect()
    is_broken = any(isinstance(line, str) and line.startswith("{") for line in lines)
    assert summary.skipped.get("unreadable", 0) == is_broken


def test_key_order_and_a_large_picture_do_not_matter(tmp_path: Path) -> None:
    ann = member("ann", "Ann", avatar="data:image/png;base64," + "A" * 5_000_000)
    path = write_json(
        tmp_path / "a.json",
        says("ann", "Hi"),
        members=[ann],
        sources=[{"messages": []}],
    )
    assert open_export(path)
    assert read(path) == [("Ann", "Hi")]
    path = write_json(tmp_path / "b.json", says("ann", "Hi"), order=-1)
    assert open_export(path)
    assert read(path) == [("Ann", "Hi")]


TYPES: dict[str, tuple[Any, dict[str, Any]]] = {
    "text": (says("ann", "Hi"), {}),
    "emoticon in text": (says("ann", "Hi [微笑]"), {}),
    "reply without a target": (says("ann", "Hi", 0, 25), {}),
    "link": (says("ann", "Hi https://a.example", 0, 7), {}),
    "forward": (says("ann", "Hi", 0, 26), {"forwarded": True}),
    "picture": (says("ann", "[图片]", 0, 1), {"kind": "photo"}),
    "picture without content": (says("ann", None, 0, 1), {"kind": "photo"}),
    "file name": (
        says("ann", "[Image: a.jpg]", 0, 1),
        {"kind": "photo", "name": "a.jpg"},
    ),
    "address": (says("ann", "https://a.example/x", 0, 3), {"kind": "video"}),
    "transcript": (says("ann", "See you at 8.", 0, 2), {"kind": "audio"}),
    "file": (says("ann", "b/c.pdf", 0, 4), {"kind": "file", "name": "c.pdf"}),
    "sticker": (says("ann", "[表情]", 0, 5), {"kind": "sticker"}),
    "place": (says("ann", "[位置]", 0, 8), {"kind": "location"}),
    "contact": (says("ann", "[名片]", 0, 27), {"kind": "contact"}),
    "share": (says("ann", "[分享]", 0, 24), {"kind": "link"}),
    "picture as text": (says("ann", "[图片]"), {"kind": "photo"}),
    "money": (says("ann", "x", 0, 20), {"system": "red_packet"}),
    "transfer": (says("ann", "x", 0, 21), {"system": "transfer"}),
    "poke": (says("ann", "x", 0, 22), {"system": "poke"}),
    "call": (says("ann", "x", 0, 23), {"system": "call"}),
    "notice": (says("ann", "x", 0, 80), {"system": "notice"}),
    "other": (says("ann", "x", 0, 99), {"system": "type 99"}),
    "unknown type": (says("ann", "x", 0, 42), {"system": "type 42"}),
    "card": (says("ann", "<msg><x/></msg>"), {"system": "card"}),
    "by the app": (says("system", "x"), {"system": "notice"}),
}


@pytest.mark.parametrize(("row", "expected"), TYPES.values(), ids=TYPES)
def test_type(tmp_path: Path, row: Any, expected: dict[str, Any]) -> None:
    path = write_json(tmp_path / "a.json", row, says("ann", "Hi", 9))
    (session,) = ChatLabChatLoader(path, keep=KEPT).load()
    keys = dict(keys_of(session["messages"][0]))
    items: Any = keys.get("attachments") or [{}]
    (item,) = items
    found: dict[str, Any] = {k: keys[k] for k in ("system", "forwarded") if k in keys}
    found |= {"kind" if k == "type" else k: v for k, v in item.items() if k != "uri"}
    assert found == expected
    is_skipped = "system" in expected or str(session["messages"][0].content)[0] == "["
    assert ChatLabChatLoader(path).inspect().kept == 2 - is_skipped


SKIPPED = {
    "empty": (says("ann", None), "empty"),
    "recalled": (says("ann", "x", 0, 81), "unsent"),
    "recalled text": (says("ann", "你撤回了一条消息"), "unsent"),
    "no date": (says("ann", "x", -NOON), "undated"),
    "odd date": (says("ann", "x", timestamp="soon"), "undated"),
    "no object": (7, "unreadable"),
    "the same again": (says("ann", "Hi", 9), "duplicate"),
}


@pytest.mark.parametrize(("row", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_skipped_with_a_reason(tmp_path: Path, row: Any, reason: str) -> None:
    path = write_json(tmp_path / "a.json", row, says("ann", "Hi", 9))
    other = write_json(tmp_path / "b.json", says("ann", "Hi", 9))
    summary = ChatLabChatLoader([path, other]).inspect()
    expected = {reason: 1} if reason == "duplicate" else {reason: 1, "duplicate": 1}
    if reason == "duplicate":
        assert (summary.found, summary.kept) == (3, 2)
        return
    assert (summary.kept, dict(summary.skipped)) == (1, expected)


@pytest.mark.parametrize(
    "timestamp", [NOON, NOON * 1000, str(NOON), float(NOON), f"{NOON}000"]
)
def test_time(tmp_path: Path, timestamp: Any) -> None:
    path = write_json(tmp_path / "a.json", says("ann", "Hi", timestamp=timestamp))
    (session,) = ChatLabChatLoader(path).load()
    assert keys_of(session["messages"][0]).get("message_time") == NOON


def test_order_is_by_time_and_then_by_position(tmp_path: Path) -> None:
    rows = [says("ann", "c", 2), says("ann", "a", 1), says("ann", "b", 1)]
    path = write_json(tmp_path / "a.json", *rows)
    assert [text for _, text in read(path)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("rows", "members", "senders"),
    [
        (
            [says("1", "a", accountName="A"), says("1", "b", 1, accountName="B")],
            (),
            "BB",
        ),
        ([says("1", "a", accountName="A"), says("2", "b", 1, accountName="A")], (), ""),
        ([says("1", "a", accountName="A")], [member("1", "M")], "M"),
        ([says("1", "a", accountName="A")], [member("2", "M")], "A"),
    ],
    ids=["renamed", "namesakes", "listed", "not listed"],
)
def test_person_is_the_id(
    tmp_path: Path, rows: Any, members: Any, senders: str
) -> None:
    path = write_json(tmp_path / "a.json", *rows, members=members)
    names = [name for name, _ in read(path)]
    assert names == [*senders] or (not senders and len({*names}) == len(rows))


TALK = (says("ann", "Hi"), says("ben", "Hello", 1))
OWNER_ROLE = member("cy", "Cy", roles=[{"id": "owner"}])
OWNERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "group's owner": (
        {"type": "group", "ownerId": "cy", "members": [ANN, BEN, OWNER_ROLE]},
        None,
    ),
    "exporter": ({"type": "group", "ownerId": "ann", "members": [ANN, BEN]}, "Ann"),
    "own name": ({"type": "group", "members": [member("ann", "我"), BEN]}, "我"),
    "the chat's name": ({"members": [ANN, BEN]}, "Ann"),
    "unknown": ({"type": "group", "members": [ANN, BEN]}, None),
}


@pytest.mark.parametrize(("keys", "owner"), OWNERS.values(), ids=OWNERS)
def test_owner(tmp_path: Path, keys: dict[str, Any], owner: str | None) -> None:
    path = write_json(tmp_path / "a.json", *TALK, **keys)
    assert ChatLabChatLoader(path).inspect().owner == owner


def test_repeated_ids_of_combined_files_are_two_messages(tmp_path: Path) -> None:
    rows = [says("ann", text, n, platformMessageId="1") for n, text in enumerate("ab")]
    write_json(tmp_path / "a.json", *rows)
    assert [text for _, text in read(tmp_path)] == ["a", "b"]
    write_json(tmp_path / "b.json", says("ann", "0", -9), *rows)
    assert [text for _, text in read(tmp_path)] == ["0", "a", "b"]


@pytest.mark.parametrize("ids", [{}, {"platformMessageId": 1}])
def test_overlapping_exports_are_read_once(tmp_path: Path, ids: dict[str, Any]) -> None:
    rows = [says("ann", f"{n}", n, **dict.fromkeys(ids, f"m{n}")) for n in range(6)]
    write_json(tmp_path / "a.json", *rows[:4], members=[ANN, BEN])
    write_lines(
        tmp_path / "b.jsonl", *rows[2:], MEMBER_LINE, {**BEN, "_type": "member"}
    )
    summary = open_export(tmp_path).loader.inspect()
    assert (summary.found, summary.kept, summary.sessions) == (8, 6, 1)


@pytest.mark.parametrize("version", ["null", "{}", '""'])
def test_missing_version_is_not_reported(tmp_path: Path, version: str) -> None:
    path = write_json(tmp_path / "a.json", says("ann", "Hi"))
    path.write_text(path.read_text().replace('"0.0.2"', version))
    assert ChatLabChatLoader(path).inspect().details == {}


@pytest.mark.parametrize("write", [write_json, write_lines])
def test_newer_version_is_read_and_reported(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path / "a.json", says("ann", "Hi"))
    path.write_text(path.read_text().replace("0.0.2", "1.0"))
    with pytest.warns(UserWarning, match=r"a\.json has version 1\.0 .* newer than"):
        assert read(path) == [("Ann", "Hi")]
    with pytest.warns(UserWarning, match="newer than"):
        assert ChatLabChatLoader(path).inspect().details == {"other_versions": 1}


def test_members_may_be_missing(tmp_path: Path) -> None:
    content = {"chatlab": {"version": "0.0.1"}, "messages": [says("ann", "Hi")]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert read(tmp_path / "a.json") == [("Ann", "Hi")]


def test_lines_are_not_kept_in_memory(tmp_path: Path) -> None:
    rows = (says("ann", f"{n}", n, note="y" * 20_000) for n in range(500))
    path = write_lines(tmp_path / "a.jsonl", *rows)
    assert path.stat().st_size > 10_000_000
    tracemalloc.start()
    assert ChatLabChatLoader(path).inspect().kept == 500
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_other_json_is_not_recognized(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"messages": [{"text": "Hi"}]}')
    with pytest.raises(UnknownFormatError):
        open_export(tmp_path / "a.json")
    with pytest.raises(ExportFormatError, match="not a chat from ChatLab"):
        ChatLabChatLoader(tmp_path / "a.json").load()


def test_cut_json_names_the_place(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", *TALK)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(
        ExportFormatError, match=r"a\.json is not valid JSON \(line 1\)"
    ):
        ChatLabChatLoader(path).load()


def test_cut_lines_are_read_up_to_the_last(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", *TALK)
    path.write_bytes(path.read_bytes()[:-40])
    summary = ChatLabChatLoader(path).inspect()
    assert (summary.kept, dict(summary.skipped)) == (1, {"unreadable": 1})


@pytest.mark.parametrize("content", [b"", b'# x\n{"_type":"message"}', b"[" * 500_000])
def test_bad_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(ExportFormatError, match=r"a\.jsonl"):
        ChatLabChatLoader(tmp_path / "a.jsonl").load()


def test_number_out_of_range_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"chatlab": {}, "messages": [{"timestamp": [1e400, NaN]}]}')
    with pytest.raises(ExportFormatError, match="not valid JSON"):
        ChatLabChatLoader(path).load()
