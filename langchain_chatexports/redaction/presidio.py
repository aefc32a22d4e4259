"""Microsoft's Presidio as a second detector: the extra `pii`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import ChatExportError, MissingExtraError
from langchain_chatexports.redaction.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["presidio_detector", "presidio_engine"]

# Not its addresses of mail and pages: the rules here find these, and it would fetch a
# list of domains for them.
_KINDS = {
    "CREDIT_CARD": "card",
    "CRYPTO": "account",
    "IBAN_CODE": "account",
    "LOCATION": "address",
    "PERSON": "name",
    "PHONE_NUMBER": "phone",
    "US_ITIN": "account",
    "US_SSN": "account",
}
_MIN_SCORE = 0.4
_BLANK = "blank:"


def presidio_detector(model: str) -> Callable[[str], list[Span]]:
    """Return the function that finds private places with Presidio.

    Args:
        model: An installed spaCy pipeline, such as `en_core_web_lg`, whose first
            letters are its language; `blank:en` is for Presidio's patterns alone.

    Returns:
        The function.

    Raises:
        MissingExtraError: If Presidio is not installed.
        ChatExportError: If the pipeline is not installed; it is not downloaded.
    """
    engine, language = presidio_engine(model)
    entities = sorted(_KINDS.keys() & set(engine.get_supported_entities(language)))

    def detect(text: str) -> list[Span]:
        found = engine.analyze(
            text=text,
            language=language,
            entities=entities,
            score_threshold=_MIN_SCORE,
        )
        return [Span(item.start, item.end, _KINDS[item.entity_type]) for item in found]

    return detect


@lru_cache(maxsize=2)
def presidio_engine(model: str) -> tuple[Any, str]:
    """Return Presidio's analyzer, which takes seconds to make, and its language.

    Args:
        model: As for `presidio_detector`, which lists the errors too.

    Returns:
        The `AnalyzerEngine` (Presidio is not typed) and the language.
    """
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import SpacyNlpEngine
    except ImportError as error:
        feature = "Presidio as a second detector"
        raise MissingExtraError(feature, "pii") from error
    language = model.removeprefix(_BLANK)[:2]
    if model.startswith(_BLANK):
        pipeline = spacy.blank(language)
    elif spacy.util.is_package(model) or Path(model).exists():
        pipeline = spacy.load(model)
    else:
        msg = (
            f"The spaCy pipeline {model!r} is not installed, and nothing is downloaded "
            f"here. Install it with: python -m spacy download {model}"
        )
        raise ChatExportError(msg)
    # Given loaded: Presidio itself would download what is missing.
    nlp_engine = SpacyNlpEngine(models=[{"lang_code": language, "model_name": model}])
    nlp_engine.nlp = {language: pipeline}
    engine = AnalyzerEngine(nlp_engine=nlp_engine, supported_languages=[language])
    return engine, language
