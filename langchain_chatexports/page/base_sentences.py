"""Sentences of the page about base models."""

from langchain_chatexports.local_server import Base
from langchain_chatexports.page.languages import (
    LanguageName,
    Size,
    _,
    format_duration,
    format_seconds,
    join_parts,
)
from langchain_chatexports.workflows.bases import BaseChoice, download_bytes


def choice_text(choice: BaseChoice) -> str:
    base = choice.base
    if choice.is_trained:
        speed = training_time_text(choice.seconds)
    else:
        speed = _("answers in about {time}", time=format_seconds(choice.seconds))
    return join_parts(
        _("Base model: {name}", name=base.name),
        _reason_text(choice),
        download_text(base),
        speed,
        license_text(base),
    )


def _reason_text(choice: BaseChoice) -> str:
    if choice.base.is_default:
        return _("a tiny demo model that speaks a little English")
    if not choice.language:
        return _("the best known model that runs well on this machine")
    return _(
        "the best known model for chats in {language} that runs well on this machine",
        language=LanguageName(choice.language),
    )


def training_time_text(seconds: float) -> str:
    return _("trains in about {duration}", duration=format_duration(seconds))


def download_text(base: Base) -> str:
    """Return the download size of a base, or a note that it is downloaded."""
    if not base.needs_download():
        return _("already downloaded")
    size = Size(download_bytes(base))
    return _("{size} from huggingface.co", size=size)


def license_text(base: Base) -> str:
    return _("license: {license}", license=base.license) if base.license else ""
