"""Presidio as a second detector; without the extra there is a clear error."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from langchain_chatexports.exceptions import ChatExportError, MissingExtraError
from langchain_chatexports.redaction import Span
from langchain_chatexports.redaction.presidio import presidio_detector, presidio_engine

_is_installed = importlib.util.find_spec("presidio_analyzer") is not None
needs_presidio = pytest.mark.skipif(not _is_installed, reason="needs the extra pii")


@pytest.fixture(autouse=True)
def _no_engines_of_other_tests() -> None:
    presidio_engine.cache_clear()


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(MissingExtraError, match=r"langchain-chatexports\[pii\]"):
        presidio_detector("en_core_web_lg")


@needs_presidio
@pytest.mark.filterwarnings("ignore")
def test_a_pipeline_that_is_not_installed_is_not_downloaded() -> None:
    with pytest.raises(ChatExportError, match="nothing is downloaded"):
        presidio_detector("xx_no_such_pipeline")


@needs_presidio
@pytest.mark.filterwarnings("ignore")
def test_patterns_alone_need_no_pipeline() -> None:
    assert presidio_detector("blank:en")("call 212-555-1234") == [Span(5, 17, "phone")]
