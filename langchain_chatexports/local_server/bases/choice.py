"""Propose a base for a language, the memory of this machine and a time limit."""

from dataclasses import dataclass

from langchain_chatexports._progress import estimated_duration
from langchain_chatexports._translation import _, language_name, number
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.base import (
    Base,
    fitting_bases,
    known_bases,
)
from langchain_chatexports.local_server.bases.preparation import conversion_text


class NoBaseError(LocalServerError):
    """Raised if no available base supports the language of the chats."""

    def __init__(self, message: str, language: str | None) -> None:
        """Initialize the error."""
        super().__init__(message)
        self.language = language


@dataclass(frozen=True)
class BaseChoice:
    """The base proposed for these chats and this machine."""

    base: Base
    seconds: float
    """The estimated time to train it, or to generate a reply."""

    limit: int | None = None
    """How many of the newest examples fit the time limit; `None` for all."""

    language: str | None = None
    better: Base | None = None
    is_trained: bool = True
    is_measured: bool = False
    """Whether `seconds` comes from a training on this machine."""

    def __str__(self) -> str:
        """Return one line with the base, the reason, its size and the duration."""
        base = self.base
        if self.is_trained:
            text = estimated_duration(self.seconds, is_measured=self.is_measured)
            duration = _("trains in {duration}", duration=text)
        else:
            seconds = max(1, round(self.seconds))
            duration = _("replies in about {seconds} s (estimated)", seconds=seconds)
        size = base.download_text() or _("already downloaded")
        license_ = _("license: {license}", license=base.license) if base.license else ""
        conversion = conversion_text(base) if self.is_trained else ""
        parts = filter(None, (self._reason(), size, conversion, duration, license_))
        details = "; ".join(parts)
        return _("Base model: {name}, {details}", name=base.name, details=details)

    def _reason(self) -> str:
        if self.base.is_default:
            return _("a tiny demo model that speaks a little English")
        if self.language is None:
            if self.better is None:
                return _("the best known one that this machine runs well")
            return _("the best known one on this machine")
        language = language_name(self.language)
        if self.better is None:
            return _(
                "the best known one for chats in {language} that this machine runs "
                "well",
                language=language,
            )
        return _(
            "the best known one for chats in {language} on this machine",
            language=language,
        )


def propose_base(
    language: str | None,
    default_seconds: float,
    limit_seconds: float,
    *,
    is_trained: bool = True,
    downloads: bool = True,
    with_default: bool = False,
) -> BaseChoice:
    """Choose the best base within a time limit; if all take longer, the smallest.

    Args:
        language: The language of the chats; `None` if unknown.
        default_seconds: How long the default base takes.
        limit_seconds: The limit.
        is_trained: Whether it is trained. For a talk without training, local bases
            other than the default are preferred to downloads.
        downloads: Whether to include bases that are not on this machine.
        with_default: Whether to include the default base, a tiny demo model.

    Raises:
        NoBaseError: If no base supports the language.
    """
    bases = _filter_by_language(fitting_bases(is_trained=is_trained), language)
    local_bases = [base for base in bases if _is_local(base)]
    if not is_trained and not all(base.is_default for base in local_bases):
        downloads = False

    def find_best(pool: list[Base]) -> tuple[Base, float]:
        allowed = [base for base in pool if with_default or not base.is_default]
        timings = [
            (base, base.training_seconds(default_seconds) or 0.0)
            for base in allowed or pool
        ]
        in_limit = [timing for timing in timings if timing[1] <= limit_seconds]
        return in_limit[-1] if in_limit else timings[0]

    best, duration = find_best(bases)
    if downloads or _is_local(best):
        return BaseChoice(best, duration, language=language, is_trained=is_trained)
    if not local_bases:
        smaller = "".join(
            f"\n  --base {base.id}  ({base.download_text()})"
            for base in bases
            if base.is_open and (base.size_bytes or 0) < (best.size_bytes or 0)
        )
        msg = _(
            "No base model on this machine supports {language}. Download {base} "
            "({size}, license: {license}) with --yes, or take a smaller one, whose "
            "answers make less sense, or a .gguf file that you have:",
            language=language_name(language),
            base=best.id,
            size=best.download_text(),
            license=best.license,
        )
        msg += f"{smaller}\n  --base {_('FILE')}.gguf"
        raise NoBaseError(msg, language)
    base, duration = find_best(local_bases)
    return BaseChoice(
        base, duration, language=language, better=best, is_trained=is_trained
    )


def _filter_by_language(bases: list[Base], language: str | None) -> list[Base]:
    matching_bases = [base for base in bases if base.supports_language(language)]
    if not matching_bases:
        hints = [
            _(
                "The smallest, {base}, needs {size} GB: try {option}.",
                base=base.id,
                size=number((base.memory_bytes or 0) / 1e9, 1),
                option=f"--base {base.id}",
            )
            for base in known_bases()
            if base.is_open and base.supports_language(language)
        ]
        msg = _(
            "No known base model for {language} fits in half of this machine's memory.",
            language=language_name(language),
        )
        raise NoBaseError(" ".join([msg, *hints[:1]]), language)
    return matching_bases


def _is_local(base: Base) -> bool:
    # The default base is small enough to download without asking.
    return base.is_default or not base.needs_download()
