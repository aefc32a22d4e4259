"""The public names of the package, and the modules that it imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import langchain_chatexports
from langchain_chatexports import chat_loaders, exceptions, finetuning
from langchain_chatexports.samples import write_imessage

EXPECTED_ALL = [
    "ChatExportError",
    "ChatExportLoader",
    "ChatExportRetriever",
    "ChatFineTuner",
    "ChatLabChatLoader",
    "ChunkSessions",
    "DiscordChatLoader",
    "EmailChatLoader",
    "ExportSession",
    "ExportSummary",
    "FineTuningRun",
    "FolderFacebookMessengerChatLoader",
    "IMessageChatLoader",
    "KakaoTalkChatLoader",
    "LabelSpeakers",
    "LineChatLoader",
    "LocalServer",
    "MapAIMessages",
    "MergeChatRuns",
    "MessageKeys",
    "Redact",
    "SelectSessions",
    "SessionMetadata",
    "SessionPipeline",
    "SessionTransform",
    "SignalChatLoader",
    "SingleFileFacebookMessengerChatLoader",
    "SkypeChatLoader",
    "SlackChatLoader",
    "SmsChatLoader",
    "SplitSessions",
    "TableChatLoader",
    "TelegramChatLoader",
    "WhatsAppChatLoader",
    "__version__",
    "convert_messages_for_finetuning",
    "map_ai_messages",
    "merge_chat_runs",
    "sessions_to_documents",
    "to_training_examples",
    "validate_examples",
    "write_jsonl",
]

HEAVY = {
    *("fastapi", "langchain_community", "langchain_openai", "numpy", "openai"),
    *("pandas", "prompt_toolkit", "rich", "tiktoken", "torch", "transformers"),
    "typer",
}


def test_public_names_are_as_documented() -> None:
    assert sorted(EXPECTED_ALL) == sorted(langchain_chatexports.__all__)
    assert dir(langchain_chatexports) == sorted(EXPECTED_ALL)


@pytest.mark.parametrize("name", EXPECTED_ALL)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(langchain_chatexports, name) is not None


@pytest.mark.parametrize("name", exceptions.__all__)
def test_every_error_can_be_imported_from_the_package(name: str) -> None:
    assert getattr(langchain_chatexports, name) is getattr(exceptions, name)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'IMessageLoader'"):
        langchain_chatexports.IMessageLoader  # noqa: B018 - the access is the test


def test_finetuning_has_two_public_names() -> None:
    names = ["ChatFineTuner", "FineTuningRun"]
    assert finetuning.__all__ == names
    assert all(getattr(finetuning, name).__name__ == name for name in names)


@pytest.mark.parametrize("name", chat_loaders.__all__)
def test_loaders_can_be_imported_from_chat_loaders(name: str) -> None:
    assert getattr(chat_loaders, name).__name__ == name


def test_loader_names_match_langchain_community() -> None:
    """Except LangSmith's loaders, which this package does not have."""
    assert set(chat_loaders.__all__) == {
        "BaseChatLoader",
        "ChatLabChatLoader",
        "DiscordChatLoader",
        "EmailChatLoader",
        "FolderFacebookMessengerChatLoader",
        "IMessageChatLoader",
        "KakaoTalkChatLoader",
        "LineChatLoader",
        "SignalChatLoader",
        "SingleFileFacebookMessengerChatLoader",
        "SkypeChatLoader",
        "SlackChatLoader",
        "SmsChatLoader",
        "TableChatLoader",
        "TelegramChatLoader",
        "WhatsAppChatLoader",
    }
    assert dir(chat_loaders) == sorted(chat_loaders.__all__)


def modules_after(code: str) -> set[str]:
    """Return the imported modules of a new process after running some code."""
    code += "\nimport sys, json; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    return set(json.loads(done.stdout))


def test_chat_loaders_are_imported_lazily() -> None:
    package = "langchain_chatexports.chat_loaders"
    imported = modules_after(f"import {package}")
    assert [name for name in imported if name.startswith(package)] == [package]


def test_inspecting_imports_what_loads_and_prints(tmp_path: Path) -> None:
    """Steps import core's runnables, which import LangSmith: a second of CPU time."""
    path = write_imessage(tmp_path / "chat.db")
    command = f"""
import sys
from pathlib import Path
from langchain_chatexports.cli import main
sys.argv = ["chatexports", "inspect", {str(path)!r}, "--json"]
sys.stdout, out = sys.stderr, sys.stdout
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
sys.stdout = out
"""
    imported = modules_after(command)
    rooms = {f"langchain_chatexports.{room}" for room in ("steps", "local_server")}
    others = HEAVY - {"rich", "typer"} | {"langsmith", "httpx", "starlette"}
    assert not (others | rooms) & imported


def test_heavy_libraries_are_not_imported() -> None:
    uses = """
import langchain_chatexports
from langchain_chatexports import (
    ChatFineTuner, FolderFacebookMessengerChatLoader, IMessageChatLoader, LocalServer,
    MergeChatRuns, to_training_examples, write_jsonl,
)
from langchain_chatexports.datasets import split_examples, trace_examples, write_dataset
from langchain_chatexports.workflows import write_examples
from langchain_chatexports.workflows.prepare import prepare
MergeChatRuns().invoke([])
"""
    assert not HEAVY & modules_after(uses)


def test_names_of_rooms_are_found() -> None:
    """An import of a room's name from the package says where it is."""
    hint = "from langchain_chatexports.personas import PersonaChatModel"
    with pytest.raises(ImportError, match=hint):
        exec("from langchain_chatexports import PersonaChatModel")  # noqa: S102
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        exec("from langchain_chatexports import Nonsense")  # noqa: S102
