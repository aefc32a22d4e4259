"""A blind test as a game, whose answers are written in the background."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from langchain_chatexports.evaluation import ModelServer, data_of_model
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


class Guess:
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
            with self._asking(model) as server:
                found = pairs_for_blind_test(
                    data_of_model(model),
                    server,
                    tuned=model.name,
                    pairs=pairs,
                    seed=seed,
                    progress=lambda _, done, total: self._count(done, total),
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
        self.test = None

    @contextmanager
    def _asking(self, model: TunedModel) -> Iterator[ModelServer]:
        server = self._use_server(model.base)
        self.is_asking = True
        try:
            with client_of(server, timeout=_TIMEOUT_SECONDS) as client:
                yield ModelServer(client)
        finally:
            self.is_asking = False

    def _count(self, done: int, total: int) -> None:
        self.work.check()
        self.work.count(lambda: done, total, "answers")
