"""E-mail: files, separators, reasons, threads, owner."""

import gzip
import zipfile
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import EmailChatLoader
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.mail.mbox import split_mails
from langchain_chatexports.chat_loaders.schema import keys_of, metadata_of
from langchain_chatexports.exceptions import ExportFormatError, UnknownFormatError
from tests.unit_tests.builders.mails import (
    ANN,
    BEN,
    mail,
    mbox,
    multipart,
    texts,
    write,
)
from tests.unit_tests.builders.sessions import open_export

NOON = 1_704_103_200
FORWARD = (
    "---------- Forwarded message ---------\nFrom: Cy <c@c.example>\n"
    "Date: 1 Jan 2024\nSubject: x\n\n"
)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(
    "separator",
    [
        "From 1753412345678901234@xxx Mon Jan 01 10:00:00 +0000 2024",
        "From - Mon Jan 01 10:00:00 2024",
        "From ann@a.example  Mon Jan  1 10:00:00 2024",
    ],
)
def test_separator(tmp_path: Path, separator: str, end: bytes) -> None:
    mails = [mail("a"), mail("b", "2", at=1)]
    path = write(tmp_path, *mails, separator=separator, end=end)
    assert isinstance(open_export(path).loader, EmailChatLoader)
    assert sorted(texts(path)) == ["a", "b"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("It was so.\nFrom the start it was bad.", None),
        ("It was so.\n\nFrom 2 to 3 pm Mon", None),
        ("a\n\nFrom - Mon Jan 01 10:00:00 2024\nno header here", None),
        (">From here", "From here"),
        ("a >From here", None),
    ],
)
def test_line_that_begins_with_from_is_text(
    tmp_path: Path, body: str, text: str | None
) -> None:
    assert texts(write(tmp_path, mail(body))) == [text or body]


def test_quoted_from_has_one_mark_less(tmp_path: Path) -> None:
    path = write(tmp_path, mail("Hi\n>>From here\n>From there\n> From a quotation"))
    with path.open("rb") as stream, ExportFiles([path], ("mbox",)) as files:
        (file,) = files
        ((content, date),) = split_mails(file, stream, lambda _: None)
    assert b"\nHi\n>From here\nFrom there\n> From a quotation" in content
    assert date == "Jan 01 10:00:00 +0000 2024"


def test_quoted_from_in_a_file_of_one_message_is_a_quotation(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(mbox(mail(">From here\nYes")).partition(b"\n")[2])
    assert texts(tmp_path / "a.eml") == ["Yes"]


LAYOUTS = {
    "mbox": lambda data: ("a.mbox", data),
    "no suffix": lambda data: ("Inbox", data),
    "gz": lambda data: ("a.mbox.gz", gzip.compress(data)),
    "eml": lambda data: ("a.eml", data.partition(b"\n")[2]),
    "eml with mark": lambda data: ("a.eml", BOM_UTF8 + data.partition(b"\n")[2]),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_file(tmp_path: Path, layout: Any) -> None:
    name, data = layout(mbox(mail("Hi")))
    (tmp_path / name).write_bytes(data)
    assert texts(tmp_path / name) == ["Hi"]
    assert open_export(tmp_path / name).loader.inspect().kept == 1


def test_gz_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mbox.gz").write_bytes(
        gzip.compress(mbox(mail(("x" * 999 + "\n") * 20_000)))
    )
    with pytest.raises(ExportFormatError, match="unpack to far more"):
        EmailChatLoader(tmp_path / "a.mbox.gz").load()


def test_folder_and_zip(tmp_path: Path) -> None:
    write(tmp_path, mail("a"), name="Sea.mbox/mbox")
    with zipfile.ZipFile(tmp_path / "takeout.zip", "w") as archive:
        archive.writestr("Takeout/Mail/All mail.mbox", mbox(mail("b", "2")))
    assert sorted(texts(tmp_path)) == ["a", "b"]
    assert open_export(tmp_path).loader.inspect().kept == 2


THUNDERBIRD = {
    "Inbox": mbox(mail("a")),
    "Inbox.msf": b"",
    "notes": b"From me\n",
    "Sea.sbd/2023": mbox(mail("b", "2")),
    "Sea.sbd/2023.msf": b"",
}
MAILDIR = {
    "cur/1704103200.M1P2.sea!2,S": mail("a"),
    "new/1704103201.M2P2.sea": mail("b", "2"),
    "dovecot-uidlist": b"3 V1 N3\n",
}


@pytest.mark.parametrize(
    "files", [THUNDERBIRD, MAILDIR], ids=["Thunderbird", "Maildir"]
)
@pytest.mark.parametrize("in_zip", [False, True], ids=["folder", "zip"])
def test_mailboxes_without_suffix(
    tmp_path: Path, files: dict[str, bytes], in_zip: bool
) -> None:
    path = tmp_path / ("mail.zip" if in_zip else "mail")
    if in_zip:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    assert sorted(texts(path)) == ["a", "b"]
    assert open_export(path).loader.inspect().kept == 2


SKIPPED = {
    "expunged": (mail("x", "2", X_Mozilla_Status="0009"), "deleted"),
    "spam": (mail("x", "2", X_Gmail_Labels="Spam,Unread"), "spam"),
    "German trash": (mail("x", "2", X_Gmail_Labels="Papierkorb"), "deleted"),
    "encoded draft": (
        mail("x", "2", X_Gmail_Labels="=?UTF-8?Q?Entw=C3=BCrfe,Ge=C3=B6ffnet?="),
        "draft",
    ),
    "chat": (mail("x", "2", X_Gmail_Labels="Chat"), "section"),
    "newsletter": (mail("x", "2", List_Unsubscribe="<https://a.example>"), "bulk"),
    "automatic answer": (mail("x", "2", Auto_Submitted="auto-replied"), "bulk"),
    "no answer": (mail("x", "2", sender="no-reply@b.example"), "bulk"),
    "empty": (mail("", "2"), "empty"),
    "the same": (mail("Hi"), "duplicate"),
    "forward": (
        mail(f"{FORWARD}words", "2"),
        "forwarded",
    ),
    "encrypted": (
        mail(id_="2", **multipart(("Content-Type: text/plain", "x"), kind="encrypted")),
        "encrypted",
    ),
    "S/MIME": (mail("x", "2", Content_Type="application/pkcs7-mime"), "encrypted"),
    "invitation": (mail("x", "2", Content_Type="text/calendar"), "invitation"),
    "no date": (
        mbox(mail("x", "2", Date=None), separator="").strip(),
        "undated",
    ),
    "attachment": (
        mail(
            id_="2",
            **multipart(
                (
                    (
                        'Content-Type: image/jpeg; name="a.jpg"\n'
                        "Content-Transfer-Encoding: base64"
                    ),
                    "QUJD",
                )
            ),
        ),
        "media",
    ),
}


@pytest.mark.parametrize(("row", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_skipped_with_a_reason(tmp_path: Path, row: bytes, reason: str) -> None:
    if reason == "undated":
        (tmp_path / "b.eml").write_bytes(row)
        row = mail("x", "1")
        reason = "undated"
        write(tmp_path, mail("Hi"))
    else:
        write(tmp_path, mail("Hi"), row)
    summary = EmailChatLoader(tmp_path).inspect()
    assert (summary.kept, dict(summary.skipped)) == (1, {reason: 1})


@pytest.mark.parametrize(
    "labels",
    ["=?UTF-8?Q?=C3=85pnet,Kategori:_Reklame?=", "Inbox,Opened", '"Spam, or not"'],
)
def test_other_labels_are_no_reason(tmp_path: Path, labels: str) -> None:
    assert texts(write(tmp_path, mail("a", X_Gmail_Labels=labels))) == ["a"]


def test_tail_from_the_parent_is_removed(tmp_path: Path) -> None:
    first = mail("old words\nand more")
    second = mail("new\n\nold words\nand more", "2", BEN, ANN, 5, In_Reply_To="<1@m>")
    assert texts(write(tmp_path, first, second)) == ["old words\nand more", "new"]


def test_answer_that_repeats_the_parent_is_kept(tmp_path: Path) -> None:
    quoted = "Yes\n\nOn Mon, Jan 1, 2024 at 10:00 Ann <ann@a.example> wrote:\n> Yes"
    second = mail(quoted, "2", BEN, ANN, 5, In_Reply_To="<1@m>")
    assert texts(write(tmp_path, mail("Yes"), second)) == ["Yes", "Yes"]


def talk(*parents: str, **headers: Any) -> list[bytes]:
    keys = [{"In_Reply_To": f"<{parent}@m>"} if parent else {} for parent in parents]
    people = (ANN, BEN)
    return [
        mail(f"{n}", f"{n}", people[n % 2], people[1 - n % 2], n, **key, **headers)
        for n, key in enumerate(keys)
    ]


THREADS = {
    "answers": (talk("", "0", "1", "2"), 1),
    "Gmail": (talk("", "", "", X_GM_THRID="17"), 1),
    "missing middle": (
        [mail("a", "0"), mail("b", "2", References="<0@m> <1@m>", In_Reply_To="<1@m>")],
        1,
    ),
    "no ids": ([mail("a", Message_ID=None), mail("b", Message_ID=None, at=9)], 2),
}


@pytest.mark.parametrize(("mails", "count"), THREADS.values(), ids=THREADS)
def test_thread_is_a_session(tmp_path: Path, mails: list[bytes], count: int) -> None:
    path = write(tmp_path, *mails)
    assert len(EmailChatLoader(path).load()) == count
    assert len(texts(path)) == len(mails)


def test_answer_is_never_before_its_message(tmp_path: Path) -> None:
    rows = [mail("b", "2", at=1, In_Reply_To="<1@m>"), mail("a", at=9)]
    path = write(tmp_path, *rows)
    assert texts(path) == ["a", "b"]
    (session,) = EmailChatLoader(path).load()
    first, second = session["messages"]
    assert keys_of(second).get("reply_to") == {"id": first.id}
    assert metadata_of(session)["title"] == "Tea"


@pytest.mark.parametrize(
    ("keys", "minutes"),
    [
        ({"Date": "Mon, 1 Jan 2024 12:00:00 +0200"}, 0),
        ({"Date": "Mon, 01 Jan 24 10:00 GMT"}, 0),
        ({"Date": "nonsense", "Received": "by x; Mon, 1 Jan 2024 10:05:00 +0000"}, 5),
        ({"Date": "Thu, 1 Jan 1970 00:00:00 +0000"}, 0),
        ({"Date": None}, 0),
    ],
)
def test_time(tmp_path: Path, keys: dict[str, Any], minutes: int) -> None:
    (session,) = EmailChatLoader(write(tmp_path, mail(**keys))).load()
    found = keys_of(session["messages"][0]).get("message_time")
    assert found == NOON + 60 * minutes


def test_names_are_decoded_after_the_addresses(tmp_path: Path) -> None:
    row = mail(
        sender="=?utf-8?q?M=C3=BCller=2C_Eva?= <Eva@A.example>",
        to="undisclosed-recipients:;",
    )
    (session,) = EmailChatLoader(write(tmp_path, row)).load()
    assert metadata_of(session)["participants"] == ["Müller, Eva"]


OWNERS = {
    "label": (talk("", "0", X_Gmail_Labels="Sent")[:1], "Ann", "sent mail"),
    "delivered": (
        [mail("a", Delivered_To="ben@b.example"), mail("b", "2", BEN, ANN)],
        "Ben",
        "delivered mail",
    ),
    "unknown": (talk("", "0"), None, None),
}


@pytest.mark.parametrize(("mails", "owner", "found_by"), OWNERS.values(), ids=OWNERS)
def test_owner(tmp_path: Path, mails: Any, owner: Any, found_by: Any) -> None:
    summary = EmailChatLoader(write(tmp_path, *mails)).inspect()
    assert (summary.owner, summary.owner_found_by) == (owner, found_by)


def test_owner_with_two_addresses(tmp_path: Path) -> None:
    other = "Ann <a2@a.example>"
    write(tmp_path, mail("a"), mail("b", "2", other, at=5), name="Sent.mbox")
    write(tmp_path, mail("a"), mail("c", "3", BEN, other, at=9))
    summary = EmailChatLoader(tmp_path).inspect()
    assert (summary.owner, dict(summary.skipped)) == ("Ann", {"duplicate": 1})
    assert dict(summary.senders) == {"Ann": 2, "Ben": 1}


def test_owner_with_two_addresses_by_option(tmp_path: Path) -> None:
    other = "a2@a.example"
    rows = [mail("a"), mail("b", "2", f"A. <{other}>"), mail("c", "3", BEN)]
    options: Any = {"owner": "Ann", "people": {"Ann": ["ann@a.example", other]}}
    path = write(tmp_path, *rows)
    summary = EmailChatLoader(path, **options).inspect()
    assert (summary.owner, dict(summary.senders)) == ("Ann", {"Ann": 2, "Ben": 1})
    own = [
        keys_of(message).get("is_from_me")
        for session in EmailChatLoader(path, **options).load()
        for message in session["messages"]
    ]
    assert sorted(map(str, own)) == ["False", "True", "True"]


def test_list_with_the_owner_is_kept(tmp_path: Path) -> None:
    lists: Any = {"List_Id": "<l.example>", "List_Post": "<mailto:l@l.example>"}
    rows = [
        mail("a", "1", BEN, "l@l.example", **lists),
        mail("b", "2", ANN, at=5, In_Reply_To="<1@m>", X_Gmail_Labels="Sent"),
        mail("c", "3", BEN, "l@l.example", **lists),
    ]
    summary = EmailChatLoader(write(tmp_path, *rows)).inspect()
    assert (summary.kept, dict(summary.skipped)) == (2, {"bulk": 1})


def test_list_with_the_owner_by_option_is_kept(tmp_path: Path) -> None:
    keys: Any = {"List_Id": "<l.example>", "List_Post": "<mailto:l@l.example>"}
    rows = [
        mail("a", "1", BEN, "l@l.example", **keys),
        mail("b", "2", ANN, "l@l.example", 5, In_Reply_To="<1@m>", **keys),
    ]
    path = write(tmp_path, *rows)
    assert dict(EmailChatLoader(path).inspect().skipped) == {"bulk": 2}
    summary = EmailChatLoader(path, owner="Ann@a.example").inspect()
    assert (summary.kept, summary.owner) == (2, "Ann")


def test_cut_file_keeps_the_last_message(tmp_path: Path) -> None:
    path = write(tmp_path, mail("a"), mail("b and more", "2"))
    path.write_bytes(path.read_bytes()[:-8])
    assert sorted(texts(path)) == ["a", "b an"]


@pytest.mark.parametrize(
    "content", [b"", b"From typing import Any\n", b"!BDN" + bytes(600), b"a: b\n\nc"]
)
def test_other_files_are_not_recognized(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mbox").write_bytes(content)
    with pytest.raises(UnknownFormatError):
        open_export(tmp_path / "a.mbox")
    with pytest.raises(ExportFormatError, match="contains no e-mail"):
        EmailChatLoader(tmp_path / "a.mbox").load()


def test_copies_in_several_folders_are_read_once(tmp_path: Path) -> None:
    reply = mail("Fine\n\nOn May 1, 2024 at 10:00, ann@x.org wrote:\n> Hi", "2")
    for name in ("All.mbox", "Sent.mbox"):
        (tmp_path / name).write_bytes(mbox(reply))
    assert texts(tmp_path) == ["Fine"]


def test_moved_message_is_not_deleted(tmp_path: Path) -> None:
    """Thunderbird marks a message that was moved, and keeps it until it compacts."""
    (tmp_path / "Inbox.mbox").write_bytes(mbox(mail("Hi", X_Mozilla_Status="0009")))
    (tmp_path / "Work.mbox").write_bytes(mbox(mail("Hi", X_Mozilla_Status="0001")))
    assert texts(tmp_path) == ["Hi"]


@pytest.mark.parametrize(
    ("flags", "reason"), [("ST", "deleted"), ("DS", "draft"), ("S", None)]
)
def test_flags_of_maildir(tmp_path: Path, flags: str, reason: str | None) -> None:
    for folder in ("cur", "new", "tmp"):
        (tmp_path / folder).mkdir()
    (tmp_path / "cur" / "1.sea!2,S").write_bytes(mail("a"))
    (tmp_path / "cur" / f"2.sea!2,{flags}").write_bytes(mail("b", "2"))
    skipped = EmailChatLoader(tmp_path).inspect().skipped
    assert dict(skipped) == ({reason: 1} if reason else {})
