"""The decoder agrees with pytypedstream, an independent implementation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.imessage.attributed_body import (
    decode_attributed_body,
    decode_attributes,
)
from tests.unit_tests.builders.typedstream import (
    MENTION,
    PART,
    attributed_body,
    utf16_length,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400)
values = (
    st.integers(-(2**31), 2**31 - 1)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=40)
)
attributes = st.dictionaries(st.sampled_from([PART, MENTION, "x"]), values, min_size=1)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    text = draw(texts | texts.map(lambda text: text * 120))
    cut = draw(st.integers(0, utf16_length(text)))
    lengths = [length for length in (cut, utf16_length(text) - cut) if length]
    runs = [(length, draw(attributes)) for length in lengths]
    return attributed_body(text, runs, mutable=draw(st.booleans()))


def decode_with_pytypedstream(
    body: bytes,
) -> tuple[str, list[tuple[int, dict[str, Any]]]]:
    typedstream = pytest.importorskip("typedstream")
    root = typedstream.unarchive_from_data(body)
    string, *rest = [value for group in root.contents for value in group.values]
    runs, known = [], {}
    while rest:
        number, length, *rest = rest
        if number not in known:
            dictionary, *rest = rest
            known[number] = {
                key.value: plain(item) for key, item in dictionary.contents.items()
            }
        runs.append((length, known[number]))
    return string.value, runs


def plain(item: Any) -> Any:
    return item.data if hasattr(item, "data") else item.value


@given(body=bodies())
def test_pytypedstream_decodes_the_same_text_and_runs(body: bytes) -> None:
    text, runs = decode_with_pytypedstream(body)
    assert decode_attributed_body(body) == text
    ours = decode_attributes(body)
    assert ours is not None
    assert ours.text == text
    assert [(run.end - run.start, run.attributes) for run in ours.runs] == runs
