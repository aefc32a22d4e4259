"""A child process that answers and scores with transformers, one request at a time."""

import asyncio
import hmac
import json
import os
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from langchain_chatexports.local_server.bases.cache import read_json
from langchain_chatexports.local_server.bases.devices import (
    choose_device,
    memory_errors,
)
from langchain_chatexports.local_server.bases.labels import encode_chat, encode_prompt
from langchain_chatexports.local_server.bases.preparation import load_tokenizer
from langchain_chatexports.local_server.bases.template import (
    ChatTemplate,
    MessageError,
)
from langchain_chatexports.local_server.bases.weights import is_adapter, load_base
from langchain_chatexports.local_server.engines.engine import (
    context_error,
    deleted_error,
    messages_error,
)
from langchain_chatexports.local_server.engines.replies import (
    Reply,
    encode_reply,
    respond,
)
from langchain_chatexports.local_server.engines.sampling import (
    MIN_TEMPERATURE,
    Sampling,
    read_sampling,
    read_stops,
    token_limit,
)
from langchain_chatexports.local_server.errors import RequestError
from langchain_chatexports.local_server.processes import (
    claim_stdout,
    postpone_garbage_collection,
    read_settings,
    resume_garbage_collection,
)

_SCORING_CHUNK_TOKENS = 256


@dataclass(frozen=True)
class Request:
    """A prompt and its sampling settings."""

    prompt: list[int]
    max_tokens: int
    adapter: Path | None
    sampling: Sampling
    stops: list[str]
    seed: int | None
    strength: float = 1.0


def main() -> None:
    """Serve until the parent ends."""
    output = claim_stdout()
    settings = read_settings()
    postpone_garbage_collection()
    import torch

    torch.set_num_threads(settings["threads"])
    template = ChatTemplate.from_record(settings["template"])
    try:
        model = LoadedBase(Path(settings["directory"]), template)
    except Exception as error:  # noqa: BLE001 - raised in the parent process.
        _report(output, {"error": str(error).partition("\n")[0]})
        os._exit(1)
    resume_garbage_collection()
    _serve(Service(model, template), settings, output)
    os._exit(0)


class LoadedBase:
    """A causal language model and at most one adapter; not thread-safe."""

    def __init__(self, directory: Path, template: ChatTemplate) -> None:
        """Load the base from its directory."""
        from transformers import GenerationConfig
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.tokenizer, _ = load_tokenizer(directory)
        self.device = choose_device()
        self._model = load_base(directory, self.device).eval()
        ends = self._model.generation_config.eos_token_id
        end = self.tokenizer.convert_tokens_to_ids(template.markup.end_token)
        self.end_tokens = {
            *(ends if isinstance(ends, list) else [ends]),
            *(end, self.tokenizer.eos_token_id),
        } - {None}
        """Token ids that end a reply, of the model, the template and the tokenizer."""

        # The base's own sampling settings would be merged into a request's.
        self._model.generation_config = GenerationConfig()
        self._peft: Any = None
        self._adapter: Path | None = None
        """The folder of the loaded adapter."""

    def generate(
        self,
        request: Request,
        on_text: Callable[[str], None],
        should_stop: Callable[[], bool],
    ) -> tuple[str, int]:
        """Stream a reply; return its finish reason and the number of its tokens."""
        import torch
        from transformers import GenerationConfig

        def is_done(ids: Any, _: Any, **_more: Any) -> Any:
            should_end = should_stop() or streamer.is_finished
            return torch.full((ids.shape[0],), should_end, device=ids.device)

        def penalize(ids: Any, scores: Any) -> Any:
            tokens = ids[0].tolist()
            generated = len(tokens) - len(request.prompt)
            for token, penalty in settings.dry_penalties(tokens, generated).items():
                scores[0, token] -= penalty
            return scores

        streamer = _TextStreamer(
            on_text, self.tokenizer, self.end_tokens, request.stops
        )
        settings = request.sampling
        is_greedy = settings.temperature < MIN_TEMPERATURE or settings.top_p <= 0
        sampling = {
            "temperature": settings.temperature,
            "min_p": settings.min_p or None,
            "top_p": settings.top_p,
            "top_k": 0,
        }
        config = GenerationConfig(
            max_new_tokens=request.max_tokens,
            eos_token_id=sorted(self.end_tokens),
            pad_token_id=min(self.end_tokens, default=0),
            do_sample=not is_greedy,
            **({} if is_greedy else sampling),
        )
        seed = torch.seed() if request.seed is None else request.seed
        torch.manual_seed(seed % 2**63)
        prompt = torch.tensor([request.prompt], device=self.device)
        with self._adapted(request.adapter, request.strength), torch.inference_mode():
            self._model.generate(
                prompt,
                generation_config=config,
                attention_mask=torch.ones_like(prompt),
                logits_processor=[penalize],
                stopping_criteria=[is_done],
                streamer=streamer,
            )
        return "stop" if streamer.is_finished else "length", len(streamer.ids)

    def negative_log_likelihoods(
        self,
        tokens: list[int],
        positions: list[int],
        adapter: Path | None,
        strength: float = 1.0,
    ) -> list[float]:
        """Return the negative log-likelihoods of tokens at positions, in nats.

        Position 0 has none.
        """
        import torch

        if not positions:
            return []
        # The logits at a position predict the next token.
        logit_positions = torch.tensor(
            [position - 1 for position in positions], device=self.device
        )
        targets = torch.tensor(
            [tokens[position] for position in positions], device=self.device
        )
        with self._adapted(adapter, strength), torch.inference_mode():
            logits = self._model(
                input_ids=torch.tensor([tokens], device=self.device),
                use_cache=False,
                logits_to_keep=logit_positions,
            ).logits[0]
            losses: list[float] = []
            # In chunks, because float32 logits over the whole vocabulary are large.
            for chunk, chunk_targets in zip(
                logits.split(_SCORING_CHUNK_TOKENS),
                targets.split(_SCORING_CHUNK_TOKENS),
                strict=True,
            ):
                log_likelihoods = torch.log_softmax(chunk.float(), dim=-1)
                target_values = log_likelihoods.gather(1, chunk_targets[:, None])[:, 0]
                losses.extend((-target_values).tolist())
        return losses

    @contextmanager
    def _adapted(self, adapter: Path | None, strength: float) -> Iterator[None]:
        """Apply an adapter, or a part of it."""
        self._activate(adapter)
        if adapter is None or strength == 1:
            yield
            return
        from peft.helpers import rescale_adapter_scale

        with rescale_adapter_scale(self._peft, strength):
            yield

    def _activate(self, adapter: Path | None) -> None:
        if adapter is None:
            if self._peft is not None:
                self._peft.base_model.disable_adapter_layers()
        elif adapter == self._adapter:
            self._peft.base_model.enable_adapter_layers()
        else:
            self._unload()
            self._load(adapter)

    def _load(self, adapter: Path) -> None:
        from peft import PeftModel

        if not is_adapter(adapter):
            raise deleted_error()
        config = read_json(adapter / "adapter_config.json") or {}
        uses_megatron = config.get("megatron_config") is not None
        if config.get("peft_type") != "LORA" or uses_megatron:
            # For other adapters, PEFT would load more files, hub ids and modules.
            msg = (
                f"{adapter} is not a plain LoRA adapter. Other types are not "
                "supported, because they can load additional files and modules."
            )
            raise RequestError(msg, code="invalid_value", param="model")
        with warnings.catch_warnings():
            # PEFT uses an attribute that transformers deprecates.
            warnings.simplefilter("ignore", FutureWarning)
            self._peft = PeftModel.from_pretrained(
                self._model, adapter, torch_device=self.device
            ).eval()
        self._adapter = adapter

    def _unload(self) -> None:
        if self._peft is not None:
            self._model = self._peft.unload()
        self._peft = self._adapter = None


class _TextStreamer:
    """Streams the decoded text in complete characters, up to a stop sequence."""

    def __init__(
        self,
        on_text: Callable[[str], None],
        tokenizer: Any,
        end_tokens: set[int],
        stops: list[str],
    ) -> None:
        self.ids: list[int] = []
        self.is_finished = False
        """Whether the reply ended with an end token or stop sequence."""

        self._on_text = on_text
        self._tokenizer = tokenizer
        self._end_tokens = end_tokens
        self._stops = stops
        # The last characters may be the start of a stop sequence.
        self._withheld = max(map(len, self._stops), default=1) - 1
        self._sent = 0
        self._has_prompt = False

    def put(self, ids: Any) -> None:
        """Receive the prompt first, then each token."""
        if not self._has_prompt:
            self._has_prompt = True
            return
        (token,) = ids.flatten().tolist()
        # transformers checks the stopping criteria before it calls this.
        if self.is_finished or token in self._end_tokens:
            self.is_finished = True
            return
        self.ids.append(token)
        # A token can be part of a character.
        self._write(self._text().rstrip("\ufffd"), withheld=self._withheld)

    def end(self) -> None:
        """Flush the withheld text."""
        self._write(self._text(), withheld=0)

    def _text(self) -> str:
        return str(self._tokenizer.decode(self.ids, skip_special_tokens=True))

    def _write(self, text: str, *, withheld: int) -> None:
        stop_positions = [i for i in map(text.find, self._stops) if i >= 0]
        self.is_finished = self.is_finished or bool(stop_positions)
        end = min(stop_positions) if stop_positions else len(text) - withheld
        if end > self._sent:
            self._on_text(text[self._sent : end])
            self._sent = end


class Service:
    """The routes, and the thread of the model."""

    def __init__(self, model: LoadedBase, template: ChatTemplate) -> None:
        """Initialize the service; requests wait for their turn."""
        self._model = model
        self._template = template
        self._thread = ThreadPoolExecutor(1, "transformers")
        self.running = 0
        self.used_at = time.monotonic()

    async def complete(self, request: HttpRequest) -> Response:
        """Answer a chat request."""
        fields = json.loads(await request.body())
        body = fields["body"]
        prompt = self._encode_prompt(body["messages"])
        context = self._template.context
        if len(prompt) >= context:
            raise context_error(context)
        limit = token_limit(body, fields["reply_tokens"])
        task = Request(
            prompt=prompt,
            max_tokens=min(limit, context - len(prompt)),
            adapter=_adapter(fields),
            sampling=read_sampling(body),
            stops=read_stops(body),
            seed=body.get("seed"),
            strength=fields["strength"],
        )
        reply = Reply(fields["model"], prompt_tokens=len(prompt))
        chunks = encode_reply(self._generate(task, reply), reply, body)
        return await respond(chunks, request, is_stream=bool(body.get("stream")))

    async def score(self, request: HttpRequest) -> Response:
        """Score the replies of a chat in one forward pass."""
        fields = json.loads(await request.body())
        try:
            ids, replies = encode_chat(
                self._model.tokenizer, self._template, fields["messages"]
            )
        except MessageError as error:
            raise messages_error(error) from error
        if len(ids) > self._template.context:
            raise context_error(self._template.context)
        positions = [at for reply in replies for at in range(reply.start, reply.end)]
        losses = await self._run(
            lambda: self._model.negative_log_likelihoods(
                ids, positions, _adapter(fields), fields["strength"]
            )
        )
        nll = dict(zip(positions, losses, strict=True))
        return _json(
            [
                {
                    "index": reply.message_index,
                    "nll": sum(nll[at] for at in range(reply.start, reply.end - 1)),
                    "end_nll": nll[reply.end - 1],
                    "tokens": reply.end - 1 - reply.start,
                    "size_bytes": reply.size_bytes,
                }
                for reply in replies
            ]
        )

    async def tokenize(self, request: HttpRequest) -> Response:
        """Return the tokens of a text, or of a chat's prompt."""
        fields = json.loads(await request.body())
        if fields["text"] is None:
            return _json(self._encode_prompt(fields["messages"]))
        encode = self._model.tokenizer.encode
        return _json(encode(fields["text"], add_special_tokens=False))

    async def _generate(self, task: Request, reply: Reply) -> AsyncGenerator[str, None]:
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        is_cancelled = threading.Event()

        def put(piece: str | None) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        def generate() -> tuple[str, int]:
            try:
                if is_cancelled.is_set():
                    return "stop", 0
                return self._model.generate(task, put, is_cancelled.is_set)
            finally:
                put(None)

        result = asyncio.ensure_future(self._run(generate))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            reply.finish_reason, reply.tokens = await result
        finally:
            is_cancelled.set()
            with suppress(RequestError):
                await result

    async def _run(self, function: Callable[[], Any]) -> Any:
        """Call a function in the model's thread."""
        self.running += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, memory_errors()(function))
        except MemoryError as error:
            msg = "Not enough memory to generate this response."
            raise RequestError(msg, status=503, code="out_of_memory") from error
        except RequestError:
            raise
        except Exception as error:
            msg = f"The response could not be generated ({type(error).__name__})."
            raise RequestError(msg, status=503, code="server_error") from error
        finally:
            self.running -= 1
            self.used_at = time.monotonic()

    def _encode_prompt(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        try:
            return encode_prompt(self._model.tokenizer, self._template, messages)
        except MessageError as error:
            raise messages_error(error) from error


def _adapter(fields: Mapping[str, Any]) -> Path | None:
    return None if fields["adapter"] is None else Path(fields["adapter"])


def _json(value: Any) -> Response:
    return Response(json.dumps(value).encode("ascii"), media_type="application/json")


def _report(output: Any, message: dict[str, str]) -> None:
    with output as file:
        file.write(json.dumps(message).encode("ascii") + b"\n")


def _serve(service: Service, settings: Mapping[str, Any], output: Any) -> None:
    """Serve on a private address until the parent ends, or nobody asks for long."""
    import uvicorn

    key, idle_seconds = settings["key"].encode(), settings["idle_seconds"]

    async def check_key(request: HttpRequest) -> None:
        found = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(found, b"Bearer " + key):
            raise HTTPException(401)

    def guard(endpoint: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
        async def guarded(request: HttpRequest) -> Response:
            await check_key(request)
            response: Response = await endpoint(request)
            return response

        return guarded

    async def refuse(_: HttpRequest, error: Exception) -> Response:
        assert isinstance(error, RequestError)  # noqa: S101 - for types.
        return Response(error.body, error.status, media_type="application/json")

    async def exit_when_idle() -> None:
        while service.running or time.monotonic() < service.used_at + idle_seconds:  # noqa: ASYNC110
            await asyncio.sleep(min(1.0, idle_seconds))
        os._exit(0)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.ensure_future(exit_when_idle())
        yield
        task.cancel()

    app = Starlette(
        routes=[
            Route("/complete", guard(service.complete), methods=["POST"]),
            Route("/score", guard(service.score), methods=["POST"]),
            Route("/tokenize", guard(service.tokenize), methods=["POST"]),
        ],
        exception_handlers={RequestError: refuse},
        lifespan=lifespan,
    )
    listener, address = _listen()
    _report(output, {"address": address})
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none")
    uvicorn.Server(config).run(sockets=[listener])


def _listen() -> tuple[socket.socket, str]:
    """Listen on a socket in a private folder, or else on a free port."""
    if sys.platform != "win32":
        path = Path(tempfile.mkdtemp(prefix="transformers-")) / "s.sock"
        listener = socket.socket(socket.AF_UNIX)
        with suppress(OSError):  # Its path is too long.
            listener.bind(str(path))
            listener.listen()
            return listener, f"unix://{path}"
        listener.close()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


if __name__ == "__main__":
    main()
