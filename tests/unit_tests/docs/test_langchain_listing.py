"""The rows for LangChain's list of integrations are correct."""

import yaml  # type: ignore[import-untyped]  # PyYAML comes with langchain-core.

from langchain_chatexports.retrieval import ChatExportRetriever
from tests.unit_tests.builders.pages import DOCS


def test_listing_links_to_existing_pages() -> None:
    text = (
        DOCS.parent / ".github" / "langchain" / "integration_external_docs.yaml"
    ).read_text("utf-8")
    listed = yaml.safe_load(text)["python"]
    assert {*listed} == {"tools", "retrievers"}
    for (row,) in listed.values():
        assert row["pypi"] == "langchain-chatexports"
        page = row["docs_url"].rstrip("/").rpartition("/")[2]
        assert (DOCS / f"{page}.md").is_file()
    assert listed["retrievers"][0]["name"] == ChatExportRetriever.__name__
