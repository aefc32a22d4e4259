"""How often a base is right in structured answers, calls of tools, and agents.

Run: `python -m benchmarks.tool_calls --base FILE.gguf` (needs the extra `local`; the
default base if not given; `--only form,call,agent`).

LangChain's `with_structured_output`, `bind_tools` and `create_agent` ask a local
server, greedily. The form of an answer is always right, because llama.cpp keeps to the
schema: what is counted is its content, compared with what the task expects. Each task
is one question of our own. The last column is the CPU time of the server's processes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import psutil
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

from benchmarks.engine import cpu_seconds
from langchain_chatexports.local_server import LocalServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAX_TOKENS = 100


class Meeting(BaseModel):
    """A meeting that a message proposes."""

    weekday: str = Field(description="The day of the week, in English")
    hour: int = Field(description="The hour in 24-hour time", ge=0, le=23)
    place: str = Field(description="Where to meet, as in the message")


class Mood(BaseModel):
    """The mood of a message."""

    mood: Literal["happy", "angry", "sad"]


class Bill(BaseModel):
    """What was bought."""

    items: list[str] = Field(description="The things, one word each")
    total: int = Field(description="The sum in euros")


@tool
def weather(city: str) -> str:
    """Return the weather of a city."""
    return f"{city}: frogs are falling, 17 degrees."


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@tool
def send_message(person: str, text: str) -> str:
    """Send a text message to a person."""
    return f"{person} has received {len(text)} characters."


_TOOLS = [weather, multiply, send_message]

_FORMS: list[tuple[type[BaseModel], str, dict[str, Any]]] = [
    (
        Meeting,
        "See you on Friday at 5 pm in the library!",
        {"weekday": "friday", "hour": 17, "place": "library"},
    ),
    (
        Meeting,
        "Tuesday, 9 in the morning, at the harbor. Don't be late.",
        {"weekday": "tuesday", "hour": 9, "place": "harbor"},
    ),
    (
        Meeting,
        "Can we meet at Nora's on Sunday? 8 pm would suit me.",
        {"weekday": "sunday", "hour": 20, "place": "nora"},
    ),
    (
        Meeting,
        "Let's have lunch at the station, Monday at noon.",
        {"weekday": "monday", "hour": 12, "place": "station"},
    ),
    (Mood, "I passed the exam, I could hug the whole world!", {"mood": "happy"}),
    (Mood, "You broke my bike and did not even say sorry!!", {"mood": "angry"}),
    (Mood, "The house is so empty since the dog died.", {"mood": "sad"}),
    (
        Bill,
        "I got bread for 3 euros and cheese for 5.",
        {"items": ["bread", "cheese"], "total": 8},
    ),
    (
        Bill,
        "Paid 10 euros for flour, 2 for salt and 4 for eggs.",
        {"items": ["flour", "salt", "eggs"], "total": 16},
    ),
    (Bill, "One candle, 7 euros. That was all.", {"items": ["candle"], "total": 7}),
]

_CALLS: list[tuple[str, str | None, dict[str, Any]]] = [
    ("What is the weather in Oslo?", "weather", {"city": "oslo"}),
    ("Does it rain in Lima right now?", "weather", {"city": "lima"}),
    ("How warm is it in Cairo today?", "weather", {"city": "cairo"}),
    ("What is 391 times 27?", "multiply", {"a": 391, "b": 27}),
    ("Multiply 64 and 129.", "multiply", {"a": 64, "b": 129}),
    ("Tell Mina that dinner is ready.", "send_message", {"person": "mina"}),
    ("Send Oster a message: the boat leaves at six.", "send_message", {"person": "os"}),
    ("Say hello to me.", None, {}),
    ("What is the capital of France?", None, {}),
    ("Write one sentence about a tortoise.", None, {}),
]

_AGENTS: list[tuple[str, str]] = [
    ("What is the weather in Oslo?", "frogs"),
    ("How many degrees does Lima have?", "17"),
    ("What is 391 times 27?", "10557"),
    ("What is 64 multiplied by 129?", "8256"),
    ("Multiply 1234 by 11.", "13574"),
]


class Task(NamedTuple):
    """One question, and whether its answer is right."""

    kind: Literal["form", "call", "agent"]
    is_right: Callable[[ChatOpenAI], bool]


def tasks() -> Iterator[Task]:
    """Return all tasks."""
    for form, text, expected in _FORMS:
        yield Task("form", lambda m, f=form, t=text, e=expected: _form(m, f, t, e))
    for text, name, arguments in _CALLS:
        yield Task("call", lambda m, t=text, n=name, a=arguments: _call(m, t, n, a))
    for text, word in _AGENTS:
        yield Task("agent", lambda m, t=text, w=word: _agent(m, t, w))


def _form(
    model: ChatOpenAI, form: type[BaseModel], text: str, expected: dict[str, Any]
) -> bool:
    fields = ", ".join(
        f"{name} ({field.description or 'happy, angry or sad'})"
        for name, field in form.model_fields.items()
    )
    question = f"Extract as JSON: {fields}.\nMessage: {text}"
    answer = model.with_structured_output(form).invoke(question)
    assert isinstance(answer, form)  # noqa: S101 - the schema holds.
    return _agrees(answer.model_dump(), expected)


def _call(
    model: ChatOpenAI, text: str, name: str | None, arguments: dict[str, Any]
) -> bool:
    calls = model.bind_tools(_TOOLS).invoke(text).tool_calls  # type: ignore[attr-defined]
    if name is None or not calls:
        return name is None and not calls
    return len(calls) == 1 and (
        calls[0]["name"] == name and _agrees(calls[0]["args"], arguments)
    )


def _agent(model: ChatOpenAI, text: str, word: str) -> bool:
    agent: Any = create_agent(model, tools=_TOOLS)
    state = agent.invoke({"messages": [("user", text)]}, {"recursion_limit": 8})
    kinds = [message.type for message in state["messages"]]
    last = state["messages"][-1].text.replace(",", "")
    return "tool" in kinds and word in last.lower()


def _agrees(found: Any, expected: Any) -> bool:
    """Return whether values agree: texts if the expected one occurs in them."""
    if isinstance(expected, dict):
        return all(_agrees(found.get(name), value) for name, value in expected.items())
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(_agrees, found, expected))
    if isinstance(expected, str):
        return expected in str(found).lower()
    return bool(found == expected)


def main() -> None:
    """Ask, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", help="a .gguf file; the default base if not given")
    parser.add_argument("--only", default="form,call,agent")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        with LocalServer(
            asked.base, data_dir=data_dir, threads=asked.threads
        ) as server:
            model = ChatOpenAI(
                model=server.base_model,
                base_url=server.base_url,
                api_key=server.api_key,
                temperature=0,
                max_completion_tokens=_MAX_TOKENS,
                timeout=1200,
                max_retries=0,
            )
            process = psutil.Process(server._process.pid)  # type: ignore[union-attr] # noqa: SLF001
            _measure(model, process, asked.only.split(","))


def _is_right(task: Task, model: ChatOpenAI) -> bool:
    try:
        return task.is_right(model)
    except Exception as error:  # noqa: BLE001 - an answer without end, for example.
        print(f"{task.kind}: {type(error).__name__}", file=sys.stderr)
        return False


def _measure(model: ChatOpenAI, process: psutil.Process, kinds: list[str]) -> None:
    print("| | right | CPU-seconds a task |\n| --- | --- | --- |")
    for kind in kinds:
        chosen = [task for task in tasks() if task.kind == kind]
        right, began = 0, cpu_seconds(process)
        for task in chosen:
            right += _is_right(task, model)
        cpu = (cpu_seconds(process) - began) / len(chosen)
        print(f"| {kind} | {right} of {len(chosen)} | {cpu:.1f} |", flush=True)


if __name__ == "__main__":
    main()
