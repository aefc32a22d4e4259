"""A blind test as a game, and the evaluation of a model; both in the background."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

from langchain_chatexports._files import write_whole
from langchain_chatexports.datasets.splits import MIN_EXAMPLES
from langchain_chatexports.evaluation import (
    EvaluationSettings,
    ModelServer,
    data_of_model,
    evaluate,
)
from langchain_chatexports.evaluation.blind_test import BlindTest
from langchain_chatexports.evaluation.comparison import pairs_for_blind_test
from langchain_chatexports.evaluation.results import BlindFinding, Evaluation
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.client import client_of
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.languages import later
from langchain_chatexports.page.work import Work
from langchain_chatexports.workflows.models import KeptJob, TunedModel

HoldServer = Callable[[str | None], AbstractContextManager[LocalServer]]

NEEDED = later(
    "The chats are too few, or repeat themselves: it takes at least {examples} "
    "examples, of several conversations.",
    examples=MIN_EXAMPLES,
)
"""The requirements for held-out conversations, to guess and evaluate."""

_NO_PAIRS = later(
    "The training held out too little: no pair of answers is fit to be shown. Train on "
    "more chats."
)
_TIMEOUT_SECONDS = 600.0
_COMPARING = "comparing"
_STAGES = {
    "scoring": later("Reading what the person wrote"),
    "answering": later("Writing answers"),
    _COMPARING: later("Comparing"),
}


class Guess:
    """A blind test of a model, and its evaluation."""

    def __init__(self, hold_server: HoldServer) -> None:
        self.making, self.evaluating = Work(), Work()
        self.model: TunedModel | None = None
        self.test: BlindTest | None = None
        self.requested_pairs = 0
        # The chosen answer of the current pair: 0 or 1.
        self.chosen: int | None = None
        self._evaluated: tuple[TunedModel, Evaluation] | None = None
        self._hold_server = hold_server
        self._seeds = count()

    def play(self, model: TunedModel, pairs: int) -> bool:
        """Write the answers of a new blind test in the background."""
        seed = next(self._seeds)

        def make() -> None:
            self.end()
            with self._asking(model) as (server, _):
                found = pairs_for_blind_test(
                    data_of_model(model),
                    server,
                    tuned=model.name,
                    pairs=pairs,
                    seed=seed,
                    progress=lambda _, *count: _count(self.making, "answers", *count),
                )
            if not found:
                raise PageError(_NO_PAIRS)
            self.model, self.requested_pairs = model, pairs
            self.test = BlindTest(found, pairs)

        return self.making.start(later("Writing answers"), make)

    def choose(self, index: int) -> None:
        """Choose the real answer of the current pair."""
        self.chosen = index

    def be_sure(self, confidence: int) -> None:
        """Set the confidence in the choice, and continue with the next pair."""
        if self.test is None or self.chosen is None:
            return
        self.test.guess(self.chosen, confidence)
        self.chosen = None
        if self._evaluated and (result := self._result_of(self._evaluated[0])):
            model, found = self._evaluated
            reasons = {k: why for k, why in found.reasons.items() if k != "blind"}
            guessed = {"blind": result, "reasons": reasons}
            self._keep(model, found.model_copy(update=guessed))

    def end(self) -> None:
        """End the test without a result."""
        self.test, self.chosen = None, None

    def stop(self) -> None:
        """Stop the work in the background."""
        self.making.stop()
        self.evaluating.stop()

    def evaluate(self, model: TunedModel, turns: int) -> bool:
        """Evaluate a model in the background, and store the result beside the model."""
        # Scores and answers of the tuned model, and of the base with two prompts.
        stage_count = 2 * 3
        stages: list[str] = []

        def progress(what: str, done: int, total: int) -> None:
            if what not in stages:
                stages.append(what)
            self.evaluating.title = _STAGES[what.partition(":")[0]]
            # Comparing is short, and does not count turns.
            if what != _COMPARING:
                before = (len(stages) - 1) * total
                _count(self.evaluating, "steps", before + done, stage_count * total)

        def work() -> None:
            with self._asking(model) as (server, base):
                found = evaluate(
                    data_of_model(model),
                    server,
                    tuned=model.name,
                    base=base,
                    settings=EvaluationSettings(turns=turns),
                    blind=lambda _: self._result_of(model),
                    progress=progress,
                )
            self._keep(model, found)

        return self.evaluating.start(later("Starting the model"), work)

    def _keep(self, model: TunedModel, found: Evaluation) -> None:
        write_whole(evaluation_path(model), found.model_dump_json().encode())
        self._evaluated = model, found

    def _result_of(self, model: TunedModel) -> BlindFinding | None:
        is_tested = self.model is not None and self.model.name == model.name
        return self.test.result if self.test and is_tested else None

    @contextmanager
    def _asking(self, model: TunedModel) -> Iterator[tuple[ModelServer, str]]:
        with (
            self._hold_server(model.base) as server,
            client_of(server, timeout=_TIMEOUT_SECONDS) as client,
        ):
            yield ModelServer(client), server.base_model


def _count(work: Work, unit: str, done: int, total: int) -> None:
    work.check()
    work.count(lambda: done, total, unit)


def evaluation_path(model: TunedModel) -> Path:
    """Return the path of a model's evaluation, which is deleted with the model."""
    return model.path / "evaluation.json"


def held_nothing_out(models: Iterable[TunedModel], jobs: Iterable[KeptJob]) -> set[str]:
    """Return the names of the models without held-out conversations."""
    without = {job.id for job in jobs if not job.has_validation}
    return {model.name for model in models if model.job_id in without}
