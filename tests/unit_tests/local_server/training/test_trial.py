"""A base that cannot be trained is refused before there is a job."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from langchain_chatexports.local_server.training import trial
from langchain_chatexports.local_server.training.trial import check_trainable
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.local_server.conftest import asking, openai_client


def test_a_base_is_tried_once(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_trainable(tiny_base, tmp_path)

    def fail(*_: Any) -> None:
        pytest.fail("it was tried again")

    monkeypatch.setattr(trial, "_try_in_child", fail)
    check_trainable(tiny_base, tmp_path)


def test_a_job_of_a_base_that_writes_no_text_is_refused(
    make_service: Callable[..., Any], tiny_base: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    (base / "config.json").write_text(json.dumps({"model_type": "vit"}), "utf-8")
    service = make_service(tmp_path / "data", base=base)
    service.queue.start = lambda: None
    with asking(service) as http:
        client = openai_client(http)
        file = client.files.create(file=as_jsonl(dialogues()), purpose="fine-tune")
        with pytest.raises(
            openai.BadRequestError, match="no text model of the type vit"
        ):
            client.fine_tuning.jobs.create(model="tiny", training_file=file.id)
