import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.counts import Counts, sum_counts
from langchain_chatexports.chat_loaders.pipe import read_loader
from langchain_chatexports.datasets.card import (
    REASONS,
    CardMetadata,
    CardNotes,
    SourceFile,
    card_markdown,
    hash_source,
)
from langchain_chatexports.datasets.formats import FORMATS
from langchain_chatexports.datasets.jsonl import read_jsonl
from langchain_chatexports.datasets.splits import split_examples
from langchain_chatexports.datasets.trace import trace_examples
from langchain_chatexports.datasets.trace_file import read_header
from langchain_chatexports.datasets.write import WrittenDataset, write_dataset
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.steps import (
    ChunkSessions,
    MapAIMessages,
    MergeChatRuns,
    SplitSessions,
)
from tests.unit_tests.builders.conversations import conversation
from tests.unit_tests.builders.sessions import ListLoader

PEOPLE = ("Ambrosius", "Balthazar", "Cornelius")


@pytest.fixture
def loader() -> ListLoader:
    sessions = [
        conversation(
            f"Quokka {n}?", "Quokka!", "And?", "Also", "  ", "Wombat", "So", "Trailing",
            session_id=f"chat-{n}",
            other=PEOPLE[n % 3],
            start=1_700_000_000 + 86_400 * n,
            speakers=(PEOPLE[n % 3], "Me", PEOPLE[n % 3], "Me")
        )
        for n in range(8)
    ]  # fmt: skip
    return ListLoader([*sessions, sessions[0]])


def _written(loader: ListLoader, path: Path, **notes: Any) -> WrittenDataset:
    steps = MergeChatRuns() | MapAIMessages() | ChunkSessions(size=2, overlap=1)
    counted = read_loader(loader | steps)
    counts: list[Counts] = []
    examples = trace_examples(counted, keep_single_messages=False, counts=counts)
    splits = split_examples(examples, validation=0.2, test=0.2)
    card = CardNotes(passes=[counted], counts=counts, **notes)
    return write_dataset(splits, path, notes=card)


def test_card_totals_cover_export_to_examples(tmp_path: Path, loader: Any) -> None:
    written = _written(loader, tmp_path / "set")
    total = sum_counts(read_header(tmp_path / "set").metadata.stages)
    assert total is not None
    assert total.found == sum(len(s["messages"]) for s in loader.lazy_load())
    skipped = sum(total.skipped.values())
    assert total.found + sum(total.added.values()) == total.kept + skipped
    assert total.kept == next(
        stage.kept for stage in reversed(written.stages) if stage.unit == "messages"
    )
    assert total.skipped.keys() >= {"lone"}
    assert written.total == total
    assert f"Export: {total.found} messages -> {total.kept}; " in str(written)
    card = (tmp_path / "set.card.md").read_text(encoding="utf-8")
    assert f"| in the exports | {total.found:,} |" in card
    assert f"| **in the examples** | **{total.kept:,}** |" in card
    for reason in total.skipped.keys() | total.added.keys():
        assert REASONS[reason] in card


SPEAKERS = st.text(alphabet="ABM", min_size=1, max_size=14)


@given(
    threads=st.lists(SPEAKERS, min_size=3, max_size=5),
    size=st.integers(1, 4),
    keeps=st.tuples(st.booleans(), st.booleans()),
    system=st.sampled_from([None, "To {others}."]),
    name=st.sampled_from(["openai", "trl-prompt-completion"]),
)
def test_totals_always_add_up(
    tmp_path_factory: pytest.TempPathFactory,
    threads: list[str],
    size: int,
    keeps: tuple[bool, bool],
    system: str | None,
    name: Any,
) -> None:
    keep_tail, keep_trailing = keeps
    sessions = [
        conversation(
            *(f"{number}{speaker}" for speaker in speakers),
            session_id=f"chat-{number}",
            start=1_700_000_000 + 86_400 * number,
            speakers=tuple(s.replace("M", "Me") for s in speakers),
        )
        for number, speakers in enumerate(threads)
    ]
    window = ChunkSessions(size=size, overlap=size // 2, keep_tail=keep_tail)
    steps = SplitSessions() | MergeChatRuns() | MapAIMessages() | window
    counted = read_loader(ListLoader(sessions) | steps)
    card = CardNotes(passes=[counted])
    path = tmp_path_factory.mktemp("sets") / "set"
    try:
        traced = trace_examples(
            counted, system=system, keep_trailing=keep_trailing, counts=card.counts
        )
        splits = split_examples(traced, validation=0.3, test=0)
        written = write_dataset(splits, path, format=name, notes=card)
    except ChatExportError:
        event("nothing to write")
        return  # Nothing to learn, or too few conversations.
    event("written")
    total = written.total
    assert total is not None
    assert total.found == sum(map(len, threads))
    skipped = sum(total.skipped.values())
    assert total.found + sum(total.added.values()) == total.kept + skipped
    assert "unnamed" not in total.skipped
    if FORMATS[name].row_is_example:
        rows = [row for file in written.files for row in read_jsonl(path / file)]
        assert total.kept == sum(len(row["messages"]) for row in rows)


def test_card_contains_no_private_data(tmp_path: Path, loader: ListLoader) -> None:
    _written(loader, tmp_path / "set")
    card = (tmp_path / "set.card.md").read_text(encoding="utf-8")
    for private in (*PEOPLE, "Quokka", "Wombat", "chat-", str(tmp_path)):
        assert private not in card
    assert "4 people, 2023-11-14 to 2023-11-21" in card


def test_card_lists_sources_and_redaction(tmp_path: Path, loader: ListLoader) -> None:
    export = tmp_path / "chat.db"
    export.write_bytes(b"an export")
    source = hash_source(export, platform="imessage")
    _written(loader, tmp_path / "set", sources=[source])
    card = (tmp_path / "set.card.md").read_text(encoding="utf-8")
    assert f"- imessage: 9 bytes, SHA-256 `{source.sha256}`" in card
    assert "None. The text is unchanged" in card


def test_card_of_examples_refers_to_their_cards() -> None:
    facts = CardMetadata(sources=[SourceFile("examples", "0", 9)])
    card = card_markdown(facts, "openai")
    assert "None here" in card
    assert "The text is unchanged" not in card


def test_card_without_notes_has_unknown_sources(tmp_path: Path) -> None:
    examples = trace_examples(MapAIMessages().invoke(conversation("Hi", "Ho")))
    write_dataset(examples, tmp_path / "set")
    card = (tmp_path / "set.card.md").read_text(encoding="utf-8")
    assert "Unknown." in card
    assert "get their consent before you" in card


def test_database_hash_covers_its_log(tmp_path: Path) -> None:
    export = tmp_path / "chat.db"
    export.write_bytes(b"old")
    before = hash_source(export)
    (tmp_path / "chat.db-wal").write_bytes(b"new")
    after = hash_source(export)
    assert (before.size, after.size) == (3, 6)
    assert before.sha256 != after.sha256


def test_folder_hash_covers_names_and_sizes(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    (folder / "photos").mkdir(parents=True)
    (folder / "message_1.json").write_text("{}")
    photo = folder / "photos" / "1.jpg"
    photo.write_bytes(b"12")
    first = hash_source(folder)
    assert first.size == 4
    photo.rename(folder / "photos" / "2.jpg")
    second = hash_source(folder)
    assert first.sha256 != second.sha256
    assert re.fullmatch("[0-9a-f]{64}", second.sha256)
