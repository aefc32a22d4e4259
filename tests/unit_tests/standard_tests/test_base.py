"""Standard tests may only be overridden with a reason."""

from typing import Any

import pytest

from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from langchain_chatexports.standard_tests.base import ChatExportStandardTests
from tests.unit_tests.standard_tests.broken_loaders import SoundLoader


class Suite(ChatLoaderUnitTests):
    chat_loader_class: Any = SoundLoader


def check_overrides(suite: type[ChatExportStandardTests]) -> None:
    suite().test_no_overrides_DO_NOT_OVERRIDE()


def test_override_with_a_reason_passes() -> None:
    class Marked(Suite):
        @pytest.mark.xfail(strict=True, reason="the format has no senders")
        def test_messages_name_their_sender(self, loader: Any) -> None:
            super().test_messages_name_their_sender(loader)

    check_overrides(Marked)


class Silent(Suite):
    def test_repr_shows_no_content(self, loader: Any) -> None:
        pass


class Unreasoned(Suite):
    @pytest.mark.xfail
    def test_repr_shows_no_content(self, loader: Any) -> None:
        pass


class Removing(Suite):
    test_repr_shows_no_content: Any = None


@pytest.mark.parametrize("suite", [Silent, Unreasoned, Removing])
def test_override_without_a_reason_fails(suite: type[ChatExportStandardTests]) -> None:
    with pytest.raises(AssertionError, match="test_repr_shows_no_content"):
        check_overrides(suite)


def test_class_without_a_suite_fails() -> None:
    class Empty(ChatExportStandardTests):
        pass

    with pytest.raises(AssertionError, match="a standard test suite"):
        check_overrides(Empty)
