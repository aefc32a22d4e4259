"""What type checkers must make of the public names; it is checked and never run.

mypy and pyright read it: an `assert_type` that does not hold is an error.
"""

from collections.abc import AsyncGenerator, Iterator
from typing import Any, assert_type

from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import AIMessageChunk
from langchain_core.runnables import RunnableLambda, RunnableSequence
from langchain_openai import ChatOpenAI

from langchain_chatexports import (
    ChatExportLoader,
    ChatFineTuner,
    ChunkSessions,
    ExportSession,
    ExportSummary,
    FineTuningRun,
    FolderFacebookMessengerChatLoader,
    IMessageChatLoader,
    LocalServer,
    MapAIMessages,
    MergeChatRuns,
    SessionPipeline,
    SessionTransform,
    convert_messages_for_finetuning,
    map_ai_messages,
    merge_chat_runs,
    to_training_examples,
    validate_examples,
    write_jsonl,
)
from langchain_chatexports.chat_loaders.pipe import TransformedChatLoader
from langchain_chatexports.datasets import TrainingExample


def loaders(other: BaseChatLoader) -> None:
    loader = IMessageChatLoader("chat.db", owner="Me")
    assert_type(loader.load(), list[ExportSession])
    assert_type(loader.lazy_load(), Iterator[ExportSession])
    assert_type(iter(loader), Iterator[ExportSession])
    assert_type(loader.inspect(), ExportSummary)
    assert_type(
        FolderFacebookMessengerChatLoader(["a.zip", "b.zip"]).inspect().kept, int
    )
    assert_type(loader | MergeChatRuns(), TransformedChatLoader)
    assert_type(loader | MergeChatRuns() | MapAIMessages(), TransformedChatLoader)
    assert_type(other | MergeChatRuns(), TransformedChatLoader)
    assert_type((loader | MergeChatRuns()).load(), list[ExportSession])
    assert_type(
        (loader | MergeChatRuns()).alazy_load(), AsyncGenerator[ExportSession, None]
    )


def steps(loader: BaseChatLoader, session: ChatSession) -> None:
    step = ChunkSessions(size=8, overlap=2)
    assert_type(step.invoke(loader), list[ChatSession])
    assert_type(step.invoke([session]), list[ChatSession])
    assert_type(MergeChatRuns() | step, SessionPipeline)
    assert_type(step | RunnableLambda(len), RunnableSequence[Any, Any])
    assert_type(merge_chat_runs([session]), Iterator[ChatSession])
    assert_type(map_ai_messages([session], "Me"), Iterator[ChatSession])


def prepare(loader: ChatExportLoader) -> None:
    assert_type(loader | MergeChatRuns(), TransformedChatLoader)


class Own(SessionTransform):
    """A custom step."""

    limit: int = 2

    def transform_session(self, session: ChatSession) -> list[ChatSession]:
        return [session][: self.limit]


def examples(loader: BaseChatLoader) -> None:
    training_examples = to_training_examples(loader | Own(limit=1))
    assert_type(training_examples, Iterator[TrainingExample])
    assert_type(validate_examples(training_examples), list[str])
    assert_type(write_jsonl(training_examples, "train.jsonl"), int)
    assert_type(
        convert_messages_for_finetuning(loader.load()), list[list[dict[str, Any]]]
    )


def tuner(loader: BaseChatLoader) -> None:
    with LocalServer() as server:
        tuner = ChatFineTuner(
            model=server.base_model, base_url=server.base_url, api_key=server.api_key
        )
        assert_type(tuner.invoke(loader), ChatOpenAI)
        run = tuner.submit(loader)
        assert_type(run, FineTuningRun)
        assert_type(run.wait(), FineTuningRun)
        for chunk in tuner.invoke(loader).stream("Ready?"):
            assert_type(chunk, AIMessageChunk)
