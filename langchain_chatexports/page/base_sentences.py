"""Sentences of the page about base models."""

from langchain_chatexports.page.languages import (
    LanguageName,
    Size,
    _,
    duration,
    facts,
    short_time,
)
from langchain_chatexports.workflows.bases import Base, BaseChoice


def choice_text(choice: BaseChoice) -> str:
    base = choice.base
    if choice.is_trained:
        takes = training_time_text(choice.seconds)
    else:
        takes = _("answers in about {time}", time=short_time(choice.seconds))
    return facts(
        _("Base model: {name}", name=base.name),
        _reason_text(choice),
        download_text(base),
        takes,
        license_text(base),
    )


def _reason_text(choice: BaseChoice) -> str:
    if choice.base.is_default:
        return _("a tiny demo model that speaks a little English")
    if not choice.language:
        return _("the best known one that this machine runs well")
    return _(
        "the best known one for chats in {language} that this machine runs well",
        language=LanguageName(choice.language),
    )


def training_time_text(seconds: float) -> str:
    return _("trains in about {duration}", duration=duration(seconds))


def download_text(base: Base) -> str:
    """Return the size of a base's download, or a note that it is here."""
    if not base.download_bytes:
        return _("already here")
    size = Size(base.download_bytes)
    return _("{size} from huggingface.co", size=size)


def license_text(base: Base) -> str:
    return _("license: {license}", license=base.license) if base.license else ""
