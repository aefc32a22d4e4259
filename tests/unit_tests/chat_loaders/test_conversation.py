"""Conversations become sessions in the same way for every format."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
    Person,
)
from langchain_chatexports.chat_loaders.pipe import read_loaders
from langchain_chatexports.exceptions import ExportFormatError, SenderNotFoundError

SECOND = 1_000_000

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=500)
NOON = datetime(2023, 8, 28, 12, tzinfo=UTC)
KATHMANDU = timezone(timedelta(hours=5, minutes=45))
NAMES = {"1": "Hare", "2": "Tortoise", "3": "hare"}


class Rows(ChatExportLoader):
    """A loader of given conversations."""

    platform = "races"

    def __init__(
        self, path: Path, conversations: list[dict[str, Any]], **options: Any
    ) -> None:
        super().__init__(path, **options)
        self.given = conversations

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        files.details["files"] = len(files.files)
        for keys in self.given:
            given = {"id": "race", "names": NAMES, "handles": {}, **keys}
            names, handles = given.pop("names"), given.pop("handles")
            given["messages"] = [Message(**row) for row in keys.get("messages", ())]
            given["people"] = {
                id_: Person(names.get(id_, ""), handles.get(id_, ()))
                for id_ in {**names, **handles}
            }
            if isinstance(given.get("owner"), str):
                given["owner"] = DetectedOwner(given["owner"])
            yield Conversation(**given)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    export = tmp_path / "rows.json"
    export.write_bytes(b"[]" * 100)
    return export


def row(sender: str, text: str, *, at: int | None = 0, **keys: Any) -> dict[str, Any]:
    time = None if at is None else at * SECOND
    return {"time": time, "sender": sender, "text": text, **keys}


RACE = [row("1", "Speed is key!"), row("2", "Indeed.", at=30)]


def loaded(path: Path, *rows: dict[str, Any], **options: Any) -> list[Any]:
    sessions = Rows(path, [{"messages": rows}], **options).load()
    return [message for session in sessions for message in session["messages"]]


def kwargs(path: Path, *rows: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    messages = loaded(path, *rows, **options)
    return [dict(message.additional_kwargs) for message in messages]


def own_flags(loader: ChatExportLoader) -> list[bool]:
    messages = [message for session in loader for message in session["messages"]]
    return [message.additional_kwargs["is_from_me"] for message in messages]


def metadata(loader: ChatExportLoader) -> dict[str, Any]:
    (session,) = loader.load()
    found: dict[str, Any] = cast("dict[str, Any]", session)["metadata"]
    return found


def test_message_has_documented_keys(path: Path) -> None:
    hi = row("1", "Hi", at=30, id="m1", extra={"subject": "Race"})
    (session,) = Rows(path, [{"messages": [hi], "owner": "2"}]).load()
    (message,) = session["messages"]
    assert (message.content, message.id) == ("Hi", "m1")
    assert message.additional_kwargs == {
        "message_time": 30,
        "sender": "Hare (1)",
        "is_from_me": False,
        "events": [{"message_time": "1970-01-01T00:00:30+00:00"}],
        "subject": "Race",
    }
    assert list(message.additional_kwargs)[:2] == ["message_time", "sender"]


def test_iso_time_has_fraction_of_second(path: Path) -> None:
    (found,) = kwargs(path, {"time": 1_500_000, "sender": "2", "text": "x"})
    assert found["message_time"] == 1
    assert found["events"] == [{"message_time": "1970-01-01T00:00:01.500000+00:00"}]


YEAR_1 = -62_135_596_800 * SECOND
YEAR_10000 = 253_402_300_800 * SECOND


def test_times_outside_years_1_to_9999_are_dropped(path: Path) -> None:
    for time in (YEAR_1, YEAR_10000 - 1, YEAR_1 - 1, YEAR_10000, 10**30):
        (found,) = kwargs(path, {"time": time, "sender": "2", "text": "x"})
        has_time = YEAR_1 <= time < YEAR_10000
        assert ("message_time" in found, "events" in found) == (has_time, has_time)


@given(time=st.integers())
def test_any_number_is_a_time_or_none(
    tmp_path_factory: pytest.TempPathFactory, time: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.json"
    path.write_bytes(b"[]")
    (found,) = kwargs(path, {"time": time, "sender": "2", "text": "x"})
    if "message_time" in found:
        exact = datetime.fromisoformat(found["events"][0]["message_time"])
        assert found["message_time"] == time // SECOND
        assert (exact - EPOCH) // timedelta(microseconds=1) == time


def test_messages_are_sorted_by_time(path: Path) -> None:
    rows = [row("1", "b", at=9), row("1", "a", at=None), row("2", "c", at=3)]
    messages = loaded(path, *rows, row("1", "d", at=9))
    assert [message.content for message in messages] == ["a", "c", "b", "d"]


@pytest.mark.parametrize("kind", ["reaction", "system", "unsent", "media", "bot"])
def test_kind_is_skipped_unless_kept(path: Path, kind: str) -> None:
    rows = [{"messages": [row("1", "[x]", kind=kind), *RACE]}]
    summary = Rows(path, rows).inspect()
    assert (summary.found, summary.kept, summary.skipped) == (3, 2, {kind: 1})
    for keep in (kind, [kind, "draft"]):
        assert Rows(path, rows, keep=keep).inspect().skipped == {}


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u2028"])
def test_blank_text_is_always_skipped(path: Path, blank: str) -> None:
    rows = [{"messages": [row("1", blank), row("1", blank, kind="media"), *RACE]}]
    skipped = Rows(path, rows, keep="media").inspect().skipped
    assert skipped == {"empty": 1, "media": 1}


def test_duplicate_ids_are_skipped(path: Path) -> None:
    first, edited = row("1", "a", id="x"), {"extra": {"edited": True}}
    for copy in (first, {**first, "text": " a"}, {**first, "text": "b", **edited}):
        summary = Rows(path, [{"messages": [first, copy, *RACE]}]).inspect()
        assert (summary.found, summary.kept) == (4, 3)
        assert summary.skipped == {"duplicate": 1}


a_message = st.builds(
    row,
    st.sampled_from("12"),
    st.sampled_from(["Hello", "Yes"]),
    at=st.none() | st.integers(0, 1),
    id=st.sampled_from(["", "7", "8"]),
)


@given(st.lists(a_message, max_size=8), st.lists(a_message, max_size=8))
def test_only_proven_copies_are_dropped(one: list[Any], other: list[Any]) -> None:
    """Each message is kept once: id, time, sender and content prove a copy."""

    def contents(rows: list[Any]) -> Counter[tuple[Any, ...]]:
        return Counter((r["id"], r["time"], r["sender"], r["text"]) for r in rows)

    def texts(rows: list[Any]) -> set[tuple[Any, ...]]:
        return {key[1:] for key in contents(rows)}

    with TemporaryDirectory() as folder:
        path = Path(folder, "rows.json")
        path.write_bytes(b"[]" * 100)
        loaders = [Rows(path, [{"messages": rows}]) for rows in (one, other)]
        summaries = read_together(*loaders)
    found = contents(one)
    copies = sum(count - 1 for key, count in found.items() if key[0])
    assert summaries[0].kept >= len(one) - copies
    assert sum(s.kept for s in summaries) >= len(texts(one) | texts(other))


def test_repeated_record_is_context_and_counted_once(path: Path) -> None:
    """The first message of a Slack thread is in its channel too."""
    first = row("1", "Who is in?", id="t")
    rows = [
        {"id": "channel", "messages": [first]},
        {"id": "thread", "messages": [{**first, "is_repeat": True}, *RACE]},
    ]
    loader = Rows(path, rows)
    summary = loader.inspect()
    assert (summary.found, summary.kept, summary.skipped) == (3, 3, {})
    weights = [
        [message.additional_kwargs.get("weight") for message in session["messages"]]
        for session in loader
    ]
    assert weights == [[None], [0, None, None]]


@pytest.mark.parametrize(
    ("options", "is_kept"),
    [
        ({}, True),
        ({"include": "the race"}, True),
        ({"include": ["THE RACE"]}, True),
        ({"include": ("race-1", "nothing")}, True),
        ({"include": {"tortoise"}}, True),
        ({"include": "+1 555 0100 200"}, True),
        ({"include": "#race"}, True),
        ({"include": "race"}, False),
        ({"exclude": "Tortoise"}, False),
        ({"exclude": "race"}, True),
        ({"include": "Tortoise", "exclude": "Race-1"}, False),
    ],
    ids=repr,
)
def test_include_and_exclude_match_any_name(
    path: Path, options: dict[str, Any], is_kept: bool
) -> None:
    keys: dict[str, Any] = {"id": "Race-1", "title": "The Race", "messages": RACE}
    keys |= {"handles": {"2": ["+15550100200"]}, "aliases": ["#race"]}
    summary = Rows(path, [keys], **options).inspect()
    assert summary.kept == (2 if is_kept else 0)
    assert summary.skipped == ({} if is_kept else {"excluded": 2})


def test_names_match_in_any_unicode_form(path: Path) -> None:
    composed = "Zoë"
    decomposed = unicodedata.normalize("NFD", composed)
    keys = {"names": {"1": decomposed}, "messages": [RACE[0]]}
    assert Rows(path, [keys], include=composed).inspect().kept == 1
    assert Rows(path, [keys], owner=composed).inspect().owner == decomposed
    assert Rows(path, [keys]).names_of(composed) == {decomposed}


@pytest.mark.parametrize(
    ("options", "moment", "is_kept"),
    [
        ({"start": NOON}, NOON, True),
        ({"start": NOON}, NOON - timedelta(microseconds=1), False),
        ({"end": NOON}, NOON - timedelta(microseconds=1), True),
        ({"end": NOON}, NOON, False),
        ({"start": NOON.astimezone(KATHMANDU)}, NOON, True),
        ({"start": date(2023, 8, 28)}, datetime(2023, 8, 28, tzinfo=UTC), True),
        ({"start": date(2023, 8, 29)}, NOON, False),
        ({"end": date(2023, 8, 28)}, NOON + timedelta(hours=12, microseconds=-1), True),
        ({"end": date(2023, 8, 28)}, datetime(2023, 8, 29, tzinfo=UTC), False),
        ({"end": date(2023, 8, 27)}, NOON, False),
        ({"end": date.max}, NOON, True),
        ({"start": NOON + MOMENT}, NOON, False),
        ({"start": NOON + MOMENT}, NOON + MOMENT, True),
        ({"end": NOON + MOMENT}, NOON + MOMENT, False),
    ],
    ids=repr,
)
def test_start_and_end_are_exact(
    path: Path, options: dict[str, Any], moment: datetime, is_kept: bool
) -> None:
    time = (moment - EPOCH) // timedelta(microseconds=1)
    rows = [{"messages": [{"time": time, "sender": "1", "text": "x"}]}]
    summary = Rows(path, rows, **options).inspect()
    assert summary.skipped == ({} if is_kept else {"excluded": 1})


@pytest.mark.parametrize("option", ["start", "end"])
def test_bounds_skip_messages_without_time(path: Path, option: str) -> None:
    bounds: Any = {option: NOON}
    assert len(loaded(path, row("1", "x", at=None))) == 1
    assert not loaded(path, row("1", "x", at=None), **bounds)


def test_namesakes_have_distinct_names(path: Path) -> None:
    senders = [k["sender"] for k in kwargs(path, *RACE, row("3", "I?"))]
    assert senders == ["Hare (1)", "hare (3)", "Tortoise"]


@pytest.mark.parametrize(
    ("people", "name"), [(None, "Tortoise"), ({"Bo": "Tortoise"}, "Bo")]
)
def test_mentions_have_display_names(
    path: Path, people: dict[str, str] | None, name: str
) -> None:
    extra = {"reactions": [{"emoji": "+1", "sender": "2"}], "reply_to": {"sender": "1"}}
    (found,) = kwargs(path, row("2", "Hi", extra=extra), people=people)
    assert found["reactions"][0]["sender"] == name
    assert found["reply_to"]["sender"] == "Hare (1)"


@pytest.mark.parametrize(
    "given", ["2", "Tortoise", "TORTOISE", "@slow", "+49 (555) 0100200"]
)
def test_owner_may_be_id_name_or_handle(path: Path, given: str) -> None:
    keys = {"messages": RACE, "handles": {"2": ["slow", "+49 555 0100200"]}}
    loader = Rows(path, [keys], owner=given)
    assert metadata(loader)["owner"] == "Tortoise"
    summary = loader.inspect()
    assert (summary.owner, summary.owner_found_by) == ("Tortoise", "option")
    assert own_flags(loader) == [False, True]


def test_given_owner_overrides_the_detected_one(path: Path) -> None:
    keys = {"messages": RACE, "owner": DetectedOwner("1", "profile")}
    summary = Rows(path, [keys]).inspect()
    assert (summary.owner, summary.owner_found_by) == ("Hare (1)", "profile")
    assert metadata(Rows(path, [keys], owner="2"))["owner"] == "Tortoise"


def test_ambiguous_owner_error_lists_ids(path: Path) -> None:
    with pytest.raises(SenderNotFoundError, match="one of their ids: 1, 3"):
        Rows(path, [{"messages": RACE}], owner="HARE").load()


def test_conversation_has_metadata(path: Path) -> None:
    keys = {"messages": RACE, "members": ["9", "2"], "names": {**NAMES, "9": "Fox"}}
    keys |= {"title": "The Race", "metadata": {"services": ["SMS"]}}
    assert metadata(Rows(path, [keys])) == {
        "id": "race",
        "title": "The Race",
        "platform": "races",
        "participants": ["Fox", "Tortoise", "Hare (1)"],
        "owner": None,
        "is_group": True,
        "services": ["SMS"],
    }


def test_two_people_are_a_group_only_if_marked(path: Path) -> None:
    assert metadata(Rows(path, [{"messages": RACE}]))["is_group"] is False
    keys = {"messages": RACE, "is_group": True}
    assert metadata(Rows(path, [keys]))["is_group"] is True


def test_system_sender_is_not_a_participant(path: Path) -> None:
    keys = {"messages": [*RACE, row("Fox", "Fox left", kind="system")]}
    assert "Fox" not in metadata(Rows(path, [keys]))["participants"]
    kept = metadata(Rows(path, [keys], keep="system"))
    assert "Fox" in kept["participants"]


def test_table_of_people_unifies_names(path: Path) -> None:
    keys = {"messages": [*RACE, row("3", "Me")], "owner": "1"}
    people = {"Ann": ["1", "3"], "Bo": "Tortoise"}
    loader = Rows(path, [keys], people=people)
    found = metadata(loader)
    assert found["participants"] == ["Ann", "Bo"]
    assert found["owner"] == "Ann"
    assert {"1", "3", "Tortoise"} <= set(found["nicknames"])
    assert own_flags(loader) == [True, True, False]
    assert loader.names_of("tortoise") == {"Bo"}


def test_ids_precede_names_in_table_of_people(path: Path) -> None:
    keys = {
        "messages": [{"time": 1, "sender": "1", "text": "Hop"}],
        "members": ["1", "2"],
        "handles": {"1": ["Hare"], "2": ["Tortoise"]},
    }
    loader = Rows(path, [keys], people={"Turtle": "1", "Hare": "2"})
    (session,) = cast("Any", loader.load())
    assert session["metadata"]["participants"] == ["Turtle", "Hare"]


def test_names_are_listed_without_reading_messages(path: Path) -> None:
    class Unread(Rows):
        def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
            unreadable: Any = (1 / 0 for _ in files)
            yield Conversation("race", unreadable, people={"7": Person("Fox")})

    names = Unread(path, []).list_names()
    assert names.names_of("7") == {"Fox"}
    assert names.names_of("Snail") == {"Snail"}


def test_generated_id_depends_on_time(path: Path) -> None:
    first, second = loaded(path, *RACE)
    assert first.id != second.id
    alone, _ = loaded(path, RACE[1], row("1", "later", at=90))
    assert alone.id == second.id


def test_generated_ids_do_not_depend_on_options(path: Path) -> None:
    same = [row("1", "ha"), row("1", "ha"), row("1", "x", kind="system"), *RACE]
    ids = {str(message.content): message.id for message in loaded(path, *same)}
    kept = {m.content: m.id for m in loaded(path, *same, keep="system")}
    assert ids.items() <= kept.items()
    assert len({message.id for message in loaded(path, *same)}) == 4


def test_implausible_message_count_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "langchain_chatexports.chat_loaders.files"
    monkeypatch.setattr(f"{module}._MAX_MESSAGES", 60)
    assert len(loaded(path, *[row("1", "x", at=n) for n in range(60)])) == 60
    with pytest.raises(ExportFormatError, match=re.escape("more than 60 messages")):
        loaded(path, *[row("1", "x", at=n) for n in range(61)])


def read_together(*loaders: ChatExportLoader) -> list[ExportSummary]:
    return [reading.inspect() for reading in read_loaders(loaders)]


def test_message_in_two_exports_is_loaded_once(path: Path) -> None:
    first, second = (Rows(path, [{"messages": RACE}]) for _ in range(2))
    for _ in range(2):
        summaries = read_together(first, second)
        assert [summary.kept for summary in summaries] == [2, 0]
        assert summaries[1].skipped == {"duplicate": 2}
    assert [len(kwargs(path, *RACE)), second.inspect().kept] == [2, 2]


def test_result_does_not_depend_on_earlier_passes(path: Path) -> None:
    loader = Rows(path, [{"messages": RACE, "title": "Race"}], include="race")
    sessions, summary = loader.load(), loader.inspect()
    assert read_together(Rows(path, [{"messages": RACE}]), loader)[1].kept == 0
    assert (loader.load(), loader.inspect()) == (sessions, summary)


def test_equal_ids_in_two_exports_may_differ(path: Path) -> None:
    texts = [("Hello", 5), ("Other", 6), ("No time", None), ("Nor here", None)]
    rows = [row("1", text, at=at, id="7") for text, at in (*texts, (" Hello", 5))]
    loaders = [Rows(path, [{"messages": [one]}]) for one in rows]
    assert [summary.kept for summary in read_together(*loaders)] == [1, 1, 1, 1, 0]


def test_groups_are_skipped_on_request(path: Path) -> None:
    crowd = [*RACE, row("3", "Me too", at=60), row("3", "x", kind="system")]
    conversations: list[dict[str, Any]] = [{"messages": RACE}]
    conversations.append({"id": "crowd", "messages": crowd})
    summary = Rows(path, conversations, groups=False).inspect()
    assert (summary.found, summary.kept, summary.skipped) == (6, 2, {"excluded": 4})
    assert summary.sessions == 1


@pytest.mark.parametrize(
    ("keys", "title"),
    [
        ({"owner": "1"}, "Tortoise"),
        ({"owner": "1", "title": "Race"}, "Race"),
        ({"owner": "1", "is_group": True}, None),
        ({}, None),
    ],
    ids=repr,
)
def test_untitled_direct_chat_has_name_of_other_person(
    path: Path, keys: dict[str, Any], title: str | None
) -> None:
    assert metadata(Rows(path, [{"messages": RACE, **keys}]))["title"] == title


def test_names_of_people_are_known_during_the_pass(path: Path) -> None:
    reading = Rows(path, [{"messages": RACE, "handles": {"2": ["slow"]}}]).read()
    assert reading.names.names_of("slow") == {"slow"}
    next(iter(reading))
    assert reading.names.names_of("slow") == {"Tortoise"}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_unicode_forms_of_a_name_are_one_person(path: Path, form: Any) -> None:
    names = [unicodedata.normalize(f, "Zoë") for f in ("NFC", "NFD")]
    rows = [row(name, "Hello", at=at) for at, name in enumerate(names)]
    owner = unicodedata.normalize(form, "Zoë")
    loader = Rows(path, [{"messages": rows}], owner=owner)
    assert own_flags(loader) == [True, True]
    assert list(loader.inspect().senders.values()) == [2]
    assert len(metadata(loader)["participants"]) == 1
