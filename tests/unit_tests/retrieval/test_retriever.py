import asyncio
from pathlib import Path
from typing import Any

import pytest
from langchain_tests.integration_tests import RetrieversIntegrationTests
from pydantic import ValidationError

from langchain_chatexports import ChatExportRetriever, samples
from langchain_chatexports.retrieval import ChatIndex
from tests.unit_tests.builders.sessions import open_export, talk

LINES = [f"{name}: the race number {i}" for i in range(30) for name in ("Hare", "Ron")]


class TestStandard(RetrieversIntegrationTests):
    """The suite of langchain-tests: `k` in the constructor and in `invoke`, async."""

    @property
    def retriever_constructor(self) -> type[ChatExportRetriever]:
        return ChatExportRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        index = ChatIndex()
        index.rebuild(talk(*LINES))
        return {"index": index}

    @property
    def retriever_query_example(self) -> str:
        return "race"


def test_arguments_override_settings() -> None:
    retriever = ChatExportRetriever.from_sessions(talk(*LINES), person="Hare", k=2)
    assert len(retriever.invoke("race")) == 2
    (document,) = retriever.invoke("race number 7", k=1, person="Ron")
    by_id = {row["id"]: row for row in document.metadata["messages"]}
    assert by_id[document.metadata["match"]]["sender"] == "Ron"


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        ChatExportRetriever.from_sessions(talk(*LINES), who="Hare")


async def test_concurrent_queries_are_independent() -> None:
    retriever = ChatExportRetriever.from_sessions(talk(*LINES), k=1)
    answers = await asyncio.gather(
        *(retriever.ainvoke(f'"number {i}"') for i in range(20))
    )
    for number, (document,) in enumerate(answers):
        assert f"number {number}" in document.page_content


def test_repr_shows_no_texts_or_names() -> None:
    retriever = ChatExportRetriever.from_sessions(talk("Zebulon: quagmire"))
    assert "quagmire" not in repr(retriever)
    assert "Zebulon" not in repr(retriever)


@pytest.mark.parametrize("write", samples.__all__)
def test_ids_of_hits_identify_messages(write: str, tmp_path: Path) -> None:
    loader = open_export(getattr(samples, write)(tmp_path / "export")).loader
    sessions = loader.load()
    retriever = ChatExportRetriever.from_sessions(sessions, k=50)
    texts = {
        message.id: (message.additional_kwargs["sender"], message.text)
        for session in sessions
        for message in session["messages"]
        if message.id
    }
    documents = retriever.invoke("the race is slow, the book too")
    assert documents
    for document in documents:
        for row in document.metadata["messages"]:
            around = retriever.index.message_context(
                row["id"], before=0, after=0, chat=document.metadata["source"]
            )
            assert around is not None
            ((_, _, sender, text),) = around[1]
            assert sender == row["sender"]
            if texts:  # WhatsApp has no ids, so the index creates them.
                assert texts[row["id"]] == (sender, text)
