"""Check sessions against the types of their keys."""

import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin, get_type_hints

from langchain_core.chat_sessions import ChatSession
from typing_extensions import is_typeddict

from langchain_chatexports import ExportSession, MessageKeys, SessionMetadata
from langchain_chatexports.chat_loaders.schema import keys_of, metadata_of

_METADATA = {"id", "title", "platform", "participants", "owner", "is_group"}


def find_errors(session: ChatSession | ExportSession) -> list[str]:
    """Return the keys of a session that are unknown, missing or of a wrong type."""
    metadata = metadata_of(session)
    errors = [f"no {key}" for key in _METADATA - metadata.keys()]
    errors += _check(metadata, SessionMetadata, "metadata")
    for message in session["messages"]:
        keys = keys_of(message)
        errors += _check(keys, MessageKeys, "message")
        errors += [] if keys.get("sender") else ["no sender"]
        names = [item.get("name", "") for item in keys.get("attachments", ())]
        errors += [f"a path: {name}" for name in names if {*name} & {"/", "\\"}]
    return errors


def _check(value: Any, expected: Any, path: str) -> Iterator[str]:
    if is_typeddict(expected) and isinstance(value, dict):
        hints = get_type_hints(expected)
        for key in expected.__required_keys__ - value.keys():
            yield f"{path}.{key}"
        for key, item in value.items():
            if key in hints:
                yield from _check(item, hints[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif get_origin(expected) is list and isinstance(value, list):
        for item in value:
            yield from _check(item, get_args(expected)[0], path)
    elif get_origin(expected) in (Union, types.UnionType):
        if type(value) not in get_args(expected):
            yield path
    elif type(value) is not expected:
        yield path
