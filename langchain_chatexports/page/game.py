"""A game: which of two replies is the person's? Replies are made in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

from langchain_chatexports.evaluation import ModelClient, load_model_data
from langchain_chatexports.evaluation.blind_test import (
    BlindGuess,
    BlindPair,
    blind_result,
)
from langchain_chatexports.evaluation.comparison import create_blind_pairs
from langchain_chatexports.evaluation.results import BlindResult
from langchain_chatexports.exceptions import TrainingDataError
from langchain_chatexports.local_server import LocalServer, Model, Workspace
from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.languages import lazy_gettext
from langchain_chatexports.page.work import IDLE, Work, WorkState

_WRITING = lazy_gettext("The model writes its replies")
_NO_PAIRS = lazy_gettext(
    "No two replies can be compared: those of the model are too like each other, or "
    "too unlike a message."
)
_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True)
class Game:
    """The game as screens show it."""

    work: WorkState = IDLE
    model: str = ""
    pairs: tuple[BlindPair, ...] = ()
    guesses: tuple[BlindGuess, ...] = ()
    is_next: bool = True
    """Whether the next pair is shown, and not the solution of the last one."""

    @property
    def shown(self) -> BlindPair | None:
        """The pair to guess, or whose solution is shown."""
        index = len(self.guesses) - (not self.is_next)
        return self.pairs[index] if index < len(self.pairs) else None

    @property
    def result(self) -> BlindResult | None:
        """What all guesses show, once the last solution was seen."""
        is_over = self.pairs and self.is_next and self.shown is None
        return blind_result(self.guesses) if is_over else None

    @property
    def is_on(self) -> bool:
        """Whether it is being played, so that another one must wait."""
        return self.work.is_running or self.shown is not None


NO_GAME = Game()


class GameRunner:
    """The game of all tabs; only one model is played with at a time."""

    def __init__(
        self,
        workspace: Workspace,
        use_server: Callable[[str | None], LocalServer],
        on_change: Callable[[], object],
    ) -> None:
        """Initialize; `on_change` is called from any thread."""
        self.work = Work(on_change)
        # While true, the server must not switch to another base.
        self.is_using_server = False
        self._game = Game()
        self._workspace, self._use_server = workspace, use_server
        self._on_change = on_change
        self._seeds = count()

    def freeze(self) -> Game:
        return replace(self._game, work=self.work.freeze())

    def count_pairs(self, model: Model) -> int:
        """Return how many pairs there can be: one of each held-out chat."""
        try:
            data = load_model_data(self._workspace, model)
        except TrainingDataError:
            return 0
        return sum(bool(chat.replies()) for chat in data.held_out)

    def play(self, model: Model, pairs: int) -> bool:
        """Make the replies of a new game, unless one is being played."""
        if self.freeze().is_on:
            return False
        self._game = Game(model=model.name)
        seed = next(self._seeds)

        def make() -> None:
            written, data = 0, load_model_data(self._workspace, model)

            def report(_what: str, done: int, _total: int) -> None:
                nonlocal written
                self.work.check()
                written = done

            total = 2 * min(pairs, len(data.held_out))
            with (
                self._model_server(model) as server,
                self.work.watch("replies", lambda: written, total),
            ):
                found = create_blind_pairs(
                    data,
                    server,
                    tuned=model.name,
                    pairs=pairs,
                    seed=seed,
                    progress=report,
                )
            self.work.check()
            if not found:
                raise PageError(_NO_PAIRS)
            self._game = Game(model=model.name, pairs=tuple(found))

        return self.work.start(_WRITING, make)

    def guess(self, pair: BlindPair, index: int) -> None:
        """Record a guess for a pair, unless another tab already did."""
        game = self._game
        if game.is_next and game.shown is pair:
            guesses = *game.guesses, pair.guess(index)
            self._game = replace(game, guesses=guesses, is_next=False)
            self._on_change()

    def go_on(self) -> None:
        """Show the next pair, or the result after the last one."""
        if not self._game.is_next:
            self._game = replace(self._game, is_next=True)
            self._on_change()

    def end(self) -> None:
        self.work.stop()
        self._game = Game()
        self._on_change()

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
