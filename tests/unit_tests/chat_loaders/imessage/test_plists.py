"""Property lists with any content, and hostile ones."""

import plistlib
import struct
from collections.abc import Sequence
from plistlib import UID
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.imessage.content import (
    describe_app,
    read_content,
)
from langchain_chatexports.chat_loaders.imessage.plists import read_archive, read_plist
from langchain_chatexports.chat_loaders.imessage.queries import Details
from langchain_chatexports.chat_loaders.messages import Message
from tests.unit_tests.builders.typedstream import attributed_body

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


def read(blob: bytes) -> Message:
    read_archive(blob)
    describe_app("com.apple.messages.Polls", blob)
    describe_app("com.example.game", blob)
    message = Message(0, "Hare", "", extra={})
    details = Details(message_summary_info=blob, payload_data=blob)
    read_content(message, details, None, [])
    return message


def to_binary(value: Any) -> bytes:
    return plistlib.dumps(value, fmt=plistlib.FMT_BINARY)


@given(blob=st.binary(max_size=200))
def test_any_bytes_are_read_or_ignored(blob: bytes) -> None:
    read(blob)
    read(b"bplist00" + blob)


@given(content=plists)
def test_any_property_list_is_read_or_ignored(content: Any) -> None:
    read(to_binary(content))


def test_circular_archive_is_read() -> None:
    circular = {**ARCHIVE, "$objects": ["$null", {"self": UID(1), "an": UID(1)}]}
    assert read_archive(to_binary(circular)) == {"self": None, "an": None}


def test_archive_is_read_as_plain_values() -> None:
    assert read_archive(to_binary(ARCHIVE)) == {
        "richLinkMetadata": {
            "title": "The mill",
            "URL": {"NS.base": None, "NS.relative": "The mill"},
            "summary": None,
        },
        "an": "Chess",
        "userInfo": {"Chess": "five"},
    }


def binary_plist(objects: list[bytes], offsets: list[int] | None = None) -> bytes:
    """Return a binary property list, by default with separate bytes for each object."""
    offsets = offsets or [8 + sum(map(len, objects[:at])) for at in range(len(objects))]
    body = b"bplist00" + b"".join(objects)
    table = struct.pack(f">{len(offsets)}I", *offsets)
    return body + table + struct.pack(">6xBBQQQ", 4, 2, len(offsets), 0, len(body))


def array(references: Sequence[int]) -> bytes:
    count = len(references)
    return b"\xaf\x11" + struct.pack(f">{count + 1}H", count, *references)


@pytest.mark.parametrize("kind", ["array", "data"])
def test_objects_with_shared_bytes_are_ignored(kind: str) -> None:
    """Many objects with the same offset: 60 kB took 800 MB."""
    count = 5000
    top = array(range(1, count + 1))
    data = b"\x4f\x11" + (2 * count).to_bytes(2, "big") + bytes(2 * count)
    shared = array([count + 1] * count) if kind == "array" else data
    offset = 8 + len(top)
    offsets = [8, *[offset] * count, offset + len(shared)]
    assert read_plist(binary_plist([top, shared, b"\x10\x05"], offsets)) is None
    small = binary_plist([array([1, 2]), b"\x51a", b"\x10\x05"])
    assert read_plist(small) == ["a", 5]


def test_shared_versions_of_a_text_are_ignored() -> None:
    """The same list of versions under many keys: 60 kB took all memory."""
    version = {"t": attributed_body("x" * 1000), "d": 7e8}
    versions = [version] * 2000
    history = {"ec": {str(part): versions for part in range(2000)}, "ep": [0]}
    assert read(to_binary(history)).text == ""
