"""Property lists in columns can hold anything; nothing of it ends the reading."""

from __future__ import annotations

import plistlib
from plistlib import UID
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.imessage.balloons import (
    app_placeholder,
    link_preview,
)
from langchain_chatexports.chat_loaders.imessage.edits import read_edit_history
from langchain_chatexports.chat_loaders.imessage.plists import read_archive

if TYPE_CHECKING:
    from typing import Any

    from hypothesis.strategies import DataObject


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
HISTORY = {
    "otr": {"0": {"lo": 0, "le": 2}},
    "ec": {"0": [{"t": b"x", "d": 7e8}, {"t": b"y", "d": 7e8}]},
    "ep": [0],
    "rp": [1],
}
# What a property list can hold.
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


def look_at(blob: bytes) -> None:
    read_archive(blob)
    link_preview(blob)
    app_placeholder("com.apple.messages.Polls", blob)
    app_placeholder("com.example.game", blob)
    read_edit_history(blob)


@given(blob=st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_read_or_left(blob: bytes) -> None:
    look_at(blob)
    look_at(b"bplist00" + blob)


@given(content=plists)
@settings(max_examples=150, deadline=None)
def test_any_property_list_is_read_or_left(content: Any) -> None:
    look_at(plistlib.dumps(content, fmt=plistlib.FMT_BINARY))


@pytest.mark.parametrize("content", [ARCHIVE, HISTORY])
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_property_lists_are_read_or_left(
    content: dict[str, Any], data: DataObject
) -> None:
    blob = bytearray(plistlib.dumps(content, fmt=plistlib.FMT_BINARY))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(8, len(blob) - 1))] = data.draw(st.integers(0, 255))
    look_at(bytes(blob))


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
