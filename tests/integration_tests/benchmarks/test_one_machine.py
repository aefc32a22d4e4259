"""The benchmark's contenders write the same examples; one_machine.py says how fast."""

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows does not say what a process took."
)


@pytest.mark.parametrize("kind", ["imessage", "messenger zip"])
def test_all_contenders_write_the_same_examples(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("langchain_community")
    from benchmarks import one_machine

    monkeypatch.setattr(one_machine, "_CONVERSATIONS", 20)
    found = one_machine.measure(tmp_path, kind, 2_000, 1)
    assert set(found.costs) == {
        "community",
        "floor",
        "library",
        "library, rare collections",
        "prepare",
    }
    assert any("prepare" in line for line in one_machine.tables([found]))


def test_examples_that_differ_are_an_error(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    from benchmarks.harness import Contender, turns

    write = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    line = '{{"messages": [{{"role": "user", "content": "{}"}}]}}\n'
    contenders = [
        Contender(name, ("-c", write, str(path), line.format(name)), path)
        for name in "ab"
        for path in [tmp_path / name]
    ]
    with pytest.raises(ValueError, match="differ"):
        turns(contenders, 1)
