"""The promises that every chat loader makes, for tables of each kind."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.table import TableChatLoader
from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from tests.unit_tests.builders.tables import (
    START,
    conversation_rows,
    interleaved,
    write_csv,
    write_lines,
    write_parquet,
)

FEW_ROWS = interleaved(conversation_rows("one", 9), conversation_rows("two", 7))


def _many_rows() -> list[dict[str, Any]]:
    # A few are open at a time, as at a support desk.
    cases = [conversation_rows(f"case-{n:03}", 30, START + 900 * n) for n in range(120)]
    return interleaved(*cases)


class TableTests(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> type[TableChatLoader]:
        return TableChatLoader

    @property
    def time_key(self) -> str:
        return "message_time"


class TestJsonLines(TableTests):
    @property
    def chat_loader_params(self) -> dict[str, Any]:
        return {"owner": "Agent 7"}

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return write_lines(tmp_path / "export" / "desk.jsonl", FEW_ROWS)

    @pytest.fixture
    def many_sessions_source(self, tmp_path: Path) -> Path:
        return write_lines(tmp_path / "many" / "desk.jsonl", _many_rows())


class TestCsv(TableTests):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return write_csv(tmp_path / "export" / "desk.csv", FEW_ROWS)

    @pytest.fixture
    def many_sessions_source(self, tmp_path: Path) -> Path:
        return write_csv(tmp_path / "many" / "desk.csv", _many_rows())


class TestParquet(TableTests):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return write_parquet(tmp_path / "export" / "desk.parquet", FEW_ROWS)

    @pytest.fixture
    def many_sessions_source(self, tmp_path: Path) -> Path:
        return write_parquet(tmp_path / "many" / "desk.parquet", _many_rows())


class TestFolderOfParts(TableTests):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        rows = conversation_rows("one", 9)
        folder = tmp_path / "export"
        write_lines(folder / "part-0.jsonl", rows[:5])
        write_csv(folder / "part-1.csv", [*rows[5:], *conversation_rows("two")])
        return folder

    @pytest.fixture
    def many_sessions_source(self, tmp_path: Path) -> Path:
        rows = [row for n in range(120) for row in conversation_rows(f"case-{n}", 30)]
        return write_parquet(tmp_path / "many" / "desk.parquet", rows)
