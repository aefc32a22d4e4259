"""Answers by llama.cpp: the same text, cancelled answers, the end of a process."""

from __future__ import annotations

import queue
import shutil
import sys
import threading
import time
import warnings
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from langchain_chatexports.local_server.bases.gguf_file import gguf_of_adapter
from langchain_chatexports.local_server.bases.tokenizer import ChatTokenizer
from langchain_chatexports.local_server.inference import llama_cpp_pool
from langchain_chatexports.local_server.inference.engine import (
    EngineBusyError,
    GenerationRequest,
    RefusedRequestError,
    TextPiece,
)
from langchain_chatexports.local_server.inference.llama_cpp import (
    EngineProcessError,
    LlamaCppEngine,
)
from langchain_chatexports.local_server.inference.llama_cpp_process import (
    LlamaCppProcess,
)
from langchain_chatexports.local_server.inference.transformers import (
    TransformersEngine,
)
from langchain_chatexports.local_server.storage.adapters import save_adapter
from tests.unit_tests.builders.bare_engine import log_likelihoods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_chatexports.local_server.inference.engine import Engine, Generation

pytest.importorskip("xllamacpp")

_LONG = 450


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> ChatTokenizer:
    return ChatTokenizer(tiny_base)


@pytest.fixture(scope="module")
def fallback(tiny_base: Path, tokenizer: ChatTokenizer) -> Iterator[TransformersEngine]:
    made = TransformersEngine(tiny_base, tokenizer, threads=1)
    yield made
    made.close()


@pytest.fixture
def make_engine(
    tiny_gguf: Path, tokenizer: ChatTokenizer, fallback: TransformersEngine
) -> Iterator[Callable[..., LlamaCppEngine]]:
    made: list[LlamaCppEngine] = []

    def make(**options: Any) -> LlamaCppEngine:
        options = {
            "base": tiny_gguf,
            "adapter_file": lambda folder: folder / "adapter.gguf",
            "fallback": fallback,
            "threads": 1,
            **options,
        }
        made.append(LlamaCppEngine(tokenizer=tokenizer, **options))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def engine(make_engine: Callable[..., LlamaCppEngine]) -> LlamaCppEngine:
    return make_engine()


class _Answer:
    """The pieces of an answer."""

    def __init__(self, engine: Engine, request: GenerationRequest) -> None:
        self._pieces: queue.Queue[TextPiece] = queue.Queue()
        self.generation = engine.submit(request, self._pieces.put)

    def next_piece(self) -> TextPiece:
        return self._pieces.get(timeout=240)

    def rest(self) -> list[TextPiece]:
        """Return all further pieces; the last has a finish reason or an error."""
        found = [self.next_piece()]
        while not (found[-1].finish_reason or found[-1].error):
            found.append(self.next_piece())
        return found

    @property
    def is_silent(self) -> bool:
        return self._pieces.empty()


def _request(
    tokenizer: ChatTokenizer, tokens: int = 12, text: str = "Ready?", **options: Any
) -> GenerationRequest:
    prompt = tokenizer.template.prompt_ids([{"role": "user", "content": text}])
    # The tiny base's likeliest words go on and on.
    return GenerationRequest(prompt, tokens, **{"temperature": 0.0, **options})


def _wait(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _processes(engine: LlamaCppEngine) -> list[psutil.Process]:
    return [
        psutil.Process(worker.process._process.pid)
        for worker in engine._pool._all()
        if worker.process is not None
    ]


def test_the_likeliest_answer_is_that_of_transformers(
    engine: LlamaCppEngine, fallback: TransformersEngine, tokenizer: ChatTokenizer
) -> None:
    for text in ("Ready?", "What of the race, tortoise?"):
        request = _request(tokenizer, 30, text)
        answers = []
        for each in (engine, fallback):
            pieces = _Answer(each, request).rest()
            answers.append("".join(piece.text for piece in pieces))
            assert pieces[-1].finish_reason == "length"
            assert pieces[-1].tokens == 30
        assert answers[0] == answers[1]


def test_a_prompt_is_read_once(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer
) -> None:
    """Counted, not timed: also for another client, and a talk that has gone on."""
    chat = [{"role": "user", "content": "race " * 40}]
    counts = []
    for _ in range(3):
        prompt = tokenizer.template.prompt_ids(chat)
        request = GenerationRequest(prompt, 4, temperature=0)
        last = _Answer(engine, request).rest()[-1]
        assert last.prompt_tokens == len(prompt)
        counts.append(len(prompt) - last.cached_tokens)
        chat += [
            {"role": "assistant", "content": "Yes"},
            {"role": "user", "content": "And then?"},
        ]
    assert counts[0] > 40
    assert all(count < 40 for count in counts[1:])


def test_a_short_answer_does_not_wait_for_a_long_one(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer
) -> None:
    long = _Answer(engine, _request(tokenizer, _LONG))
    long.next_piece()
    assert _Answer(engine, _request(tokenizer, 3)).rest()[-1].finish_reason
    assert long.rest()[-1].tokens == _LONG


def test_a_cancelled_answer_makes_room(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer
) -> None:
    pieces: list[TextPiece] = []
    made: Future[Generation] = Future()

    def cancel_at_once(piece: TextPiece) -> None:
        pieces.append(piece)
        made.result(240).cancel()

    made.set_result(engine.submit(_request(tokenizer, _LONG), cancel_at_once))
    _wait(lambda: pieces)
    _wait(lambda: not any(worker.active for worker in engine._pool._all()))
    assert [piece.tokens for piece in pieces] == [0]


def test_an_answer_can_be_cancelled_before_it_begins(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer
) -> None:
    """It is waiting for its process."""
    answer = _Answer(engine, _request(tokenizer, _LONG))
    answer.generation.cancel()
    _wait(lambda: not engine._pool._waiting)
    _wait(lambda: not any(worker.active for worker in engine._pool._all()))
    assert answer.is_silent


def test_more_than_may_wait_are_refused(
    make_engine: Callable[..., LlamaCppEngine],
    tokenizer: ChatTokenizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_start = threading.Event()

    class LateProcess(LlamaCppProcess):
        def __init__(self, settings: Any) -> None:
            may_start.wait(240)
            super().__init__(settings)

    monkeypatch.setattr(llama_cpp_pool, "LlamaCppProcess", LateProcess)
    engine = make_engine(max_waiting=2)
    answers = [_Answer(engine, _request(tokenizer, _LONG)) for _ in range(2)]
    request = _request(tokenizer, _LONG)
    with pytest.raises(EngineBusyError):
        engine.submit(request, lambda _: None)
    answers[0].generation.cancel()
    last = _Answer(engine, _request(tokenizer, 1))
    may_start.set()
    assert last.rest()[-1].finish_reason


def test_answers_that_need_more_room_than_there_is_wait_for_it(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_cpp_pool, "_FIRST_CONTEXT", 512)
    answers = [_Answer(engine, _request(tokenizer, 400)) for _ in range(3)]
    for answer in answers:
        assert answer.rest()[-1].tokens == 400


def test_a_longer_context_needs_another_process_and_interrupts_nothing(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_cpp_pool, "_FIRST_CONTEXT", 256)
    short = _Answer(engine, _request(tokenizer, 200))
    short.next_piece()
    (first,) = _processes(engine)
    long = _Answer(engine, _request(tokenizer, 400))
    assert long.rest()[-1].tokens == 400
    assert short.rest()[-1].tokens == 200
    _wait(lambda: not first.is_running())
    assert len(_processes(engine)) == 1


@pytest.mark.parametrize(("rest", "then"), [(0.0, 2), (60.0, 1)])
def test_a_process_has_one_thread_while_a_training_runs(
    make_engine: Callable[..., LlamaCppEngine],
    tokenizer: ChatTokenizer,
    monkeypatch: pytest.MonkeyPatch,
    rest: float,
    then: int,
) -> None:
    """It keeps what it has read, and one thread, until a chat has paused."""
    monkeypatch.setattr(llama_cpp_pool, "_REST_SECONDS", rest)
    training = threading.Event()
    engine = make_engine(threads=2, is_training=training.is_set)
    threads = []
    for change in (training.set, training.clear, training.clear):
        _Answer(engine, _request(tokenizer, 1)).rest()
        _wait(lambda: not any(worker.active for worker in engine._pool._all()))
        threads.append([worker.settings.threads for worker in engine._pool._all()])
        change()
    assert threads == [[2], [1], [then]]


def _note_ends(
    engine: LlamaCppEngine, request: GenerationRequest, ends: list[str], name: str
) -> None:
    def note(piece: TextPiece) -> None:
        if piece.finish_reason or piece.error:
            ends.append(repr(piece.error) if piece.error else name)

    engine.submit(request, note)


def test_what_failed_to_start_is_tried_again(
    make_engine: Callable[..., LlamaCppEngine],
    tokenizer: ChatTokenizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process could not be started for lack of memory, for example."""
    engine = make_engine()

    def fail(_: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(llama_cpp_pool, "LlamaCppProcess", fail)
        # The other engine answers.
        assert _Answer(engine, _request(tokenizer, 2)).rest()[-1].tokens == 2
    assert _Answer(engine, _request(tokenizer, 2)).rest()[-1].tokens == 2
    assert not _processes(engine)
    # A minute later.
    engine._pool._unsupported[llama_cpp_pool.ModelKey(None)] -= 61
    assert _Answer(engine, _request(tokenizer, 2)).rest()[-1].tokens == 2
    assert _processes(engine)


def test_a_process_answers_once_before_it_is_replaced(
    make_engine: Callable[..., LlamaCppEngine], tokenizer: ChatTokenizer
) -> None:
    """Where the free threads change all the time, it would never answer."""
    made: list[LlamaCppEngine] = []
    options: Any = {"is_training": lambda: bool(made[0]._pool._workers)}
    made.append(make_engine(threads=2, **options))
    assert _Answer(made[0], _request(tokenizer, 2)).rest()[-1].tokens == 2


def test_a_process_listens_on_no_port(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer
) -> None:
    _Answer(engine, _request(tokenizer, 1)).rest()
    (process,) = _processes(engine)
    assert process.net_connections("inet") == []
    # The socket of its HTTP server has lost its name.
    for connection in process.net_connections("unix"):
        assert not Path(str(connection.laddr)).is_absolute()
        assert not (Path("/tmp") / str(connection.laddr)).exists()  # noqa: S108


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the limits")
def test_an_aborted_process_leaves_no_core_dump(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer
) -> None:
    _Answer(engine, _request(tokenizer, 1)).rest()
    (process,) = _processes(engine)
    assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)


def test_an_answer_ends_with_its_process_and_the_next_has_a_new_one(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer
) -> None:
    pieces: queue.Queue[TextPiece] = queue.Queue()

    def kill_at_once(piece: TextPiece) -> None:
        if pieces.empty():
            _processes(engine)[0].kill()
        pieces.put(piece)

    # More than a pipe holds: it cannot have written everything.
    engine.submit(_request(tokenizer, _LONG, choices=8), kill_at_once)
    _wait(lambda: not pieces.empty() and pieces.queue[-1].error)
    assert isinstance(pieces.queue[-1].error, EngineProcessError)
    assert _Answer(engine, _request(tokenizer, 2)).rest()[-1].finish_reason


@pytest.mark.parametrize("deaths", [1, 2])
def test_what_a_dying_process_is_given_another_one_answers_once(
    engine: LlamaCppEngine,
    tokenizer: ChatTokenizer,
    monkeypatch: pytest.MonkeyPatch,
    deaths: int,
) -> None:
    given: list[str] = []
    begin = llama_cpp_pool.ProcessPool._begin

    def begin_and_die(pool: Any, worker: Any, task: llama_cpp_pool.Task) -> None:
        given.append(task.route)
        dies = len(given) <= 2 * deaths
        process = psutil.Process(worker.process._process.pid)
        if dies:
            process.suspend()
        begin(pool, worker, task)
        if dies and len(given) % 2 == 0:
            process.kill()

    monkeypatch.setattr(llama_cpp_pool.ProcessPool, "_begin", begin_and_die)
    answers = [_Answer(engine, _request(tokenizer, tokens)) for tokens in (2, 3)]
    lasts = [answer.rest()[-1] for answer in answers]
    if deaths == 1:
        assert [last.tokens for last in lasts] == [2, 3]
    else:
        assert all(isinstance(last.error, EngineProcessError) for last in lasts)
    assert len(given) == 4
    assert _Answer(engine, _request(tokenizer, 2)).rest()[-1].finish_reason


def test_closing_ends_answers_and_processes(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer
) -> None:
    _Answer(engine, _request(tokenizer, 1)).rest()
    (process,) = _processes(engine)
    # It might have written everything before it is closed.
    process.suspend()
    running = _Answer(engine, _request(tokenizer, _LONG))
    engine.close()
    assert isinstance(running.rest()[-1].error, EngineBusyError)
    assert not process.is_running()
    with pytest.raises(EngineBusyError):
        _Answer(engine, _request(tokenizer, 1))


@pytest.mark.parametrize("damage", ["missing", "cut", "text"])
def test_transformers_answers_where_llama_cpp_cannot_load_the_base(
    make_engine: Callable[..., LlamaCppEngine],
    tokenizer: ChatTokenizer,
    tiny_gguf: Path,
    tmp_path: Path,
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = tmp_path / "base.gguf"
    if damage != "missing":
        whole = tiny_gguf.read_bytes()
        file.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"GGUF" * 99)
    engine = make_engine(base=file)
    assert _Answer(engine, _request(tokenizer, 2)).rest()[-1].tokens == 2
    assert "transformers" in caplog.text
    refused = _Answer(engine, _request(tokenizer, 2, options={"logprobs": 2})).rest()
    assert isinstance(refused[-1].error, RefusedRequestError)


@pytest.mark.parametrize(
    "options",
    [
        {"grammar": "root ::= ((("},
        {"grammar": 'root ::= root "a"'},
        {"samplers": "nonsense"},
        {"logit_bias": [[10**9, 1.0], [-5, 1e308]]},
        {"json_schema": {"type": "array", "minItems": 10**9}},
        {"lora": [{"id": 7, "scale": 1e30}]},
    ],
)
def test_nonsense_leaves_the_engine_usable(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer, options: dict[str, Any]
) -> None:
    _Answer(engine, _request(tokenizer, 2, options=options)).rest()
    _Answer(engine, _request(tokenizer, 2, stops=["\ud800", "x" * 10**6])).rest()
    assert _Answer(engine, _request(tokenizer, 2)).rest()[-1].finish_reason


@pytest.mark.parametrize("prompt", [[], [10**9], [-1]])
def test_a_prompt_that_is_none_is_refused(
    engine: LlamaCppEngine, prompt: list[int]
) -> None:
    last = _Answer(engine, GenerationRequest(prompt, 2)).rest()[-1]
    assert isinstance(last.error, RefusedRequestError)


def test_more_tokens_than_any_context_has_are_refused(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer
) -> None:
    last = _Answer(engine, _request(tokenizer, 10**9)).rest()[-1]
    assert isinstance(last.error, RefusedRequestError)
    assert not _processes(engine)


def test_eight_long_answers_fit_a_process_of_their_own(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_cpp_pool, "_FIRST_CONTEXT", 64)
    answer = _Answer(engine, _request(tokenizer, 100, choices=8))
    ends: list[TextPiece] = []
    while len(ends) < 8:
        piece = answer.next_piece()
        assert piece.error is None
        ends += [piece] if piece.finish_reason else []
    assert [piece.tokens for piece in ends] == [100] * 8


def test_a_process_gets_no_more_context_than_memory_allows(
    make_engine: Callable[..., LlamaCppEngine], tokenizer: ChatTokenizer
) -> None:
    engine = make_engine(max_context=300)
    answers = [_Answer(engine, _request(tokenizer, 200)) for _ in range(2)]
    for answer in answers:
        assert answer.rest()[-1].tokens == 200
    assert [worker.settings.context for worker in engine._pool._all()] == [300]
    last = _Answer(engine, _request(tokenizer, 200, choices=2)).rest()[-1]
    assert isinstance(last.error, RefusedRequestError)


def test_several_answers_come_with_their_numbers(
    engine: LlamaCppEngine, tokenizer: ChatTokenizer
) -> None:
    answer = _Answer(engine, _request(tokenizer, 4, choices=3))
    ends: list[TextPiece] = []
    while len(ends) < 3:
        piece = answer.next_piece()
        assert piece.error is None
        ends += [piece] if piece.finish_reason else []
    assert sorted(piece.index for piece in ends) == [0, 1, 2]
    assert [piece.tokens for piece in ends] == [4, 4, 4]


def test_embeddings_have_length_one(engine: LlamaCppEngine) -> None:
    first, second = engine.embed([[5, 6, 7], [8, 9]]).result(240)
    assert first != second
    assert sum(value**2 for value in first) == pytest.approx(1, abs=1e-3)
    with pytest.raises(RefusedRequestError):
        engine.embed([[5] * 10_000]).result(240)


def test_an_embedding_that_nobody_waits_for_ends_nothing(
    engine: LlamaCppEngine,
) -> None:
    assert engine.embed([[5, 6, 7]]).cancel()
    assert engine.embed([[5, 6, 7]]).result(240)


@pytest.fixture(scope="module")
def adapters(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two untrained adapters, whose random weights change every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folders = []
    for seed in (1, 2):
        base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
        torch.manual_seed(seed)
        config = LoraConfig(
            r=4,
            lora_alpha=64,
            target_modules="all-linear",
            init_lora_weights=False,
            task_type="CAUSAL_LM",
        )
        folder = tmp_path_factory.mktemp("adapters") / f"adapter{seed}"
        with warnings.catch_warnings():
            # PEFT uses an attribute that transformers deprecates.
            warnings.simplefilter("ignore", FutureWarning)
            save_adapter(get_peft_model(base, config), folder)
        folders.append(folder)
    return folders


@pytest.fixture
def tuned_engine(
    make_engine: Callable[..., LlamaCppEngine], tiny_base: Path, tiny_gguf: Path
) -> LlamaCppEngine:
    return make_engine(
        adapter_file=lambda folder: gguf_of_adapter(folder, tiny_base, tiny_gguf)
    )


def test_each_model_answers_as_with_peft_all_at_the_same_time(
    tuned_engine: LlamaCppEngine,
    tokenizer: ChatTokenizer,
    adapters: list[Path],
    tiny_base: Path,
) -> None:
    """Not their texts: random weights have many words that are as likely."""
    models = [None, *adapters, None, *adapters]
    options = {"n_probs": 20}
    requests = [
        _request(tokenizer, 20, adapter=adapter, options=options) for adapter in models
    ]
    answers = [_Answer(tuned_engine, request) for request in requests]
    likeliest = []
    for adapter, request, answer in zip(models, requests, answers, strict=True):
        first = next(p.logprobs[0] for p in answer.rest() if p.logprobs)
        wanted = log_likelihoods(tiny_base, adapter, request.prompt)
        found = {one["id"]: one["logprob"] for one in first["top_logprobs"]}
        assert len(found) == 20
        assert found == pytest.approx(
            {token: float(wanted[token]) for token in found}, abs=0.002
        )
        likeliest.append(first["id"])
    assert len(set(likeliest)) == 3


def test_a_new_adapter_interrupts_no_answer(
    tuned_engine: LlamaCppEngine, tokenizer: ChatTokenizer, adapters: list[Path]
) -> None:
    running = _Answer(tuned_engine, _request(tokenizer, _LONG))
    running.next_piece()
    (process,) = _processes(tuned_engine)
    new = _Answer(tuned_engine, _request(tokenizer, 2, adapter=adapters[0]))
    assert new.rest()[-1].tokens == 2
    assert running.rest()[-1].tokens == _LONG
    assert process.is_running()


def test_an_answer_that_has_ended_gets_no_error(
    make_engine: Callable[..., LlamaCppEngine],
    tokenizer: ChatTokenizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its process ends before it has said that it is done."""
    monkeypatch.setattr(llama_cpp_pool.ProcessPool, "_conclude", lambda *_: None)
    engine = make_engine()
    answer = _Answer(engine, _request(tokenizer, 3))
    assert answer.rest()[-1].finish_reason
    engine.close()
    assert answer.is_silent


def test_busy_models_take_turns_with_one_that_waits_for_a_process(
    tuned_engine: LlamaCppEngine,
    tokenizer: ChatTokenizer,
    adapters: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(llama_cpp_pool, "_MAX_PROCESSES", 1)
    monkeypatch.setattr(llama_cpp_pool, "_TURN_SECONDS", 0.0)
    busy = _Answer(tuned_engine, _request(tokenizer, _LONG))
    busy.next_piece()
    ends: list[str] = []
    other = _request(tokenizer, 2, adapter=adapters[0])
    _note_ends(tuned_engine, other, ends, "other")
    # It would have room in the first process.
    _note_ends(tuned_engine, _request(tokenizer, 2), ends, "late")
    assert busy.rest()[-1].tokens == _LONG
    _wait(lambda: len(ends) == 2)
    assert ends == ["other", "late"]


def test_what_needs_all_places_is_not_overtaken(
    tuned_engine: LlamaCppEngine, tokenizer: ChatTokenizer, adapters: list[Path]
) -> None:
    """Eight answers at a time are all there are: another model would fill them up."""
    _Answer(tuned_engine, _request(tokenizer, 1)).rest()
    busy = _Answer(tuned_engine, _request(tokenizer, _LONG, adapter=adapters[0]))
    busy.next_piece()
    ends: list[str] = []
    _note_ends(tuned_engine, _request(tokenizer, 4, choices=8), ends, "eight")
    late = _request(tokenizer, 2, adapter=adapters[0])
    _note_ends(tuned_engine, late, ends, "late")
    assert busy.rest()[-1].finish_reason
    _wait(lambda: len(ends) == 9)
    assert ends == ["eight"] * 8 + ["late"]


def test_what_waits_for_memory_is_not_overtaken(
    make_engine: Callable[..., LlamaCppEngine],
    tokenizer: ChatTokenizer,
    adapters: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(llama_cpp_pool, "_MIN_FIRST_CONTEXT", 200)
    engine = make_engine(max_context=600)
    _Answer(engine, _request(tokenizer, 1)).rest()
    _processes(engine)[0].suspend()
    _Answer(engine, _request(tokenizer, 100))
    _Answer(engine, _request(tokenizer, 500, adapter=adapters[0]))
    _Answer(engine, _request(tokenizer, 50, adapter=adapters[1]))
    started = [worker.key.adapter for worker in engine._pool._all()]
    # The last would fit beside the first, and the second would wait for both.
    assert started == [None]


def test_the_contexts_of_all_processes_fit_the_memory(
    make_engine: Callable[..., LlamaCppEngine],
    tokenizer: ChatTokenizer,
    tiny_base: Path,
    tiny_gguf: Path,
    adapters: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(llama_cpp_pool, "_MIN_FIRST_CONTEXT", 200)
    engine = make_engine(
        adapter_file=lambda folder: gguf_of_adapter(folder, tiny_base, tiny_gguf),
        max_context=600,
    )
    contexts = []
    for adapter, tokens in ((None, 50), (adapters[0], 50), (adapters[1], 380)):
        request = _request(tokenizer, tokens, adapter=adapter)
        assert _Answer(engine, request).rest()[-1].finish_reason
        contexts.append([each.settings.context for each in engine._pool._all()])
    # The oldest has made room for the last.
    assert contexts == [[200], [200, 200], [200, 400]]


def test_the_answers_of_a_deleted_adapter_end(
    tuned_engine: LlamaCppEngine,
    tokenizer: ChatTokenizer,
    adapters: list[Path],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "model" / "checkpoint"
    shutil.copytree(adapters[0], folder)
    _Answer(tuned_engine, _request(tokenizer, 1, adapter=folder)).rest()
    # It might have written everything before the adapter is deleted.
    _processes(tuned_engine)[0].suspend()
    running = _Answer(tuned_engine, _request(tokenizer, _LONG, adapter=folder))
    shutil.rmtree(folder.parent)
    tuned_engine.forget(folder.parent)
    assert isinstance(running.rest()[-1].error, FileNotFoundError)
    assert not _processes(tuned_engine)
    again = _Answer(tuned_engine, _request(tokenizer, 2, adapter=folder))
    assert isinstance(again.rest()[-1].error, FileNotFoundError)


def test_an_adapter_that_is_deleted_while_its_process_starts_leaves_nobody_waiting(
    make_engine: Callable[..., LlamaCppEngine],
    tokenizer: ChatTokenizer,
    adapters: list[Path],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(adapters[0], folder)
    is_starting, may_start = threading.Event(), threading.Event()

    def adapter_file(folder: Path) -> Path:
        is_starting.set()
        assert may_start.wait(240)
        return folder / "adapter.gguf"

    engine = make_engine(adapter_file=adapter_file)
    answer = _Answer(engine, _request(tokenizer, 2, adapter=folder))
    assert is_starting.wait(240)
    shutil.rmtree(folder)
    engine.forget(folder)
    may_start.set()
    assert isinstance(answer.rest()[-1].error, FileNotFoundError)
    assert not _processes(engine)


def test_transformers_answers_for_an_adapter_that_llama_cpp_cannot_load(
    tuned_engine: LlamaCppEngine,
    fallback: TransformersEngine,
    tokenizer: ChatTokenizer,
    adapters: list[Path],
    tmp_path: Path,
) -> None:
    """Rank-stabilized LoRA, which a GGUF file cannot express."""
    folder = tmp_path / "other"
    shutil.copytree(adapters[1], folder)
    (folder / "adapter.gguf").unlink(missing_ok=True)
    config = folder / "adapter_config.json"
    text = config.read_text("utf-8").replace(
        '"use_rslora": false', '"use_rslora": true'
    )
    config.write_text(text, "utf-8")
    request = _request(tokenizer, 8, adapter=folder)
    texts = {
        "".join(piece.text for piece in _Answer(engine, request).rest())
        for engine in (tuned_engine, fallback)
    }
    assert len(texts) == 1
    assert not _processes(tuned_engine)
    refused = replace(request, choices=2)
    last = _Answer(tuned_engine, refused).rest()[-1]
    assert str(last.error) == "it cannot load this model"
    with pytest.raises(RefusedRequestError, match="cannot load this model"):
        tuned_engine.embed([[5]], folder).result(240)


def test_no_more_processes_are_kept_than_the_limit(
    tuned_engine: LlamaCppEngine,
    tokenizer: ChatTokenizer,
    adapters: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(llama_cpp_pool, "_MAX_PROCESSES", 2)
    for adapter in (None, *adapters):
        _Answer(tuned_engine, _request(tokenizer, 2, adapter=adapter)).rest()
    used = [worker.key.adapter for worker in tuned_engine._pool._workers.values()]
    assert used == adapters


def test_more_models_than_processes_are_all_answered_for(
    tuned_engine: LlamaCppEngine,
    tokenizer: ChatTokenizer,
    adapters: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that is still loading makes no room: its answers wait for it."""
    monkeypatch.setattr(llama_cpp_pool, "_MAX_PROCESSES", 2)
    models = (None, *adapters)
    answers = [
        _Answer(tuned_engine, _request(tokenizer, 2, adapter=adapter))
        for adapter in models
    ]
    assert [answer.rest()[-1].tokens for answer in answers] == [2, 2, 2]
