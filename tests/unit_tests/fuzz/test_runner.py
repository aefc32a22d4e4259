"""`make fuzz` runs each target, and finds what is planted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.runner import fuzz, main, target_names
from tests.unit_tests.fuzz.planted import DEFECTS

if TYPE_CHECKING:
    from pathlib import Path

_PLANTED = "tests.unit_tests.fuzz.planted"
# A case of some is many attacks, such as two hundred blobs.
_CASES = {"attributed_body": 4}


# The server's, which needs PyTorch, is among the integration tests.
@pytest.mark.parametrize("name", sorted({*target_names()} - {"server"}))
def test_target_runs_and_finds_nothing(name: str, tmp_path: Path) -> None:
    if name == "sets":
        pytest.importorskip("typer")
    cases = _CASES.get(name, 20)
    result = fuzz(name, seed=10, folder=tmp_path, cases=cases)
    assert (result.cases, result.finds) == (cases, {})


@pytest.mark.parametrize("defect", DEFECTS)
def test_planted_defect_is_found(
    defect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if defect == "memory" and sys.platform != "linux":
        pytest.skip("other systems do not hold a limit of memory")
    monkeypatch.setenv("PLANTED_DEFECT", defect)
    limit = 0.5 if defect == "no end" else 10
    result = fuzz(_PLANTED, seed=1, folder=tmp_path, cases=3, limit=limit)
    assert result.cases == 3
    (what,) = result.finds
    assert DEFECTS[defect][1] in what


def test_seed_and_number_give_a_find_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_DEFECT", "another error")
    first = fuzz(_PLANTED, seed=5, folder=tmp_path, cases=30)
    ((what, numbers),) = first.finds.items()
    assert 0 < len(numbers) < 30
    again = fuzz(_PLANTED, seed=5, folder=tmp_path, first=numbers[-1], cases=1)
    assert again.finds == {what: numbers[-1:]}


def test_find_is_kept_with_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_DEFECT", "text in an error")
    fuzz(_PLANTED, seed=1, folder=tmp_path, cases=1)
    (kept,) = tmp_path.iterdir()
    assert (kept / "export").is_dir()
    assert "private text is shown" in (kept / "find.txt").read_text(encoding="utf-8")


def test_time_ends_the_run(tmp_path: Path) -> None:
    result = fuzz("address_books", seed=1, folder=tmp_path, seconds=2)
    assert result.cases > 0


def test_command_line_fails_if_there_is_a_find(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PLANTED_DEFECT", "another error")
    arguments = [_PLANTED, "--seed", "5", "--seconds", "1", "--finds", str(tmp_path)]
    assert main(arguments) == 1
    assert (
        f"python -m tests.fuzz {_PLANTED} --seed 5 --case " in capsys.readouterr().out
    )
