"""The model that comes out asks the server that trained it, whatever else is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

from langchain_chatexports import ChatFineTuner
from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning.connection import Clock, Deadline, connect
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer
from tests.unit_tests.builders.tuners import achat, chat, make_examples, make_tuner

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "ft:tiny-1:org::1"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer().running() as running:
        yield running


@pytest.fixture
def _misleading(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_BASE", "OPENAI_BASE_URL", "LANGSMITH_GATEWAY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/elsewhere")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")


def header(server: OpenAIServer, name: str) -> str | None:
    return server.headers[-1].get(name)


@pytest.mark.usefixtures("_misleading")
def test_the_model_talks_to_the_server_that_trained_it(server: OpenAIServer) -> None:
    model = make_tuner(server).invoke(make_examples())
    assert model.openai_api_base == server.base_url
    assert chat(model) == "Slow and steady"
    assert server.requests[-1] == "POST /chat/completions"
    assert header(server, "authorization") == f"Bearer {KEY}"


def test_the_environment_serves_both_where_nothing_is_given(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    tuner = make_tuner(server, base_url=None, api_key=None)
    run = tuner.submit(make_examples())
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/elsewhere")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    assert chat(run.wait().chat_model()) == "Slow and steady"


def test_a_suffix_with_codex_does_not_switch_to_the_responses_api(
    server: OpenAIServer,
) -> None:
    model = make_tuner(server, suffix="codex-me").invoke(make_examples())
    assert "codex" in model.model_name
    chat(model)
    assert server.requests[-1] == "POST /chat/completions"


def test_streams_carry_usage(server: OpenAIServer) -> None:
    model = make_tuner(server).invoke(make_examples())
    chunks = list(model.stream("Ready?"))
    chat(model)
    assert "".join(str(chunk.content) for chunk in chunks) == "Slow and steady"
    assert [c.usage_metadata for c in chunks if c.usage_metadata]


async def test_the_model_streams_asynchronously(server: OpenAIServer) -> None:
    model = await make_tuner(server).ainvoke(make_examples())
    assert await achat(model) == "Slow and steady"


def test_tokens_are_counted_by_the_base_model(server: OpenAIServer) -> None:
    model = make_tuner(server).invoke(make_examples())
    assert model.tiktoken_model_name == BASE_MODEL


def test_messages_are_counted_though_the_counter_knows_no_tuned_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The encoding is fetched over the network; here it is a small one."""
    import tiktoken

    asked: list[str] = []

    def encoding_for_model(name: str) -> tiktoken.Encoding:
        asked.append(name)
        ranks = {bytes([byte]): byte for byte in range(256)}
        return tiktoken.Encoding(
            "bytes", pat_str=r".", mergeable_ranks=ranks, special_tokens={}
        )

    monkeypatch.setattr(tiktoken, "encoding_for_model", encoding_for_model)
    base = "gpt-4.1-mini-2025-04-14"
    with OpenAIServer(models={base: None}).running() as openai_like:
        model = make_tuner(openai_like, model=base).invoke(make_examples())
    assert model.model_name.startswith("ft:")
    assert model.get_num_tokens("Ready?") == 6
    assert model.get_num_tokens_from_messages([HumanMessage("Ready?")]) > 6
    assert set(asked) == {base}


def test_traces_know_job_base_model_and_data(server: OpenAIServer) -> None:
    tuner = make_tuner(server, chat_model_kwargs={"metadata": {"who": "me"}})
    metadata = tuner.invoke(make_examples()).metadata or {}
    again = make_tuner(server).get("ftjob-1").chat_model().metadata or {}
    expected = {"fine_tuning_job_id": "ftjob-1", "base_model": BASE_MODEL}
    assert expected.items() <= metadata.items()
    assert metadata["who"] == "me"
    assert len(metadata["training_data_sha256"]) == 64
    assert again["training_data_sha256"] == metadata["training_data_sha256"]


def test_arguments_of_the_chat_model_come_from_tuner_and_call(
    server: OpenAIServer,
) -> None:
    run = make_tuner(server, chat_model_kwargs={"temperature": 0.5, "seed": 1})
    model = run.submit(make_examples()).wait().chat_model(seed=2, stream_usage=False)
    assert (model.temperature, model.seed, model.stream_usage) == (0.5, 2, False)


def test_temperature_is_one_unless_said_otherwise(server: OpenAIServer) -> None:
    assert make_tuner(server).invoke(make_examples()).temperature == 1


def test_headers_organization_and_project_are_carried_over(
    server: OpenAIServer,
) -> None:
    model = make_tuner(
        server,
        organization="org-7",
        project="proj-7",
        default_headers={"x-gateway": "7"},
    ).invoke(make_examples())
    chat(model)
    for headers in server.headers:
        assert headers["openai-organization"] == "org-7"
        assert headers["openai-project"] == "proj-7"
        assert headers["x-gateway"] == "7"


@pytest.mark.parametrize("kwargs", [{"temperature": "hot!"}, {"max_retries": "x"}])
def test_wrong_arguments_of_the_chat_model_show_before_the_bill(
    server: OpenAIServer, kwargs: dict[str, Any]
) -> None:
    tuner = make_tuner(server, chat_model_kwargs=kwargs)
    with pytest.raises(FineTuningError, match="chat_model_kwargs") as caught:
        tuner.invoke(make_examples())
    assert server.requests == []
    assert "hot" not in str(caught.value)


def test_no_key_is_an_error_of_ours(server: OpenAIServer) -> None:
    with pytest.raises(FineTuningError, match="OPENAI_API_KEY") as caught:
        make_tuner(server, api_key=None).invoke(make_examples())
    assert caught.value.__cause__ is not None


def test_a_server_that_only_the_chats_would_use_is_asked_about(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sets LangChain's variable does not expect an upload to OpenAI."""
    monkeypatch.setenv("OPENAI_API_BASE", "http://me:hush@127.0.0.1:9/v1")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(FineTuningError, match="OPENAI_API_BASE names") as caught:
        make_tuner(server, base_url=None).submit(make_examples())
    assert "hush" not in str(caught.value)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    assert make_tuner(server, base_url=None).submit(make_examples()).id == "ftjob-1"


def test_a_bad_url_is_an_error_of_ours(server: OpenAIServer) -> None:
    with pytest.raises(FineTuningError, match="base_url"):
        make_tuner(server, base_url="http://[bad").invoke(make_examples())


def test_a_given_client_is_used_and_left_open(server: OpenAIServer) -> None:
    with OpenAI(
        base_url=server.base_url,
        api_key=KEY,
        project="proj-7",
        timeout=7,
        max_retries=5,
        default_headers={"x-gateway": "7"},
    ) as client:
        model = make_tuner(server, client=client).invoke(make_examples())
        assert not client.is_closed()
    assert (model.request_timeout, model.max_retries) == (7, 5)
    chat(model)
    assert header(server, "openai-project") == "proj-7"
    assert header(server, "x-gateway") == "7"


def test_the_query_of_a_given_client_is_carried_over(server: OpenAIServer) -> None:
    query = {"tenant": "7"}
    with OpenAI(base_url=server.base_url, api_key=KEY, default_query=query) as client:
        model = make_tuner(server, client=client).invoke(make_examples())
    assert model.default_query == query


@pytest.mark.parametrize("own", [True, False])
async def test_requests_are_short_and_the_sdk_does_not_repeat_them(own: bool) -> None:
    with OpenAI(api_key=KEY, timeout=600, max_retries=5) as client:
        given = {"client": client} if own else {"api_key": KEY}
        tuner = ChatFineTuner(model=BASE_MODEL, **given)
        never = Deadline(Clock(), None)
        async with connect(tuner.access(), never, is_async=False) as connection:
            used = connection.client
            assert (used.timeout, used.max_retries) == (30.0, 0)


async def test_a_given_sync_client_serves_the_async_methods(
    server: OpenAIServer,
) -> None:
    with OpenAI(base_url=server.base_url, api_key=KEY) as client:
        model = await make_tuner(server, client=client).ainvoke(make_examples())
    assert model.model_name == MODEL


async def test_a_given_async_client_serves_the_async_methods(
    server: OpenAIServer,
) -> None:
    async with AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
        tuner = make_tuner(server, async_client=client)
        model = await tuner.ainvoke(make_examples())
        assert await achat(model) == "Slow and steady"
        with pytest.raises(FineTuningError, match="`client`"):
            tuner.invoke(make_examples())
        with pytest.raises(FineTuningError, match="`client` is an async client"):
            make_tuner(server, client=client).invoke(make_examples())


def test_a_key_that_is_fetched_for_each_request_is_carried_over(
    server: OpenAIServer,
) -> None:
    with OpenAI(base_url=server.base_url, api_key=lambda: KEY) as client:
        model = make_tuner(server, client=client).invoke(make_examples())
    assert chat(model) == "Slow and steady"


def azure(server: OpenAIServer, **settings: Any) -> AzureOpenAI:
    return AzureOpenAI(
        azure_endpoint=f"http://127.0.0.1:{server.port}",
        api_version="2025-04-01",
        **(settings or {"api_key": KEY}),
    )


def test_azure_asks_for_a_deployment_before_the_bill(server: OpenAIServer) -> None:
    with (
        azure(server) as client,
        pytest.raises(FineTuningError, match="azure_deployment"),
    ):
        make_tuner(server, client=client).invoke(make_examples())
    assert server.requests == []


def test_azure_trains_and_chats_with_the_deployment(server: OpenAIServer) -> None:
    with azure(server) as client:
        run = make_tuner(server, client=client).submit(make_examples()).wait()
    with pytest.raises(FineTuningError, match="azure_deployment"):
        run.chat_model()
    model = run.chat_model(azure_deployment="mine")
    assert isinstance(model, AzureChatOpenAI)
    assert chat(model) == "Slow and steady"
    assert server.requests[-1] == "POST /deployments/mine/chat/completions"
    assert header(server, "api-key") == KEY


def test_azure_with_a_known_deployment_goes_through(server: OpenAIServer) -> None:
    kwargs = {"azure_deployment": "mine"}
    with azure(server) as client:
        tuner = make_tuner(server, client=client, chat_model_kwargs=kwargs)
        model: Any = tuner.invoke(make_examples())
    assert isinstance(model, AzureChatOpenAI)


def test_azure_tokens_are_carried_over(server: OpenAIServer) -> None:
    with azure(server, azure_ad_token_provider=lambda: KEY) as client:
        run = make_tuner(server, client=client).submit(make_examples()).wait()
    model = run.chat_model(azure_deployment="mine")
    assert chat(model) == "Slow and steady"
    assert header(server, "authorization") == f"Bearer {KEY}"


async def test_azure_works_asynchronously(server: OpenAIServer) -> None:
    async def token() -> str:
        return KEY

    client = AsyncAzureOpenAI(
        azure_endpoint=f"http://127.0.0.1:{server.port}",
        api_version="2025-04-01",
        azure_ad_token_provider=token,
    )
    async with client:
        tuner = make_tuner(server, async_client=client)
        run = await (await tuner.asubmit(make_examples())).await_()
    model = run.chat_model(azure_deployment="mine")
    assert await achat(model) == "Slow and steady"
    with pytest.raises(FineTuningError, match="`async_client`"):
        chat(model)


async def test_of_two_given_clients_the_sync_one_makes_the_chat_model(
    server: OpenAIServer,
) -> None:
    """A key of its serves both sides of a chat model."""

    async def token() -> str:
        return KEY

    given: Any = {"base_url": server.base_url, "api_key": token}
    with OpenAI(base_url=server.base_url, api_key=KEY) as client:
        async with AsyncOpenAI(**given) as async_client:
            tuner = make_tuner(server, client=client, async_client=async_client)
            model = await tuner.ainvoke(make_examples())
    assert chat(model) == "Slow and steady"


def test_azures_own_openai_route_needs_the_deployment_too(
    server: OpenAIServer,
) -> None:
    tuner = make_tuner(server, base_url="https://me.openai.azure.com/openai/v1")
    with pytest.raises(FineTuningError, match="azure_deployment"):
        tuner.invoke(make_examples())


def test_it_is_a_chat_openai(server: OpenAIServer) -> None:
    assert type(make_tuner(server).invoke(make_examples())) is ChatOpenAI
