"""Screen 5: a blind test as a game."""

from functools import partial
from typing import Any

from nicegui import ui

from langchain_chatexports.evaluation.blind_test import BlindPair, BlindTest
from langchain_chatexports.evaluation.dialogues import PERSON
from langchain_chatexports.evaluation.results import BlindResult
from langchain_chatexports.evaluation.talk_measures import split_messages
from langchain_chatexports.page.guess_state import Guess
from langchain_chatexports.page.languages import (
    _,
    current_language,
    lazy_gettext,
    ngettext,
)
from langchain_chatexports.page.layout import (
    focus,
    paragraph,
    rebuild_on_change,
    show_dialog,
    show_table,
    show_work,
    text,
)
from langchain_chatexports.page.model_choice import find_tuned_models, model_select
from langchain_chatexports.page.session import PageSession

_PAIRS = {
    10: lazy_gettext("10: just for fun"),
    20: lazy_gettext("20: a rough idea"),
    40: lazy_gettext("40: a reliable result"),
}
_LETTERS = "AB"


def build_guess(session: PageSession) -> None:
    models = find_tuned_models(session)
    if not models:
        return
    guess = session.guess
    paragraph(
        "You see two replies to the same messages. One was written by the person, in "
        "chats that the model has not seen; the other is the model's. Which one is "
        "real?"
    )
    chosen = model_select(models, guess.model)
    with ui.element("div").classes("form-row"):
        options = {count: str(label) for count, label in _PAIRS.items()}
        pairs = ui.select(options, label=_("How many pairs"), value=20).classes("grow")

        def play() -> None:
            guess.play(models[chosen.value], pairs.value)

        def confirm_and_play() -> None:
            if guess.test is None or guess.test.pair is None:
                play()
            else:
                show_dialog(
                    _("End this game and start a new one?"), _("Play again"), play
                )

        ui.button(_("Play"), on_click=confirm_and_play)
    _build_work(guess)
    _build_game(guess)


def _build_work(guess: Guess) -> None:
    work = guess.work
    rebuild_on_change(lambda: show_work(work), lambda: work.state)
    # Outside the part above: a rebuild during a click would lose the click.
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

    rebuild_on_change(
        game, lambda: (id(guess.test), len(guess.test.guesses) if guess.test else 0)
    )


def _show_pair(guess: Guess, test: BlindTest, pair: BlindPair) -> Any:
    """Show a pair, and return its heading."""
    number, total = len(test.guesses) + 1, len(test.pairs)
    # Focus the heading, since a focused reply would look like a hint.
    heading = text(_("Pair {number} of {total}", number=number, total=total), tag="h2")
    heading.props("tabindex=-1")
    with ui.element("div").classes("turns"):
        for line in pair.before:
            side = "mine" if line.speaker == PERSON else "theirs"
            for bubble in split_messages(line.text):
                text(bubble, classes=f"bubble {side}")
    text(_("The person is on the right. What did they reply?"), classes="quiet")
    with ui.element("div").classes("columns"):
        for index, answer in enumerate(pair.answers):
            with ui.element("div").classes("card"):
                text(_("Answer {letter}", letter=_LETTERS[index]), tag="h3")
                for bubble in answer.splitlines():
                    text(bubble, classes="bubble mine")
                title = _("{letter} is real", letter=_LETTERS[index])
                ui.button(title, on_click=partial(guess.choose, pair, index))

    def confirm() -> None:
        question = _("Stop this game? Your guesses will be lost.")
        show_dialog(question, _("Stop the game"), guess.end)

    ui.button(_("Stop the game"), on_click=confirm).props("flat dense")
    return heading


def _show_result(test: BlindTest, result: BlindResult) -> None:
    text(_("Your result"), tag="h2")
    values = {"right": result.right, "pairs": result.pairs, "half": result.pairs / 2}
    significant_text = lazy_gettext(
        "{right} of {pairs} correct ({half} expected by chance): you could tell the "
        "model from the person.",
        **values,
    )
    insignificant_text = lazy_gettext(
        "{right} of {pairs} correct ({half} expected by chance): you could not tell "
        "the model from the person.",
        **values,
    )
    text(significant_text if result.is_significant else insignificant_text)
    with ui.expansion(_("Figures")):
        text(_("With few pairs, the result could be luck."), classes="quiet")
        show_table(_statistics_rows(result))
    pairs = len(test.pairs)
    with ui.expansion(
        ngettext("See {count} pair again", "See {count} pairs again", pairs)
    ):
        for number, pair in enumerate(test.pairs, 1):
            _show_answers(number, pair, is_right=test.guesses[number - 1].is_right)


def _statistics_rows(result: BlindResult) -> list[tuple[str, str]]:
    low, high = map(current_language().percent, result.interval)
    labels = (_("Shortest third"), _("Middle third"), _("Longest third"))
    return [
        *(
            (label, _("{right} of {pairs}", right=count.right, pairs=count.pairs))
            for label, count in zip(labels, result.by_length, strict=False)
        ),
        (
            _("Estimated accuracy (95% interval)"),
            _("{low} to {high}", low=low, high=high),
        ),
        (
            _("Probability of this result by chance (p)"),
            current_language().number(result.p, 2),
        ),
    ]


def _show_answers(number: int, pair: BlindPair, *, is_right: bool) -> None:
    with ui.element("div").classes("card"):
        if is_right:
            text(_("Pair {number}: correct", number=number), tag="h3")
        else:
            text(_("Pair {number}: wrong", number=number), tag="h3")
        for bubble in split_messages(pair.before[-1].text if pair.before else ""):
            text(bubble, classes="bubble theirs")
        for index in (pair.real, 1 - pair.real):
            author = _("The person") if index == pair.real else _("The model")
            text(author, classes="quiet")
            for bubble in pair.answers[index].splitlines():
                text(bubble, classes="bubble mine")
