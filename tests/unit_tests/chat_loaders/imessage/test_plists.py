"""Property lists in columns can hold anything; nothing of it ends the reading."""

import plistlib
import struct
from plistlib import UID
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.imessage.content import (
    Content,
    describe_app,
    read_content,
)
from langchain_chatexports.chat_loaders.imessage.plists import read_archive, read_plist
from langchain_chatexports.chat_loaders.imessage.queries import Details
from tests.unit_tests.builders.typedstream import edit_text

ARCHIVE = {
    "$archiver": "NSKeyedArchiver",
    "$version": 100000,
    "$top": {"root": UID(1)},
    "$objects": [
        "$null",
        {"richLinkMetadata": UID(2), "an": UID(5), "userInfo": UID(6)},
        {"title": UID(3), "URL": UID(4), "summary": UID(0)},
        "The mill",
        {"NS.base": UID(0), "NS.relative": UID(3)},
        "Chess",
        {"NS.keys": [UID(5)], "NS.objects": [UID(7)]},
        {"NS.string": "five"},
    ],
}
leaves = (
    st.none().map(lambda _: UID(1))
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.booleans()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.integers(0, 9).map(UID)
)
KEYS = (
    "$top $objects root NS.keys NS.objects NS.string NS.relative metadata title URL an "
    "otr ec ep rp t d 0 1"
)
keys = st.sampled_from(KEYS.split())
plists = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=20,
)


def look_at(blob: bytes) -> Content:
    read_archive(blob)
    describe_app("com.apple.messages.Polls", blob)
    describe_app("com.example.game", blob)
    return read_content(Details(message_summary_info=blob, payload_data=blob), None, [])


def look_at_history(history: Any) -> Content:
    return look_at(plistlib.dumps(history, fmt=plistlib.FMT_BINARY))


@given(blob=st.binary(max_size=200))
def test_any_bytes_are_read_or_passed_over(blob: bytes) -> None:
    look_at(blob)
    look_at(b"bplist00" + blob)


@given(content=plists)
def test_any_property_list_is_read_or_passed_over(content: Any) -> None:
    look_at_history(content)


def test_archive_that_holds_itself_ends() -> None:
    circular = {**ARCHIVE, "$objects": ["$null", {"self": UID(1), "an": UID(1)}]}
    blob = plistlib.dumps(circular, fmt=plistlib.FMT_BINARY)
    assert read_archive(blob) == {"self": None, "an": None}


def test_archive_is_read_as_plain_values() -> None:
    blob = plistlib.dumps(ARCHIVE, fmt=plistlib.FMT_BINARY)
    assert read_archive(blob) == {
        "richLinkMetadata": {
            "title": "The mill",
            "URL": {"NS.base": None, "NS.relative": "The mill"},
            "summary": None,
        },
        "an": "Chess",
        "userInfo": {"Chess": "five"},
    }


def binary_plist(objects: list[bytes], offsets: list[int] | None = None) -> bytes:
    """Write a binary property list; by default each object has bytes of its own."""
    body, places = b"bplist00", []
    for entry in objects:
        places.append(len(body))
        body += entry
    table = b"".join(place.to_bytes(4, "big") for place in offsets or places)
    count = len(offsets or places)
    trailer = struct.pack(">6xBBQQQ", 4, 2, count, 0, len(body))
    return body + table + trailer


def an_array(references: list[int]) -> bytes:
    count = b"\xaf\x11" + len(references).to_bytes(2, "big")
    return count + b"".join(number.to_bytes(2, "big") for number in references)


@pytest.mark.parametrize("shared", ["array", "data"])
def test_objects_that_share_bytes_are_not_read(shared: str) -> None:
    """Many objects at one place: 60 kB took 800 MB."""
    count = 5000
    top = an_array(list(range(1, count + 1)))
    body = (
        an_array([count + 1] * count)
        if shared == "array"
        else b"\x4f\x11" + (2 * count).to_bytes(2, "big") + bytes(2 * count)
    )
    place = 8 + len(top)
    offsets = [8, *[place] * count, place + len(body)]
    assert read_plist(binary_plist([top, body, b"\x10\x05"], offsets)) is None
    small = binary_plist([an_array([1, 2]), b"\x51a", b"\x10\x05"])
    assert read_plist(small) == ["a", 5]


def test_versions_that_stand_for_each_other_are_not_multiplied() -> None:
    """A list of versions under many keys: 60 kB took all memory."""
    version = {"t": edit_text("x" * 1000), "d": 7e8}
    versions = [version] * 2000
    history = {"ec": {str(part): versions for part in range(2000)}, "ep": [0]}
    assert look_at_history(history).text == ""
