"""A child process that answers and scores with transformers, one request at a time."""

import asyncio
import hmac
import json
import os
import socket
import threading
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from langchain_chatexports._serving import HOST, listen
from langchain_chatexports.local_server.bases.devices import memory_errors
from langchain_chatexports.local_server.bases.labels import encode_chat, encode_prompt
from langchain_chatexports.local_server.bases.llama_cpp_server import (
    create_socket_path,
)
from langchain_chatexports.local_server.bases.template import (
    ChatTemplate,
    MessageError,
)
from langchain_chatexports.local_server.engines.engine import (
    context_error,
    messages_error,
)
from langchain_chatexports.local_server.engines.loaded_base import LoadedBase, Request
from langchain_chatexports.local_server.engines.replies import (
    Reply,
    encode_reply,
    respond,
)
from langchain_chatexports.local_server.engines.sampling import (
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
    write_message,
)


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
        write_message(output, {"error": str(error).partition("\n")[0]})
        os._exit(1)
    resume_garbage_collection()
    _serve(Service(model, template), settings, output)
    os._exit(0)


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


def _serve(service: Service, settings: Mapping[str, Any], output: Any) -> None:
    """Serve on a private address until the parent ends, or nobody asks for long."""
    import uvicorn

    key, idle_seconds = settings["key"].encode(), settings["idle_seconds"]

    def guard(endpoint: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
        async def guarded(request: HttpRequest) -> Response:
            found = request.headers.get("authorization", "").encode()
            if not hmac.compare_digest(found, b"Bearer " + key):
                raise HTTPException(401)
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
    write_message(output, {"address": address})
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none")
    uvicorn.Server(config).run(sockets=[listener])


def _listen() -> tuple[socket.socket, str]:
    """Listen on a socket in a private folder, or else on a free port."""
    if path := create_socket_path("transformers-"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        return listener, f"unix://{path}"
    listener = listen()
    return listener, f"http://{HOST}:{listener.getsockname()[1]}"


if __name__ == "__main__":
    main()
