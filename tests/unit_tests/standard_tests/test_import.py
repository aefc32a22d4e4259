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


def run(code: str) -> str:
    return subprocess.run(  # noqa: S603 - our own code, our own interpreter
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("missing", ["pytest", "langchain_tests"])
def test_missing_extra_is_named(missing: str) -> None:
    told = run(IMPORT.format(missing=missing))
    assert told.startswith("MissingExtraError langchain_chatexports.standard_tests")
    assert 'pip install "langchain-chatexports[tests]"' in told


def test_package_itself_imports_no_pytest() -> None:
    told = run(
        "import sys, langchain_chatexports.steps\n"
        "import langchain_chatexports.chat_loaders.utils\n"
        "print('pytest' in sys.modules, 'langchain_tests' in sys.modules)"
    )
    assert told.split() == ["False", "False"]
