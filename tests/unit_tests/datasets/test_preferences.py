from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.counts import Counts, sum_of
from langchain_chatexports.datasets.formats import write_dataset
from langchain_chatexports.datasets.formats.trace_file import read_trace
from langchain_chatexports.datasets.preferences import (
    edit_preferences,
    reaction_labels,
)
from langchain_chatexports.datasets.validation import validate_examples
from langchain_chatexports.steps import MapAIMessages, MergeChatRuns
from tests.unit_tests.builders.conversations import conversation

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from langchain_chatexports.datasets.formats.trainer_formats import FormatName


def _session(
    extra: Any,
    *texts: Any,
    before: list[str] | tuple[Any, ...] = ("Ready?",),
    **options: Any,
) -> Any:
    """A session whose last message is the owner's, with more keys."""
    texts = texts or ("Always.",)
    session = conversation(*before, *texts, **options)
    session["messages"][-1].additional_kwargs.update(extra)
    return session


def _edited(original: str, **more: Any) -> Any:
    edits = [{"text": original, "message_time": "2023-11-14T22:13:20+00:00"}]
    return {"edited": True, "edits": edits, **more}


def _mapped(*sessions: Any) -> list[Any]:
    return MapAIMessages().invoke(list(sessions))


def _reactions(*pairs: Any) -> Any:
    return {"reactions": [{"reaction": r, "sender": s} for r, s in pairs]}


def test_the_edited_text_is_preferred_to_the_original() -> None:
    (item,) = edit_preferences(_mapped(_session(_edited("Alwasy."))))
    assert item.pair == {
        "prompt": [{"role": "user", "content": "Ready?"}],
        "chosen": [{"role": "assistant", "content": "Always."}],
        "rejected": [{"role": "assistant", "content": "Alwasy."}],
    }


def test_a_system_prompt_is_filled_in() -> None:
    session = _session(_edited("Alwasy."), other="Fox")
    (item,) = edit_preferences(_mapped(session), system="To {others}.")
    assert item.pair["prompt"][0] == {"role": "system", "content": "To Fox."}


def test_of_several_edits_the_first_text_is_the_original() -> None:
    extra = _edited("Alwasy")
    extra["edits"].append({"text": "Alwyas"})
    (item,) = edit_preferences(_mapped(_session(extra)))
    assert item.pair["rejected"][0]["content"] == "Alwasy"


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({}, "no_sign"),
        ({"edited": True}, "no_original"),
        (_edited(""), "no_original"),
        (_edited(" Always. "), "unchanged"),
        (_edited("Alwasy.", attachments=[{"type": "photo"}]), "attachments"),
        (_edited("Alwasy.", weight=0), "context"),
    ],
)
def test_an_edit_that_tells_nothing_is_counted(extra: Any, reason: str) -> None:
    ledger: list[Counts] = []
    assert list(edit_preferences(_mapped(_session(extra)), ledger=ledger)) == []
    assert sum_of(ledger, "Preferences").skipped == {reason: 1, "others": 1}


def test_an_edit_inside_a_merged_run_is_left_out() -> None:
    session = conversation(
        "Ready?", "Always.", "Really!", speakers=("Hare", "Me", "Me")
    )
    session["messages"][1].additional_kwargs.update(_edited("Alwasy."))
    ledger: list[Counts] = []
    steps = MergeChatRuns() | MapAIMessages()
    assert list(edit_preferences(steps.invoke(session), ledger=ledger)) == []
    assert sum_of(ledger, "Preferences").skipped == {"merged": 1, "others": 1}


def test_edits_of_others_are_no_preferences() -> None:
    session = conversation("Always.", "Good.")
    session["messages"][0].additional_kwargs.update(_edited("Alwasy."))
    assert list(edit_preferences(_mapped(session))) == []


def test_an_answer_to_nothing_has_no_prompt() -> None:
    session = _session(_edited("Helo"), "Hello", before=(), speakers=("Me",))
    ledger: list[Counts] = []
    assert list(edit_preferences(_mapped(session), ledger=ledger)) == []
    assert sum_of(ledger, "Preferences").skipped == {"no_prompt": 1}


def test_the_prompt_is_the_latest_context() -> None:
    before = [f"text {n}" for n in range(9)]
    session = _session(_edited("Alwasy."), before=before)
    (item,) = edit_preferences(_mapped(session), context=3, system="Be kind.")
    assert [m["content"] for m in item.pair["prompt"]] == [
        "Be kind.",
        "text 6",
        "text 7",
        "text 8",
    ]
    assert item.origin.message_ids == tuple(
        f"chat-1-1700000000-{n}" for n in (6, 7, 8, 9)
    )


@pytest.mark.parametrize(
    ("reactions", "label"),
    [
        ([("❤️", "Hare")], True),
        ([("👍🏽", "Hare"), ("😂", "Fox")], True),
        ([("👎", "Hare"), ("😢", "Fox")], False),
    ],
)
def test_reactions_of_others_label_an_answer(
    reactions: list[tuple[str, str]], label: bool
) -> None:
    (item,) = reaction_labels(_mapped(_session(_reactions(*reactions))))
    assert item.label == {
        "prompt": [{"role": "user", "content": "Ready?"}],
        "completion": [{"role": "assistant", "content": "Always."}],
        "label": label,
    }


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({}, "no_sign"),
        (_reactions(("❤️", "Me")), "no_sign"),
        (_reactions(("❤️", "Hare"), ("👎", "Fox")), "mixed"),
        (_reactions(("❓", "Hare")), "unclear"),
    ],
)
def test_reactions_that_tell_nothing_are_counted(extra: Any, reason: str) -> None:
    ledger: list[Counts] = []
    assert list(reaction_labels(_mapped(_session(extra)), ledger=ledger)) == []
    assert sum_of(ledger, "Preferences").skipped == {reason: 1, "others": 1}


def test_what_counts_as_praise_can_be_chosen() -> None:
    session = _session(_reactions(("❓", "Hare")))
    (item,) = reaction_labels(_mapped(session), liked=(), disliked=["❓"])
    assert item.label["label"] is False


@given(
    st.lists(
        st.sampled_from(
            [
                {},
                _edited("Alwasy."),
                {"edited": True},
                _reactions(("❤️", "Hare")),
                _reactions(("👎", "Hare")),
            ]
        ),
        max_size=12,
    )
)
def test_the_counts_add_up(extras: list[Any]) -> None:
    sessions = _mapped(*map(_session, extras))
    for make in (edit_preferences, reaction_labels):
        ledger: list[Counts] = []
        given_ = list(make(sessions, ledger=ledger))
        counts = sum_of(ledger, "Preferences")
        assert counts.kept == len(given_)
        assert counts.found == 2 * len(extras)
        assert counts.skipped["others"] == len(extras)
        assert counts.found == counts.kept + counts.skipped.total()


def test_pairs_are_written_as_openai_takes_them(tmp_path: Path) -> None:
    sessions = _mapped(
        *(_session(_edited("Alwasy."), session_id=f"chat-{n}") for n in range(10))
    )
    path = tmp_path / "pairs.jsonl"
    write_dataset(edit_preferences(sessions), path, format="openai-dpo")
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len(rows) == 10
    assert validate_examples(rows, method="dpo") == []
    assert rows[0]["preferred_output"] == [{"role": "assistant", "content": "Always."}]


def test_pairs_and_labels_are_traced(tmp_path: Path) -> None:
    session = _session({**_edited("Alwasy."), **_reactions(("❤️", "Hare"))})
    path = tmp_path / "set.jsonl"
    made: list[tuple[Any, FormatName]] = [
        (edit_preferences, "trl-dpo"),
        (reaction_labels, "trl-kto"),
    ]
    for make, name in made:
        write_dataset(make(_mapped(session)), path, format=name)
        (row,) = read_trace(path)
        assert row.origin.session_id == "chat-1"
        assert len(row.origin.message_ids) == 2
