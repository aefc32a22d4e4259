"""Sets with traces, cards and key files, for `forget`, `redact` and its `--undo`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.recognition import (
    is_examples_file,
    open_exports,
)
from langchain_chatexports.datasets import (
    TracedExample,
    forget,
    split_examples,
    trace_examples,
    write_dataset,
)
from langchain_chatexports.datasets.example_files import facts_of_prepared
from langchain_chatexports.datasets.redaction import (
    Redaction,
    redact_examples,
    redact_exports,
    undo_redaction,
)
from langchain_chatexports.redaction.key_file import RedactionKey
from langchain_chatexports.steps import ChunkSessions, MapAIMessages
from tests.fuzz.case import MARK, NAME
from tests.fuzz.mutations import json_bytes, mutated, mutated_json
from tests.unit_tests.builders.tables import conversation_rows, write_lines

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.fuzz.case import Case

_PATHS = (
    "../../beside/canary",
    "../canary",
    "../../beside/planted",
    "/planted",
    "",
    ".",
    "..",
    "sub/train.jsonl",
    "train.jsonl\x00",
    "\x1b[2J.jsonl",
    "set.trace.jsonl",
)


def prepare(folder: Path) -> list[dict[str, bytes]]:
    """Return sound sets, each with the files beside it."""
    from langchain_chatexports.chat_loaders.table import TableChatLoader

    made = []
    for is_folder in (False, True):
        place = folder / str(is_folder)
        rows = [
            {**row, "text": f"{MARK} {row['text']}"}
            for number in range(6)
            for row in conversation_rows(f"chat{number}", 8, 1_700_000_000 + number)
        ]
        for row in rows:
            row["sender"] = row["sender"].replace("Cleo", NAME)
        table = TableChatLoader(write_lines(place / "table.jsonl", rows))
        piped = (
            table | MapAIMessages(sender="Agent 7") | ChunkSessions(size=4, overlap=0)
        )
        examples: list[TracedExample] = list(trace_examples(piped))
        (place / "table.jsonl").unlink()
        parts = split_examples(examples, near=None) if is_folder else examples
        write_dataset(parts, place / "set")
        key = RedactionKey("for-fuzzing", {"Ada": NAME, "[PHONE-0123456789]": MARK})
        key.write(place / "key")
        files = [path for path in place.rglob("*") if path.is_file()]
        made.append({str(p.relative_to(place)): p.read_bytes() for p in files})
    return made


def attack(case: Case, sets: list[dict[str, bytes]]) -> None:
    """Take somebody out of a set, or undo a redaction, with spoiled files."""
    random = case.random
    for name, data in random.choice(sets).items():
        path = case.export / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_spoiled(random, data) if random.random() < 0.4 else data)
    given, key = case.export / "set", case.export / "key"
    part = given / "train.jsonl" if given.is_dir() else given
    beside = [case.export / f"set.{end}" for end in ("trace.jsonl", "card.md")]
    own = [*given.rglob("*")] if given.is_dir() else []
    match random.randrange(4):
        case 0 | 1:
            with case.judged(may_change=[given, *own, *beside]):
                forget(given, people=[random.choice((NAME, "Agent 7"))], mentions=True)
        case 2:
            with case.judged():
                undo_redaction(random.choice((part, key)), case.out / "restored", key)
        case _:
            with case.judged():
                facts_of_prepared(part)
                redaction = Redaction(case.out / "key", names=[NAME])
                copy = case.out / "redacted.jsonl"
                if is_examples_file(part):
                    redact_examples(part, copy, redaction)
                else:
                    redact_exports(open_exports([part]), copy, redaction)


def _spoiled(random: Random, data: bytes) -> bytes:
    lines = data.splitlines()
    if random.random() < 0.3 or not lines:
        return mutated(random, data, (b"\n", b"{}", b"null\n"))
    at = random.choice((0, 0, random.randrange(len(lines))))
    try:
        value: Any = json.loads(lines[at])
    except ValueError:
        return mutated(random, data)
    if random.random() < 0.5 and "files" in value:
        key = random.choice(("files", "others"))
        value[key] = [*value.get(key, ()), random.choice(_PATHS)]
    else:
        value = mutated_json(random, value, share=0.2)
    lines[at] = json_bytes(random, value)
    return b"\n".join(lines) + b"\n"
