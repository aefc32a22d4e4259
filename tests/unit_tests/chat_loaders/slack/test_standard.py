"""The promises that every chat loader makes, and that no content breaks one."""

import json
import tempfile
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.chat_loaders import BaseChatLoader

from langchain_chatexports import SlackChatLoader
from langchain_chatexports.exceptions import ChatExportError, ExportFormatError
from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from tests.unit_tests.builders.slack import workspace

KEYS = [
    *("type", "subtype", "user", "text", "ts", "thread_ts", "bot_id", "username"),
    *("edited", "reactions", "name", "users", "count", "files", "file", "mimetype"),
    *("attachments", "is_share", "from_url", "blocks", "elements", "fields", "comment"),
    *("user_profile", "display_name", "profile", "slackdump_thread_replies", "mode"),
]
any_text = st.text(st.characters(exclude_categories=[])) | st.sampled_from(
    ["1.1", "1714550400.000100", "U1", "bot_message", "file_comment", "<@U1>", "<!"]
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | any_text,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=8,
)


class TestSlack(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> type[BaseChatLoader]:
        return SlackChatLoader

    @property
    def time_key(self) -> str:
        return "message_time"

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        export, general = workspace()
        root = general.says("U1", "Zeile für uns 😂")
        root["thread_ts"] = root["ts"]
        for number in range(8):
            user = ("U1", "U2")[number % 2]
            general.says(user, f"<@U1> line {number}", day=1 + number)
            general.says(user, f"reply {number}", thread_ts=root["ts"])
        general.says("U9", "green", day=3)
        return export.to_folder(tmp_path / "export")


class TestSlackWithATableOfPeople(TestSlack):
    @property
    def chat_loader_params(self) -> dict[str, Any]:
        return {"people": {"Ann Ode": ["ann@example.org"], "Bo Bee": "U2"}}


class TestSlackZip(TestSlack):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        export, general = workspace()
        for number in range(12):
            general.says(("U1", "U2")[number % 2], f"line {number}", day=1 + number)
        export.direct("D1", "U1", "U2").says("U1", "for you")
        return export.to_zip(tmp_path / "export.zip")


def check(name: str, data: bytes) -> None:
    """Read an export with a file of this content: sessions, counts or our error."""
    with tempfile.TemporaryDirectory() as folder:
        export, general = workspace()
        general.says("U1", "Hello")
        export.others = {name: data}
        path = export.to_folder(Path(folder))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                summary = SlackChatLoader(path, keep="media").inspect()
            except ChatExportError:
                return
        assert summary.found == summary.kept + sum(summary.skipped.values())
        json.dumps(summary.to_dict())


@given(
    st.lists(
        st.dictionaries(st.sampled_from(KEYS), any_json, max_size=8) | any_json,
        max_size=6,
    )
)
def test_any_records_are_sessions_or_counts(records: list[object]) -> None:
    check("general/2024-05-09.json", json.dumps(records).encode())


@pytest.mark.parametrize(
    "text",
    [
        "<" + "a" * 1_000_000 + ">",
        "<" * 1_000_000,
        "<@U1>" * 200_000,
        "<a|" + "&amp;" * 200_000 + ">",
        "<@U1> uploaded a file: <" * 40_000,
        "<@U1|" + "a" * 1_000_000,
    ],
    ids=["one link", "open", "mentions", "label", "old shares", "open mention"],
)
def test_any_megabyte_of_markup_is_read_in_time(tmp_path: Path, text: str) -> None:
    export, general = workspace()
    general.says("U1", text, subtype="file_share")
    loader = SlackChatLoader(export.to_folder(tmp_path / "export"))
    before = time.process_time()
    assert loader.inspect().found == 1
    assert time.process_time() - before < 5


def test_more_records_than_an_export_of_this_size_has_are_refused(
    tmp_path: Path,
) -> None:
    """What packs to little must not fill the memory."""
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        text = "[" + '{"ts":"1.0","text":"a"},' * 312_500 + "{}]"
        archive.writestr("general/2024-05-01.json", text)
    loader = SlackChatLoader(path)
    with pytest.raises(ExportFormatError):
        loader.load()
