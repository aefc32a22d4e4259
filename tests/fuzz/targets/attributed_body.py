"""`attributedBody` blobs: any bytes give text that is in them, or nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.imessage.attributed_body import (
    decode_attributed_body,
    decode_attributes,
)
from tests.fuzz.case import FindError
from tests.fuzz.mutations import mutated
from tests.unit_tests.builders.typedstream import FILE, MENTION, PART, attributed_body

if TYPE_CHECKING:
    from random import Random

    from tests.fuzz.case import Case

MEMORY = 2**28
_BLOBS = 200
_GUIDED = Path(
    "tests/integration_tests/chat_loaders/imessage/fuzz_attributed_body.py"
).absolute()
_TOKENS = (b"\x84\x84", b"\x85", b"\x86", b"\x92", b"\x84\x01+", b"\x81\xff\x7f")


def prepare(_: Path) -> list[bytes]:
    """Return sound blobs."""
    runs: Any = [(2, {PART: 0}), (1, {PART: 1, FILE: "at_0"}), (3, {MENTION: "+1555"})]
    texts = ("", "Hi", "NSString+", "x" * 200, "🐢\ufffc")
    blobs = [attributed_body(t, mutable=m) for t in texts for m in (False, True)]
    return [*blobs, attributed_body("Hi\ufffcyou", runs)]


def attack(case: Case, blobs: list[bytes]) -> None:
    """Decode blobs in both ways."""
    random = case.random
    _decode(_class_chain(random))
    for _ in range(_BLOBS):
        _decode(mutated(random, random.choice(blobs), _TOKENS))


def _decode(blob: bytes) -> None:
    text = decode_attributed_body(blob)
    if text is not None and text.encode() not in blob:
        msg = "the text is not in the blob"
        raise FindError(msg)
    decoded = decode_attributes(blob)
    if decoded is not None and text is not None and decoded.text != text:
        msg = "the two ways differ"
        raise FindError(msg)


def _class_chain(random: Random) -> bytes:
    # Each class names the next one as its parent, with a name that is known already.
    start = b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x01A\x00"
    return start + b"\x84\x93\x00" * random.choice((10, 100, 30_000)) + b"\x85"


def guided(seconds: float, folder: Path) -> bool:
    """Run atheris, which follows the code's branches, where it is installed.

    Args:
        seconds: How long.
        folder: Where finds are kept.

    Returns:
        Whether something was found.
    """
    if find_spec("atheris") is None:
        return False
    corpus = folder / ".running-corpus"
    corpus.mkdir(exist_ok=True)
    for number, blob in enumerate(prepare(folder)):
        (corpus / str(number)).write_bytes(blob)
    done = subprocess.run(  # noqa: S603 - our own script
        [
            sys.executable,
            str(_GUIDED),
            f"-max_total_time={max(1, int(seconds))}",
            f"-artifact_prefix={folder}/attributed_body-guided-",
            str(corpus),
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        print(done.stderr[-2000:])
    return done.returncode != 0
