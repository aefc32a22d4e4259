"""A blind test as a game, and the evaluation of a model; both in the background."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from langchain_chatexports._files import write_whole
from langchain_chatexports.evaluation import ModelServer, data_of_model, evaluate
from langchain_chatexports.evaluation.blind_test import BlindPair, BlindTest
from langchain_chatexports.evaluation.comparison import pairs_for_blind_test
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.client import client_of
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.languages import later
from langchain_chatexports.page.work import Work
from langchain_chatexports.workflows.models import TunedModel

_NO_PAIRS = later(
    "The training held out too little: no pair of answers is fit to be shown. Train on "
    "more chats."
)
_TIMEOUT_SECONDS = 600.0
_STAGES = {
    "scoring": later("Reading what the person wrote"),
    "answering": later("Writing answers"),
    "comparing": later("Comparing"),
}
# Scores and answers of the tuned model, and of the base with two prompts.
_COUNTED_STAGES = 2 * 3


class Guess:
    """A blind test of a model, and its evaluation, one at a time."""

    def __init__(self, use_server: Callable[[str | None], LocalServer]) -> None:
        self.work = Work()
        self.model: TunedModel | None = None
        self.test: BlindTest | None = None
        # While it is true, the server keeps its base.
        self.is_asking = False
        self._use_server = use_server
        self._seeds = count()

    def play(self, model: TunedModel, pairs: int) -> None:
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
                    progress=lambda _, *done: self._count("answers", *done),
                )
            if not found:
                raise PageError(_NO_PAIRS)
            self.model, self.test = model, BlindTest(found, pairs)

        self.work.start(later("Writing answers"), make)

    def choose(self, pair: BlindPair, index: int) -> None:
        """Guess the real answer of a pair, unless another tab did."""
        if self.test is not None and self.test.pair is pair:
            self.test.guess(index)

    def end(self) -> None:
        """End the test without a result."""
        self.test = None

    def evaluate(self, model: TunedModel) -> None:
        """Evaluate a model in the background, and store the result beside the model."""
        stages: list[str] = []

        def progress(what: str, done: int, total: int) -> None:
            if what not in stages:
                stages.append(what)
            stage = what.partition(":")[0]
            self.work.title = _STAGES[stage]
            # Comparing is short, and does not count turns.
            if stage != "comparing":
                before = (len(stages) - 1) * total
                self._count("steps", before + done, _COUNTED_STAGES * total)

        def work() -> None:
            with self._asking(model) as (server, base):
                found = evaluate(
                    data_of_model(model),
                    server,
                    tuned=model.name,
                    base=base,
                    progress=progress,
                )
            write_whole(evaluation_path(model), found.model_dump_json().encode())

        self.work.start(later("Starting the model"), work)

    @contextmanager
    def _asking(self, model: TunedModel) -> Iterator[tuple[ModelServer, str]]:
        server = self._use_server(model.base)
        self.is_asking = True
        try:
            with client_of(server, timeout=_TIMEOUT_SECONDS) as client:
                yield ModelServer(client), server.base_model
        finally:
            self.is_asking = False

    def _count(self, unit: str, done: int, total: int) -> None:
        self.work.check()
        self.work.count(lambda: done, total, unit)


def evaluation_path(model: TunedModel) -> Path:
    """Return the path of a model's evaluation, which is deleted with the model."""
    return model.path / "evaluation.json"
