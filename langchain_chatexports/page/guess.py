"""Screen 5: a blind test as a game, and the evaluation of a model."""

from functools import partial
from typing import Any

from nicegui import ui

from langchain_chatexports.evaluation.blind_test import BlindPair, BlindTest
from langchain_chatexports.evaluation.comparison import EvaluationSettings
from langchain_chatexports.evaluation.conversations import PERSON
from langchain_chatexports.evaluation.results import BlindFinding
from langchain_chatexports.evaluation.talk_measures import bubbles
from langchain_chatexports.page.guess_state import (
    NEEDED,
    Guess,
    evaluation_path,
    held_nothing_out,
)
from langchain_chatexports.page.languages import (
    _,
    current,
    later,
    ngettext,
)
from langchain_chatexports.page.layout import (
    ask,
    focus,
    follow,
    show_table,
    show_work,
    text,
)
from langchain_chatexports.page.model_choice import kept_models, model_select
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.work import Work
from langchain_chatexports.report.language import in_language
from langchain_chatexports.workflows.models import TunedModel

_PAIRS = {
    10: later("10: for fun"),
    20: later("20: an impression"),
    40: later("40: a result"),
}
_LETTERS = "AB"
_SURE = {1: later("A guess"), 2: later("Rather sure"), 3: later("Sure")}


def build_guess(session: PageSession) -> None:
    """Build the screen."""
    models = kept_models(session)
    if not models:
        return
    guess = session.guess
    text(
        _(
            "Two answers to the same messages: one is what the person wrote, in chats "
            "that the model has not learned from; the other is the model's. Can you "
            "tell which one is real?"
        )
    )
    chosen = model_select(models, guess.model)
    without_test = held_nothing_out(models.values(), session.jobs())
    _note_if_in(without_test, chosen)
    with ui.element("div").classes("row-of"):
        options = {count: str(label) for count, label in _PAIRS.items()}
        pairs = ui.select(options, label=_("How many pairs"), value=20).classes("grow")

        def play_again() -> None:
            guess.play(models[chosen.value], pairs.value)

        def ask_and_play() -> None:
            if guess.test is None or guess.test.pair is None:
                play_again()
            else:
                ask(_("End this game and play a new one?"), _("Play again"), play_again)

        play = ui.button(_("Play"), on_click=ask_and_play)
    _build_work(guess.making, _("Stop writing"))
    _build_game(guess)
    evaluate = _build_evaluation(guess, chosen, models)
    for button in (play, evaluate):
        button.bind_enabled_from(chosen, "value", lambda name: name not in without_test)


def _note_if_in(without_test: set[str], chosen: Any) -> None:
    note = text(
        _(
            "This model has no game, because its training held out no conversations. "
            "{needed} Train a model on more chats. You can talk to this one.",
            needed=NEEDED,
        ),
        classes="error",
    )
    note.bind_visibility_from(chosen, "value", lambda name: name in without_test)


def _build_work(work: Work, stop: str) -> None:
    @ui.refreshable
    def progress() -> None:
        show_work(work)

    follow(progress, lambda: (work.is_running, work.title, work.progress, work.error))
    # Not in the part above, which is rebuilt while it is clicked.
    button = ui.button(stop, on_click=work.stop).props("outline")
    button.bind_visibility_from(work, "is_running")


def _build_game(guess: Guess) -> None:
    is_first = True

    @ui.refreshable
    def game() -> None:
        nonlocal is_first
        with ui.element("div").classes("part"):
            heading = _show_game(guess)
        if heading is not None and not is_first:
            focus(heading)
        is_first = False

    def look() -> object:
        guesses = len(guess.test.guesses) if guess.test else 0
        return id(guess.test), guesses, guess.chosen

    follow(game, look)


def _show_game(guess: Guess) -> Any:
    test = guess.test
    if test is None:
        return None
    if (pair := test.pair) is not None:
        return _show_pair(guess, test, pair)
    if (result := test.result) is not None:
        _show_result(test, result)
    return None


def _show_pair(guess: Guess, test: BlindTest, pair: BlindPair) -> Any:
    """Show a pair, and return the element to focus."""
    total = len(test.pairs)
    # Neither answer has the focus: that would be a hint.
    number = len(test.guesses) + 1
    heading = text(_("Pair {number} of {total}", number=number, total=total), tag="h2")
    heading.props("tabindex=-1")
    if total < guess.requested_pairs and not test.guesses:
        text(
            ngettext(
                "You asked for {count} pair; no more of them can be shown.",
                "You asked for {count} pairs; no more of them can be shown.",
                guess.requested_pairs,
            ),
            classes="quiet",
        )
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
                _build_choice(guess, index)
    if guess.chosen is not None:
        letter = _LETTERS[guess.chosen]
        heading = text(_("{letter} is real. How sure are you?", letter=letter))
        heading.props("tabindex=-1")
        with ui.element("div").classes("row-of"):
            for level, name in _SURE.items():
                ui.button(str(name), on_click=partial(guess.be_sure, level))
    end = ui.button(_("Stop the game"), on_click=partial(_ask_to_end, guess))
    end.props("flat dense")
    return heading


def _ask_to_end(guess: Guess) -> None:
    question = _("Stop this game? Its guesses are lost.")
    ask(question, _("Stop the game"), guess.end)


def _build_choice(guess: Guess, index: int) -> None:
    is_chosen = guess.chosen == index
    title = _("{letter} is real", letter=_LETTERS[index])
    button = ui.button(title, on_click=partial(guess.choose, index))
    button.props(f"aria-pressed={str(is_chosen).lower()}")
    if not is_chosen:
        button.props("outline")


def _show_result(test: BlindTest, result: BlindFinding) -> None:
    text(_("Your result"), tag="h2")
    with in_language(current()):
        sentence, rows = str(result), result.rows()
    text(sentence)
    with ui.expansion(_("Figures")):
        text(_("With few pairs, a result may be luck."), classes="quiet")
        show_table(rows)
    pairs = len(test.pairs)
    again = ngettext("See {count} pair again", "See {count} pairs again", pairs)
    with ui.expansion(again).classes("again"):
        for number, pair in enumerate(test.pairs, 1):
            _show_answers(number, pair, is_right=test.guesses[number - 1].is_right)


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


def _build_evaluation(guess: Guess, chosen: Any, models: dict[str, TunedModel]) -> Any:
    text(_("Evaluate"), tag="h2")
    text(
        _(
            "How much is it like the person? The model as it was before the training "
            "(the base model), the same with examples to imitate, and your trained one "
            "answer messages that the training held out. What they write is counted "
            "and compared with what the person wrote; no model judges."
        )
    )
    text(
        _(
            "This can take a long time. You may close this page, but leave the "
            "window open in which chatexports open runs: otherwise the evaluation "
            "has to begin again."
        )
    )
    with ui.element("div").classes("row-of"):
        turns = ui.number(
            _("Messages to answer, at most"),
            value=EvaluationSettings.turns,
            min=1,
            step=1,
            precision=0,
        )

        def evaluate() -> None:
            wanted = int(turns.value or EvaluationSettings.turns)
            guess.evaluate(models[chosen.value], max(wanted, 1))

        button = ui.button(_("Evaluate"), on_click=evaluate)
    _build_work(guess.evaluating, _("Stop the evaluation"))

    @ui.refreshable
    def page() -> None:
        model = models[chosen.value]
        changed_at = _changed_at(model)
        if changed_at:
            frame = ui.element("iframe").classes("report")
            frame.props["src"] = f"evaluation/{model.path.name}?{changed_at}"
            frame.props["title"] = _("The evaluation of this model")
            frame.props["sandbox"] = ""

    follow(page, lambda: (chosen.value, _changed_at(models[chosen.value])))
    return button


def _changed_at(model: TunedModel) -> int:
    try:
        return evaluation_path(model).stat().st_mtime_ns
    except OSError:
        return 0
