import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from langchain_chatexports.chat_loaders.imessage.attributed_body import (
    decode_attributed_body,
    decode_attributes,
)
from tests.unit_tests.builders.typedstream import FILE, MENTION, PART, attributed_body

IMMUTABLE = (
    "040b73747265616d747970656481e803840140848484124e5341747472696275746564537472696e67"
    "008484084e534f626a656374008592848484084e53537472696e67019484012b"
)
MUTABLE = (
    "040b73747265616d747970656481e803840140848484194e534d757461626c65417474726962757465"
    "64537472696e67008484124e5341747472696275746564537472696e67008484084e534f626a656374"
    "0085928484840f4e534d757461626c65537472696e67018484084e53537472696e67019584012b"
)
# Synthetic blobs, which two independent decoders read alike.
SAMPLES = {
    "empty": (IMMUTABLE + "008686", "", []),
    "mention": (
        IMMUTABLE
        + "084865792053616d2186840269490104928484840c4e5344696374696f6e61727900"
        "9484016901928496961d5f5f6b494d4d657373616765506172744174747269627574654e616d6586"
        "92848484084e534e756d626572008484074e5356616c7565009484012a8499990086869702039284"
        "989902928496961c5f5f6b494d4d656e74696f6e436f6e6669726d65644d656e74696f6e86928496"
        "960c2b313535353030303131313186928496961d5f5f6b494d4d6573736167655061727441747472"
        "69627574654e616d658692849b9c9d9900868697010186",
        "Hey Sam!",
        [
            (0, 4, {PART: 0}),
            (4, 7, {MENTION: "+15550001111", PART: 0}),
            (7, 8, {PART: 0}),
        ],
    ),
    "attachment": (
        MUTABLE
        + "07efbfbc4c6f6f6b86840269490101928484840c4e5344696374696f6e617279009584"
        "01690292849898225f5f6b494d46696c655472616e73666572475549444174747269627574654e61"
        "6d6586928498980961745f305f4141414186928498981d5f5f6b494d4d6573736167655061727441"
        "74747269627574654e616d658692848484084e534e756d626572008484074e5356616c7565009584"
        "012a849b9b00868699020492849a9b01928498981d5f5f6b494d4d65737361676550617274417474"
        "7269627574654e616d658692849f9ea19b01868686",
        "\ufffcLook",
        [(0, 1, {FILE: "at_0_AAAA", PART: 0}), (1, 5, {PART: 1})],
    ),
}
LONG = {
    "127 bytes": "a" * 127,
    "128 bytes": "b" * 128,
    "200 bytes": "c" * 200,
    "32,767 bytes": "d" * 32_767,
    "40,000 bytes": "e" * 40_000,
    "class name": "I wrote NSString\x01\x94\x84\x01+\x05wrong in Swift",
    "beyond the BMP": "🐢🐇 " * 50,
}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_blobs_are_decoded(name: str) -> None:
    blob, text, runs = SAMPLES[name]
    assert decode_attributed_body(bytes.fromhex(blob)) == text
    assert decode_attributes(bytes.fromhex(blob)) == (text, runs)


@pytest.mark.parametrize("mutable", [False, True])
@pytest.mark.parametrize("name", LONG)
def test_long_and_unusual_texts_are_complete(name: str, mutable: bool) -> None:
    blob = attributed_body(LONG[name], mutable=mutable)
    assert decode_attributed_body(blob) == LONG[name]


@pytest.mark.parametrize("mutable", [False, True])
@given(text=texts)
def test_any_text_makes_a_round_trip(mutable: bool, text: str) -> None:
    blob = attributed_body(text, mutable=mutable)
    decoded = decode_attributes(blob)
    assert decoded is not None
    assert decoded.text == decode_attributed_body(blob) == text


@pytest.mark.parametrize("mutable", [False, True])
@given(text=texts.filter(bool), data=st.data())
def test_truncated_text_is_not_decoded(
    mutable: bool, text: str, data: DataObject
) -> None:
    blob = attributed_body(text, mutable=mutable)
    prefix = len(bytes.fromhex(MUTABLE if mutable else IMMUTABLE))
    end = blob.index(text.encode(), prefix) + len(text.encode())
    cut = data.draw(st.integers(0, end - 1))
    assert decode_attributed_body(blob[:cut]) is None


# A length beyond the blob would return attribute bytes as text.
@pytest.mark.parametrize(
    "length", [b"\x81\xff\x7f", b"\x80", b"\x83", b"\x84", b"\x86", b"\x92", b"\xff"]
)
def test_text_with_an_invalid_length_is_not_decoded(length: bytes) -> None:
    blob = bytes.fromhex(IMMUTABLE) + length + b"x" * 300
    assert decode_attributed_body(blob) is None


@pytest.mark.parametrize("tag", [0x80, 0x83, 0x86, 0x91])
def test_tag_is_not_read_as_a_number(tag: int) -> None:
    numbers = b"\x84\x02iI\x01"
    body = attributed_body("Hi").replace(numbers + b"\x02", numbers + bytes([tag]))
    assert bytes([tag]) + b"\x92\x84\x84\x84\x0cNSDictionary" in body
    assert decode_attributed_body(body) == "Hi"
    assert decode_attributes(body) is None


def test_other_class_version_is_decoded() -> None:
    blob = attributed_body("Hi")
    changed = blob.replace(b"NSAttributedString\x00", b"NSAttributedString\x01")
    assert changed != blob
    assert decode_attributed_body(changed) == "Hi"


def test_deeply_nested_objects_are_not_decoded() -> None:
    begin = attributed_body("a", [])[:-1] + b"\x84\x02iI\x01\x01"
    blob = begin + b"\x92\x84\x84\x84\x01X\x00\x85" * 5000
    assert decode_attributes(blob) is None


@pytest.mark.parametrize(
    "value", [0, -1, 127, 128, -110, -111, 40_000, -(2**31), 0.5, -1e300]
)
def test_numbers_of_all_sizes_are_decoded(value: float) -> None:
    first, second = {"a": value}, {"a": value, "b": value}
    decoded = decode_attributes(attributed_body("ab", [(1, first), (1, second)]))
    assert decoded == ("ab", [(0, 1, first), (1, 2, second)])


def test_data_and_dictionaries_are_decoded() -> None:
    attributes = {"code": {"code": "1234"}, "data": b"\x92\x86"}
    decoded = decode_attributes(attributed_body("1234", [(4, attributes)]))
    assert decoded == ("1234", [(0, 4, attributes)])


@given(blob=st.binary(max_size=400))
def test_any_bytes_are_decoded_or_skipped(blob: bytes) -> None:
    for start in (b"", b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84"):
        text = decode_attributed_body(start + blob)
        assert text is None or text.encode() in start + blob
        decode_attributes(start + blob)


def test_small_blob_does_not_expand_without_limit() -> None:
    """A one-byte reference can repeat a long list of empty arrays."""
    arrays = b"[0c]" * 8000
    begin = attributed_body("a", [])[:-1] + b"\x84\x02iI\x01\x01\x92"
    named = b"\x84\x84\x84\x01X\x00\x94\x84\x81%s" % len(arrays).to_bytes(2, "little")
    # The list has number 7 among the strings. Each further byte refers to it.
    blob = begin + named + arrays + b"\x99" * 20_000
    before = time.process_time()
    assert decode_attributes(blob) is None
    assert time.process_time() - before < 5


@pytest.mark.parametrize("before", [b"", b"NSString, and no text", b"NSString+\xf0"])
def test_unknown_layout_is_searched_for_a_text(before: bytes) -> None:
    head = b"\x04\x0bstreamtyped\x81\xe8\x03"
    assert decode_attributed_body(head + before + b"NSString\x01+\x02Hi") == "Hi"
