"""The prompt for chats with a tuned model."""

from pathlib import Path

import pytest

from langchain_chatexports.local_server import list_models
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.files import training_examples
from langchain_chatexports.local_server.trained_voice import voice_of
from langchain_chatexports.personas import VoicePrompt
from tests.unit_tests.builders.kept_models import keep_adapter, keep_model

RECORD = {"system_prompt": "You are Tortoise.", "user_label": "Hare"}


@pytest.mark.parametrize(
    ("trained", "asked", "k"), [(0, None, 4), (2, None, 2), (2, 6, 6), (2, 0, 0)]
)
def test_it_shows_as_many_replies_as_the_training_or_four(
    tmp_path: Path, trained: int, asked: int | None, k: int
) -> None:
    keep_model(tmp_path, "1" * 12, replies=trained, **RECORD)
    (model,) = list_models(tmp_path)
    voice = voice_of(model, replies=asked)
    assert (voice.persona, voice.label, voice.style) == (*RECORD.values(), None)
    assert voice.k == k
    assert bool(voice.replies) is bool(k)


def test_it_is_the_prompt_of_the_prepared_examples(tmp_path: Path) -> None:
    keep_model(tmp_path, "1" * 12)
    (model,) = list_models(tmp_path)
    examples = training_examples(model)
    question = examples[0]["messages"][-2]["content"]
    kept, prepared = voice_of(model), VoicePrompt.as_trained(examples)
    assert kept.invoke(question) == prepared.invoke(question)
    assert len(kept.invoke(question)) == 2


def test_without_the_examples_it_shows_none(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    data.prepare()
    keep_adapter(data, "1" * 12, job_id="ftjob-1", replies=3, **RECORD)
    (model,) = list_models(tmp_path)
    voice = voice_of(model)
    assert (voice.persona, voice.k) == ("You are Tortoise.", 0)
