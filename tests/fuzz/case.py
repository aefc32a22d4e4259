"""One attack: a folder of its own, and the judge of what the package did there."""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import re
import stat
import tempfile
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import ChatExportError, SenderNotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path
    from random import Random

__all__ = ["CANARY", "MARK", "NAME", "Case", "FindError", "check_text"]

MARK = "XYZZY-private-words"
"""Stands in the texts of the attacks: whoever says it leaks text."""

NAME = "Quintessa Zornblau"
"""A sender: whoever says it, but the list of senders, leaks a name."""

CANARY = "CANARY-of-another-folder"
"""Stands in files that no attack may reach."""

# Line ends and tabs are harmless; the rest can move a terminal's cursor, or lie.
_TERMINAL_CODES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class FindError(Exception):
    """The package broke a promise."""


class Case:
    """A case of a target.

    Attributes:
        random: Where everything that is random comes from.
        root: The case's folder. All in it but `out` must stay as it is.
        export: Where the target puts what is attacked with.
        out: Where the package may write.
        canaries: Files that must stay: beside the export, in the working directory, in
            the home directory, and above them.
    """

    def __init__(self, random: Random, root: Path) -> None:
        self.random = random
        self.root = root
        self.export = root / "export"
        self.out = root / "out"
        self.canaries = [
            root / "canary",
            root / "beside" / "canary",
            root / "cwd" / "canary",
            root / "home" / "canary",
        ]
        self._temporary = root / "tmp"
        for folder in (self.export, self.out, self._temporary):
            folder.mkdir(parents=True)
        for canary in self.canaries:
            canary.parent.mkdir(exist_ok=True)
            canary.write_text(CANARY)
        os.chdir(root / "cwd")
        os.environ.update(HOME=str(root / "home"), TMPDIR=str(self._temporary))
        tempfile.tempdir = str(self._temporary)

    @contextmanager
    def judged(
        self,
        expected: tuple[type[Exception], ...] = (ChatExportError,),
        *,
        may_change: Collection[Path] = (),
    ) -> Iterator[None]:
        """Run what the block does, and check each promise afterwards.

        Args:
            expected: The errors that the package may end with.
            may_change: Paths that it may write to, beside `out`.

        Raises:
            FindError: If a promise is broken.
        """
        before = self._snapshot(may_change)
        said: list[str] = []
        handler = _Listening(said)
        logging.getLogger().addHandler(handler)
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                try:
                    yield
                except expected as error:
                    said += _shown(error)
                    if not isinstance(error, SenderNotFoundError):
                        check_text(str(error))
        finally:
            logging.getLogger().removeHandler(handler)
        gc.collect(0)  # What an error held open is closed.
        said += [str(warning.message) for warning in warned]
        for text in said:
            check_text(text, names=False)
        after = self._snapshot(may_change)
        changed = sorted(
            path for path in {*before, *after} if before.get(path) != after.get(path)
        )
        if changed:
            msg = f"changed or left behind: {', '.join(changed[:5])}"
            raise FindError(msg)

    def _snapshot(self, may_change: Collection[Path]) -> dict[str, object]:
        skipped = {self.out, *may_change}
        # A folder's times tell of files that came and went in it.
        parents = {path.parent for path in may_change} | {self.root, self._temporary}
        return {
            str(path.relative_to(self.root)): _state(path, timeless=path in parents)
            for path in [self.root, *_below(self.root, skipped)]
        }


def check_text(text: str, *, names: bool = True) -> None:
    """Check what is shown to people: an error, a warning, a line of a log.

    Args:
        text: The text.
        names: Whether names count, too.

    Raises:
        FindError: If it holds text or a name of the export, or terminal codes.
    """
    if MARK in text or CANARY in text:
        msg = "private text is shown"
    elif names and NAME in text:
        msg = "a name is shown"
    elif _TERMINAL_CODES.search(text):
        msg = "a terminal code is shown"
    else:
        return
    raise FindError(msg)


class _Listening(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.INFO)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(record.getMessage())
        if record.exc_info and record.exc_info[1]:
            self._said += _shown(record.exc_info[1])


def _shown(error: BaseException | None) -> Iterator[str]:
    # What a traceback shows: the error, and what it came from.
    while error is not None:
        # That one lists senders, and an attack may put any text in a sender's place.
        if not isinstance(error, SenderNotFoundError):
            yield str(error)
        hidden = error.__suppress_context__
        error = error.__cause__ or (None if hidden else error.__context__)


def _below(folder: Path, skipped: Collection[Path]) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        if path not in skipped:
            yield path
            if entry.is_dir(follow_symlinks=False):
                yield from _below(path, skipped)


def _state(path: Path, *, timeless: bool) -> object:
    found = path.lstat()
    kind = stat.S_IFMT(found.st_mode)
    if stat.S_ISLNK(kind):
        return kind, os.readlink(path)  # noqa: PTH115 - targets may be no paths.
    content = ""
    if stat.S_ISREG(kind) and found.st_size < 2**26:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    time = None if timeless else found.st_mtime_ns
    return found.st_mode, time, content
