"""`chatexports evaluate`, up to where models are needed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import openai
import pytest

from langchain_chatexports import evaluation, write_jsonl
from langchain_chatexports.cli import _evaluate_inputs
from langchain_chatexports.cli._evaluate_inputs import (
    Models,
    Stages,
    held_out_enough,
    probed_secrets,
    read_halves,
)
from langchain_chatexports.cli.chat import kept_model
from langchain_chatexports.cli.evaluate import guess
from langchain_chatexports.datasets import read_jsonl
from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.evaluation import BlindPair, BlindResult
from langchain_chatexports.evaluation.comparison import Passes
from langchain_chatexports.evaluation.conversations import Utterance
from langchain_chatexports.evaluation.time_left import TimeLeft
from langchain_chatexports.exceptions import SenderNotFoundError, TrainingDataError
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.models import TEST_RUN
from langchain_chatexports.samples import write_messenger
from tests.unit_tests.builders.kept_models import keep_adapter
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer
from tests.unit_tests.builders.tiny_base import dialogues
from tests.unit_tests.builders.voice_server import write_talks

if TYPE_CHECKING:
    from pathlib import Path

Command = Callable[..., Any]

URL = "http://127.0.0.1:9/v1"
MIA = PrepareOptions(ai=("mia",))


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_talks(tmp_path_factory.mktemp("exports") / "talks.jsonl", 80)


def replies(path: Path) -> set[str]:
    """Return the answers of a file of examples."""
    return {
        message["content"]
        for row in read_jsonl(path)
        for message in row["messages"]
        if message["role"] == "assistant"
    }


def test_an_export_is_split_as_prepare_splits_it(
    export: Path, chatexports: Command, tmp_path: Path
) -> None:
    chatexports("prepare", export, "--ai", "mia", "--split", "-o", tmp_path / "set")
    halves = read_halves([export], None, MIA, holds_out_enough=False)
    assert halves.examples == list(read_jsonl(tmp_path / "set" / "train.jsonl"))
    held_out = {text for found in halves.data.held_out for text in found.replies()}
    assert replies(tmp_path / "set" / "test.jsonl") <= held_out | {""}


def test_enough_is_held_out_where_the_model_is_trained_after_that(
    export: Path,
) -> None:
    halves = read_halves([export], None, MIA, holds_out_enough=True)
    assert 28 <= len(halves.data.held_out) <= 36
    assert len(halves.data.training) + len(halves.data.held_out) == 80
    assert halves.data.names == frozenset(
        ("mia", "friend p1", "friend p2", "friend p3")
    )
    trained = {text for found in halves.data.training for text in found.replies()}
    learned = {
        message["content"]
        for example in halves.examples
        for message in example["messages"]
        if message["role"] == "assistant"
    }
    assert trained <= learned


@pytest.mark.parametrize(("turns_each", "held_out"), [(6, 40), (1, 60)])
def test_so_much_is_held_out_that_there_are_150_turns_if_there_may(
    tmp_path: Path, turns_each: int, held_out: int
) -> None:
    """Of 150 conversations 40 at least, and 40 % at most."""
    row = '{"conversation_id": "c%d", "sender": "%s", "time": %d, "text": "%d %d"}\n'
    rows = [
        row % (talk, ("ann", "mia")[at % 2], 10**9 + 500_000 * talk + at, talk, at)
        for talk in range(150)
        for at in range(2 * turns_each)
    ]
    (tmp_path / "table.jsonl").write_text("".join(rows), encoding="utf-8")
    halves = read_halves([tmp_path / "table.jsonl"], None, MIA, holds_out_enough=True)
    assert len(halves.data.held_out) == pytest.approx(held_out, abs=3)


def test_another_person_is_trained_on_nothing_that_is_held_out(export: Path) -> None:
    """And on no more than the person."""
    halves = read_halves([export], None, MIA, holds_out_enough=True)
    found = halves.training_of_another("friend p1")
    assert 10 < len(found) <= len(halves.training)
    assert not {item.origin.session_id for item in found} & halves.held_out_ids
    learned = {
        message["content"]
        for item in found
        for message in item.example["messages"]
        if message["role"] == "assistant"
    }
    said = {line.text for each in halves.data.training for line in each.lines}
    own = {text for each in halves.data.training for text in each.replies()}
    assert learned & said
    assert not learned & own


def test_another_person_who_does_not_speak_is_named_as_such(export: Path) -> None:
    """And not by the option for the person."""
    halves = read_halves([export], None, MIA, holds_out_enough=True)
    with pytest.raises(SenderNotFoundError, match="The other person") as found:
        halves.training_of_another("nobody")
    assert "--ai" not in str(found.value)
    assert "friend p1" in found.value.senders


def test_examples_are_one_persons(tmp_path: Path) -> None:
    write_jsonl(dialogues(), tmp_path / "held.jsonl")
    held = tmp_path / "held.jsonl"
    halves = read_halves([held], held, PrepareOptions(), holds_out_enough=False)
    with pytest.raises(TrainingDataError, match="name the exports"):
        halves.training_of_another("mia")


def test_a_model_that_was_measured_is_measured_on_the_same_part_again(
    tmp_path: Path,
) -> None:
    data = prepared_folder(tmp_path)
    keep_adapter(data, "00000000000a", job_id="j1", source="a, earlier part")
    assert held_out_enough(None, tmp_path)
    keep_adapter(data, "00000000000b", job_id="j2", source="a")
    assert not held_out_enough("00000000000b", tmp_path)
    assert not held_out_enough(None, tmp_path / "empty")


@pytest.mark.parametrize(
    "words",
    [
        ("--wrong-person", "rita"),
        ("--epochs", "2"),
        ("--time", "30m"),
        ("--validation", "0.2"),
    ],
)
def test_what_belongs_to_a_training_needs_one(
    export: Path, chatexports: Command, words: tuple[str, str]
) -> None:
    done = chatexports("evaluate", export, *words)
    assert done.status == 2
    assert "--finetune" in done.err


def test_a_set_has_both_halves_and_the_same_turns(
    export: Path, chatexports: Command, tmp_path: Path
) -> None:
    chatexports("prepare", export, "--ai", "mia", "--split", "-o", tmp_path / "set")
    halves = read_halves(
        [tmp_path / "set"], None, PrepareOptions(), holds_out_enough=False
    )
    whole = read_halves([export], None, MIA, holds_out_enough=False)
    assert [c.replies() for c in halves.data.training] == [
        c.replies() for c in whole.data.training
    ]
    assert halves.data.names == whole.data.names


def test_a_set_without_a_test_part_is_refused(
    chatexports: Command, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    write_jsonl(dialogues(), tmp_path / "set" / "train.jsonl")
    done = chatexports("evaluate", tmp_path / "set")
    assert done.status == 1
    assert "prepare --split" in done.err


def test_held_out_examples_need_those_trained_on(
    chatexports: Command, tmp_path: Path
) -> None:
    write_jsonl(dialogues(), tmp_path / "held.jsonl")
    done = chatexports("evaluate", tmp_path / "held.jsonl")
    assert done.status == 1
    assert "--training FILE" in done.err


def test_without_a_model_the_next_command_is_said(
    chatexports: Command, tmp_path: Path
) -> None:
    write_jsonl(dialogues(), tmp_path / "held.jsonl")
    done = chatexports(
        "evaluate", "held.jsonl", "--training", "held.jsonl", "--data-dir", "data"
    )
    assert done.status == 1
    assert "chatexports finetune" in done.err


def test_a_model_of_a_test_run_that_was_killed_is_not_the_newest(
    tmp_path: Path,
) -> None:
    real = keep_adapter(prepared_folder(tmp_path), "00000000000a", job_id="j1")
    left = f"ft:tiny:local:{TEST_RUN}:00000000000b"
    keep_adapter(prepared_folder(tmp_path), "00000000000b", job_id="j2", name=left)
    assert kept_model(None, tmp_path).name == real
    assert kept_model(left, tmp_path).name == left


def prepared_folder(path: Path) -> DataDirectory:
    data = DataDirectory(path)
    data.prepare()
    return data


@pytest.mark.parametrize("stopped_in", ["training", "probing"])
def test_a_test_run_that_is_stopped_leaves_nothing_behind(
    export: Path, monkeypatch: pytest.MonkeyPatch, stopped_in: str
) -> None:
    left: list[tuple[str, str]] = []

    class Server:
        def discard_jobs(self, suffix: str) -> None:
            left.append(("jobs", suffix))

        def delete_model(self, name: str) -> None:
            left.append(("model", name))

    def stop(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    def train(*_: object) -> str:
        return "tuned"

    training = stop if stopped_in == "training" else train
    monkeypatch.setattr(_evaluate_inputs, "train", training)
    monkeypatch.setattr(_evaluate_inputs, "probe_canaries", stop)
    halves = read_halves([export], None, MIA, holds_out_enough=False)
    models = Models(cast("Any", Server()), "mine", "base", cast("Any", object()))
    stages = Stages(TimeLeft(Passes(1, 1)))
    with stages, pytest.raises(KeyboardInterrupt):
        probed_secrets(halves, models, seed=0, progress=stages)
    expected = {"training": ("jobs", TEST_RUN), "probing": ("model", "tuned")}
    assert left == [expected[stopped_in]]


def test_a_page_that_cannot_be_written_is_said_before_anything_begins(
    export: Path, chatexports: Command
) -> None:
    done = chatexports("evaluate", export, "--ai", "mia", "-o", "nowhere/page.html")
    assert done.status == 1
    assert "its folder does not exist" in done.err
    assert "held out" not in done.err


def test_a_half_without_the_person_is_said_before_anything_begins(
    chatexports: Command, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    write_jsonl(dialogues(), tmp_path / "set" / "train.jsonl")
    (tmp_path / "set" / "test.jsonl").write_bytes(b"")
    done = chatexports("evaluate", "set", "--data-dir", "data")
    assert done.status == 1
    assert "no turn of the person that was held out" in done.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--base-url", "http://127.0.0.1:9", "--finetune"],
        ["--base-url", "http://127.0.0.1:9", "--secrets"],
        ["--finetune", "--model", "ft:x"],
        ["--base", "x"],
        ["--turns", "0"],
        ["--temperature", "3"],
    ],
)
def test_options_that_do_not_go_together_are_refused(
    chatexports: Command, options: list[str]
) -> None:
    assert chatexports("evaluate", "x", *options).status == 2


def test_nothing_is_sent_to_a_foreign_host_without_asking(
    chatexports: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    write_jsonl(dialogues(), tmp_path / "held.jsonl")
    done = chatexports(
        "evaluate", "held.jsonl", "--training", "held.jsonl",
        "--base-url", "https://models.example.org/v1", "--model", "ft:x",
    )  # fmt: skip
    assert done.status == 1
    assert "models.example.org" in done.err
    assert "nothing was sent" in done.err


def test_a_foreign_host_needs_a_key_and_a_model(
    chatexports: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write_jsonl(dialogues(), tmp_path / "held.jsonl")
    command = ("evaluate", "held.jsonl", "--training", "held.jsonl", "--base-url")
    assert chatexports(*command, "https://x.example.org").status == 2
    done = chatexports(*command, "https://x.example.org", "--model", "m")
    assert done.status == 1
    assert "OPENAI_API_KEY" in done.err


def test_of_a_hosted_model_its_jobs_own_loss_is_told_and_no_bits_per_byte(
    export: Path, chatexports: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chatexports("prepare", export, "--ai", "mia", "--split", "-o", "set")
    with (
        OpenAIServer().running() as server,
        openai.OpenAI(base_url=server.base_url, api_key=KEY) as client,
    ):
        files = [
            client.files.create(file=tmp_path / "set" / name, purpose="fine-tune").id
            for name in ("train.jsonl", "validation.jsonl")
        ]
        job = client.fine_tuning.jobs.create(
            model=BASE_MODEL, training_file=files[0], validation_file=files[1]
        )
        while (done := client.fine_tuning.jobs.retrieve(job.id)).status != "succeeded":
            pass
        for checkpoint in server.jobs[job.id]["checkpoints"]:
            checkpoint["metrics"]["full_valid_loss"] = checkpoint["step_number"] / 16
        found = chatexports(
            "evaluate", "set", "--base-url", server.base_url,
            "--model", str(done.fine_tuned_model), "--turns", "9", "--json",
        )  # fmt: skip
        shown = chatexports(
            "evaluate", "set", "--base-url", server.base_url,
            "--model", str(done.fine_tuned_model), "--turns", "2",
        )  # fmt: skip
    assert "a loss of 1.25 nats per token on its validation file" in shown.err
    assert found.status == 0, found.err
    values = json.loads(found.out)
    assert [loss["contestant"] for loss in values["loss"]] == ["tuned", "hybrid"]
    assert [loss["bits_per_byte"] for loss in values["loss"]] == [None, None]
    assert values["loss"][0]["reason"] == "this endpoint cannot score given text"
    assert values["validation_loss"] == {
        "contestant": "tuned",
        "full_valid_loss": 1.25,
        "unit": "nats per token",
        "step": 20,
        "source": "checkpoints",
    }
    assert values["data"]["trained_on_dropped"] == 0
    assert not any("Nobody knows" in note for note in values["notes"])


def test_an_export_is_never_overwritten(chatexports: Command, tmp_path: Path) -> None:
    write_messenger(tmp_path / "hogwarts")
    done = chatexports("evaluate", "hogwarts", "-o", "hogwarts/page.html")
    assert done.status == 2


def test_stages_say_how_far_each_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []

    class Watching:
        def __init__(self, meter: object) -> None:
            self.meter = meter

        def __enter__(self) -> None:
            shown.append(self.meter)

        def __exit__(self, *_: object) -> None:
            shown.append(str(self.meter))

    monkeypatch.setattr(_evaluate_inputs, "watching", Watching)
    clock = iter(range(9))
    left = TimeLeft(Passes(scoring=1, writing=1), clock=lambda: 60.0 * next(clock))
    with Stages(left) as stages:
        stages("scoring replies: base", 1, 9)
        stages("scoring replies: base", 2, 9)
        stages("writing replies: base", 3, 9)
    assert len(shown) == 4
    assert str(shown[1]).startswith("2 of 9 turns")
    # Seven turns to score, and nine to write, three times as long.
    assert str(shown[1]).endswith("scoring replies: base, about 34 min left in all")
    assert str(shown[3]).endswith("writing replies: base, about 2 min left in all")
    assert capsys.readouterr().out == ""


def test_a_training_tells_what_comes_after_it() -> None:
    stages = Stages(TimeLeft(Passes(scoring=2, writing=0)))
    rest = stages.rest(10)
    assert rest is not None
    # A turn is scored in half the time of a step.
    assert rest(4.0, 50) == 2 * 10 * 2.0
    another = stages.rest(10, 0.5)
    assert another is not None
    assert another(4.0, 50) == 40 + 0.5 * 50 * 4
    unknown = Stages(TimeLeft(Passes(2, 0)), has_unknown=True)
    assert unknown.rest(10) is None


@pytest.mark.parametrize("named", ["base,nobody", "few_shots"])
def test_an_unknown_contestant_is_refused(chatexports: Command, named: str) -> None:
    done = chatexports("evaluate", "x", "--training", "y", "--contestants", named)
    assert done.status == 2
    assert "few-shot" in done.err


def test_too_few_conversations_cannot_be_split(tmp_path: Path) -> None:
    row = '{"conversation_id": "c", "role": "%s", "text": "hi"}\n'
    table = tmp_path / "table.jsonl"
    table.write_text(row % "user" + row % "assistant", encoding="utf-8")
    with pytest.raises(TrainingDataError):
        read_halves(
            [table], None, PrepareOptions(ai=("assistant",)), holds_out_enough=True
        )


@pytest.mark.parametrize(
    "option", [("--finetune",), ("--base-url", URL), ("--training", "x.jsonl")]
)
def test_without_paths_what_a_models_own_training_held_out_is_used(
    chatexports: Command, tmp_path: Path, option: tuple[str, ...]
) -> None:
    done = chatexports("evaluate", *option)
    assert done.status == 2
    assert "Without PATH" in done.err
    done = chatexports("evaluate", "--data-dir", tmp_path / "none")
    assert done.status == 1
    assert "There is no tuned model on this machine" in done.err


def test_a_blind_test_needs_somebody(chatexports: Command) -> None:
    done = chatexports("evaluate", "x", "--blind", "20")
    assert done.status == 1
    assert "no terminal" in done.err


PAIRS = [
    BlindPair((Utterance("p1", f"question {n}"),), ("yes [b]no", "no"), n % 2)
    for n in range(9)
]


@pytest.mark.parametrize("typed", ["", "a\n3\nb\n", "a\n3\nb\n1\n"])
def test_whoever_stops_early_gets_no_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert guess(PAIRS, 4) == "the guessing was stopped before the last pair"
    assert capsys.readouterr().err.count("told apart") == 1


def test_an_answer_does_not_command_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\x1b]0;evil\x07"
    pair = BlindPair((Utterance("p1", f"so{evil}"),), (f"yes{evil}", "no"), 0)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    guess([pair], 1)
    shown = capsys.readouterr().err
    assert "evil" in shown
    assert "\x1b]" not in shown
    assert "\x07" not in shown


def test_fewer_pairs_than_asked_for_are_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    guess(PAIRS, 40)
    assert "9 pairs (of 40 asked for: no more are fit)" in capsys.readouterr().err


def test_guesses_are_counted_and_told_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = "a\n3\n?\nab\nB\n4\n\n1\na\n3\na\n2\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    result = guess(PAIRS, 4)
    assert isinstance(result, BlindResult)
    assert (result.right, result.pairs) == (3, 4)
    assert result.by_confidence() == {1: (1, 1), 2: (1, 0), 3: (2, 2)}
    shown = capsys.readouterr().err
    assert "question 3" in shown
    assert "question 4" not in shown
    assert "yes [b]no" in shown
    assert shown.count("told apart") == 2


@pytest.mark.parametrize("stop", [SystemExit(143), KeyboardInterrupt()])
def test_who_stops_it_after_the_training_hears_which_model_is_kept(
    export: Path,
    chatexports: Command,
    monkeypatch: pytest.MonkeyPatch,
    stop: BaseException,
) -> None:
    @contextmanager
    def serve(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(base_url=URL, api_key="key", base_model="base")

    def evaluate(*_: object, **__: object) -> None:
        raise stop

    monkeypatch.setattr(_evaluate_inputs, "shared_server", serve)
    monkeypatch.setattr(_evaluate_inputs, "train", lambda *_: "ft:tuned")
    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    done = chatexports("evaluate", export, "--ai", "mia", "--finetune")
    assert done.status in {130, 143}
    assert "The trained model is kept: ft:tuned" in done.err
    assert "chatexports models --delete ft:tuned" in done.err
