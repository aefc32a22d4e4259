"""Any damage to an export of any format gives sessions or our error, soon."""

import json
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.recognition import open_exports
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.samples import (
    write_discord,
    write_imessage,
    write_messenger,
    write_slack,
    write_telegram,
    write_whatsapp,
)

MAX_SECONDS = 5


def write_table(path: Path) -> Path:
    rows = [
        {
            "conversation_id": "1",
            "sender": "Hare",
            "text": f"lap {n}",
            "time": 10**9 + n,
        }
        for n in range(20)
    ]
    path = path.with_suffix(".jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


WRITERS: list[Callable[[Path], Path]] = [
    write_discord,
    write_imessage,
    write_messenger,
    write_slack,
    write_table,
    write_telegram,
    write_whatsapp,
]


class Edit(NamedTuple):
    """A change to a file's bytes, at a share of its length."""

    place: float
    removed: int
    added: bytes


EDITS = st.lists(
    st.builds(
        Edit,
        place=st.floats(0, 1),
        removed=st.sampled_from([0, 1, 2, 50, 10**9]),
        added=st.one_of(
            st.binary(max_size=4),
            st.sampled_from(
                [
                    b"",
                    b"{" * 500,
                    b"[" * 5000,
                    b"null",
                    b"1e999",
                    b"\\ud800",
                    b"\xff\xfe",
                    b'"id": "1", ',
                    b"-" * 2000,
                    "‎\u202e[1/1/24, 1:00] A: ".encode(),
                ]
            ),
        ),
    ),
    min_size=1,
    max_size=4,
)


def damage(path: Path, edits: list[Edit], chosen: int) -> None:
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*.*"))
    files = [file for file in files if file.is_file()]
    file = files[chosen % len(files)]
    data = file.read_bytes()
    for place, removed, added in edits:
        at = int(place * len(data))
        data = data[:at] + added + data[at + removed :]
    file.write_bytes(data)


@pytest.fixture(scope="module", params=WRITERS, ids=lambda writer: writer.__name__[6:])
def sample(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    written: Path = request.param(folder / "export")
    return written


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edits=EDITS, chosen=st.integers(0, 50))
def test_damaged_export_gives_sessions_or_our_error(
    sample: Path,
    tmp_path_factory: pytest.TempPathFactory,
    edits: list[Edit],
    chosen: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged" / sample.name
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir()
    (shutil.copytree if sample.is_dir() else shutil.copy)(sample, path)
    damage(path, edits, chosen)
    state = {file: file.stat().st_mtime_ns for file in path.parent.rglob("*")}
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            for export in open_exports([path]):
                summary = export.loader.inspect()
                assert summary.found == summary.kept + sum(summary.skipped.values())
                for session in export.loader:
                    json.dumps([m.model_dump() for m in session["messages"]]).encode()
        except ChatExportError:
            pass
    assert time.process_time() - start < MAX_SECONDS
    assert {f: f.stat().st_mtime_ns for f in path.parent.rglob("*")} == state
