"""Everything that OpenAI's SDK can ask of the local server, sync and async.

It needs the SDK only, so that each of its releases can be sent around:
`python tests/unit_tests/builders/sdk_tours.py BASE_URL KEY MODEL`.
"""

import asyncio
import io
import json
import sys
from typing import Any

import openai

_QUESTION: list[Any] = [{"role": "user", "content": "Are you ready?"}]
_EXPIRES: Any = {"anchor": "created_at", "seconds": 3600}


def _upload() -> tuple[str, io.BytesIO]:
    example = {"messages": [*_QUESTION, {"role": "assistant", "content": "Slowly."}]}
    return "train.jsonl", io.BytesIO(10 * (json.dumps(example).encode() + b"\n"))


def _tokens(usage: Any) -> tuple[int, int, int]:
    """Return the counts, but for how much of the prompt did not have to be read."""
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens


def tour(client: openai.OpenAI, model: str) -> None:
    """Ask everything once; the job is cancelled."""
    file = client.files.create(
        file=_upload(), purpose="fine-tune", expires_after=_EXPIRES
    )
    assert client.files.wait_for_processing(file.id).status == "processed"
    assert client.files.retrieve(file.id).expires_at == file.created_at + 3600
    assert file.id in [each.id for each in client.files.list(limit=1)]
    assert client.files.content(file.id).read() == _upload()[1].read()
    jobs = client.fine_tuning.jobs
    job = jobs.create(
        model=model,
        training_file=file.id,
        method={"type": "supervised", "supervised": {"hyperparameters": {}}},
        metadata={"tour": "yes"},
        seed=7,
    )
    assert jobs.retrieve(job.id).hyperparameters.n_epochs == 4
    assert job.id in [each.id for each in jobs.list(metadata={"tour": "yes"}, limit=1)]
    told = [event.message for event in jobs.list_events(job.id, limit=1)]
    assert told[-1].startswith("Created")
    assert list(jobs.checkpoints.list(job.id)) == []
    assert jobs.cancel(job.id).status == "cancelled"
    assert model in [each.id for each in client.models.list()]
    assert client.models.retrieve(model).owned_by == "local"
    chats = client.chat.completions
    asked: Any = {"model": model, "messages": _QUESTION, "max_tokens": 5, "seed": 1}
    whole = chats.create(**asked)
    options: Any = {"include_usage": True}
    chunks = list(chats.create(**asked, stream=True, stream_options=options))
    parts = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(parts) == whole.choices[0].message.content
    assert _tokens(chunks[-1].usage) == _tokens(whole.usage)
    assert client.files.delete(file.id).deleted
    try:
        client.models.delete("ft:none")
    except openai.NotFoundError as error:
        assert error.code == "not_found"  # noqa: PT017 - pytest is not needed here.
    else:
        raise AssertionError


async def async_tour(client: openai.AsyncOpenAI, model: str) -> None:
    """Ask the same with the asynchronous client."""
    file = await client.files.create(file=_upload(), purpose="fine-tune")
    assert (await client.files.wait_for_processing(file.id)).status == "processed"
    assert file.id in [each.id async for each in client.files.list(limit=1)]
    assert (await client.files.content(file.id)).read() == _upload()[1].read()
    jobs = client.fine_tuning.jobs
    job = await jobs.create(model=model, training_file=file.id, suffix="async")
    assert job.id in [each.id async for each in jobs.list(limit=1)]
    told = [event.message async for event in jobs.list_events(job.id, limit=1)]
    assert told[-1].startswith("Created")
    assert [each async for each in jobs.checkpoints.list(job.id)] == []
    assert (await jobs.cancel(job.id)).status == "cancelled"
    assert model in [each.id async for each in client.models.list()]
    asked: Any = {"model": model, "messages": _QUESTION, "max_tokens": 5, "seed": 1}
    whole = await client.chat.completions.create(**asked)
    stream: Any = await client.chat.completions.create(**asked, stream=True)
    parts = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(parts) == whole.choices[0].message.content
    assert (await client.files.delete(file.id)).deleted


async def _both(base_url: str, key: str, model: str) -> None:
    with openai.OpenAI(base_url=base_url, api_key=key) as client:
        await asyncio.to_thread(tour, client, model)
    async with openai.AsyncOpenAI(base_url=base_url, api_key=key) as async_client:
        await async_tour(async_client, model)


if __name__ == "__main__":
    asyncio.run(_both(*sys.argv[1:4]))
    print(f"openai {openai.__version__}: all of it works")  # noqa: T201 - its output.
