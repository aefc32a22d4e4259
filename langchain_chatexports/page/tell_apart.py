"""Can you tell it apart? Of two replies, one is the person's."""

from dataclasses import replace
from functools import partial

from langchain_chatexports.evaluation.blind_test import BlindPair
from langchain_chatexports.evaluation.dialogues import PERSON
from langchain_chatexports.evaluation.results import BlindResult
from langchain_chatexports.evaluation.talk_measures import split_messages
from langchain_chatexports.local_server import Model
from langchain_chatexports.page.elements import WorkBar, add, ask, button, link
from langchain_chatexports.page.frame import TALK, TELL_APART, screen
from langchain_chatexports.page.game import NO_GAME, Game
from langchain_chatexports.page.languages import _, join_parts, ngettext
from langchain_chatexports.page.people import Person
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.snapshot import Snapshot
from langchain_chatexports.page.work import IDLE

_FEW_PAIRS, _MAX_PAIRS = 10, 20
_FOCUS = "(node) => node.el.focus()"


def build_tell_apart(session: PageSession, person: Person, pairs: int) -> None:
    """Build the screen; `pairs` is how many pairs there can be."""
    title, path = _("Can you tell it apart?"), f"{TELL_APART}/{person.key}"
    with screen(session, path, title), add("div", classes="body"):
        model = person.model
        if model is None:
            add("p", _("There is no model of {name} yet.", name=person.name))
        elif not pairs:
            text = _(
                "Not with this model: it has learned from all messages of {name}, so "
                "there is none that it does not know. That is so if the chats are "
                "short, or repeat themselves.",
                name=person.name,
            )
            add("p", text)
        else:
            _build_game(session, person, model, pairs)
        with add("div", classes="buttons"):
            back = _("Back to the chat with {name}", name=person.name)
            link(back, f"{TALK}/{person.key}", "quiet")


def _build_game(session: PageSession, person: Person, model: Model, pairs: int) -> None:
    with add("div", classes="body-part") as start:
        _build_start(session, person, model, pairs)
    work = WorkBar()
    busy = add("p", _("A game with the model of another person is not over yet."))
    _build_pairs(session, person.name, model)
    with add("div", classes="buttons"):
        end = button("", partial(_end, session), "quiet")

    def show(game: Game) -> None:
        is_other = game.model not in {"", model.name}
        busy.set_visibility(is_other and game.is_on)
        start.set_visibility(not game.is_on and (is_other or game.result is None))
        work.show(game.work)
        end.set_visibility(game.is_on or (game.result is not None and not is_other))
        end.set_text(_("Stop the game") if game.is_on else _("Play again"))

    session.published.watch(lambda s: s.game, show)


def _build_start(
    session: PageSession, person: Person, model: Model, pairs: int
) -> None:
    text = _(
        "You see messages to {name}, and two replies. One of them is what {name} "
        "wrote, in a chat that the model has not seen. Which one?",
        name=person.name,
    )
    add("p", text, dir="auto")
    if pairs < _FEW_PAIRS:
        only = ngettext(
            "There is only {count} pair in these chats.",
            "There are only {count} pairs in these chats.",
            pairs,
        )
        add("p", only, "quiet")
    with add("div", classes="buttons"):
        count = min(pairs, _MAX_PAIRS)
        title = ngettext("Play {count} pair", "Play {count} pairs", count)
        play = partial(session.game.play, model, count)
        button(title, play, "primary").mark("play")


def _end(session: PageSession) -> None:
    game = session.game.freeze()
    if game.pairs and not game.result:
        title = _("Stop this game? Your guesses will be lost.")
        ask(title, _("Stop the game"), session.game.end)
    else:
        session.game.end()


def _build_pairs(session: PageSession, name: str, model: Model) -> None:
    """Build a pair, its solution, or the result."""
    heading = add("h2", aria_live="polite")
    verdict = add("p", classes="verdict", role="status")
    pair_box = add("div", classes="body-part")

    def show(game: Game) -> None:
        guesses, pair, result = game.guesses, game.shown, game.result
        right = sum(guess.is_right for guess in guesses)
        number, total = len(guesses) + game.is_next, len(game.pairs)
        place = _("Pair {number} of {total}", number=number, total=total)
        score = _("{right} of {count} right", right=right, count=len(guesses))
        text = join_parts(place, score if guesses else "") if pair else ""
        heading.set_text(result_text(result, name) if result else text)
        heading.set_visibility(pair is not None or result is not None)
        is_solved = pair is not None and not game.is_next
        said = ""
        if is_solved:
            is_right, wrong = guesses[-1].is_right, _("✗ No: it was the other one.")
            said = _("✓ Right!") if is_right else wrong
        verdict.set_text(said)
        pair_box.clear()
        with pair_box:
            if pair is not None:
                _build_pair(session, pair, name, is_solved=is_solved)

    def select(snapshot: Snapshot) -> Game:
        game = snapshot.game
        return replace(game, work=IDLE) if game.model == model.name else NO_GAME

    session.published.watch(select, show)


def _build_pair(
    session: PageSession, pair: BlindPair, name: str, *, is_solved: bool
) -> None:
    """Show the messages and both replies; once solved, whose each one is."""
    with add("div", classes="turns"):
        for line in pair.before:
            # The person is always on the left.
            side = "theirs" if line.speaker == PERSON else "mine"
            for bubble in split_messages(line.text):
                add("p", bubble, f"quote {side}", dir="auto")
    if not is_solved:
        add("p", _("What did {name} reply?", name=name), "quiet", dir="auto")
    with add("div", classes="replies"):
        for index, answer in enumerate(pair.answers):
            is_real = index == pair.real
            with add("div", classes="reply"):
                guess = partial(session.game.guess, pair, index)
                box = button("", guess, "guess").mark(f"reply-{index}")
                box.set_prop("aria-disabled", "true" if is_solved else None)
                with box, add("span", classes="turns"):
                    for bubble in answer.splitlines():
                        add("span", bubble, "quote theirs", dir="auto")
                if is_solved:
                    box.classes("real" if is_real else "")
                    add("p", name if is_real else _("The model"), "quiet")
    if not is_solved:
        return
    with add("div", classes="buttons"):
        go_on = button(_("Next"), session.game.go_on, "primary").mark("next")
        go_on.on("vnodeMounted", js_handler=_FOCUS)


def result_text(result: BlindResult, name: str) -> str:
    """Return what the guesses show: without enough pairs, nothing."""
    score = _("{right} of {pairs}", right=result.right, pairs=result.pairs)
    if result.is_significant:
        return _("{score}: you can tell the model from {name}.", score=score, name=name)
    return _("{score}: too few to say.", score=score)
