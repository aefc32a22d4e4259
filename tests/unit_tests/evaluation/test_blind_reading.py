"""The blind reading of `benchmarks/sense.py`."""

import csv
import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.corrected_again import Answer
from benchmarks.sense import (
    Reply,
    compare,
    read_grades,
    write_sheet,
    write_to_grade,
)
from benchmarks.talks import pull

REPLIES = [
    Reply(variant, question, seed, f"How are you, {question}?", text)
    for question in range(20)
    for seed in (1, 2)
    for variant, text in (
        ("person", f"fine {question}"),
        ("tuned-run1", f"fine {question}" if question % 2 else f"no {seed}"),
        ("tuned-run2", f"fine {question}" if question % 2 else f"no {seed}"),
        ("tuned-run1@0.5", f"well {question} {seed}"),
    )
]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


def _grade(path: Path) -> None:
    rows = _rows(path)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        for row in rows:
            grade = 0 if row["reply"].startswith("no") else 1
            writer.writerow({**row, "fits": f"{grade} "})


def test_file_to_grade_does_not_show_variants(tmp_path: Path) -> None:
    path = tmp_path / "to_grade.csv"
    write_to_grade(REPLIES, path)
    assert "tuned" not in path.read_text("utf-8")
    rows = _rows(path)
    # Equal replies to a question are graded once.
    assert len(rows) == len({(r.question, r.text) for r in REPLIES})
    texts = [row["reply"] for row in rows]
    assert texts != sorted(texts)
    assert path.stat().st_mode & 0o077 == 0 or path.drive


def test_messages_are_divided_among_readers(tmp_path: Path) -> None:
    rows = [asdict(reply) for reply in REPLIES]
    (tmp_path / "replies.json").write_text(json.dumps(rows), "utf-8")
    given = Namespace(folder=tmp_path, sheets=["a.csv", "b.csv"], variants=None)
    write_sheet(given)
    first, second = (_rows(tmp_path / name) for name in given.sheets)
    assert not {row["message"] for row in first} & {row["message"] for row in second}
    assert {row["id"] for row in first + second} == {reply.id for reply in REPLIES}


def test_missing_grades_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "to_grade.csv"
    write_to_grade(REPLIES, path)
    with pytest.raises(SystemExit, match="have no grade"):
        read_grades(path)


def test_variants_are_compared_with_the_control(tmp_path: Path) -> None:
    path = tmp_path / "to_grade.csv"
    write_to_grade(REPLIES, path)
    _grade(path)
    table = compare(REPLIES, read_grades(path), "tuned", rounds=500)
    assert list(table) == ["person", "tuned", "tuned@0.5"]
    count, fits, difference = table["tuned"]  # Both runs.
    assert (count, fits.value) == (80, 0.5)
    assert fits.low < 0.4
    assert fits.high > 0.6
    assert tuple(difference) == (0, 0, 0)
    assert str(table["person"][1]) == "1.00 [1.00, 1.00]"
    gain = table["tuned@0.5"][2]
    assert 0 < gain.low < gain.value < gain.high < 1
    assert gain.value == pytest.approx(0.5)


def test_levers_leave_replies_without_loss() -> None:
    roles = ("system", "assistant", "user", "assistant", "user", "assistant")
    chat = [{"role": role, "content": "Hi"} for role in roles]

    def learned(lever: str) -> list[int]:
        messages = pull(lever, {"messages": chat})["messages"]
        return [at for at, m in enumerate(messages) if m.get("weight") != 0 and at % 2]

    assert learned("") == learned("mixed") == [1, 3, 5]
    assert learned("openers") == [3, 5]
    assert learned("last") == learned("draft") == [5]
    alone = {"messages": chat[:2]}
    assert pull("openers", alone) == alone


def test_reply_agrees_with_a_correction_like_it() -> None:
    def agrees(reply: str) -> bool:
        question = "Tyres?"
        better = "70 back, 60 front"
        return Answer(
            "prompt", "message", False, question, question, better, reply
        ).agrees

    assert agrees("60 front, 70 back")
    assert not agrees("pump them up till they squeak")
    assert not agrees("")


def test_replies_round_trip() -> None:
    assert Reply(**asdict(REPLIES[0])) == REPLIES[0]
