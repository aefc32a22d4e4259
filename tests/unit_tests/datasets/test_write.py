import os
import stat
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.datasets.formats import FormatName
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.datasets.splits import ExampleSplits, split_examples
from langchain_chatexports.datasets.trace import (
    ExampleOrigin,
    TracedExample,
    trace_examples,
)
from langchain_chatexports.datasets.trace_file import (
    read_header,
    read_trace,
    row_digest,
)
from langchain_chatexports.datasets.write import (
    WrittenDataset,
    write_dataset,
)
from langchain_chatexports.exceptions import ExportFormatError, TrainingDataError
from langchain_chatexports.steps import ChunkSessions, MapAIMessages
from tests.unit_tests.builders.conversations import daily_conversations
from tests.unit_tests.builders.dialogues import dialogue

EXAMPLE_FORMATS = ["openai", "trl-prompt-completion"]


@pytest.fixture
def traced() -> list[TracedExample]:
    sessions = daily_conversations()
    steps = MapAIMessages() | ChunkSessions(size=4, overlap=2)
    return list(trace_examples(steps.invoke(sessions)))


@pytest.fixture
def splits(traced: list[TracedExample]) -> ExampleSplits:
    return split_examples(traced)


def _files(folder: Path) -> set[str]:
    files = filter(Path.is_file, folder.rglob("*"))
    return {path.relative_to(folder).as_posix() for path in files}


def test_openai_file_equals_jsonl(tmp_path: Path, traced: list[TracedExample]) -> None:
    write_dataset(traced, tmp_path / "set.jsonl")
    write_jsonl((item.example for item in traced), tmp_path / "plain.jsonl")
    written = (tmp_path / "set.jsonl").read_bytes()
    assert written == (tmp_path / "plain.jsonl").read_bytes()


def test_split_is_written_to_a_folder(tmp_path: Path, splits: ExampleSplits) -> None:
    write_dataset(splits, tmp_path / "set")
    parts = {f"set/{part}.jsonl" for part in ("train", "validation", "test")}
    assert _files(tmp_path) == {*parts, "set.card.md", "set.trace.jsonl"}


@pytest.mark.parametrize("messages", [5, [None], [{"content": "secret"}]])
def test_invalid_example_is_named_by_line(tmp_path: Path, messages: object) -> None:
    examples: list[dict[str, object]] = [{"messages": messages}]
    with pytest.raises(TrainingDataError, match="line 1: `messages` must be") as raised:
        write_dataset(examples, tmp_path / "set")
    assert "secret" not in str(raised.value)
    assert _files(tmp_path) == set()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_files_are_private(tmp_path: Path, splits: ExampleSplits) -> None:
    write_dataset(splits, tmp_path / "set")
    for path in tmp_path.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("name", EXAMPLE_FORMATS)
def test_trace_has_digests(
    tmp_path: Path, splits: ExampleSplits, name: FormatName
) -> None:
    splits.train[0].example["messages"][0]["content"] = "half \ud83d é \u2028 😀"
    write_dataset(splits, tmp_path / "set", format=name)
    header = read_header(tmp_path / "set")
    found = [
        (file, row_digest(line))
        for file in header.files
        for line in (tmp_path / "set" / file).read_bytes().splitlines(keepends=True)
    ]
    rows = read_trace(tmp_path / "set")
    assert found == [(row.file, row.digest) for row in rows]


@pytest.mark.parametrize("name", ["Zoë 李雷", "half \ud83d"])
def test_trace_stores_any_name(tmp_path: Path, name: str) -> None:
    origin = ExampleOrigin(senders=(name,), participants=(name, "Hare"), last=2**70)
    example: Any = {"messages": [{"role": "assistant", "content": "a"}]}
    write_dataset([TracedExample(example, origin)], tmp_path / "set.jsonl")
    assert [row.origin for row in read_trace(tmp_path / "set.jsonl")] == [origin]


def test_summary_counts_skipped_answers(tmp_path: Path) -> None:
    examples = map(dialogue, ("aua", "a"))
    path = tmp_path / "set.jsonl"
    written = write_dataset(examples, path, format="trl-prompt-completion")
    assert written.examples.skipped == {"no_prompt": 1}
    assert written.answers.skipped == {"no_prompt": 2}
    assert "3 answers -> 1; 2 skipped: no_prompt" in str(written)
    assert all(stage.adds_up for stage in written.stages)
    assert written.to_dict()["answers_written"] == 1


def test_unsupported_examples_are_listed(tmp_path: Path) -> None:
    unfit = {"messages": [{"role": "assistant", "content": None}]}
    examples = [dialogue("ua"), unfit, unfit]
    with pytest.raises(TrainingDataError) as caught:
        write_dataset(examples, tmp_path / "set", format="trl-prompt-completion")
    assert [problem[:6] for problem in caught.value.problems] == ["line 2", "line 3"]
    assert _files(tmp_path) == set()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limits")
def test_error_names_the_file(tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, limits[1]))
    try:
        with pytest.raises(ExportFormatError, match=r"set\.jsonl cannot be written"):
            write_dataset([dialogue("ua")] * 1_000, tmp_path / "set.jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not _files(tmp_path)


def test_failed_write_keeps_earlier_set(tmp_path: Path, splits: ExampleSplits) -> None:
    write_dataset(splits, tmp_path / "set")
    before = {name: (tmp_path / name).read_bytes() for name in _files(tmp_path)}
    unfit: Any = {"messages": None}
    broken = ExampleSplits(train=[unfit], validation=[], test=[])
    with pytest.raises(TrainingDataError):
        write_dataset(broken, tmp_path / "set")
    assert before == {name: (tmp_path / name).read_bytes() for name in _files(tmp_path)}


def test_earlier_set_is_replaced(tmp_path: Path, splits: ExampleSplits) -> None:
    write_dataset(splits, tmp_path / "set")
    smaller = ExampleSplits(train=splits.train, validation=[], test=[])
    write_dataset(smaller, tmp_path / "set", format="trl-prompt-completion")
    names = {path.name for path in (tmp_path / "set").iterdir()}
    assert names == {"train.jsonl"}


def test_other_files_in_folder_are_kept(tmp_path: Path, splits: ExampleSplits) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.txt").write_text("years of work")
    for _ in range(2):
        write_dataset(splits, tmp_path / "set")
    assert (tmp_path / "set" / "thesis.txt").read_text() == "years of work"


def test_file_never_replaces_folder(
    tmp_path: Path, traced: list[TracedExample]
) -> None:
    with pytest.raises(ExportFormatError, match="is a folder"):
        write_dataset(traced, tmp_path)


def test_output_is_deterministic(tmp_path: Path, splits: ExampleSplits) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_dataset(splits, tmp_path / name / "set", format="trl-prompt-completion")
    names = _files(tmp_path / "one")
    assert names == _files(tmp_path / "two")
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (
            tmp_path / "two" / name
        ).read_bytes()


def test_summary_is_one_sentence(tmp_path: Path) -> None:
    export = Counts("Export (imessage)", found=12_345, kept=10_000)
    lost = {"reaction": 2_000, "media": 300, "bot": 15, "spam": 14, "draft": 11}
    export.skipped.update(lost, merged=4, unsent=1)
    examples = Counts("Written (openai)", "examples", 1_609, 1_609)
    answers = Counts("Written (openai)", "answers", 3_001, 3_000)
    answers.skip("no_prompt")
    stages, files = (export, examples, answers), {"train.jsonl": 4, "test.jsonl": 1}
    written = WrittenDataset(
        tmp_path, "openai", files, tmp_path, tmp_path, examples, answers, stages
    )
    assert written.summary(dialogues=312) == (
        "1,609 examples (train.jsonl 4, test.jsonl 1) from 12,345 messages, 312 "
        "dialogues; skipped: 2,000 sent as a reaction, 300 media without text, "
        "15 by bots and apps, 14 spam, 11 never sent, 1 for other reasons, "
        "1 answer without a user message before."
    )


def test_summary_may_lack_message_counts(tmp_path: Path) -> None:
    written = write_dataset(
        map(dialogue, ("ua", "a")), tmp_path / "set", format="trl-prompt-completion"
    )
    assert written.summary() == (
        "1 example; skipped: 1 example without a user message before, 1 answer "
        "without a user message before."
    )
