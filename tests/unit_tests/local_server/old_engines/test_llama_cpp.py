"""Answers by llama.cpp: likelihoods, cancellation and child processes."""

import asyncio
import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import psutil
import pytest

from langchain_chatexports.local_server.bases.chat_template import ChatTokenizer
from langchain_chatexports.local_server.bases.gguf_adapter import (
    GGUFNotSupportedError,
    match_matrices,
)
from langchain_chatexports.local_server.bases.gguf_check import CHATS
from langchain_chatexports.local_server.bases.gguf_file import BaseGGUF
from langchain_chatexports.local_server.bases.gguf_header import read_header
from langchain_chatexports.local_server.old_engines import llama_cpp
from langchain_chatexports.local_server.old_engines.llama_cpp import (
    EngineExitedError,
    LlamaCppEngine,
    ModelNotSupportedError,
)
from langchain_chatexports.local_server.old_engines.transformers import (
    EngineClosedError,
    GenerationRequest,
    ModelDeletedError,
    Sampling,
    TransformersEngine,
    create_dry_breakers,
)
from langchain_chatexports.local_server.processes import start_child
from tests.unit_tests.builders.bare_engine import log_likelihoods
from tests.unit_tests.builders.gguf import write_gguf
from tests.unit_tests.builders.tiny_base import write_random_adapter
from tests.unit_tests.builders.tiny_models import TINY_MODELS, write_tiny_model
from tests.unit_tests.builders.waiting import wait_until

pytest.importorskip("xllamacpp")

# PEFT uses an attribute that transformers deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

_HELLO = [{"role": "user", "content": "Ready?"}]
_LONG = 450
MakeEngine: TypeAlias = Callable[..., LlamaCppEngine]


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> ChatTokenizer:
    return ChatTokenizer(tiny_base)


@pytest.fixture
def make_engine(tiny_gguf: Path, tokenizer: ChatTokenizer) -> Iterator[MakeEngine]:
    engines: list[LlamaCppEngine] = []

    def make(base: Path = tiny_gguf, **options: Any) -> LlamaCppEngine:
        options = {
            "name": "tiny",
            "write_adapter": lambda folder: folder / "adapter.gguf",
            "threads": 1,
            **options,
        }
        engines.append(LlamaCppEngine(base, tokenizer, **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(make_engine: MakeEngine) -> LlamaCppEngine:
    return make_engine()


async def _ask(
    engine: LlamaCppEngine,
    max_tokens: int = 12,
    adapter: Path | None = None,
    **more: Any,
) -> Any:
    # The tiny base's greedy answer never ends.
    body = {"messages": _HELLO, "max_tokens": max_tokens, "temperature": 0, **more}
    async with engine.open_response(adapter, json.dumps(body).encode()) as response:
        assert response.status_code == 200, await response.aread()
        return json.loads(await response.aread())


def _processes(engine: LlamaCppEngine) -> list[psutil.Process]:
    started = [child.process for child in engine._children]
    return [psutil.Process(process.pid) for process in started if process is not None]


async def _wait(condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(wait_until, condition)


@pytest.mark.parametrize("multiplier", [0.0, 0.8])
async def test_greedy_answer_matches_transformers(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer, tiny_base: Path, multiplier: float
) -> None:
    other = TransformersEngine(tiny_base, tokenizer, threads=1)
    pieces: list[str] = []
    prompt = tokenizer.template.prompt_ids(_HELLO)
    sampling = Sampling(temperature=0, dry_multiplier=multiplier)
    breakers = create_dry_breakers(tokenizer.template.derived.assistant_header)
    request = GenerationRequest(prompt, 40, sampling=sampling)
    answered = other.submit(request, pieces.append)
    found = await _ask(engine, 40, **asdict(sampling), dry_sequence_breakers=breakers)
    await asyncio.wrap_future(answered)
    other.close()
    assert found["choices"][0]["message"]["content"] == "".join(pieces)
    assert found["usage"]["prompt_tokens"] == len(prompt)
    assert found["model"] == "tiny"


@pytest.mark.usefixtures("templates_derived_in_process")
@pytest.mark.parametrize("family", sorted(set(TINY_MODELS) - {"falcon-h1"}))
async def test_prompts_match_those_of_training(tmp_path: Path, family: str) -> None:
    base = write_tiny_model(tmp_path / "tiny", family)
    file = write_gguf(base, tmp_path / "tiny.gguf")
    tokenizer = ChatTokenizer(base)
    template = tokenizer.template
    engine = LlamaCppEngine(file, tokenizer, name="x", write_adapter=Path, threads=1)
    try:
        body = json.dumps({"messages": _HELLO, "max_tokens": 1}).encode()
        async with (
            engine.open_response(None, body),
            engine._children[0].client() as client,
        ):
            for chat in CHATS:
                messages = template.prepare_messages(chat)
                answer = await client.post(
                    "/apply-template", json={"messages": messages}
                )
                expected = template.derived.render(messages, add_generation_prompt=True)
                assert answer.json()["prompt"] == expected
    finally:
        engine.close()


async def test_context_is_limited_by_memory(make_engine: MakeEngine) -> None:
    engine = make_engine(max_context=256)
    assert engine.context == 256
    body = {"messages": [{"role": "user", "content": "race " * 300}], "max_tokens": 2}
    async with engine.open_response(None, json.dumps(body).encode()) as response:
        error = json.loads(await response.aread())["error"]
    assert error["type"] == "exceed_context_size_error"


@pytest.mark.parametrize(("threads", "batch_threads"), [(2, 3), (1, 2)])
async def test_child_has_one_thread_during_a_training(
    make_engine: MakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    batch_threads: int,
) -> None:
    is_training = False
    started: list[tuple[int, int]] = []

    def record_start(module: str, environment: Any, settings: dict[str, Any]) -> Any:
        started.append(settings["threads"])
        return start_child(module, environment, settings)

    monkeypatch.setattr(llama_cpp, "start_child", record_start)
    engine = make_engine(
        threads=threads, batch_threads=batch_threads, is_training=lambda: is_training
    )
    await _ask(engine, 2)
    is_training = True
    await _ask(engine, 2)
    is_training = False
    await _ask(engine, 2)
    assert started == [(threads, batch_threads), (1, 1), (threads, batch_threads)]


async def test_damaged_gguf_is_refused(make_engine: MakeEngine, tmp_path: Path) -> None:
    file = tmp_path / "base.gguf"
    file.write_bytes(b"damaged")
    engine = make_engine(file)
    for _ in range(2):
        with pytest.raises(ModelNotSupportedError):
            await _ask(engine, 2)


@pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="Python has no Unix sockets there"
)
async def test_child_listens_on_no_port(engine: LlamaCppEngine) -> None:
    await _ask(engine, 1)
    (process,) = _processes(engine)
    assert process.net_connections("inet") == []
    (child,) = engine._children
    folder = Path(child.address.removeprefix("unix://")).parent
    assert folder.stat().st_mode & 0o077 == 0
    engine.close()
    assert not folder.exists()


async def test_child_requires_its_secret_key(engine: LlamaCppEngine) -> None:
    await _ask(engine, 1)
    (child,) = engine._children
    (process,) = _processes(engine)
    assert child.key not in " ".join(process.cmdline())
    assert child.key not in str(process.environ())
    child.key = "another"
    async with child.client() as client:
        response = await client.post("/v1/chat/completions", json={"messages": _HELLO})
    assert response.status_code == 401


async def test_close_cancels_answers_and_processes(engine: LlamaCppEngine) -> None:
    await _ask(engine, 1)
    (process,) = _processes(engine)
    # Otherwise it could finish the answer first.
    process.suspend()
    running = asyncio.ensure_future(_ask(engine, _LONG))
    await _wait(lambda: engine._children[0].active)
    engine.close()
    with pytest.raises(EngineClosedError):
        await running
    assert not process.is_running()
    with pytest.raises(EngineClosedError):
        await _ask(engine, 1)


async def test_disconnected_client_releases_its_child(engine: LlamaCppEngine) -> None:
    await _ask(engine, 1)
    (process,) = _processes(engine)
    process.suspend()
    running = asyncio.ensure_future(_ask(engine, _LONG))
    await _wait(lambda: engine._children[0].active)
    running.cancel()
    await asyncio.wait({running})
    process.resume()
    assert engine._children[0].active == 0


async def test_idle_child_stops(
    engine: LlamaCppEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_cpp, "_IDLE_SECONDS", 0.2)
    await _ask(engine, 1)
    (process,) = _processes(engine)
    await _wait(lambda: not process.is_running())
    assert not engine._children
    assert await _ask(engine, 1)


@pytest.fixture(scope="module")
def adapters(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return [
        write_random_adapter(tiny_base, folder / f"adapter{seed}", seed=seed)
        for seed in (1, 2)
    ]


@pytest.fixture
def tuned_engine(
    make_engine: MakeEngine, tiny_base: Path, tiny_gguf: Path
) -> LlamaCppEngine:
    matrices = match_matrices(tiny_base, read_header(tiny_gguf))
    gguf = BaseGGUF(tiny_gguf, lambda: matrices)
    return make_engine(write_adapter=gguf.write_adapter)


async def test_concurrent_adapters_match_peft(
    tuned_engine: LlamaCppEngine,
    tokenizer: ChatTokenizer,
    adapters: list[Path],
    tiny_base: Path,
) -> None:
    """Texts would differ, because random weights have many equally likely words."""
    models = [None, *adapters, None, *adapters]
    answers = await asyncio.gather(
        *(
            _ask(tuned_engine, 20, adapter, logprobs=True, top_logprobs=20)
            for adapter in models
        )
    )
    prompt = tokenizer.template.prompt_ids(_HELLO)
    likeliest = []
    for adapter, answer in zip(models, answers, strict=True):
        first = answer["choices"][0]["logprobs"]["content"][0]
        expected = log_likelihoods(tiny_base, adapter, prompt)
        found = {one["id"]: one["logprob"] for one in first["top_logprobs"]}
        assert len(found) == 20
        assert found == pytest.approx(
            {token: float(expected[token]) for token in found}, abs=0.002
        )
        likeliest.append(first["id"])
    assert len(set(likeliest)) == 3


async def test_deleted_adapter_cancels_its_answers(
    tuned_engine: LlamaCppEngine, adapters: list[Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(adapters[0], tmp_path / "model"))
    await _ask(tuned_engine, 1, folder)
    # Otherwise it could finish the answer first.
    _processes(tuned_engine)[0].suspend()
    running = asyncio.ensure_future(_ask(tuned_engine, _LONG, folder))
    await _wait(lambda: tuned_engine._children[0].active)
    shutil.rmtree(folder)
    tuned_engine.unload(folder)
    with pytest.raises(ModelDeletedError):
        await running
    assert not tuned_engine._children
    with pytest.raises(ModelDeletedError):
        await _ask(tuned_engine, 2, folder)


@pytest.mark.parametrize(
    ("interrupt", "expected"),
    [
        (LlamaCppEngine.close, EngineClosedError),
        (lambda engine: engine._stop(engine._children[0]), EngineExitedError),
    ],
)
async def test_interrupted_start_is_not_a_deleted_model(
    make_engine: MakeEngine,
    adapters: list[Path],
    interrupt: Callable[[LlamaCppEngine], None],
    expected: type[Exception],
) -> None:
    is_starting, is_interrupted = threading.Event(), threading.Event()

    def write_adapter(folder: Path) -> Path:
        is_starting.set()
        is_interrupted.wait(240)
        return folder

    engine = make_engine(write_adapter=write_adapter)
    running = asyncio.ensure_future(_ask(engine, 1, adapters[0]))
    await _wait(is_starting.is_set)
    interrupt(engine)
    is_interrupted.set()
    with pytest.raises(expected):
        await running


async def test_unsupported_adapter_is_unsuitable(
    make_engine: MakeEngine, adapters: list[Path]
) -> None:
    def refuse(_: Path) -> Path:
        raise GGUFNotSupportedError

    engine = make_engine(write_adapter=refuse)
    with pytest.raises(ModelNotSupportedError):
        await _ask(engine, 8, adapters[0])
    assert not engine._children
    assert await _ask(engine, 2)


async def test_least_recently_used_child_stops(
    tuned_engine: LlamaCppEngine, adapters: list[Path]
) -> None:
    for adapter in (None, *adapters):
        await _ask(tuned_engine, 2, adapter)
    assert [child.adapter for child in tuned_engine._children] == adapters


async def test_more_models_than_children_take_turns(
    tuned_engine: LlamaCppEngine, adapters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_cpp, "MAX_CHILDREN", 1)
    models = (None, *adapters)
    answers = await asyncio.gather(*(_ask(tuned_engine, 2, each) for each in models))
    assert [each["usage"]["completion_tokens"] for each in answers] == [2, 2, 2]
