"""Child processes' functions, called in this process.

A child takes seconds to import transformers, which this process has imported.
`local_server/test_processes.py` tests child processes.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from langchain_chatexports.local_server.bases import template
from langchain_chatexports.local_server.processes import (
    ChildProcessFailedError,
    error_code,
    error_message,
)


def call_in_process(function: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
    """Replace `call_in_child`, with the same JSON types and error."""
    try:
        result = function(*json.loads(json.dumps(arguments)))
    except Exception as error:
        message, code = error_message(error), error_code(error)
        raise ChildProcessFailedError(message, code) from error
    return json.loads(json.dumps(result))


def derive_templates_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive templates without a child and its limits."""
    monkeypatch.setattr(template, "call_in_child", call_in_process)
    # The limit would be this process's.
    monkeypatch.setattr(template, "limit_memory", lambda _: None)
