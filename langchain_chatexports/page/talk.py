"""Screen 4: a talk with a tuned model or a person, in the style of phone chats."""

from collections.abc import Callable
from functools import partial
from typing import Any

from nicegui import ui

from langchain_chatexports.local_server import list_models
from langchain_chatexports.page.base_sentences import choice_text
from langchain_chatexports.page.languages import (
    Size,
    _,
    facts,
    listed,
    moment,
    ngettext,
)
from langchain_chatexports.page.layout import (
    ENTER,
    ask,
    follow,
    next_link,
    paragraph,
    show_work,
    text,
)
from langchain_chatexports.page.model_choice import kept_models, model_select
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.talk_state import Talk
from langchain_chatexports.personas.reply_limits import bubbles_of
from langchain_chatexports.personas.talk import Voice
from langchain_chatexports.workflows.bases import BaseChoice

_PERSON = "person"
_MAX_SAID = 60
# Copies the bubbles of an answer in the browser, without the server.
_COPY = """(event) => {
    const answer = event.target.closest('.column').querySelectorAll('.bubble');
    const texts = [...answer].map((bubble) => bubble.innerText);
    navigator.clipboard.writeText(texts.join('\\n'));
}"""


def build_talk(session: PageSession) -> None:
    talk = session.talk
    person = _person_of(session)
    if person:
        models = {model.name: model for model in list_models(session.data_dir)}
    else:
        models = kept_models(session)  # Without models, it shows the next step.
        if not models:
            return

    def begin(value: str) -> None:
        if value in models:
            talk.choose(models[value])
        else:
            session.talk_to_person()

    others = (
        {_PERSON: _("{person}, without a training", person=person)} if person else {}
    )
    model = model_select(models, talk.chosen, others)
    if talk.is_ready and talk.chosen is None:
        model.value = _PERSON
    elif not (talk.is_ready or talk.answering.is_running or session.offer):
        begin(model.value)
    model.on_value_change(lambda: begin(model.value))
    model.bind_enabled_from(
        talk.answering, "is_running", lambda is_running: not is_running
    )
    text(
        _("Write a message as if to this person. The model invents its answers."),
        classes="quiet",
    )
    _build_conversation(talk)
    _build_work(session, lambda: begin(model.value))
    _build_input(talk)
    _build_saved(talk)
    _build_settings(talk)
    paragraph(
        "Talks with a trained model are kept with it, for you to continue, and "
        "deleted with it. A talk without a training is in this page's memory only. "
        "Shift and Enter begin one more message before the answer.",
        classes="quiet",
    )


def _build_settings(talk: Talk) -> None:
    with ui.element("div").classes("row-of"):
        ui.checkbox(_("Show the base model, too")).bind_value(talk, "with_base")
        saved = ui.checkbox(_("Keep the talk with the model"))
        saved.bind_value(talk, "is_saved").on_value_change(talk.save)


def _build_conversation(talk: Talk) -> None:
    def earlier() -> None:
        for index in range(len(talk.lines) - 1):
            _show_turn(talk, index)

    def latest() -> None:
        if talk.lines:
            _show_turn(talk, len(talk.lines) - 1)

    def look() -> object:
        is_over = not talk.answering.is_running
        return id(talk.voices), len(talk.lines), talk.with_base, is_over

    # The style sheet keeps its end in view.
    box = ui.element("div").classes("talk")
    box.props("role=log tabindex=0").props["aria-label"] = _("The talk")
    with box, ui.element("div").classes("turns"):
        follow(earlier, look)
        follow(
            latest,
            lambda: (
                look(),
                [[turn.answer for turn in v.turns[-1:]] for v in talk.voices],
            ),
        )


def _build_work(session: PageSession, start: Callable[[], object]) -> None:
    talk = session.talk
    answering = talk.answering

    def work() -> None:
        show_work(answering)
        if answering.is_running:
            return
        if session.offer is not None:
            _show_offer(session, session.offer)
        elif not talk.is_ready:
            ui.button(_("Start it again"), on_click=start)
        elif talk.chosen is None:
            text(
                _("Training teaches the model this person's voice."),
                classes="quiet",
            )
            next_link(_("Train it"), "/choose")

    def look() -> object:
        return answering.state, talk.is_ready, talk.chosen is None, session.offer

    follow(work, look)


def _show_offer(session: PageSession, offer: BaseChoice) -> None:
    text(choice_text(offer))
    with ui.element("div").classes("row-of"):
        ui.button(
            _("Download {size}, and talk", size=Size(offer.base.download_bytes)),
            on_click=lambda: session.talk_to_person(downloads=True),
        )
        here = ui.button(
            _("Use what is here"),
            on_click=lambda: session.talk_to_person(downloads=False),
        )
        here.props("outline")


def _person_of(session: PageSession) -> str | None:
    """Return the chosen person of the exports, who can answer without training."""
    read, voice = session.read, session.choice.voice
    if read is None or voice is None:
        return None
    return voice or listed(read.owners)


def _show_turn(talk: Talk, index: int) -> None:
    voices = talk.shown_voices()
    line = talk.lines[index].line
    for bubble in bubbles_of(line):
        text(bubble, classes="bubble mine")
    _action(_("Edit"), line, lambda: _ask_line(talk, index)).classes("mine-too")
    with ui.element("div").classes("columns"):
        for voice in voices:
            _show_answer(talk, voice, index, has_title=len(voices) > 1)
    for cited in talk.lines[index].cited:
        sentence = _(
            "{person} was asked; in the chats: {line}", person=talk.name, line=cited
        )
        text(sentence, classes="quiet")


def _show_answer(talk: Talk, voice: Voice, index: int, *, has_title: bool) -> None:
    with ui.element("div").classes("column"):
        if has_title:
            is_base = voice is not talk.voices[-1]
            title = _("The base model") if is_base else voice.title
            text(title, classes="quiet name")
        bubbles = talk.bubbles(voice, index)
        for bubble in bubbles:
            text(bubble, classes="bubble theirs")
        if bubbles:
            _action(_("Copy"), bubbles[0], None)
        elif not talk.answering.is_running:
            text(_("No answer."), classes="quiet")


def _action(title: str, what: str, act: Callable[[], object] | None) -> Any:
    """Add a small button; without an action, it copies the bubbles beside it."""
    button = ui.button(title, on_click=act).props("flat dense size=sm")
    # A label for screen readers, because there are several such buttons.
    button.props["aria-label"] = f"{title}: {what[:_MAX_SAID]}"
    if act is None:
        button.on("click", js_handler=_COPY)
    return button.classes("small")


def _ask_line(talk: Talk, index: int) -> None:
    ask(
        _("Edit the message"),
        _("Send"),
        lambda typed: talk.edit(index, _burst(typed)),
        _("Later messages are removed, and it is answered again."),
        field=lambda: _message_field(_("Message"), talk.lines[index].line),
    )


def _build_input(talk: Talk) -> None:
    def say() -> None:
        if line.value and line.value.strip() and talk.say(_burst(line.value)):
            line.set_value("")

    def ask_to_delete() -> None:
        question = _("Delete this talk?")
        ask(question, _("Delete the talk"), talk.delete, deletes=True)

    def begin_again() -> None:
        if talk.model is not None and talk.is_saved:
            talk.open()
        else:
            ask(
                _(
                    "Delete this talk and begin a new one? It is not kept with the "
                    "model."
                ),
                _("Delete the talk"),
                talk.delete,
                deletes=True,
            )

    with ui.element("div").classes("row-of"):
        line = _message_field(_("Message")).classes("grow")
        line.on("keydown", say, js_handler=ENTER)
        send = ui.button(_("Send"), on_click=say)

    def can_send(is_ready: bool) -> bool:
        return is_ready and bool((line.value or "").strip())

    line.bind_enabled_from(talk, "is_ready")
    send.bind_enabled_from(talk, "is_ready", can_send)
    with ui.element("div").classes("row-of"):
        for title, act, is_of_use in (
            (_("Stop"), talk.stop, "is_answering"),
            (_("Again"), talk.again, "can_answer_again"),
            (_("New talk"), begin_again, "can_answer_again"),
            (_("Delete the talk"), ask_to_delete, "can_answer_again"),
        ):
            button = ui.button(title, on_click=act).props("outline dense")
            button.bind_enabled_from(talk, is_of_use, bool)


def _message_field(label: str, value: str = "") -> Any:
    shown = "\n".join(bubbles_of(value))
    return ui.textarea(label, value=shown).props("autogrow rows=1 dir=auto")


def _burst(typed: str) -> str:
    """Return typed lines as separate messages."""
    return "\n\n".join(bubbles_of(typed))


def _build_saved(talk: Talk) -> None:
    def saved() -> None:
        talks = talk.saved()
        if not talks:
            return
        with ui.expansion(_("Earlier talks ({count})", count=len(talks))).classes(
            "again"
        ):
            for one in talks:
                with ui.element("div").classes("card"):
                    text(bubbles_of(one.turns[0].line)[0][:_MAX_SAID], classes="name")
                    text(
                        facts(
                            moment(one.changed_at),
                            ngettext(
                                "{count} answer", "{count} answers", len(one.turns)
                            ),
                        ),
                        classes="quiet",
                    )
                    button = ui.button(
                        _("Continue"), on_click=partial(talk.open, one.id)
                    )
                    button.props("outline dense").classes("small")

    follow(saved, lambda: [(one.id, len(one.turns)) for one in talk.saved()])
