"""State of a blind test; replies are generated in the background."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from langchain_chatexports.evaluation import ModelClient, load_model_data
from langchain_chatexports.evaluation.blind_test import BlindPair, BlindTest
from langchain_chatexports.evaluation.comparison import create_blind_pairs
from langchain_chatexports.local_server import LocalServer, Model, Workspace
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.languages import lazy_gettext
from langchain_chatexports.page.work import Work

_NO_PAIRS = lazy_gettext(
    "No suitable pairs: training held out too few messages. Train on more chats."
)
_TIMEOUT_SECONDS = 600.0


class Guess:
    def __init__(
        self, workspace: Workspace, use_server: Callable[[str | None], LocalServer]
    ) -> None:
        self.work = Work()
        self.model: Model | None = None
        self.test: BlindTest | None = None
        # While true, the server must not switch to another base.
        self.is_using_server = False
        self._workspace = workspace
        self._use_server = use_server
        self._seeds = count()

    def play(self, model: Model, pairs: int) -> None:
        """Generate the replies of a new blind test in the background."""
        seed = next(self._seeds)

        def make() -> None:
            self.end()
            with self._model_server(model) as server:
                blind_pairs = create_blind_pairs(
                    load_model_data(self._workspace, model),
                    server,
                    tuned=model.name,
                    pairs=pairs,
                    seed=seed,
                    progress=lambda _, done, total: self._set_progress(done, total),
                )
            if not blind_pairs:
                raise PageError(_NO_PAIRS)
            self.model, self.test = model, BlindTest(blind_pairs, pairs)

        self.work.start(lazy_gettext("Generating replies"), make)

    def choose(self, pair: BlindPair, index: int) -> None:
        """Record a guess for a pair, unless another tab already did."""
        if self.test is not None and self.test.pair is pair:
            self.test.guess(index)

    def end(self) -> None:
        self.test = None

    @contextmanager
    def _model_server(self, model: Model) -> Iterator[ModelClient]:
        from openai import OpenAI  # It takes a second to import.

        server = self._use_server(model.base)
        self.is_using_server = True
        try:
            with OpenAI(
                base_url=server.base_url,
                api_key=server.api_key,
                timeout=_TIMEOUT_SECONDS,
            ) as client:
                yield ModelClient(client)
        finally:
            self.is_using_server = False

    def _set_progress(self, done: int, total: int) -> None:
        self.work.check()
        self.work.set_progress(lambda: done, total, "answers")
