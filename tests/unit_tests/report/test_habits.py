"""The sentences on how a person answers, compared with a chat counted by hand."""

from typing import Any

from langchain_core.messages import HumanMessage

from langchain_chatexports.report import build_report
from langchain_chatexports.report.page import describe_habits
from tests.unit_tests.builders.sessions import ExportLoader

MINUTE, DAY = 60, 86_400


def message(time: int, sender: str, text: str = "Hi") -> HumanMessage:
    keys = {"sender": sender, "message_time": time}
    return HumanMessage(text, additional_kwargs=keys)


def test_answers_are_counted_by_turn() -> None:
    messages = []
    for day in range(1, 11):
        start = day * DAY + 20 * 3600
        messages += [message(start, "Ben"), message(start + 5, "Ben")]
        if day <= 4:  # Two messages, three minutes later.
            later = start + 5 + 3 * MINUTE
            messages += [message(later, "Ann"), message(later + 10, "Ann")]
    session: Any = {"messages": messages, "metadata": {"id": "1", "is_group": True}}
    report = build_report(ExportLoader([session]), ai="Ann", time_zone="UTC")
    assert " ".join(describe_habits(report)) == (
        "Ann answers 40% of what others write in groups (10 times). "
        "The median delay is 3 min, the mean answer 2.0 messages long (answers: 4). "
        "Ann writes most from 20 to 21 o'clock (messages: 8)."
    )


def test_nothing_is_said_of_a_person_who_writes_nowhere() -> None:
    session: Any = {"messages": [message(0, "Ben")], "metadata": {"id": "1"}}
    report = build_report(ExportLoader([session]), ai="Ann", time_zone="UTC")
    assert describe_habits(report) == []
