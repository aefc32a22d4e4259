"""Rules that hold for every export: generated ones, of everything that may occur."""

from __future__ import annotations

import json
import random
import warnings
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports import FolderFacebookMessengerChatLoader
from tests.unit_tests.builders.messenger import (
    FACEBOOK,
    INSTAGRAM,
    Export,
    message,
    meta_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


NOON = 1_700_000_000_000
PEOPLE = ["Ada Byron", "Grace Hopper", "Zoë", "", "Facebook user"]
SECTIONS = ["inbox", "archived_threads", "e2ee_cutover", "message_requests"]

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Co"]), max_size=12),
    st.sampled_from(
        [
            "Ada sent an attachment.",
            "You sent a link.",
            "Liked a message",
            "Ada left the group.",
            "ok",
        ]
    ),
)
times = st.one_of(
    st.integers(NOON, NOON + 5),
    st.sampled_from([-1, 0, 10**17, NOON / 3, "soon", None, 157_766_400_000]),
)
odd_keys = st.dictionaries(
    st.sampled_from(
        [
            "share",
            "photos",
            "call_duration",
            "is_unsent",
            "type",
            "users",
            "reactions",
            "sticker",
            "timestamp",
        ]
    ),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(0, 9),
        st.just({"link": "https://x.org"}),
        st.just([{"uri": "a.jpg"}]),
        st.just([{"reaction": "👍", "actor": "Zoë"}]),
        st.sampled_from(["Share", "Call", "Generic", "Subscribe"]),
    ),
    max_size=2,
)
records: st.SearchStrategy[Any] = st.one_of(
    st.builds(
        lambda sender, text, at, keys: message(sender, text, at) | keys,
        st.sampled_from([*PEOPLE, None]),
        st.one_of(texts, st.none()),
        times,
        odd_keys,
    ),
    st.sampled_from([None, "text", 5, [], {}]),
)

encrypted_records = st.fixed_dictionaries(
    {
        "senderName": st.sampled_from(PEOPLE),
        "timestamp": times,
        "text": texts,
        "isUnsent": st.booleans(),
        "media": st.sampled_from([[], [{"uri": "./media/1.mp4"}], None]),
        "reactions": st.sampled_from([[], [{"actor": "Zoë", "reaction": "👍"}]]),
        "type": st.sampled_from(["text", "media", "link", "placeholder"]),
    }
)
encrypted_files = st.dictionaries(
    st.sampled_from(["messages/Ada Byron_1.json", "messages/Zoë_2.json"]),
    st.builds(
        lambda people, listed: json.dumps(
            {"participants": people, "threadName": "Zoë_2", "messages": listed}
        ).encode(),
        st.lists(st.sampled_from(PEOPLE), max_size=3),
        st.lists(st.one_of(encrypted_records, st.none()), max_size=5),
    ),
)
odd_files = st.dictionaries(
    st.sampled_from(
        [
            f"{FACEBOOK}/inbox/broken/message_1.json",
            f"{INSTAGRAM}/inbox/chat_0/message_1.json",
            "personal_information/personal_information.json",
            f"{FACEBOOK}/secret_conversations.json",
        ]
    ),
    st.sampled_from([b"{", b"{}", b"[]", b"", meta_json({"messages": []})]),
)


@st.composite
def exports(draw: Callable[..., Any]) -> dict[str, bytes]:
    """Return the files of an export: over two parts, of all kinds, some damaged."""
    files: dict[str, bytes] = {}
    for number in range(draw(st.integers(1, 3))):
        part = draw(st.sampled_from(["", "part-2/"]))
        section = draw(st.sampled_from(SECTIONS))
        people = draw(st.lists(st.sampled_from(PEOPLE), max_size=3))
        for file in range(1, draw(st.integers(1, 2)) + 1):
            first = message("Ada Byron", "first", NOON)
            content = {
                "participants": [{"name": name} for name in people],
                "messages": [first, *draw(st.lists(records, max_size=8))],
            }
            place = f"{part}{FACEBOOK}/{section}/chat_{number % 2}/message_{file}.json"
            files[place] = meta_json(content)
            group = draw(st.sampled_from(["", "chat_1", "7"]))
            if group:
                files[f"{part}groups/your_group_messages/{group}.json"] = files[place]
    files |= draw(encrypted_files)
    files |= draw(odd_files)
    return files


options = st.fixed_dictionaries(
    {},
    optional={
        "owner": st.sampled_from(PEOPLE),
        "exclude": st.just("chat_1"),
        "start": st.just(date(2000, 1, 1)),
        "keep": st.sets(
            st.sampled_from(["reaction", "system", "unsent", "media", "section"])
        ),
    },
)


def loader_of(
    folder: str, files: dict[str, Any], chosen: dict[str, Any], *, as_zip: bool = False
) -> FolderFacebookMessengerChatLoader:
    export = Export()
    export.other = files
    path = Path(folder, "x.zip" if as_zip else "x")
    write = export.to_zip if as_zip else export.to_folder
    return FolderFacebookMessengerChatLoader(write(path), **chosen)


@given(exports(), options, st.booleans())
def test_found_is_kept_and_skipped(
    files: dict[str, Any], chosen: dict[str, Any], as_zip: bool
) -> None:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loader = loader_of(folder, files, chosen, as_zip=as_zip)
        summary = loader.inspect()
        sessions = loader.load()
    messages = [m for session in sessions for m in session["messages"]]
    assert summary.found == summary.kept + sum(summary.skipped.values())
    assert summary.kept == len(messages)
    assert summary.sessions == len(sessions)
    assert all(m.content and m.additional_kwargs["sender"] for m in messages)
    for session in sessions:
        times = [m.additional_kwargs.get("message_time") for m in session["messages"]]
        known = [time for time in times if time is not None]
        assert times == [None] * (len(times) - len(known)) + sorted(known)


@given(exports(), st.randoms(use_true_random=False))
def test_folder_and_zip_and_any_order_of_writing_give_the_same(
    files: dict[str, Any], shuffle: random.Random
) -> None:
    shuffled = list(files.items())
    shuffle.shuffle(shuffled)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = loader_of(folder, files, {}).load()
        assert loader_of(folder, dict(shuffled), {}, as_zip=True).load() == loaded


@given(st.lists(st.tuples(texts, st.integers(0, 3)), min_size=1))
def test_splitting_a_thread_over_files_and_parts_changes_nothing(
    lines: list[tuple[str, int]],
) -> None:
    at = NOON
    chat = Export().thread("ada_1")
    for number, (text, pause) in enumerate(lines):
        at += pause
        chat.says("Ada Byron", f"{number} {text}", at)
    chat.says("Ada Byron", "goodbye", at + 1)
    with TemporaryDirectory() as folder:
        whole = loader_of(f"{folder}/whole", chat.files(), {}).load()
        chat.per_file = random.Random(len(lines)).randint(1, len(lines))
        spread = {
            f"part-{number % 2}/{path}": data
            for number, (path, data) in enumerate(chat.files().items())
        }
        assert loader_of(f"{folder}/spread", spread, {}).load() == whole
