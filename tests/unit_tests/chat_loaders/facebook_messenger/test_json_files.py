from __future__ import annotations

import json
import warnings
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports import FolderFacebookMessengerChatLoader
from langchain_chatexports.chat_loaders import json_data
from langchain_chatexports.chat_loaders.facebook_messenger.json_files import (
    parse_document,
    read_head,
)
from langchain_chatexports.chat_loaders.facebook_messenger.thread_files import (
    open_file,
)
from langchain_chatexports.chat_loaders.json_data import read_json
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.messenger import Export, message, meta_json

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from langchain_chatexports.chat_loaders.facebook_messenger.json_files import (
        Head,
        ThreadDocument,
    )

PEOPLE = [{"name": "Ada"}, {"name": "Grace"}]
KEYS = [
    *("participants", "threadName", "title", "thread_path", "thread_type"),
    *("joinable_mode", "is_still_participant", "magic_words", "name", "sender_name"),
    *("senderName", "timestamp_ms", "timestamp", "content", "text", "photos", "uri"),
    *("media", "share", "link", "share_text", "reactions", "reaction", "actor"),
    *("type", "users", "call_duration", "is_unsent", "isUnsent", "sticker"),
    *("label_values", "profile_user", "string_map_data", "value", "profile_v2"),
]

any_text = st.text(st.characters(exclude_categories=[]))  # Halves of emoji, too.
any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
)


def parse(value: dict[str, Any] | list[Any] | str) -> ThreadDocument | None:
    return parse_document(json.dumps(value).encode(), "message_1.json")


@pytest.mark.parametrize(
    "value",
    [
        {"participants": PEOPLE, "messages": [message("Ada", "hi", 1)]},
        {"participants": PEOPLE, "messages": []},
        {"messages": [{"timestamp_ms": 1}]},
        {"messages": [{"timestamp": 1}]},
        {"participants": ["Ada", "Grace"], "threadName": "Ada_1", "messages": []},
    ],
)
def test_a_thread_is_known_by_its_shape(value: dict[str, Any]) -> None:
    assert parse(value) is not None


@pytest.mark.parametrize("damaged", [None, "text", {}, {"text": "no time"}])
def test_a_thread_may_begin_with_a_damaged_message(damaged: Any) -> None:
    assert parse({"messages": [damaged, message("Ada", "hi", 1)]}) is not None


@given(
    value=any_json,
    is_ascii=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_json_is_what_the_standard_library_reads(
    value: Any, is_ascii: bool, encoding: str
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    data = text.encode(encoding, "surrogatepass")
    expected = json.loads(data)
    found = read_json(data, "message_1.json")
    assert found == expected
    assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    "data", [b"NaN", b'{"a": 1, "a": [2]}', b'"\xed\xa0\x80"', b"[-0, 1e400, 1E5]"]
)
def test_odd_json_is_what_the_standard_library_reads(data: bytes) -> None:
    assert repr(read_json(data, "message_1.json")) == repr(json.loads(data))


@pytest.mark.parametrize(
    "value",
    [
        [],
        "messages",
        None,
        {},
        {"messages": []},
        {"messages": {}},
        {"messages": ["hi"]},
        {"messages": [{"text": "no time"}]},
        {"participants": ["Ada"], "messages": []},
        {"participants": {"name": "Ada"}, "messages": []},
        {"autofill_information_v2": {"FULL_NAME": ["Grace"]}},
    ],
)
def test_other_json_is_no_thread(value: Any) -> None:
    assert parse(value) is None


@given(st.binary())
def test_any_bytes_give_a_document_or_our_error(data: bytes) -> None:
    with suppress(ExportFormatError):
        parse_document(data, "message_1.json")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"messages": [', b"\xff\xfe\x00", b"[" * 100_000, b"1" * 10_000],
)
def test_what_is_no_json_is_an_error_that_names_the_file(data: bytes) -> None:
    with pytest.raises(ExportFormatError, match=r"message_1\.json"):
        parse_document(data, "message_1.json")


def test_the_error_shows_nothing_of_the_file() -> None:
    with pytest.raises(ExportFormatError) as caught:
        parse_document(b'{"messages": [{"content": "my secret', "message_1.json")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    data = json.dumps({"participants": PEOPLE, "messages": []}).encode("utf-8-sig")
    assert parse_document(data, "") is not None


def test_names_and_title_are_repaired() -> None:
    data = meta_json({"participants": [{"name": "Zoë"}], "messages": [], "title": "Ő"})
    document = parse_document(data, "")
    assert document is not None
    assert document.participants == ["Zoë"]
    assert document.title == "Ő"


def test_an_encrypted_chats_text_is_right_already() -> None:
    names = ["Ã©va", "Zoë"]
    data = json.dumps({"participants": names, "threadName": "Ã©va_12", "messages": []})
    document = parse_document(data.encode(), "")
    assert document is not None
    assert document.participants == names
    assert document.title == "Ã©va"


@pytest.mark.parametrize(
    ("keys", "is_group"),
    [
        ({"thread_type": "RegularGroup"}, True),
        ({"thread_type": "PendingGroup"}, True),
        ({"thread_type": "Regular"}, False),
        ({"joinable_mode": {"mode": 1, "link": ""}}, True),
        ({}, None),
    ],
)
def test_a_group_is_known_by_the_exports_sign(
    keys: dict[str, Any], is_group: bool | None
) -> None:
    document = parse({"participants": PEOPLE, "messages": []} | keys)
    assert document is not None
    assert document.is_group is is_group


@pytest.mark.parametrize("path", ["inbox/ada_1", "inbox/ada_1/", "ada_1"])
def test_the_thread_path_names_the_folder(path: str) -> None:
    document = parse({"participants": PEOPLE, "messages": [], "thread_path": path})
    assert document is not None
    assert document.folder == "ada_1"


class TestHead:
    def head(self, tmp_path: Path, data: bytes, **options: Any) -> Head | None:
        path = tmp_path / "x.json"
        path.write_bytes(data)
        return read_head(open_file(path), **options)

    def test_it_says_who_takes_part(self, tmp_path: Path) -> None:
        chat = Export().thread("zoe_1", ["Zoë", "Grace Hopper"])
        for number in range(2000):
            chat.says("Zoë", "x" * 100, number)
        (data,) = chat.files().values()
        head = self.head(tmp_path, data)
        assert head is not None
        assert head.participants == ["Zoë", "Grace Hopper"]
        assert not head.is_e2ee

    def test_the_tail_says_title_and_path(self, tmp_path: Path) -> None:
        chat = Export().thread("zoe_1", ["Zoë", "Grace"], is_still_participant=False)
        for number in range(2000):
            chat.says("Zoë", 'a "title": "No"' * 5, number)
        (data,) = chat.files().values()
        head = self.head(tmp_path, data, with_tail=True)
        assert head is not None
        assert (head.title, head.folder, head.has_left) == ("Zoë", "zoe_1", True)

    def test_a_long_list_of_members_is_read(self, tmp_path: Path) -> None:
        people = [f"Person number {number} of the choir" for number in range(900)]
        (data,) = Export().thread("choir_1", people).files().values()
        head = self.head(tmp_path, data)
        assert head is not None
        assert head.participants == people

    def test_members_behind_the_messages_are_read(self, tmp_path: Path) -> None:
        messages = [message("Ada", "x" * 500, number) for number in range(1000)]
        data = meta_json({"messages": messages, "participants": PEOPLE})
        head = self.head(tmp_path, data)
        assert head is not None
        assert head.participants == ["Ada", "Grace"]

    def test_encrypted_chats_are_told_apart(self, tmp_path: Path) -> None:
        (data,) = Export().encrypted("Ada_1.json", ["Grace", "Ada"]).files().values()
        head = self.head(tmp_path, data, with_tail=True)
        assert head is not None
        assert head.is_e2ee
        assert head.title == "Ada"

    def test_settings_have_none(self, tmp_path: Path) -> None:
        assert self.head(tmp_path, b'{"messenger_ui_settings": {}}') is None


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize("is_fast", [True, False])
def test_json_nested_without_end_is_an_error_that_says_so(
    is_fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With orjson below 3.9.15 it ended the process."""

    slow = orjson.JSONDecodeError("", "", 0)

    def refuse(_data: bytes) -> None:
        raise slow

    if not is_fast:
        standard = SimpleNamespace(**{**vars(orjson), "loads": refuse})
        monkeypatch.setattr(json_data, "orjson", standard)
    with pytest.raises(ExportFormatError, match=r"as JSON \(RecursionError"):
        read_json(b'{"messages": ' + DEEP + b"}", "message_1.json")


def test_a_head_nested_without_end_is_none(tmp_path: Path) -> None:
    path = tmp_path / "message_1.json"
    path.write_bytes(b'{"participants": ' + DEEP + b', "messages": []}')
    with pytest.raises(ExportFormatError, match="RecursionError"):
        read_head(open_file(path))


def test_a_number_that_python_refuses_to_read_is_an_error_of_ours() -> None:
    with pytest.raises(ExportFormatError, match="not readable as JSON"):
        read_json(b'{"messages": [' + b"9" * 5_000 + b"]}", "message_1.json")


json_of_any_type = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.sampled_from(["", "Ada", "9" * 5_000, "\ud83d", "NaN", "1e999"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=20,
)


@given(
    st.fixed_dictionaries(
        {
            "messages": st.lists(
                st.dictionaries(st.sampled_from(KEYS), json_of_any_type)
                | json_of_any_type,
                min_size=1,
                max_size=5,
            )
        },
        optional=dict.fromkeys(KEYS[:8], json_of_any_type),
    ),
    json_of_any_type,
)
def test_values_of_any_type_are_read_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, thread: dict[str, Any], profile: Any
) -> None:
    folder = tmp_path_factory.mktemp("x")
    place = folder / "inbox" / "ada_1"
    place.mkdir(parents=True)
    good = {"participants": PEOPLE, "messages": [message("Ada", "hi", 1)]}
    (place / "message_1.json").write_text(json.dumps(thread))
    (place / "message_2.json").write_text(json.dumps(good))
    (folder / "profile_information.json").write_text(json.dumps(profile))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        summary = FolderFacebookMessengerChatLoader(
            folder, include_media=True
        ).inspect()
    assert summary.found == summary.kept + sum(summary.skipped.values())
    assert summary.kept >= 1
