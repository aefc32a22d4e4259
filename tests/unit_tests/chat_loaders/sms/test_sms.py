"""Backups of SMS Backup & Restore: repairs, people, groups, copies, streaming."""

import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from langchain_chatexports import SmsChatLoader
from langchain_chatexports.chat_loaders.schema import metadata_of
from langchain_chatexports.chat_loaders.sms.backup import drop_data
from langchain_chatexports.exceptions import (
    EncryptedExportError,
    ExportFormatError,
    UnknownFormatError,
)
from tests.unit_tests.builders.sessions import open_export
from tests.unit_tests.builders.sms import (
    HARE,
    HEAD,
    NOON,
    OWN,
    SMIL,
    backup,
    element,
    mms,
    part,
    photo,
    sms,
    text,
)

FOX, OWL = "+15550000002", "+15550000003"
RCS = "abc@rcs.google.com"
GRIN = "\U0001f600"


def load(folder: Path, *elements: str, **options: Any) -> list[tuple[str, str]]:
    """Return the senders and texts of the messages of a backup."""
    path = folder / "sms.xml"
    path.write_bytes(backup(*elements))
    return read(path, **options)


def read(path: Any, **options: Any) -> list[tuple[str, str]]:
    loader = SmsChatLoader(path, **options)
    return [
        (m.additional_kwargs["sender"], str(m.content))
        for session in loader.load()
        for m in session["messages"]
    ]


def skipped(folder: Path, *elements: str) -> dict[str, int]:
    load(folder, *elements)
    summary = SmsChatLoader(folder / "sms.xml").inspect()
    assert (
        summary.found == len(elements) == summary.kept + sum(summary.skipped.values())
    )
    return dict(summary.skipped)


TEXTS = {
    "received": (sms("Hi"), "Hi"),
    "typed null": (sms("null"), "null"),
    "line break": (sms('"a&#10;b"'), "a\nb"),
    "raw line break": (sms('"a\nb"'), "a b"),
    "escaped twice": (sms('"&amp;lt;"'), "&lt;"),
    "two references": (sms('"&#55357;&#56832;"'), GRIN),
    "hexadecimal": (sms('"&#xD83D;&#xDE00;"'), GRIN),
    "two emoji": (sms('"&#55357;&#56832;&#55357;&#56832;"'), GRIN * 2),
    "high surrogate alone": (sms('"a&#55357;b"'), "a\ufffdb"),
    "control character": (sms('"a&#11;b"'), "a\ufffdb"),
    "huge reference": (sms(f'"a&#{"9" * 5000};b"'), "a\ufffdb"),
    "raw control character": (sms('"a\x0bb"'), "a\ufffdb"),
    "undefined entity": (sms('"a&nbsp;b"'), "a&nbsp;b"),
    "escaped pair": (sms('"&amp;#55357;&amp;#56832;"'), GRIN),
    "half an escaped pair": (sms('"&amp;#55357;x"'), "&#55357;x"),
    "emoji in UTF-8": (sms("👩‍👩‍👧 🇩🇪"), "👩‍👩‍👧 🇩🇪"),
    "data in single quotes": (sms("'say data=\"x\" now'"), 'say data="x" now'),
    "escaped data": (sms('"say data=&quot;x&quot;"'), 'say data="x"'),
    "MMS text and layout": (mms(SMIL, text("Hi")), "Hi"),
    "two text parts": (mms(text("a"), text("b")), "a\nb"),
    "caption": (mms(photo(), text("Look")), "Look"),
    "data in MMS text": (mms(text("'data=\"x\"'"), photo()), 'data="x"'),
    "picture in single quotes": (mms(photo("'QUJD'"), text("Look")), "Look"),
    "tag in text": (sms("<part data='x'>"), "<part data='x'>"),
}


@pytest.mark.parametrize(("row", "expected"), TEXTS.values(), ids=TEXTS)
def test_text_is_repaired(tmp_path: Path, row: str, expected: str) -> None:
    rest = sms("Bye", at=99_000)
    assert load(tmp_path, row, rest) == [("Hare", expected), ("Hare", "Bye")]


SENDERS: dict[str, tuple[str, str]] = {
    "received": (sms(), "Hare"),
    "sent": (sms(type=2), "Me"),
    "outbox": (sms(type=4), "Me"),
    "unknown name": (sms(contact_name="(Unknown)"), HARE),
    "no name": (sms(contact_name="null"), HARE),
    "name as address": (sms(address="MYBANK", contact_name="null"), "mybank"),
    "short code": (sms(address="12345", contact_name="null"), "12345"),
    "MMS without addresses": (mms(text("Hi")), "Hare"),
    "all addresses are equal": (mms(text("Hi"), sender=HARE, to=(HARE,)), "Hare"),
    "sent with a token": (
        mms(text("Hi"), box=2, sender="insert-address-token", to=(HARE,)),
        "Me",
    ),
}


@pytest.mark.parametrize(("row", "sender"), SENDERS.values(), ids=SENDERS)
def test_sender(tmp_path: Path, row: str, sender: str) -> None:
    assert [name for name, _ in load(tmp_path, row)] == [sender]
    summary = SmsChatLoader(tmp_path / "sms.xml", owner="Ann").inspect()
    assert (summary.owner, summary.owner_found_by) == ("Ann", "sent messages")
    assert set(summary.senders) == {"Ann" if sender == "Me" else sender}


@pytest.mark.parametrize(
    ("row", "kind"),
    [(sms(type=3), "draft"), (sms(type=5), "failed"), (sms(type=6), "failed")],
)
def test_what_never_arrived_is_kept_by_option(
    tmp_path: Path, row: str, kind: str
) -> None:
    assert load(tmp_path, row, keep=kind) == [("Me", "Hi")]


def test_time_is_utc(tmp_path: Path) -> None:
    """`date_sent` is in seconds in an MMS, and 0 in a sent SMS."""
    rows = (sms(at=1500), mms(text("Hi"), at=9000, date_sent=1))
    load(tmp_path, *rows)
    (session,) = SmsChatLoader(tmp_path / "sms.xml").load()
    times = [m.additional_kwargs["message_time"] for m in session["messages"]]
    assert times == [NOON // 1000 + 1, NOON // 1000 + 9]


def test_other_writers_have_fewer_attributes(tmp_path: Path) -> None:
    """Silence and others write no contact names."""
    keys = {"address": HARE, "date": NOON, "type": 1, "body": "Hi"}
    rows = (element("sms", keys), element("sms", {**keys, "type": 2, "body": "Yes"}))
    assert load(tmp_path, *rows) == [(HARE, "Hi"), ("Me", "Yes")]


SKIPPED = {
    "draft": (sms(type=3), "draft"),
    "failed": (sms(type=5), "failed"),
    "queued": (sms(type=6), "failed"),
    "unknown type": (sms(type=9), "unreadable"),
    "empty": (sms(""), "empty"),
    "no date": (sms(date=0), "undated"),
    "picture": (mms(photo()), "media"),
    "layout only": (mms(SMIL), "empty"),
    "notification": (mms(m_type=130), "not_downloaded"),
    "the same again": (sms(), "duplicate"),
}


@pytest.mark.parametrize(("row", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_skipped_with_a_reason(tmp_path: Path, row: str, reason: str) -> None:
    assert skipped(tmp_path, row, sms()) == {reason: 1}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (photo(), {"type": "photo", "mime_type": "image/jpeg", "size": 75}),
        (photo(name="a/b.jpg"), {"name": "b.jpg", "type": "photo"}),
        (photo(cid="&lt;cat.jpg&gt;"), {"type": "photo"}),
        (photo(cl="image000000.jpg"), {"type": "photo"}),
        (part("text/x-vCard", data="QUJD"), {"type": "contact", "size": 3}),
    ],
)
def test_attachment(tmp_path: Path, row: str, expected: dict[str, Any]) -> None:
    (tmp_path / "sms.xml").write_bytes(backup(mms(row, text("Look"), sub="Cats")))
    (session,) = SmsChatLoader(tmp_path / "sms.xml").load()
    (message,) = session["messages"]
    (item,) = message.additional_kwargs["attachments"]
    assert expected.items() <= item.items()
    assert message.additional_kwargs["subject"] == "Cats"
    assert message.additional_kwargs["message_time"] == NOON // 1000


class Group(NamedTuple):
    """The messages of a chat, its senders, and whether it is a group."""

    rows: tuple[str, ...]
    senders: list[str]
    is_group: bool = True


SENT: dict[str, Any] = {"box": 2, "sender": OWN}
GROUPS = {
    "by the sender's address": Group(
        (
            mms(text("a"), **SENT, to=(HARE, FOX), address=f"{HARE}~{FOX}"),
            mms(
                text("b"), sender=FOX, to=(OWN, HARE), address=f"{FOX}~{HARE}", at=1000
            ),
        ),
        ["Me", FOX],
    ),
    "sent with a token": Group(
        (
            mms(
                text("a"),
                box=2,
                sender="insert-address-token",
                to=(HARE, FOX),
                address=f"{HARE}~{FOX}",
            ),
        ),
        ["Me"],
    ),
    "several senders": Group(
        (
            mms(
                text("a"),
                sender=FOX,
                to=(OWN, HARE),
                address=f"{HARE}~{FOX}",
            ),
            mms(text("b"), **SENT, to=(HARE, FOX), address=f"{HARE},{FOX}", at=1),
            mms(text("c"), **SENT, to=(HARE, FOX), address=f"{FOX};{HARE}", at=2),
        ),
        [FOX, "Me", "Me"],
    ),
    "without addresses": Group((mms(text("a"), address=f"{HARE}~{FOX}"),), ["unknown"]),
    "RCS group": Group(
        (
            mms(text("a"), **SENT, to=(HARE, FOX), address=RCS),
            mms(text("b"), sender=FOX, to=(OWN,), address=RCS, at=1000),
        ),
        ["Me", FOX],
    ),
    "RCS chat": Group(
        (
            sms("a"),
            mms(text("b"), sender=HARE, to=(HARE, OWN), at=1000),
            mms(text("c"), **SENT, to=(HARE,), at=2000),
        ),
        ["Hare", "Hare", "Me"],
        is_group=False,
    ),
    "with and without a country code": Group(
        (sms("a", address="+4915123456789"), sms("b", address="015123456789", at=1)),
        ["Hare", "Hare"],
        is_group=False,
    ),
    "SMS and MMS are sorted": Group(
        (sms("b", at=1000), sms("c", at=2000), mms(text("a"))), ["Hare"] * 3, False
    ),
    "name only in a later message": Group(
        (sms("a", contact_name="null"), sms("b", at=1)), ["Hare", "Hare"], False
    ),
}


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_chat_is_one_session(tmp_path: Path, group: Group) -> None:
    (tmp_path / "sms.xml").write_bytes(backup(*group.rows))
    (session,) = SmsChatLoader(tmp_path / "sms.xml").load()
    texts = [str(m.content) for m in session["messages"]]
    assert texts == sorted(texts)
    senders = [m.additional_kwargs["sender"] for m in session["messages"]]
    assert senders == group.senders
    metadata = metadata_of(session)
    assert metadata["is_group"] == group.is_group
    assert OWN not in metadata["participants"]


def test_neighbors_numbers_are_two_people(tmp_path: Path) -> None:
    rows = (
        sms(address="2125550100"),
        sms(address="3125550100"),
        sms(address="5550100"),
    )
    load(tmp_path, *rows)
    assert SmsChatLoader(tmp_path / "sms.xml").inspect().sessions == 3


def test_overlapping_backups_are_read_once(tmp_path: Path) -> None:
    full = [sms(f"{n}", at=345 + 9000 * n) for n in range(4)]
    rounded = [sms(f"{n}", at=9000 * n) for n in range(4)]
    files = {"full.xml": full[:3], "more.xml": full[2:], "archive.xml": rounded}
    for name, rows in files.items():
        (tmp_path / name).write_bytes(backup(*rows))
    (export,) = [open_export(tmp_path)]
    summary = export.loader.inspect()
    assert (summary.found, summary.kept, dict(summary.skipped)) == (
        9,
        4,
        {"duplicate": 5},
    )


def test_same_text_twice_in_a_second_is_kept(tmp_path: Path) -> None:
    assert len(load(tmp_path, sms("ha"), sms("ha", at=345))) == 2


def test_copy_as_mms_keeps_its_picture(tmp_path: Path) -> None:
    load(tmp_path, sms("Look", at=345), mms(text("Look"), photo()))
    (session,) = SmsChatLoader(tmp_path / "sms.xml").load()
    assert "attachments" in session["messages"][0].additional_kwargs


def test_tapback_is_a_reaction(tmp_path: Path) -> None:
    rows = (
        sms("See you", type=2),
        sms("Loved “See you”", at=1),
        sms("Loved “x”", at=2),
    )
    assert [text for _, text in load(tmp_path, *rows)] == ["See you", "Loved “x”"]
    (session,) = SmsChatLoader(tmp_path / "sms.xml").load()
    (reaction,) = session["messages"][0].additional_kwargs["reactions"]
    assert reaction == {"reaction": "❤️", "sender": "Hare"}


HEADS = {
    "plain": "",
    "stylesheet": f'{HEAD}<?xml-stylesheet type="text/xsl" href="sms.xsl"?>',
    "comment": f"{HEAD}<!-- one <smses> --><!-- two -->",
    "byte order mark": f"\ufeff{HEAD}",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_head(tmp_path: Path, head: str) -> None:
    path = tmp_path / "any name.xml"
    path.write_bytes(backup(sms(), head=head))
    assert isinstance(open_export(path).loader, SmsChatLoader)
    assert read(path) == [("Hare", "Hi")]


def test_utf_16(tmp_path: Path) -> None:
    path = tmp_path / "sms.xml"
    path.write_bytes(backup(sms("für dich")).decode().encode("utf-16"))
    assert read(path) == [("Hare", "für dich")]
    assert open_export(path).loader.inspect().kept == 1


@pytest.mark.parametrize(
    ("declared", "encoding"), [("ISO-8859-1", "cp1252"), ("gb2312", "gb18030")]
)
def test_declared_encoding(tmp_path: Path, declared: str, encoding: str) -> None:
    text = "für 5 €" if encoding == "cp1252" else "你好"
    content = backup(sms(text)).decode().replace("UTF-8", declared)
    (tmp_path / "sms.xml").write_bytes(content.encode(encoding))
    assert read(tmp_path / "sms.xml") == [("Hare", text)]


def test_other_encoding_is_reported(tmp_path: Path) -> None:
    content = backup(sms("für dich")).decode().encode("cp1252")
    (tmp_path / "sms.xml").write_bytes(content)
    with pytest.warns(UserWarning, match="read as Windows-1252"):
        assert read(tmp_path / "sms.xml") == [("Hare", "für dich")]


def test_zip(tmp_path: Path) -> None:
    path = tmp_path / "sms.xml.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sms.xml", backup(sms()))
    assert open_export(path).loader.inspect().kept == 1
    data = path.read_bytes().replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
    )
    path.write_bytes(data)
    with pytest.raises(EncryptedExportError, match="password"):
        SmsChatLoader(path).load()


def test_cut_file_keeps_complete_messages(tmp_path: Path) -> None:
    path = tmp_path / "sms.xml"
    data = backup(sms("a"), sms("b", at=1), mms(text("c"), photo(), at=2))
    path.write_bytes(data[: data.index(b'seq="0" ct="image')])
    with pytest.warns(UserWarning, match="Copy the backup again"):
        summary = SmsChatLoader(path).inspect()
    assert (summary.kept, dict(summary.skipped)) == (2, {"unreadable": 1})


def test_empty_backup_has_its_count(tmp_path: Path) -> None:
    path = tmp_path / "sms.xml"
    path.write_bytes(backup(count=0))
    assert SmsChatLoader(path).load() == []


def test_wrong_count_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "sms.xml"
    path.write_bytes(backup(sms(), count=58))
    with pytest.warns(
        UserWarning, match="another number of messages than the 1 it has"
    ):
        assert SmsChatLoader(path).inspect().kept == 1


def test_call_log_is_skipped_by_name(tmp_path: Path) -> None:
    calls = b'<calls count="1"><call number="1" duration="3" /></calls>'
    (tmp_path / "calls-2024.xml").write_bytes(calls)
    with pytest.raises(ExportFormatError, match="only a call log"):
        open_export(tmp_path / "calls-2024.xml").loader.load()
    (tmp_path / "sms-2024.xml").write_bytes(backup(sms()))
    assert open_export(tmp_path).loader.inspect().details == {"call_logs": 1}


@pytest.mark.parametrize("content", [b"<rss></rss>", b"", b"<", b"hello <smses>"])
def test_other_xml_is_not_recognized(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "feed.xml").write_bytes(content)
    with pytest.raises(UnknownFormatError):
        open_export(tmp_path / "feed.xml")
    with pytest.raises(ExportFormatError, match="no messages of SMS Backup"):
        SmsChatLoader(tmp_path / "feed.xml").load()


BAD = {
    "entities": b'<!DOCTYPE a [<!ENTITY b "c">]><smses><sms body="&b;"/></smses>',
    "deep": b"<smses>" + b"<a>" * 100_000,
    "long tag": b'<smses><sms body="' + b"a" * (20 << 20),
    "no message": b"<smses",
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_bad_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sms.xml").write_bytes(content)
    with pytest.raises(ExportFormatError, match=r"sms\.xml"):
        SmsChatLoader(tmp_path / "sms.xml").load()


def test_chunks_of_any_size_are_equal() -> None:
    data = backup(
        *(row for row, _ in TEXTS.values()), *(row for row, _ in SKIPPED.values())
    )
    whole = b"".join(drop_data([data]))
    assert b"QUJD" not in whole
    for size in (1, 7, 300):
        chunks = (data[at : at + size] for at in range(0, len(data), size))
        assert b"".join(drop_data(chunks)) == whole


def test_pictures_take_linear_time_and_little_memory(tmp_path: Path) -> None:
    """Of 105 MB on one line, half in one picture."""
    path = tmp_path / "sms.xml"
    pictures = [
        mms(photo("QUJD" * 130_000), text(f"{n}"), at=n * 1000) for n in range(100)
    ]
    path.write_bytes(
        backup(*pictures, mms(photo("A" * 52_000_000))).replace(b"\n", b"")
    )
    tracemalloc.start()
    start = time.process_time()
    summary = SmsChatLoader(path).inspect()
    seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (summary.kept, summary.found) == (100, 101)
    assert seconds < 5
    assert peak < 30_000_000


def test_element_without_attributes_is_counted(tmp_path: Path) -> None:
    assert skipped(tmp_path, element("sms", {}), element("mms", {})) == {
        "unreadable": 2
    }
