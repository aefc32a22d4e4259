"""Lists in pages: what is shown, and whether there is more."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.local_server.http.paging import page
from langchain_chatexports.local_server.http.requests import JobRequest
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from langchain_chatexports.local_server.http.service import LocalService


@given(st.integers(0, 12), st.integers(1, 5))
def test_pages_one_after_another_are_the_whole_list(length: int, limit: int) -> None:
    items = [{"id": f"item-{number}"} for number in range(length)]
    seen: list[dict[str, str]] = []
    after = ""
    while True:
        found = page(items, after=after, limit=limit)
        seen += found["data"]
        assert found["has_more"] == (len(seen) < length)
        assert len(found["data"]) == min(limit, length - len(seen) + len(found["data"]))
        if not found["has_more"]:
            break
        after = found["last_id"]
    assert seen == items


@pytest.mark.parametrize(
    ("path", "length"), [("events", 20), ("events?limit=3", 3), ("events?limit=99", 27)]
)
def test_a_page_has_its_default_length_unless_the_client_names_one(
    http: TestClient, service: LocalService, path: str, length: int
) -> None:
    upload = service.files.create(io.BytesIO(as_jsonl(dialogues())), filename="a.jsonl")
    job = service.create_job(JobRequest(model="tiny", training_file=upload["id"]))
    for _ in range(25):
        service.jobs.events(job["id"]).append("Step")
    listed = http.get(f"/v1/fine_tuning/jobs/{job['id']}/{path}").json()
    assert len(listed["data"]) == length
