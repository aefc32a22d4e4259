import subprocess
import sys

import pytest

IMPORT = """
import sys
sys.modules[{missing!r}] = None
try:
    import langchain_chatexports.standard_tests
except ImportError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("missing", ["pytest", "langchain_tests"])
def test_missing_extra_is_named(missing: str) -> None:
    output = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", IMPORT.format(missing=missing)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert output.startswith("MissingExtraError langchain_chatexports.standard_tests")
    assert 'pip install "langchain-chatexports[tests]"' in output
