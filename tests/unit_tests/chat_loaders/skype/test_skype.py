"""Skype's export: markup, quotations, edits, types, people."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import SkypeChatLoader
from langchain_chatexports.chat_loaders.schema import keys_of, metadata_of
from langchain_chatexports.exceptions import ExportFormatError, UnknownFormatError
from tests.unit_tests.builders.sessions import open_export
from tests.unit_tests.builders.skype import ANN, BEN, NOON, chat, says, write_export

QUOTE = (
    f'<quote author="ben" authorname="Ben" timestamp="1620123600" messageid="{NOON}">'
    "<legacyquote>[10:20] Ben: </legacyquote>old words<legacyquote>\n\n&lt;&lt;&lt; "
    "</legacyquote></quote>"
)
GROUP = "19:abc@thread.skype"


def edit(text: str, at_ms: int = NOON) -> str:
    return f'{text}<e_m ts="1620123610" ts_ms="{at_ms}" a="ben" t="61"/>'


def load(folder: Path, *messages: Any, id_: str = BEN, **options: Any) -> list[Any]:
    """Return the messages of the only chat."""
    path = write_export(folder / "messages.json", chat(id_, *messages))
    (session,) = SkypeChatLoader(path, **options).load()
    return list(session["messages"])


TEXTS = {
    "plain": ("Hi", "Hi"),
    "escaped": ("a &lt;b&gt; &amp; c", "a <b> & c"),
    "link": ('<a href="https://a.example">https://a.example</a>', "https://a.example"),
    "emoticon": ('<ss type="smile">:)</ss> ok', ":) ok"),
    "mention": ('<at id="8:ben">Ben</at>, hi', "Ben, hi"),
    "bold": ('<b raw_pre="*" raw_post="*">now</b>', "now"),
    "answer": (f"{QUOTE}new words", "new words"),
    "broken tags": ("a < b and c > d", "a < b and c > d"),
    "edit without the first version": (
        edit("Edited previous message: new", NOON + 1),
        "new",
    ),
}


@pytest.mark.parametrize(("content", "text"), TEXTS.values(), ids=TEXTS)
def test_text(tmp_path: Path, content: str, text: str) -> None:
    (message,) = load(tmp_path, says(BEN, content, 0.001))
    assert (message.content, keys_of(message).get("sender")) == (text, "Ben")


@pytest.mark.parametrize("type_", ["Text", "InviteFreeRelationshipChanged/Initialized"])
def test_other_types_of_text(tmp_path: Path, type_: str) -> None:
    (message,) = load(tmp_path, says(BEN, "Hi", 0, type_))
    assert message.content == "Hi"


def test_reply_has_the_id_of_its_message(tmp_path: Path) -> None:
    first, second = load(tmp_path, says(BEN, "old"), says(ANN, f"{QUOTE}new", 5))
    assert keys_of(second).get("reply_to") == {"id": first.id}
    assert [keys_of(m).get("is_from_me") for m in (first, second)] == [False, True]


def test_edit_replaces_the_text(tmp_path: Path) -> None:
    first, second = load(
        tmp_path,
        says(BEN, "first", 0),
        says(ANN, "between", 5),
        says(BEN, edit("Edited previous message: second"), 9),
        says(BEN, edit("Edited previous message: third"), 10),
    )
    assert (first.content, second.content) == ("third", "between")
    assert keys_of(first).get("edited") is True
    assert keys_of(first).get("message_time") == NOON // 1000
    summary = SkypeChatLoader(tmp_path / "messages.json").inspect()
    assert (summary.found, dict(summary.skipped)) == (4, {"duplicate": 2})


SKIPPED: dict[str, tuple[Any, str]] = {
    "only a quotation": (says(BEN, QUOTE), "empty"),
    "edited to nothing": (says(BEN, edit("")), "unsent"),
    "deleted": (says(BEN, "x", properties={"deletetime": f"{NOON}"}), "unsent"),
    "null": (says(BEN, None), "empty"),
    "object": (says(BEN, {"type": "card"}), "empty"),
    "no object": ("x", "unreadable"),
    "bot": (says("28:concierge", "Welcome"), "bot"),
    **{
        type_: (
            says(BEN, "To view this file, go to: https://a.example", 0, type_),
            kind,
        )
        for kind, types in {
            "system": (
                *("Event/Call", "ThreadActivity/TopicUpdate", "RichText/Media_Album"),
                *("Notice", "PopCard", "Translation", "RichText/ScheduledCallInvite"),
            ),
            "media": (
                *(
                    "RichText/UriObject",
                    "RichText/Media_Video",
                    "RichText/Media_AudioMsg",
                ),
                *(
                    "RichText/Media_GenericFile",
                    "RichText/Contacts",
                    "RichText/Location",
                ),
                *("Poll", "RichText/Files", "RichText/Media_Card"),
            ),
        }.items()
        for type_ in types
    },
}


@pytest.mark.parametrize(("row", "reason"), SKIPPED.values(), ids=SKIPPED)
def test_skipped_with_a_reason(tmp_path: Path, row: Any, reason: str) -> None:
    path = write_export(tmp_path / "a.json", chat(BEN, row, says(ANN, "Hi", 9)))
    summary = SkypeChatLoader(path).inspect()
    assert (summary.kept, dict(summary.skipped)) == (1, {reason: 1})


@pytest.mark.parametrize("sentence", ["To view", "Zum Anzeigen", "Pro zobrazení"])
def test_file_has_a_name_and_no_text(tmp_path: Path, sentence: str) -> None:
    content = (
        f'<URIObject type="File.1"><OriginalName v="plan &amp; b.txt"/>{sentence}, '
        "https://a.example</URIObject>"
    )
    row = says(BEN, content, 0, "RichText/Media_GenericFile")
    (message,) = load(tmp_path, row, keep="media")
    assert message.content == "[file]"
    attachments = [{"type": "file", "name": "plan & b.txt"}]
    assert keys_of(message).get("attachments") == attachments


def test_service_lists_are_skipped(tmp_path: Path) -> None:
    calls = chat("48:calllogs", says(BEN, "x"))
    path = write_export(tmp_path / "a.json", calls, chat(BEN, says(BEN, "Hi")))
    summary = SkypeChatLoader(path).inspect()
    assert (summary.sessions, dict(summary.skipped)) == (1, {"section": 1})


def test_author_is_one_person_however_it_is_written(tmp_path: Path) -> None:
    url = "https://a.skype.com/v1/users/ME/contacts/8:ben"
    rows = [says(mri, "Hi", n, displayName=None) for n, mri in enumerate((url, "ben"))]
    found = load(tmp_path, *rows, says(BEN, "Hi", 9))
    assert [keys_of(m).get("sender") for m in found] == ["Ben"] * 3


def test_name_is_the_id_without_its_prefix(tmp_path: Path) -> None:
    (message,) = load(tmp_path, says("8:live:cy", "Hi"), id_="8:live:cy")
    assert keys_of(message).get("sender") == "cy"


@pytest.mark.parametrize(
    "members",
    [
        json.dumps([ANN, "8:cy"]),
        json.dumps([{"MemberMri": m} for m in (ANN, "8:cy")]),
        None,
    ],
    ids=["strings", "objects", "none"],
)
def test_group(tmp_path: Path, members: str | None) -> None:
    properties = {"topic": "Trip", "members": members}
    group = chat(GROUP, says(BEN, "Hi"), threadProperties=properties)
    (session,) = SkypeChatLoader(write_export(tmp_path / "a.json", group)).load()
    metadata = metadata_of(session)
    assert (metadata["title"], metadata["is_group"]) == ("Trip", True)
    assert {*metadata["participants"]} == {"Ben", *(("ann", "cy") if members else ())}


@pytest.mark.parametrize(
    "time", ["2021-05-04T10:20:00Z", "2021-05-04T10:20:00.0000000Z"]
)
def test_time(tmp_path: Path, time: str) -> None:
    (message,) = load(tmp_path, says(BEN, "Hi", originalarrivaltime=time))
    assert keys_of(message).get("message_time") == NOON // 1000


@pytest.mark.parametrize("as_text", [False, True])
def test_reactions(tmp_path: Path, as_text: bool) -> None:
    items: Any = [{"key": "like", "users": [{"mri": ANN}]}, {"key": "cool"}]
    properties = {"emotions": json.dumps(items) if as_text else items}
    (message,) = load(tmp_path, says(BEN, "Hi", properties=properties))
    found = keys_of(message).get("reactions")
    assert found == [{"reaction": "👍", "sender": "ann"}]


@pytest.mark.parametrize("layout", ["file", "folder", "tar"])
def test_each_layout_is_recognized(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "8_live_ann_export"
    folder.mkdir()
    path = write_export(folder / "messages.json", chat(BEN, says(BEN, "Hi")))
    (folder / "endpoints.json").write_text("{}")
    if layout == "tar":
        path = tmp_path / "8_live_ann_export.tar"
        with tarfile.open(path, "w") as archive:
            archive.add(folder / "endpoints.json", "endpoints.json")
            archive.add(folder / "messages.json", "messages.json")
    loader = open_export(folder if layout == "folder" else path).loader
    assert isinstance(loader, SkypeChatLoader)
    summary = loader.inspect()
    assert (summary.kept, summary.owner, summary.owner_found_by) == (
        1,
        "ann",
        "the export",
    )


def test_repeated_exports_are_read_once(tmp_path: Path) -> None:
    rows = [says(BEN, f"{n}", n) for n in range(6)]
    write_export(tmp_path / "a.json", chat(BEN, *rows[:4]))
    write_export(tmp_path / "b.json", chat(BEN, *rows[2:]))
    summary = open_export(tmp_path).loader.inspect()
    assert (summary.found, summary.kept, summary.sessions) == (8, 6, 1)


BAD = {
    "cut": b'{"userId": "8:a", "exportDate": "x", "conversations": [{',
    "other": b'{"userId": "8:a", "conversations": {}}',
    "deep": b'{"userId": "8:a", "conversations": ' + b"[" * 300_000,
    "empty": b"",
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_bad_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "messages.json").write_bytes(content)
    with pytest.raises(ExportFormatError, match=r"messages\.json"):
        SkypeChatLoader(tmp_path / "messages.json").load()


def test_other_tar_is_not_recognized(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("notes.txt"))
    with pytest.raises(UnknownFormatError):
        open_export(tmp_path / "a.tar")
    with pytest.raises(ExportFormatError, match=r"a\.tar"):
        SkypeChatLoader(tmp_path / "a.tar").load()


def test_sparse_tar_is_refused(tmp_path: Path) -> None:
    """Of 10 kB, with a file of 2 GB."""
    member = tarfile.TarInfo("messages.json")
    member.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": "2000000000"}
    path = tmp_path / "export.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member)
    with pytest.raises(ExportFormatError, match=r"no messages\.json"):
        SkypeChatLoader(path).load()
