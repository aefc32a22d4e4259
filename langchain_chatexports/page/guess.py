"""Screen 5: a blind test as a game."""

from functools import partial
from typing import Any

from nicegui import ui

from langchain_chatexports.evaluation.blind_test import BlindPair, BlindTest
from langchain_chatexports.evaluation.conversations import PERSON
from langchain_chatexports.evaluation.results import BlindFinding
from langchain_chatexports.evaluation.talk_measures import bubbles
from langchain_chatexports.page.guess_state import Guess
from langchain_chatexports.page.languages import _, current, later, ngettext
from langchain_chatexports.page.layout import (
    ask,
    focus,
    follow,
    paragraph,
    show_table,
    show_work,
    text,
)
from langchain_chatexports.page.model_choice import kept_models, model_select
from langchain_chatexports.page.session import PageSession

_PAIRS = {
    10: later("10: for fun"),
    20: later("20: an impression"),
    40: later("40: a result"),
}
_LETTERS = "AB"


def build_guess(session: PageSession) -> None:
    models = kept_models(session)
    if not models:
        return
    guess = session.guess
    paragraph(
        "Two answers to the same messages: one is what the person wrote, in chats "
        "that the model has not learned from; the other is the model's. Can you "
        "tell which one is real?"
    )
    chosen = model_select(models, guess.model)
    with ui.element("div").classes("row-of"):
        options = {count: str(label) for count, label in _PAIRS.items()}
        pairs = ui.select(options, label=_("How many pairs"), value=20).classes("grow")

        def play() -> None:
            guess.play(models[chosen.value], pairs.value)

        def ask_and_play() -> None:
            if guess.test is None or guess.test.pair is None:
                play()
            else:
                ask(_("End this game and play a new one?"), _("Play again"), play)

        ui.button(_("Play"), on_click=ask_and_play)
    _build_work(guess)
    _build_game(guess)


def _build_work(guess: Guess) -> None:
    work = guess.work
    follow(lambda: show_work(work), lambda: work.state)
    # Not in the part above, which is rebuilt while it is clicked.
    button = ui.button(_("Stop"), on_click=work.stop).props("outline")
    button.bind_visibility_from(work, "is_running")


def _build_game(guess: Guess) -> None:
    is_first = True

    def game() -> None:
        nonlocal is_first
        test = guess.test
        if test and (pair := test.pair):
            heading = _show_pair(guess, test, pair)
            if not is_first:
                focus(heading)
        elif test and (result := test.result):
            _show_result(test, result)
        is_first = False

    follow(game, lambda: (id(guess.test), len(guess.test.guesses) if guess.test else 0))


def _show_pair(guess: Guess, test: BlindTest, pair: BlindPair) -> Any:
    """Show a pair, and return its heading."""
    number, total = len(test.guesses) + 1, len(test.pairs)
    # It gets the focus: on an answer, the focus would be a hint.
    heading = text(_("Pair {number} of {total}", number=number, total=total), tag="h2")
    heading.props("tabindex=-1")
    with ui.element("div").classes("turns"):
        for line in pair.before:
            side = "mine" if line.speaker == PERSON else "theirs"
            for bubble in bubbles(line.text):
                text(bubble, classes=f"bubble {side}")
    text(_("On the right: the person. What did the person answer?"), classes="quiet")
    with ui.element("div").classes("columns"):
        for index, answer in enumerate(pair.answers):
            with ui.element("div").classes("card"):
                text(_("Answer {letter}", letter=_LETTERS[index]), tag="h3")
                for bubble in answer.splitlines():
                    text(bubble, classes="bubble mine")
                title = _("{letter} is real", letter=_LETTERS[index])
                ui.button(title, on_click=partial(guess.choose, pair, index))

    def ask_to_end() -> None:
        question = _("Stop this game? Its guesses are lost.")
        ask(question, _("Stop the game"), guess.end)

    ui.button(_("Stop the game"), on_click=ask_to_end).props("flat dense")
    return heading


def _show_result(test: BlindTest, result: BlindFinding) -> None:
    text(_("Your result"), tag="h2")
    numbers = {"right": result.right, "pairs": result.pairs, "half": result.pairs / 2}
    told_apart = later(
        "{right} of {pairs} right, guessing gives {half}: you could tell the model "
        "from the person.",
        **numbers,
    )
    not_told_apart = later(
        "{right} of {pairs} right, guessing gives {half}: you could not tell the model "
        "from the person.",
        **numbers,
    )
    text(told_apart if result.is_told_apart else not_told_apart)
    with ui.expansion(_("Figures")):
        text(_("With few pairs, a result may be luck."), classes="quiet")
        show_table(_figures(result))
    pairs = len(test.pairs)
    again = ngettext("See {count} pair again", "See {count} pairs again", pairs)
    with ui.expansion(again).classes("again"):
        for number, pair in enumerate(test.pairs, 1):
            _show_answers(number, pair, is_right=test.guesses[number - 1].is_right)


def _figures(result: BlindFinding) -> list[tuple[str, str]]:
    low, high = map(current().percent, result.interval)
    thirds = (_("Shortest third"), _("Middle third"), _("Longest third"))
    return [
        *(
            (what, _("{right} of {pairs}", right=found.right, pairs=found.pairs))
            for what, found in zip(thirds, result.by_length, strict=False)
        ),
        (
            _("How often you would be right in many more pairs (95 %)"),
            _("{low} to {high}", low=low, high=high),
        ),
        (
            _("Probability that as many are right by luck (p)"),
            current().number(result.p, 2),
        ),
    ]


def _show_answers(number: int, pair: BlindPair, *, is_right: bool) -> None:
    with ui.element("div").classes("card"):
        if is_right:
            text(_("Pair {number}: right", number=number), tag="h3")
        else:
            text(_("Pair {number}: wrong", number=number), tag="h3")
        for bubble in bubbles(pair.before[-1].text if pair.before else ""):
            text(bubble, classes="bubble theirs")
        for index in (pair.real, 1 - pair.real):
            who = _("The person") if index == pair.real else _("The model")
            text(who, classes="quiet")
            for bubble in pair.answers[index].splitlines():
                text(bubble, classes="bubble mine")
