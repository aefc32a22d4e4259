"""PersonaChatModel: a person's voice wherever a chat model is expected."""

from typing import Any, cast

import pytest
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.language_models import (
    BaseChatModel,
    FakeListChatModel,
    GenericFakeChatModel,
)
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import collect_runs
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from langchain_chatexports.datasets.replies import REPLIES, EarlierReply, ReplyIndex
from langchain_chatexports.personas import PersonaChatModel, VoicePrompt
from langchain_chatexports.personas.reply_limits import ReplyLimits
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer
from tests.unit_tests.builders.tracers import traced

VOICE = VoicePrompt(
    persona="You are Ann.", replies=ReplyIndex([EarlierReply("more tea?", "always")])
)
SYSTEM = f"You are Ann.\n\n{REPLIES}\n> more tea?\nalways"
PROMPT = [SYSTEM, "tea?"]


class _Echo(BaseChatModel):
    """Answers with its input."""

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        del run_manager
        received = {"sent": [str(m.text) for m in messages], "stop": stop, **kwargs}
        answer = AIMessage("ok", additional_kwargs=received)
        return ChatResult(generations=[ChatGeneration(message=answer)])

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[tool["name"] for tool in tools], **kwargs)


class _Recorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.tokens: list[str] = []

    def on_chat_model_start(
        self, serialized: Any, messages: list[list[BaseMessage]], **_: Any
    ) -> None:
        self.texts += [str(serialized), *(str(m.text) for m in messages[0])]

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.tokens.append(str(token))


async def test_model_gets_prompt_with_voice() -> None:
    persona = PersonaChatModel(model=_Echo(), voice=VOICE)
    answers = [
        persona.invoke("tea?", stop=["!"], top_k=3),
        await persona.ainvoke("tea?", stop=["!"], top_k=3),
        *persona.batch(["tea?"], stop=["!"], top_k=3),
        next(persona.stream("tea?", stop=["!"], top_k=3)),
    ]
    for answer in answers:
        assert answer.additional_kwargs["sent"] == PROMPT
        assert answer.additional_kwargs["stop"] == ["!"]
        assert answer.additional_kwargs["top_k"] == 3


async def test_answer_is_streamed() -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage("a b c")] * 2))
    persona = PersonaChatModel(model=model, voice=VOICE)
    pieces = ["a", " ", "b", " ", "c"]
    assert [str(chunk.text) for chunk in persona.stream("tea?")][:5] == pieces
    async_chunks = [str(chunk.text) async for chunk in persona.astream("tea?")]
    assert async_chunks[:5] == pieces


_LIMITED = VoicePrompt(limits=ReplyLimits(99, characters=9, bubbles=2, label="Ben"))


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("One.\n\nTwo.\nThree.", "One.\n\nTwo."),
        ("I am here. " * 9, "I am here."),
        ("I am\nBen: and you?", "I am"),
        ("I am\n> and you?", "I am"),
        ("I am\nBen", "I am\nBen"),
    ],
)
async def test_answer_is_truncated(answer: str, kept: str) -> None:
    model = FakeListChatModel(responses=[answer])
    persona = PersonaChatModel(model=model, voice=_LIMITED)
    chunks = [str(chunk.text) for chunk in persona.stream("tea?")]
    async_chunks = [str(chunk.text) async for chunk in persona.astream("tea?")]
    assert "".join(chunks) == "".join(async_chunks) == kept
    assert persona.invoke("tea?").text == (await persona.ainvoke("tea?")).text == kept
    assert len(chunks) <= len(kept) + 9


def test_bound_call_is_not_truncated() -> None:
    model = FakeListChatModel(responses=["One.\nTwo.\nThree."])
    persona = PersonaChatModel(model=model, voice=_LIMITED)
    assert persona.bind(top_k=3).invoke("tea?").text == "One.\nTwo.\nThree."


def test_callbacks_get_chat_without_prompt() -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage("a b")] * 2))
    persona = PersonaChatModel(model=model, voice=VOICE)
    recorder = _Recorder()
    chain = RunnableLambda(lambda text: text) | persona
    assert [*chain.stream("tea?", {"callbacks": [recorder]})]
    assert "".join(recorder.tokens) == "a b"
    assert "tea?" in recorder.texts
    assert not any("Ann" in text or "always" in text for text in recorder.texts)


async def test_traces_get_chat_without_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage("a b")] * 9))
    persona = PersonaChatModel(model=model, voice=VOICE)
    with traced(monkeypatch) as sent:
        persona.invoke("tea?")
        await persona.ainvoke("tea?")
        for _ in persona.stream("tea?"):
            model.invoke("Another run is traced.")
        assert [chunk async for chunk in persona.astream("tea?")]
    assert sum("tea?" in text for text in sent) == 4
    assert sum("Another" in text for text in sent) >= 3
    assert not any("Ann" in text or "always" in text for text in sent)


def test_tools_are_bound_by_model() -> None:
    persona = PersonaChatModel(model=_Echo(), voice=VOICE)
    bound = persona.bind_tools([{"name": "look"}], tool_choice="any")
    answer = bound.invoke("tea?")
    assert answer.additional_kwargs["tools"] == ["look"]
    assert answer.additional_kwargs["tool_choice"] == "any"
    assert answer.additional_kwargs["sent"] == PROMPT
    again = cast("Any", bound).bind_tools([{"name": "hear"}]).invoke("tea?")
    assert again.additional_kwargs["tools"] == ["hear"]
    assert again.additional_kwargs["sent"] == PROMPT


class _Race(BaseModel):
    """Who won."""

    winner: str


@pytest.mark.parametrize("include_raw", [False, True])
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_structured_output_matches_model(method: Any, include_raw: bool) -> None:
    bodies = []
    with OpenAIServer(words=('{"winner": "Tortoise"}',)).running() as server:
        model = _client(server)
        for chat in (model, PersonaChatModel(model=model, voice=VOICE)):
            structured = chat.with_structured_output(
                _Race, method=method, include_raw=include_raw
            )
            answer = structured.invoke("Who won? (JSON)")
            bodies.append({**server.chats[-1], "messages": None})
            if method != "function_calling":
                race = answer["parsed"] if include_raw else answer
                assert race == _Race(winner="Tortoise")
        assert server.chats[-1]["messages"][0]["role"] == "system"
    assert bodies[0] == bodies[1]


async def test_usage_is_counted_once_without_prompt() -> None:
    with OpenAIServer().running() as server:
        persona = PersonaChatModel(model=_client(server), voice=VOICE)
        with get_usage_metadata_callback() as usage, collect_runs() as collected:
            persona.invoke("tea?")
            await persona.ainvoke("tea?")
            assert [*persona.stream("tea?")]
            assert [chunk async for chunk in persona.astream("tea?")]
    assert len(collected.traced_runs) == 4
    for run in collected.traced_runs:
        assert "tea?" in str(run.inputs)
        assert "always" not in f"{run.inputs}{run.outputs}{run.serialized}{run.extra}"
    tokens = usage.usage_metadata[BASE_MODEL]
    assert (tokens["input_tokens"], tokens["output_tokens"]) == (12, 8)


def test_settings_are_those_of_model() -> None:
    limiter = InMemoryRateLimiter(requests_per_second=100)
    model = ChatOpenAI(
        model=BASE_MODEL,
        api_key=SecretStr(KEY),
        temperature=0.5,
        rate_limiter=limiter,
        profile={"max_input_tokens": 99},
        custom_get_token_ids=lambda text: [*range(len(text))],
        metadata={"job": 1},
    )
    persona = PersonaChatModel(model=model, voice=VOICE)
    assert persona.profile == {"max_input_tokens": 99}
    assert persona.get_num_tokens("four") == 4
    assert persona.rate_limiter is limiter
    assert persona.metadata == model.metadata
    params = persona._get_ls_params(stop=["!"])
    assert params == model._get_ls_params(stop=["!"])
    assert params["ls_model_name"] == BASE_MODEL


def test_repr_has_no_text() -> None:
    text = repr(PersonaChatModel(model=_Echo(), voice=VOICE))
    assert "Ann" not in text
    assert "tea" not in text


def _client(server: OpenAIServer) -> ChatOpenAI:
    return ChatOpenAI(
        model=BASE_MODEL,
        base_url=server.base_url,
        api_key=SecretStr(KEY),
        use_responses_api=False,
        stream_usage=True,
    )
