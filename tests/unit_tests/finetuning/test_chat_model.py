"""The returned model uses the server that trained it."""

from typing import Any

import pytest
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, HumanMessage, trim_messages
from langchain_openai import ChatOpenAI
from openai import APIStatusError

from langchain_chatexports import FineTuningRun
from langchain_chatexports.exceptions import FineTuningError
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, Fault, OpenAIServer
from tests.unit_tests.builders.tuners import achat, chat, make_examples, make_tuner

PROFILE = {"max_input_tokens": 100, "tool_calling": False}


@pytest.fixture
def _misleading_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_BASE", "OPENAI_BASE_URL", "LANGSMITH_GATEWAY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/elsewhere")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")


@pytest.mark.usefixtures("_misleading_environment")
def test_model_uses_the_server_that_trained_it(server: OpenAIServer) -> None:
    model = make_tuner(server).invoke(make_examples())
    assert isinstance(model, ChatOpenAI)
    assert model.openai_api_base == server.base_url
    assert chat(model) == "Slow and steady"
    assert server.requests[-1] == "POST /chat/completions"
    assert server.headers[-1]["authorization"] == f"Bearer {KEY}"


def test_environment_is_read_once(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    tuner = make_tuner(server, base_url=None, api_key=None)
    run = tuner.submit(make_examples())
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/elsewhere")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    assert chat(run.wait().chat_model()) == "Slow and steady"


def test_codex_suffix_uses_chat_completions(server: OpenAIServer) -> None:
    model = make_tuner(server, suffix="codex-me").invoke(make_examples())
    assert "codex" in model.model_name
    chat(model)
    assert server.requests[-1] == "POST /chat/completions"


def test_streams_have_usage(server: OpenAIServer) -> None:
    model = make_tuner(server).invoke(make_examples())
    chunks = list(model.stream("Ready?"))
    chat(model)
    assert "".join(str(chunk.content) for chunk in chunks) == "Slow and steady"
    assert [c.usage_metadata for c in chunks if c.usage_metadata]


def test_traces_identify_job_and_data(server: OpenAIServer) -> None:
    tuner = make_tuner(server, chat_model_kwargs={"metadata": {"who": "me"}})
    metadata = tuner.invoke(make_examples()).metadata or {}
    again = make_tuner(server).get("ftjob-1").chat_model().metadata or {}
    expected = {"fine_tuning_job_id": "ftjob-1", "base_model": BASE_MODEL}
    assert expected.items() <= metadata.items()
    assert metadata["who"] == "me"
    assert len(metadata["training_data_sha256"]) == 64
    assert again["training_data_sha256"] == metadata["training_data_sha256"]


def test_chat_model_arguments_override_settings(server: OpenAIServer) -> None:
    tuner = make_tuner(server, chat_model_kwargs={"temperature": 0.5, "seed": 1})
    run = tuner.submit(make_examples()).wait()
    model = run.chat_model(seed=2, stream_usage=False, model="my-deployment")
    assert (model.temperature, model.seed, model.stream_usage) == (0.5, 2, False)
    assert model.model_name == "my-deployment"
    assert make_tuner(server).invoke(make_examples()).temperature == 1


def test_headers_are_passed_on(server: OpenAIServer) -> None:
    headers = {"x-gateway": "7"}
    names: dict[str, Any] = {"organization": "org-7", "project": "proj-7"}
    model = make_tuner(server, default_headers=headers, **names).invoke(make_examples())
    chat(model)
    for sent in server.headers:
        assert sent["openai-organization"] == "org-7"
        assert sent["openai-project"] == "proj-7"
        assert sent["x-gateway"] == "7"


@pytest.mark.parametrize("kwargs", [{"temperature": "hot!"}, {"max_retries": "x"}])
def test_wrong_chat_model_kwargs_are_reported_first(
    server: OpenAIServer, kwargs: dict[str, Any]
) -> None:
    tuner = make_tuner(server, chat_model_kwargs=kwargs)
    with pytest.raises(FineTuningError, match="chat_model_kwargs") as caught:
        tuner.invoke(make_examples())
    assert server.requests == []
    assert "hot" not in str(caught.value)


def test_missing_key_error_names_the_variable(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(FineTuningError, match="OPENAI_API_KEY") as caught:
        make_tuner(server, api_key=None).invoke(make_examples())
    assert caught.value.__cause__ is not None


def test_openai_api_base_alone_is_refused(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With LangChain's variable, users do not expect an upload to OpenAI."""
    monkeypatch.setenv("OPENAI_API_BASE", "http://me:hush@127.0.0.1:9/v1")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(FineTuningError, match="OPENAI_API_BASE is") as caught:
        make_tuner(server, base_url=None).submit(make_examples())
    assert "hush" not in str(caught.value)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    assert make_tuner(server, base_url=None).submit(make_examples()).id == "ftjob-1"


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke"])
@pytest.mark.parametrize("kwargs", [{}, {"http_socket_options": ()}], ids=str)
async def test_chat_does_not_follow_redirects(
    how: str, kwargs: dict[str, Any], server: OpenAIServer
) -> None:
    if not kwargs.keys() <= ChatOpenAI.model_fields.keys():
        pytest.skip("an older langchain-openai has no such option")
    model = make_tuner(server).submit(make_examples()).wait().chat_model(**kwargs)
    with OpenAIServer().running() as other:
        headers = {"location": f"{other.base_url}/chat/completions"}
        fault = Fault("POST /chat/completions", -1, status=307, headers=headers)
        server.faults.append(fault)
        calls: dict[str, Any] = {
            "invoke": lambda: model.invoke("Ready?"),
            "stream": lambda: list(model.stream("Ready?")),
        }
        with pytest.raises(APIStatusError):
            await achat(model) if how == "ainvoke" else calls[how]()
        model.root_client.close()
        assert other.requests == []
    assert server.requests.count("POST /chat/completions") == 1


@pytest.mark.parametrize("by_environment", [True, False])
def test_proxy_is_used(
    by_environment: bool, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_tuner(server).submit(make_examples()).wait()
    with OpenAIServer().running() as proxy:
        address = f"http://127.0.0.1:{proxy.port}"
        if by_environment:
            monkeypatch.setenv("OPENAI_PROXY", address)
        kwargs = {} if by_environment else {"openai_proxy": address}
        assert chat(run.chat_model(**kwargs)) == "Slow and steady"
        (request,) = proxy.requests
    assert "chat/completions" in request


def finish(server: OpenAIServer, **fields: Any) -> FineTuningRun:
    """Run a job to its end, with more fields from the server."""
    run = make_tuner(server).submit(make_examples())
    server.jobs[run.id].update(fields)
    return run.wait()


def test_profile_of_server_or_user(server: OpenAIServer) -> None:
    run = finish(server, profile={**PROFILE, "x_speed": 3})
    assert run.chat_model().profile == PROFILE
    own = {"max_input_tokens": 50}
    assert run.chat_model(profile=own).profile == own


@pytest.mark.parametrize(
    "profile",
    ["large", [1], {"max_input_tokens": "many"}, {"tool_calling": {"a": 1}}, None],
    ids=repr,
)
def test_invalid_profile_is_ignored(server: OpenAIServer, profile: Any) -> None:
    assert not finish(server, profile=profile).chat_model().profile


@pytest.mark.parametrize("base", ["gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"])
def test_openai_model_has_profile_of_its_base(base: str) -> None:
    with OpenAIServer(models={base: None}).running() as server:
        model = make_tuner(server, model=base).invoke(make_examples())
    assert model.model_name.startswith("ft:")
    known: Any = ChatOpenAI(model="gpt-4.1-mini", api_key=KEY)
    assert model.profile == known.profile
    assert known.profile["max_input_tokens"] > 1000


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: Any) -> bytes:
        pytest.fail("tiktoken downloads an encoding")

    monkeypatch.setattr("tiktoken.load.read_file", download)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")


CHAT = [HumanMessage("Are you ready?"), AIMessage("Always."), HumanMessage("Now?")]


@pytest.mark.usefixtures("no_download")
def test_server_counts_tokens(server: OpenAIServer) -> None:
    model = make_tuner(server).invoke(make_examples())
    server.tokens = [5, 6, 7]
    assert model.get_token_ids("Ready?") == [5, 6, 7]
    assert model.get_num_tokens("Ready?") == 3
    assert model.get_num_tokens_from_messages(CHAT) == 3
    assert model.get_num_tokens_from_messages(CHAT, tools=[{"name": "race"}]) > 3
    assert len(trim_messages(CHAT, max_tokens=2, token_counter=model)) == 0
    assert dumpd(model)["id"][-1] == "ChatOpenAI"


@pytest.mark.usefixtures("no_download")
def test_tokens_are_estimated_without_route(server: OpenAIServer) -> None:
    model = make_tuner(server).invoke(make_examples())
    assert model.get_num_tokens("Are you ready?") == 4
    assert model.get_num_tokens_from_messages(CHAT) > 8
    with pytest.raises(NotImplementedError, match="get_num_tokens"):
        model.get_token_ids("Ready?")
    run = make_tuner(server).get("ftjob-1")
    own = run.chat_model(custom_get_token_ids=lambda text: [*map(ord, text)])
    assert own.get_num_tokens("four") == 4
