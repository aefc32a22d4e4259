"""A missing extra is an error before anything is read."""

import sys
from pathlib import Path

import pytest

from tests.unit_tests.cli.conftest import Run

# The paths do not exist: reading one first would be another error.
NEEDS = [
    ("phonenumbers", "redact", "prepare export --redact -o set"),
    ("stdnum", "redact", "prepare export --redact -o set"),
    ("jinja2", "cli", "report export --json"),
    ("sklearn", "evaluate", "evaluate"),
    ("scipy", "evaluate", "evaluate model"),
    ("trl", "local", "evaluate"),
    ("nicegui", "page", "open"),
    ("trl", "page", "open"),
    ("trl", "local", "finetune export"),
    ("trl", "local", "demo"),
    ("trl", "local", "export-model NAME merged"),
    ("trl", "local", "serve"),
    ("platformdirs", "local", "chat"),
    ("platformdirs", "local", "models"),
]


@pytest.mark.parametrize(("module", "extra", "line"), NEEDS)
def test_missing_extra_is_reported_first(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    extra: str,
    line: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    done = run(*line.split())
    assert done.status == 1
    assert f'pip install "langchain-chatexports[{extra}]"' in done.err
    assert len(done.err.splitlines()) == 1
    assert not [*tmp_path.iterdir()]
