"""Standard tests for chat loaders and session transforms, for any package.

Subclass a suite, say what it tests, and run pytest; the docstrings have examples.
pytest and langchain-tests come with `pip install "langchain-chatexports[tests]"`.
"""

from __future__ import annotations

from langchain_chatexports.exceptions import MissingExtraError

try:
    import langchain_tests.base  # noqa: F401 - the suites' base class lives there
    import pytest
except ImportError as error:
    feature = "langchain_chatexports.standard_tests"
    raise MissingExtraError(feature, "tests") from error

# Before the suites are imported: their asserts then explain themselves when they fail.
for _module in (
    "base",
    "chat_loaders",
    "integration",
    "resources",
    "session_transforms",
):
    pytest.register_assert_rewrite(f"langchain_chatexports.standard_tests.{_module}")

from langchain_chatexports.standard_tests.chat_loaders import (  # noqa: E402 - see above
    ChatLoaderUnitTests,
)
from langchain_chatexports.standard_tests.integration import (  # noqa: E402 - see above
    ChatLoaderIntegrationTests,
    SessionTransformIntegrationTests,
)
from langchain_chatexports.standard_tests.session_transforms import (  # noqa: E402 - see above
    SessionTransformUnitTests,
)

__all__ = [
    "ChatLoaderIntegrationTests",
    "ChatLoaderUnitTests",
    "SessionTransformIntegrationTests",
    "SessionTransformUnitTests",
]
