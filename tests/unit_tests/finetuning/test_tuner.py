"""The tuner as a Runnable: inputs, pipes, settings, serialization, limits."""

import asyncio
import threading
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.load import dumps, loads
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableSerializable
from pydantic import SecretStr, ValidationError

from langchain_chatexports import ChatFineTuner
from langchain_chatexports.datasets.estimate import TrainingEstimate
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.exceptions import (
    FineTuningCancelledError,
    FineTuningError,
    FineTuningFailedError,
    FineTuningUnavailableError,
    TrainingBudgetError,
    TrainingDataError,
)
from langchain_chatexports.steps import MapAIMessages, MergeChatRuns
from tests.unit_tests.builders.openai_server import (
    BASE_MODEL,
    KEY,
    Fault,
    OpenAIServer,
    refused,
)
from tests.unit_tests.builders.tuners import make_examples, make_tuner

MODEL = "ft:tiny-1:org::1"


class Races(BaseChatLoader):
    """Ten sessions of two speakers."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def lazy_load(self) -> Iterator[ChatSession]:
        self.threads.add(threading.current_thread().name)
        for number in range(10):
            yield {
                "messages": [
                    HumanMessage(
                        f"Race {number}?", additional_kwargs={"sender": "Hare"}
                    ),
                    HumanMessage("Won.", additional_kwargs={"sender": "Tortoise"}),
                    HumanMessage("Again!", additional_kwargs={"sender": "Hare"}),
                ]
            }


STEPS = MergeChatRuns() | MapAIMessages(sender="Tortoise")


def test_tuner_ends_a_pipe_of_steps(server: OpenAIServer) -> None:
    model = (STEPS | make_tuner(server)).invoke(Races())
    assert model.model_name == MODEL


def test_forms_of_input_share_one_job(server: OpenAIServer, tmp_path: Path) -> None:
    write_jsonl(make_examples(), tmp_path / "a.jsonl")
    tuner = make_tuner(server)
    tuner.submit(tmp_path / "a.jsonl")
    tuner.submit(make_examples())
    tuner.submit([example["messages"] for example in make_examples()])
    assert len(server.jobs) == 1


@pytest.mark.parametrize("loader", [Races(), Races() | STEPS], ids=["plain", "ours"])
def test_piped_loader_is_a_type_error(server: OpenAIServer, loader: Any) -> None:
    with pytest.raises(TypeError, match=r"\.invoke\(loader\)"):
        loader | make_tuner(server)


def test_bound_settings_are_rejected(server: OpenAIServer) -> None:
    with pytest.raises(TypeError, match="n_epochs"):
        make_tuner(server).bind(n_epochs=3).invoke(make_examples())
    assert server.requests == []


def test_all_problems_are_reported_first(server: OpenAIServer) -> None:
    examples = make_examples(9)
    examples[3]["messages"].append({"role": "user", "content": "Again!"})
    examples[5]["messages"][0]["content"] = ""
    with pytest.raises(TrainingDataError, match="3 rules") as caught:
        make_tuner(server).invoke(examples)
    assert len(caught.value.problems) == 3
    assert "line 4, messages[2]" in str(caught.value)
    assert server.requests == []


def test_job_needs_budget_and_confirmation(server: OpenAIServer) -> None:
    seen: list[TrainingEstimate] = []

    def confirm(estimate: TrainingEstimate) -> bool:
        seen.append(estimate)
        return True

    make_tuner(server, confirm=confirm).invoke(make_examples())
    (estimate,) = seen
    assert (estimate.examples, estimate.epochs) == (10, 10)
    assert estimate.billed_tokens < estimate.billed_tokens_at_most
    limit = estimate.billed_tokens_at_most
    make_tuner(server, max_billed_tokens=limit).invoke(make_examples())
    with pytest.raises(TrainingBudgetError, match="up to"):
        make_tuner(server, max_billed_tokens=limit - 1).invoke(make_examples())
    for answer in (False, "n", 1):
        with pytest.raises(TrainingBudgetError, match="not confirmed"):
            make_tuner(server, confirm=lambda _, a=answer: a).submit(make_examples())


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_retry_does_not_repeat_failed_job(status: str) -> None:
    with OpenAIServer(statuses=("queued", status)).running() as server:
        with pytest.raises((FineTuningFailedError, FineTuningCancelledError)):
            make_tuner(server).with_retry().invoke(make_examples())
        assert len(server.jobs) == 1


def test_retry_with_iterator_is_an_error(server: OpenAIServer) -> None:
    server.faults.append(refused("GET /fine_tuning/jobs", 401))
    tuner = make_tuner(server).with_retry(
        retry_if_exception_type=(FineTuningUnavailableError,),
        wait_exponential_jitter=False,
        stop_after_attempt=2,
    )
    with pytest.raises(TrainingDataError, match="at least 10"):
        tuner.invoke(iter(make_examples()))


def test_batch_has_one_job_per_input(server: OpenAIServer) -> None:
    models = make_tuner(server).batch(
        [make_examples(), make_examples(11), make_examples()]
    )
    assert len(server.jobs) == 2
    assert models[0].model_name == models[2].model_name != models[1].model_name


async def test_reading_does_not_block_the_event_loop(server: OpenAIServer) -> None:
    loader = Races()
    await make_tuner(server).ainvoke(loader | STEPS)
    assert loader.threads
    assert threading.current_thread().name not in loader.threads


class Recorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.custom: list[tuple[str, Any]] = []

    def on_custom_event(self, name: str, data: Any, **_: Any) -> None:
        self.custom.append((name, data))


def test_odd_events_cause_no_warning(server: OpenAIServer) -> None:
    """A warning would be an error here."""
    recorder = Recorder()
    odd = {"id": "e1", "created_at": "today", "message": ["a", 1], "level": 3}
    fault = Fault("GET .*/events", -1, status=200, body={"data": [odd]})
    server.faults.append(fault)
    make_tuner(server).invoke(make_examples(), {"callbacks": [recorder]})
    ((_, data),) = recorder.custom
    assert data["message"] == ["a", 1]


async def test_job_events_are_streamed(server: OpenAIServer) -> None:
    tuner = make_tuner(server)
    events: list[Any] = [
        event async for event in tuner.astream_events(make_examples(), version="v2")
    ]
    custom = [event for event in events if event["event"] == "on_custom_event"]
    seen = [event["data"]["message"] for event in custom]
    assert seen[0] == "Created fine-tuning job"
    assert len(seen) == 3


# LangChain warns once per process that `loads` is in beta.
@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
def test_serialization_omits_secrets() -> None:
    tuner = ChatFineTuner(
        model=BASE_MODEL,
        base_url="http://127.0.0.1:9/v1",
        api_key=KEY,
        suffix="me",
        n_epochs=3,
        default_headers={"authorization": KEY},
        validation_examples=make_examples(1),
        on_event=print,
        confirm=bool,
    )
    text = dumps(tuner)
    assert KEY not in text
    assert "tortoise" not in text
    again = loads(
        text,
        allowed_objects=[ChatFineTuner],
        valid_namespaces=["langchain_chatexports"],
        secrets_map={"OPENAI_API_KEY": KEY},
    )
    assert again.api_key.get_secret_value() == KEY
    assert (again.model, again.suffix, again.n_epochs) == (BASE_MODEL, "me", 3)
    assert again.default_headers is None
    assert '"langchain_chatexports", "finetuning", "ChatFineTuner"' in text


def test_settings_are_described() -> None:
    fields = ChatFineTuner.model_fields
    own = fields.keys() - RunnableSerializable.model_fields.keys()
    assert not [name for name in own if not fields[name].description]
    assert fields["seed"].description == "Random seed, if the server supports one."


def test_tuner_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(ChatFineTuner(model=BASE_MODEL))


SECRET = "hush-7f3a"  # noqa: S105 - invented


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("base_url", f"http://me:{SECRET}@host:9/v1?key={SECRET}", "http://host:9/v1"),
        ("extra_body", {"lora": {"rank": 8, "token": SECRET}}, None),
        ("chat_model_kwargs", {"api_key": SecretStr(SECRET), "stop": [SECRET]}, None),
    ],
)
def test_dumps_have_no_secrets(name: str, value: Any, shown: Any) -> None:
    tuner = ChatFineTuner(model=BASE_MODEL, **{name: value})
    wrapped = [tuner, tuner.with_config(run_name="a")]
    for dump in (repr, str, dumps):
        assert SECRET not in " ".join(dump(runnable) for runnable in wrapped)
    assert SECRET not in tuner.model_dump_json()
    assert tuner.model_dump().get(name) == shown
    assert getattr(tuner, name) == value


@pytest.mark.parametrize(
    "settings",
    [
        {"n_epoch": 3},
        {"n_epochs": 0},
        {"n_epochs": "many"},
        {"learning_rate_multiplier": -1},
        {"suffix": "x" * 65},
        {"method": "reinforcement"},
        {"file_expires_after": 60},
        {"timeout": 0},
        {"api_key": 3},
        {"timeout": float("inf")},
        {"poll_interval": float("inf")},
        {"learning_rate_multiplier": float("nan")},
        {"extra_body": {"lora": {1, 2}}},
        {"async_client": None},
    ],
    ids=str,
)
def test_wrong_settings_are_rejected(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        ChatFineTuner(**{"model": BASE_MODEL, **settings})
    assert "input_value" not in str(caught.value)


def test_connections_are_closed(server: OpenAIServer) -> None:
    """A warning about an unclosed socket would be an error here."""
    import gc

    make_tuner(server).invoke(make_examples())
    asyncio.run(make_tuner(server).ainvoke(make_examples()))
    gc.collect()


def test_errors_have_no_password(server: OpenAIServer) -> None:
    url = server.base_url.replace("127.0.0.1", "user:pass@127.0.0.1")
    tuner = make_tuner(server, base_url=url, api_key="sk-wrong")
    with pytest.raises(FineTuningError) as caught:
        tuner.invoke(make_examples())
    assert "user:pass" not in str(caught.value)
    assert server.base_url in str(caught.value)


def test_help_begins_with_the_settings() -> None:
    assert len(str(signature(ChatFineTuner))) < 600
    assert "\n    n_epochs: Passes over the examples." in str(ChatFineTuner.__doc__)
    fields = {k: f for k, f in ChatFineTuner.model_fields.items() if k != "name"}
    assert all(field.description for field in fields.values())
