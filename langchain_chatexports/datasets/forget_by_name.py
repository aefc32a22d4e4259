"""Removal from a written set of people who are named as in the export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from langchain_chatexports.chat_loaders.suggestions import did_you_mean
from langchain_chatexports.datasets._forget import ForgetReport, forget
from langchain_chatexports.datasets.formats.trace_file import read_header
from langchain_chatexports.exceptions import ExportFormatError, SenderNotFoundError
from langchain_chatexports.redaction.key_file import read_key_file, restore
from langchain_chatexports.redaction.redactor import Redactor
from langchain_chatexports.steps import Redact


def forget_by_name(
    path: Path,
    *,
    people: Sequence[str] = (),
    conversations: Sequence[str] = (),
    mentions: bool = False,
    key: Path | None = None,
) -> ForgetReport:
    """Rewrite a set without people or conversations, also one with replaced names."""
    found, ids = list(people), list(conversations)
    if key is None:
        _refuse_if_redacted(path)
    else:
        found, ids = _stand_ins(key, people, conversations)
    typed = dict(zip([*found, *ids], [*people, *conversations], strict=True))
    try:
        report = forget(
            path, people=found, conversations=ids, mentions=mentions, strict=True
        )
    except SenderNotFoundError as error:
        if key is None:
            raise
        named = {name: typed[name] for name in found}
        raise _with_names(error, named, key, path) from None
    before = tuple(typed[name] for name in report.forgotten_before)
    return replace(report, forgotten_before=before)


def _refuse_if_redacted(path: Path) -> None:
    if read_header(path).facts.get("redacted"):
        # Otherwise the report would say that the set has nothing of the person.
        msg = (
            f"The names in {path} were replaced, so nobody can be found by name. Name "
            "the key file of the redaction: --key FILE."
        )
        raise ExportFormatError(msg)


def _stand_ins(
    key_file: Path, people: Sequence[str], conversations: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return people and conversations as a redacted set names them."""
    key = read_key_file(key_file).key
    return (
        [Redact(key=key, names=(name,)).pseudonym(name) for name in people],
        [Redactor(key).identifier(found) for found in conversations],
    )


def _with_names(
    error: SenderNotFoundError, named: Mapping[str, str], key_file: Path, path: Path
) -> SenderNotFoundError:
    """Return the error with the export's names in place of the stand-ins."""
    originals = read_key_file(key_file).stand_ins
    senders = {restore(name, originals): n for name, n in error.senders.items()}
    known = {name.casefold() for name in error.senders}
    unknown = [name for found, name in named.items() if found.casefold() not in known]
    msg = (
        f"Nobody in {path} is called {' or '.join(map(repr, unknown))}, so nothing was "
        f"taken out.{did_you_mean(unknown, senders)}"
    )
    return SenderNotFoundError(msg, senders)
