"""Standard tests for chat loaders and session transforms, for any package.

Subclass a suite, set its properties and run pytest: see docs/standard_tests.md.
pytest and langchain-tests come with `pip install "langchain-chatexports[tests]"`.
"""

from langchain_chatexports.exceptions import MissingExtraError

try:
    import langchain_tests.base  # noqa: F401 - the base class of the suites
    import pytest
except ImportError as error:
    feature = "langchain_chatexports.standard_tests"
    raise MissingExtraError(feature, "tests") from error

# Register the suites before importing them, so that pytest explains failed asserts.
pytest.register_assert_rewrite(
    "langchain_chatexports.standard_tests.base",
    "langchain_chatexports.standard_tests.chat_loaders",
    "langchain_chatexports.standard_tests.session_transforms",
)

from langchain_chatexports.standard_tests.chat_loaders import (  # noqa: E402 - see above
    ChatLoaderIntegrationTests,
    ChatLoaderUnitTests,
)
from langchain_chatexports.standard_tests.session_transforms import (  # noqa: E402 - see above
    SessionTransformIntegrationTests,
    SessionTransformUnitTests,
)

__all__ = [
    "ChatLoaderIntegrationTests",
    "ChatLoaderUnitTests",
    "SessionTransformIntegrationTests",
    "SessionTransformUnitTests",
]
