from __future__ import annotations

import json
import pickle
from contextlib import aclosing
from datetime import date, datetime, timedelta, timezone
from threading import current_thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.runnables import RunnableLambda

from langchain_chatexports.chat_loaders.base import (
    ChatExportLoader,
    MessageTime,
    export_message,
    message_time,
)
from langchain_chatexports.steps import (
    ChunkSessions,
    MapAIMessages,
    MergeChatRuns,
    SessionTransform,
)
from langchain_chatexports.steps.pipe import TransformedChatLoader
from tests.unit_tests.builders.sessions import ExportLoader, ListLoader, closable, talk

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path
    from typing import Any

    from langchain_core.chat_sessions import ChatSession

    from langchain_chatexports.chat_loaders.base import ExportSession

SECOND = 1_000_000
RACES = [
    talk("Hare: Speed", "Hare: is key!", "Tortoise: Indeed."),
    talk("Tortoise: Slow."),
]


# --- times


def test_time_of_the_tutorials_first_message() -> None:
    assert message_time(1_693_182_723 * SECOND) == MessageTime(
        1_693_182_723, "2023-08-28T00:32:03+00:00"
    )


def test_fraction_of_a_second_is_kept_in_the_iso_form() -> None:
    assert message_time(1_500_000) == (1, "1970-01-01T00:00:01.500000+00:00")


def test_seconds_before_1970_are_rounded_down() -> None:
    assert message_time(-1) == (-1, "1969-12-31T23:59:59.999999+00:00")


YEAR_1 = -62_135_596_800 * SECOND
YEAR_10000 = 253_402_300_800 * SECOND


@pytest.mark.parametrize("microseconds", [YEAR_1, YEAR_10000 - 1])
def test_years_1_to_9999_are_times(microseconds: int) -> None:
    assert message_time(microseconds) is not None


@pytest.mark.parametrize("microseconds", [YEAR_1 - 1, YEAR_10000, 10**30, -(10**30)])
def test_other_years_are_none(microseconds: int) -> None:
    assert message_time(microseconds) is None


@given(st.integers())
def test_any_number_is_a_time_or_none(microseconds: int) -> None:
    moment = message_time(microseconds)
    if moment is not None:
        exact = datetime.fromisoformat(moment.iso)
        assert exact.utcoffset() == timedelta(0)
        assert moment.seconds == microseconds // SECOND
        assert (exact - EPOCH) // timedelta(microseconds=1) == microseconds


# --- messages


def test_message_carries_the_keys_of_the_contract() -> None:
    message = export_message(
        "Speed is key!",
        sender="Hare",
        moment=message_time(30 * SECOND),
        is_from_me=False,
        message_id="m1",
        extra={"subject": "Race"},
    )
    assert (message.content, message.id) == ("Speed is key!", "m1")
    assert message.additional_kwargs == {
        "message_time": 30,
        "sender": "Hare",
        "is_from_me": False,
        "events": [{"message_time": "1970-01-01T00:00:30+00:00"}],
        "subject": "Race",
    }


def test_what_is_not_known_has_no_key() -> None:
    message = export_message("Hi", sender="unknown", moment=None, is_from_me=None)
    assert message.additional_kwargs == {"sender": "unknown"}
    assert message.id is None


# --- options


def test_path_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert ExportLoader([], "~/chat.db").path == tmp_path / "chat.db"


@pytest.mark.parametrize(
    ("options", "is_kept"),
    [
        ({}, True),
        ({"include": "the race"}, True),
        ({"include": ["THE RACE"]}, True),
        ({"include": ("race-1", "nothing")}, True),
        ({"include": {"hare"}}, True),
        ({"include": "race"}, False),
        ({"exclude": "Tortoise"}, False),
        ({"exclude": "race"}, True),
        ({"include": "Hare", "exclude": "Race-1"}, False),
    ],
    ids=repr,
)
def test_conversations_are_kept_by_title_participant_or_id(
    options: dict[str, Any], is_kept: bool
) -> None:
    loader = ExportLoader([], **options)
    kept = loader.keeps_conversation("Race-1", "The Race", ["Hare", "Tortoise"])
    assert kept is is_kept


def test_conversation_without_a_title_is_kept_by_its_participants() -> None:
    assert ExportLoader([], include="hare").keeps_conversation("1", None, ["Hare"])


UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=500)
NOON = datetime(2023, 8, 28, 12, tzinfo=UTC)
KATHMANDU = timezone(timedelta(hours=5, minutes=45))


def at(moment: datetime) -> MessageTime:
    found = message_time((moment - EPOCH) // timedelta(microseconds=1))
    assert found is not None
    return found


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
def test_messages_are_kept_by_their_exact_time(
    options: dict[str, Any], moment: datetime, is_kept: bool
) -> None:
    assert ExportLoader([], **options).keeps_time(at(moment)) is is_kept


@pytest.mark.parametrize("option", ["start", "end"])
def test_message_without_a_time_is_kept_only_without_bounds(option: str) -> None:
    bounds: Any = {option: NOON}
    assert ExportLoader([]).keeps_time(None)
    assert not ExportLoader([], **bounds).keeps_time(None)


@pytest.mark.parametrize("option", ["start", "end"])
def test_naive_datetime_is_refused(option: str) -> None:
    bounds: Any = {option: NOON.replace(tzinfo=None)}
    with pytest.raises(ValueError, match=f"{option} has no time zone"):
        ExportLoader([], **bounds)


# --- a loader as a source


def test_iteration_is_lazy_load() -> None:
    loader = ExportLoader(RACES)
    assert list(loader) == loader.load() == RACES


def test_each_iteration_is_a_pass_of_its_own() -> None:
    loader = ExportLoader(RACES)
    assert list(loader) == list(loader)
    assert loader.passes == 2


def test_closing_an_iteration_closes_the_export() -> None:
    loader = ExportLoader(RACES)
    sessions = closable(loader.lazy_load())
    next(sessions)
    sessions.close()
    assert loader.closed == 1


def test_closing_does_not_wait_for_the_garbage_collector() -> None:
    class Held(ExportLoader):
        def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
            self.reading = super().read_sessions(tally)
            return self.reading

    loader = Held(RACES)
    sessions = closable(loader.lazy_load())
    next(sessions)
    sessions.close()
    assert loader.closed == 1


def test_repr_shows_class_and_path() -> None:
    loader = ExportLoader(RACES, "races.json", owner="Harry Potter")
    assert repr(loader) == "ExportLoader(path='races.json')"


def test_loader_that_reads_nothing_cannot_be_made() -> None:
    class Reads(ChatExportLoader):
        pass

    kind: Any = Reads
    with pytest.raises(TypeError, match="read_sessions"):
        kind("races.json")


# --- a loader with steps


def test_loader_and_step_are_a_loader() -> None:
    joined = ExportLoader(RACES) | MergeChatRuns()
    assert isinstance(joined, BaseChatLoader)
    assert list(joined) == joined.load() == MergeChatRuns().invoke(RACES)


@pytest.mark.parametrize("kind", [ExportLoader, ListLoader])
def test_further_steps_make_one_loader(kind: type[ExportLoader | ListLoader]) -> None:
    joined = kind(RACES) | MergeChatRuns() | MapAIMessages() | ChunkSessions()
    assert isinstance(joined, TransformedChatLoader)
    assert isinstance(joined.loader, kind)
    assert joined.steps == MergeChatRuns() | MapAIMessages() | ChunkSessions()


def test_chat_loaders_of_langchain_have_no_pipe_of_their_own() -> None:
    """If this fails, langchain-core gained one: look at what `loader | step` is now."""
    own = {name for kind in BaseChatLoader.__mro__ for name in vars(kind)}
    assert not own & {"__or__", "__ror__", "__iter__"}


def test_repr_of_a_loader_with_steps_is_what_was_written() -> None:
    joined = ExportLoader(RACES) | MergeChatRuns() | ChunkSessions(size=4)
    assert repr(joined) == (
        "ExportLoader(path='races.json') | MergeChatRuns() | ChunkSessions(size=4)"
    )


async def test_a_loader_loads_asynchronously() -> None:
    loader = ExportLoader(RACES)
    assert await loader.aload() == loader.load()
    assert [session async for session in loader.alazy_load()] == loader.load()


async def test_nothing_is_read_before_an_asynchronous_loader_is_iterated() -> None:
    thread = ""

    class Threads(ExportLoader):
        """Says on which thread it is opened."""

        def lazy_load(self) -> Iterator[ChatSession]:
            nonlocal thread
            thread = current_thread().name
            return super().lazy_load()

    sessions = Threads(RACES).alazy_load()
    assert not thread
    async with aclosing(sessions):
        await anext(sessions)
    assert thread != current_thread().name


@pytest.mark.parametrize("other", [3, "step", RunnableLambda(len), ListLoader([])])
def test_loader_joins_with_steps_only(other: Any) -> None:
    with pytest.raises(TypeError, match=r"Write \(steps \| other\).invoke\(loader\)"):
        ExportLoader(RACES) | other


def test_loader_with_steps_pickles() -> None:
    joined = ExportLoader(RACES) | MergeChatRuns()
    assert pickle.loads(pickle.dumps(joined)).load() == joined.load()  # noqa: S301


# --- inspect


def test_inspect_counts_in_one_pass() -> None:
    loader = ExportLoader(RACES)
    summary = (loader | MergeChatRuns() | ChunkSessions(size=2, overlap=0)).inspect()
    assert (loader.passes, loader.closed) == (1, 1)
    rows = [tuple(step.to_dict().values()) for step in summary.steps]
    assert rows == [
        ("MergeChatRuns", 2, 2, 4, 3, {"merged": 1}, {}, {}),
        ("ChunkSessions", 2, 1, 3, 2, {"tail": 1}, {}, {}),
    ]


def test_inspect_accounts_for_what_is_left_out() -> None:
    half: Any = {"messages": [None, *RACES[0]["messages"]]}
    none: Any = {"messages": [None]}
    summary = ExportLoader([half, none], owner="Tortoise").inspect()
    assert (summary.found, summary.kept, summary.skipped) == (5, 3, {"empty": 2})
    assert (summary.owner, summary.owner_found_by) == ("Tortoise", "option")
    assert summary.sessions == 1


def test_inspect_of_steps_counts_the_loaders_messages() -> None:
    with_steps = (ExportLoader(RACES) | ChunkSessions()).inspect()
    alone = ExportLoader(RACES).inspect()
    assert {**with_steps.to_dict(), "steps": []} == alone.to_dict()


def test_inspect_of_a_loader_of_others_counts_what_it_gives() -> None:
    summary = (ListLoader(RACES) | MergeChatRuns()).inspect()
    assert (summary.platform, summary.found, summary.kept) == ("unknown", 4, 4)
    assert summary.skipped == {}


def test_inspect_sees_through_nested_loaders() -> None:
    inner = ExportLoader(RACES) | MergeChatRuns()
    summary = TransformedChatLoader(inner, MapAIMessages() | ChunkSessions()).inspect()
    names = [step.name for step in summary.steps]
    assert names == ["MergeChatRuns", "MapAIMessages", "ChunkSessions"]
    assert summary.platform == "races"


def test_failed_inspect_closes_the_export() -> None:
    loader = ExportLoader([*RACES, {}])
    with pytest.raises(KeyError):
        loader.inspect()
    assert loader.closed == 1


def test_inspect_of_a_failing_step_closes_the_export() -> None:
    class Fails(SessionTransform):
        def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
            raise LookupError(len(session))

    loader = ExportLoader(RACES)
    with pytest.raises(LookupError) as caught:
        (loader | MergeChatRuns() | Fails()).inspect()
    assert loader.closed == 1
    assert caught.value.__traceback__  # Holds the frames: nothing closed by chance.


def test_summary_of_an_export_is_json() -> None:
    summary = (ExportLoader(RACES) | ChunkSessions()).inspect().to_dict()
    assert json.loads(json.dumps(summary)) == summary
