"""A target whose parser breaks one promise each: what the fuzzer must find."""

from __future__ import annotations

import os
import sys
import time
import warnings
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import ExportFormatError
from tests.fuzz.case import MARK, NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.case import Case


def _raise(case: Case) -> None:
    if case.random.random() < 0.5:
        raise KeyError


def _leak(_: Case) -> None:
    raise ExportFormatError(f"Line 1 is no message: {MARK}")  # noqa: EM102, TRY003


def _leak_cause(_: Case) -> None:
    try:
        int(MARK)
    except ValueError as error:
        msg = "Line 1 is no number."
        raise ExportFormatError(msg) from error


def _name(_: Case) -> None:
    raise ExportFormatError(f"{NAME} wrote no message.")  # noqa: EM102, TRY003


def _warn(_: Case) -> None:
    warnings.warn("Left out: \x1b[2Jmessage_1.json", stacklevel=1)


def _write(case: Case) -> None:
    (case.export / "chat.db-shm").write_bytes(b"")
    (case.export / "chat.db-shm").unlink()


def _delete(case: Case) -> None:
    case.canaries[1].unlink()


def _touch(case: Case) -> None:
    os.utime(case.canaries[1], (0, 0))


def _hang(_: Case) -> None:
    time.sleep(60)


def _grow(_: Case) -> None:
    bytearray(2**33)


def _die(_: Case) -> None:
    sys.stdout.flush()
    os._exit(3)


DEFECTS: dict[str, tuple[Callable[[Case], None], str]] = {
    "another error": (_raise, "KeyError"),
    "text in an error": (_leak, "private text is shown"),
    "text in a cause": (_leak_cause, "private text is shown"),
    "name in an error": (_name, "a name is shown"),
    "terminal code in a warning": (_warn, "a terminal code is shown"),
    "file beside the export for a moment": (_write, "changed or left behind"),
    "deleted file": (_delete, "changed or left behind"),
    "changed time": (_touch, "changed or left behind"),
    "no end": (_hang, "no end"),
    "memory": (_grow, "MemoryError"),
    "dead process": (_die, "the process died"),
}


def attack(case: Case, _: None) -> None:
    """Read nothing, wrongly."""
    defect, _said = DEFECTS[os.environ["PLANTED_DEFECT"]]
    with case.judged():
        defect(case)
