"""Can you tell it apart? Of two replies, one is the person's."""

from functools import partial

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from langchain_chatexports.evaluation.blind_test import BlindPair
from langchain_chatexports.evaluation.dialogues import PERSON
from langchain_chatexports.evaluation.results import BlindResult
from langchain_chatexports.evaluation.talk_measures import split_messages
from langchain_chatexports.local_server import Model
from langchain_chatexports.page.elements import (
    WorkBar,
    add,
    ask,
    button,
    fold,
    link,
    set_class,
    set_prop,
    set_text,
)
from langchain_chatexports.page.frame import TALK, TELL_APART, screen
from langchain_chatexports.page.game import FEW_PAIRS, MANY_PAIRS, Game
from langchain_chatexports.page.languages import (
    _,
    current_language,
    join_parts,
    ngettext,
)
from langchain_chatexports.page.people import Person
from langchain_chatexports.page.session import PageSession

_FOCUS = "(node) => node.el.focus()"
# With less, no result means that there is no difference.
_MIN_PAIRS = 20
# Above it, the result may be better than chance.
_MAX_CHANCE = 0.7


def build_tell_apart(session: PageSession, person: Person, pairs: int) -> None:
    """Build the screen; `pairs` is how many pairs there can be."""
    title, path = _("Can you tell it apart?"), f"{TELL_APART}/{person.key}"
    with screen(session, path, title), ui.element("div").classes("body"):
        model = person.model
        if model is None:
            add("p", _("There is no model of {name} yet.", name=person.name))
        elif not pairs:
            add("p", _no_pairs_text(person))
        else:
            _build_game(session, person, model, pairs)
        with ui.element("div").classes("buttons"):
            back = _("Back to the chat with {name}", name=person.name)
            link(back, f"{TALK}/{person.key}", "quiet")


def _no_pairs_text(person: Person) -> str:
    return _(
        "Not with this model: it has learned from all messages of {name}, so there is "
        "none that it does not know. That is so if the chats are short, or repeat "
        "themselves.",
        name=person.name,
    )


def _build_game(session: PageSession, person: Person, model: Model, pairs: int) -> None:
    game_runner = session.game

    def play(count: int) -> None:
        game_runner.play(model, count)

    def stop() -> None:
        game = session.published.value.game
        if game.work.is_running or game.result:
            game_runner.end()
            return
        ask(
            _("Stop this game? Your guesses will be lost."),
            _("Stop the game"),
            lambda _text: game_runner.end(),
        )

    with ui.element("div").classes("body-part") as start:
        text = _(
            "You see messages to {name}, and two replies. One of them is what {name} "
            "wrote, in a chat that the model has not seen. Which one?",
            name=person.name,
        )
        add("p", text, dir="auto")
        few = min(pairs, FEW_PAIRS)
        only = ngettext(
            "There is only {count} pair in these chats.",
            "There are only {count} pairs in these chats.",
            pairs,
        )
        if pairs < FEW_PAIRS:
            add("p", only, "quiet")
        with ui.element("div").classes("buttons"):
            few_text = ngettext("Play {count} pair", "Play {count} pairs", few)
            button(few_text, partial(play, few), "primary").mark("play")
            if pairs > few:
                many = min(pairs, MANY_PAIRS)
                many_text = ngettext("Play {count} pair", "Play {count} pairs", many)
                longer = _("{what}, which takes longer", what=many_text)
                button(longer, partial(play, many), "quiet")
    work = WorkBar()
    busy = add("p", _("Somebody else's model is being played with."), "quiet")
    pair = _PairView(session, person)
    result = _ResultView(person)
    with ui.element("div").classes("buttons"):
        end = button("", stop, "quiet")

    def show(game: Game) -> None:
        is_own = game.model in {"", model.name}
        is_playing = bool(game.shown) or game.result is not None
        busy.set_visibility(not is_own)
        start.set_visibility(not is_playing or not is_own)
        work.show(game.work)
        pair.show(game if is_own else Game())
        result.show(game if is_own else Game())
        end.set_visibility(game.work.is_running or (is_own and is_playing))
        set_text(end, _("Play again") if game.result else _("Stop"))

    session.published.watch(lambda s: s.game, show)


class _PairView:
    """Messages and two replies, and after a guess which one is real."""

    def __init__(self, session: PageSession, person: Person) -> None:
        self._session, self._person = session, person
        self._pair: BlindPair | None = None
        with ui.element("div").classes("body-part") as self._box:
            self._heading = add("h2", tabindex=-1, aria_live="polite")
            self._before = ui.element("div").classes("turns")
            question = _("What did {name} reply?", name=person.name)
            self._question = add("p", question, "quiet", dir="auto")
            with ui.element("div").classes("replies"):
                self._replies = [self._build_reply(index) for index in range(2)]
            self._verdict = add("p", classes="verdict", role="status")
            self._next = ui.element("div").classes("buttons")

    def _build_reply(self, index: int) -> tuple[ui.element, ui.element, TextElement]:
        def guess() -> None:
            if self._pair is not None:
                self._session.game.guess(self._pair, index)

        with ui.element("div").classes("reply"):
            box = button("", guess, "guess").mark(f"reply-{index}")
            with box:
                bubbles = ui.element("span").classes("turns")
            author = add("p", classes="quiet")
        return box, bubbles, author

    def show(self, game: Game) -> None:
        """Show the pair of a game, or nothing."""
        pair, guesses = game.shown, game.guesses
        self._box.set_visibility(pair is not None)
        if pair is None:
            self._pair = None
            return
        number = len(guesses) + game.is_next
        score = _("{right} of {count} right", right=sum(guesses), count=len(guesses))
        pair_text = _("Pair {number} of {total}", number=number, total=len(game.pairs))
        set_text(self._heading, join_parts(pair_text, score if guesses else ""))
        if pair is not self._pair:
            self._pair = pair
            self._show_texts(pair)
        for index, (box, _bubbles, author) in enumerate(self._replies):
            is_real = index == pair.real
            # A disabled button would lose the focus.
            set_prop(box, "aria-disabled", None if game.is_next else "true")
            set_class(box, "real", is_on=is_real and not game.is_next)
            name = self._person.name if is_real else _("The model")
            set_text(author, "" if game.is_next else name)
        self._question.set_visibility(game.is_next)
        self._next.clear()
        if not game.is_next:
            with self._next:
                go_on = button(_("Next"), self._session.game.go_on, "primary")
                go_on.mark("next").on("vnodeMounted", js_handler=_FOCUS)
        verdict = "" if game.is_next else _verdict_text(is_right=guesses[-1])
        set_text(self._verdict, verdict)

    def _show_texts(self, pair: BlindPair) -> None:
        self._before.clear()
        with self._before:
            for line in pair.before:
                # The person is always on the left.
                side = "theirs" if line.speaker == PERSON else "mine"
                for bubble in split_messages(line.text):
                    add("p", bubble, f"quote {side}", dir="auto")
        for (_box, bubbles, _author), answer in zip(
            self._replies, pair.answers, strict=True
        ):
            bubbles.clear()
            with bubbles:
                for bubble in answer.splitlines():
                    add("span", bubble, "quote theirs", dir="auto")


def _verdict_text(*, is_right: bool) -> str:
    return _("✓ Right!") if is_right else _("✗ No: it was the other one.")


class _ResultView:
    """What the guesses show, and never more."""

    def __init__(self, person: Person) -> None:
        self._person = person
        with ui.element("div").classes("card") as self._box:
            with ui.element("div").props("role=status"):
                self._text = add("h2")
            with fold(_("Details")):
                self._details = add("p", classes="quiet")

    def show(self, game: Game) -> None:
        """Show the result of a game, if it is over."""
        result = game.result
        self._box.set_visibility(result is not None)
        if result is not None:
            set_text(self._text, result_text(result, self._person.name))
            low, high = map(current_language().percent, result.interval)
            details = _(
                "Who only guesses is right in half of the pairs. With as many pairs as "
                "these, you could be right in {low} to {high} of all pairs. A result "
                "like this, or better, comes by luck in {luck} of all games.",
                low=low,
                high=high,
                luck=current_language().percent(result.p),
            )
            set_text(self._details, details)


def result_text(result: BlindResult, name: str) -> str:
    """Return what the guesses show: without enough pairs, nothing."""
    score = _("{right} of {pairs}", right=result.right, pairs=result.pairs)
    if result.is_significant:
        return _("{score}: you can tell the model from {name}.", score=score, name=name)
    if result.pairs >= _MIN_PAIRS and result.interval[1] <= _MAX_CHANCE:
        return _(
            "{score}: hardly better than luck. You can seldom tell the model from "
            "{name}.",
            score=score,
            name=name,
        )
    return _("{score}: too few to say.", score=score)
