"""When a person answers in a group."""

import json
import random
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_chatexports.personas import ReplyRhythm, RhythmMiddleware
from langchain_chatexports.personas.occasions import iter_turns

START = 1_700_000_000.0
PEOPLE = ("Ann", "Ben", "Cleo", "Dan")


def said(sender: str, time: float | None, text: str = "hello there") -> BaseMessage:
    keys: dict[str, Any] = {"sender": sender}
    if time is not None:
        keys["message_time"] = int(time)
    return HumanMessage(text, additional_kwargs=keys)


def group(
    *, habit: bool = True, days: int = 60, seed: int = 1, step: float = 1.0
) -> list[BaseMessage]:
    """Return a group in which Ann answers, in two messages, whoever names her.

    Without the habit, she answers by chance.
    """
    rng = random.Random(seed)
    messages, now = [], START
    for _ in range(days * 12):
        now += rng.expovariate(1 / 7200)
        for _ in range(rng.randint(1, 4)):
            names_her = rng.random() < 0.4
            text = "Ann, when do you come?" if names_her else "I saw a fox today"
            messages.append(said(rng.choice(PEOPLE[1:]), now // step * step, text))
            now += rng.uniform(130, 200)
            if rng.random() < ((0.9 if names_her else 0.1) if habit else 0.4):
                messages.append(said("Ann", now // step * step, "well"))
                messages.append(said("Ann", (now + 4) // step * step, "soon"))
                now += rng.uniform(130, 200)
    return messages


@pytest.fixture(scope="module")
def rhythm() -> ReplyRhythm:
    return ReplyRhythm.fit([{"messages": group()}], "Ann")


def test_habit_is_learned_and_holds_later(rhythm: ReplyRhythm) -> None:
    later = [{"messages": group(seed=2)}]
    score = rhythm.score(later, "Ann")  # type: ignore[arg-type] # TypedDict
    assert score["skill"] > 0.3
    asked, told = (
        rhythm.decide([said("Ben", START, text)], START + 1, "Ann")
        for text in ("Ann, when do you come?", "I saw a fox today")
    )
    assert asked.reply > 0.7
    assert told.reply < 0.3
    assert asked.bubbles[1] == max(asked.bubbles)
    assert 60 < asked.delay[9] < 260


def test_chance_is_not_learned() -> None:
    rhythm = ReplyRhythm.fit([{"messages": group(habit=False)}], "Ann")
    assert not rhythm.reply_weights
    decision = rhythm.decide([said("Ben", START)], START, "Ann")
    assert decision.reply == pytest.approx(rhythm.rate) == pytest.approx(0.4, abs=0.1)


def test_times_to_the_minute_have_the_same_conversations() -> None:
    exact, rounded = (group(step=step) for step in (1.0, 60.0))
    gaps = [ReplyRhythm.fit([{"messages": m}], "Ann").gap for m in (exact, rounded)]
    assert gaps[1] == pytest.approx(gaps[0], rel=0.3)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [said("Ann", None), said("Ben", None)],
        [said("Ben", START)],
        [said("Ann", START + 60 * i) for i in range(30)],
        [said(PEOPLE[i % 2], START) for i in range(60)],
        [said(PEOPLE[i % 2], START - 60 * i) for i in range(60)],
    ],
    ids=["none", "no times", "one", "one sender", "one second", "clock goes back"],
)
def test_little_to_learn_gives_the_rate(messages: list[BaseMessage]) -> None:
    rhythm = ReplyRhythm.fit([{"messages": messages}], "Ann")
    decision = rhythm.decide([*messages, said("Ben", START + 1e5)], START + 1e5, "Ann")
    assert 0 < decision.reply < 1
    assert sum(decision.bubbles) == pytest.approx(1)
    assert not rhythm.reply_weights


def test_waiting_makes_an_answer_less_likely(rhythm: ReplyRhythm) -> None:
    asked = [said("Ben", START, "Ann?")]
    now, later = (rhythm.decide(asked, START + wait, "Ann") for wait in (0, 190))
    assert later.reply < now.reply


def test_after_own_message_there_is_nothing_to_answer(rhythm: ReplyRhythm) -> None:
    messages = [said("Ben", START, "Ann?"), said("Ann", START + 9)]
    assert rhythm.decide(messages, START + 10, "Ann").reply == 0


def test_numbers_have_no_text_and_come_back(rhythm: ReplyRhythm) -> None:
    text = json.dumps(rhythm.to_dict())
    assert not any(word in text for word in (*PEOPLE, "fox", "hello"))
    assert ReplyRhythm(**json.loads(text)) == rhythm
    with pytest.raises(ValueError, match="version"):
        ReplyRhythm(**{**rhythm.to_dict(), "version": 2})


def test_merged_messages_count_each_bubble() -> None:
    keys = {
        "sender": "Ann",
        "message_time": int(START),
        "events": [
            {"message_time": "2023-11-14T22:13:20+00:00"},
            {"message_time": "2023-11-14T22:14:20+00:00"},
        ],
    }
    (turn,) = iter_turns([HumanMessage("a\n\nb", additional_kwargs=keys)], "Ann", 600)
    assert (turn.messages, turn.end - turn.start) == (2, 60)


def test_sample_is_silent_as_often_as_decided(rhythm: ReplyRhythm) -> None:
    decision = rhythm.decide([said("Ben", START, "Ann?")], START, "Ann")
    rng = random.Random(0)
    samples = [decision.sample(rng) for _ in range(2000)]
    silent = sum(delay is None for delay, _ in samples) / 2000
    assert silent == pytest.approx(1 - decision.reply, abs=0.03)
    assert {1, 2} <= {bubbles for _, bubbles in samples}


def test_runnable_decides_for_now(rhythm: ReplyRhythm) -> None:
    decision = rhythm.invoke([said("Ben", None, "hello")])
    assert 0 < decision.reply < 1


@pytest.mark.parametrize(("probability", "answers"), [(0.0, 0), (1.0, 1)])
async def test_agent_is_silent_where_the_person_would_be(
    rhythm: ReplyRhythm, probability: float, answers: int
) -> None:
    habits = rhythm.model_copy(update={"reply_weights": (), "rate": probability})
    model = GenericFakeChatModel(messages=iter([AIMessage("Here!")] * 2))
    agent = create_agent(model, middleware=[RhythmMiddleware(habits)])
    state: Any = {"messages": [HumanMessage("Anyone there?", name="Ben")]}
    for result in (agent.invoke(state), await agent.ainvoke(state)):
        assert len(result["messages"]) == 1 + answers
