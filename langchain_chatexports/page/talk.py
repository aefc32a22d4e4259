"""Screen 4: a talk with a tuned model or a person, in the style of a phone's chats."""

from collections.abc import Callable
from functools import partial
from typing import Any

from nicegui import ui

from langchain_chatexports.local_server import list_models
from langchain_chatexports.page.base_sentences import choice_text
from langchain_chatexports.page.languages import (
    Size,
    _,
    format_names,
    format_time,
    join_parts,
    ngettext,
)
from langchain_chatexports.page.layout import (
    ENTER,
    next_link,
    paragraph,
    rebuild_on_change,
    show_dialog,
    show_work,
    text,
)
from langchain_chatexports.page.model_choice import find_tuned_models, model_select
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.talk_state import Talk
from langchain_chatexports.personas.reply_limits import split_bubbles
from langchain_chatexports.personas.talk import Talk as ModelTalk
from langchain_chatexports.workflows.bases import BaseChoice

_PERSON = "person"
_MAX_LABEL = 60
# Copies the bubbles of an answer to the clipboard.
_COPY = """(event) => {
    const answer = event.target.closest('.column').querySelectorAll('.bubble');
    const texts = [...answer].map((bubble) => bubble.innerText);
    navigator.clipboard.writeText(texts.join('\\n'));
}"""


def build_talk(session: PageSession) -> None:
    talk = session.talk
    person = _find_person(session)
    if person:
        models = {model.name: model for model in list_models(session.data_dir)}
    else:
        models = find_tuned_models(session)
        if not models:
            return

    def start(value: str) -> None:
        if value in models:
            talk.choose(models[value])
        else:
            session.talk_to_person()

    others = {_PERSON: _("{person}, without training", person=person)} if person else {}
    model = model_select(models, talk.chosen, others)
    if talk.is_ready and talk.chosen is None:
        model.value = _PERSON
    elif not (talk.is_ready or talk.reply_work.is_running or session.offer):
        start(model.value)
    model.on_value_change(lambda: start(model.value))
    model.bind_enabled_from(
        talk.reply_work, "is_running", lambda is_running: not is_running
    )
    text(
        _("Write as you would to this person. The model makes up its replies."),
        classes="quiet",
    )
    _build_conversation(talk)
    _build_work(session, lambda: start(model.value))
    _build_input(talk)
    _build_saved(talk)
    _build_settings(talk)
    paragraph(
        "Talks with a trained model are saved and deleted with it. A talk without "
        "training is not saved. Press Shift+Enter to write several messages before a "
        "reply.",
        classes="quiet",
    )


def _build_settings(talk: Talk) -> None:
    with ui.element("div").classes("form-row"):
        ui.checkbox(_("Also show the base model")).bind_value(talk, "with_base")
        saved = ui.checkbox(_("Save the talk with the model"))
        saved.bind_value(talk, "is_saved").on_value_change(talk.save)


def _build_conversation(talk: Talk) -> None:
    def earlier() -> None:
        for index in range(len(talk.lines) - 1):
            _show_turn(talk, index)

    def latest() -> None:
        if talk.lines:
            _show_turn(talk, len(talk.lines) - 1)

    def state() -> object:
        is_running = talk.reply_work.is_running
        return id(talk.voices), len(talk.lines), talk.with_base, is_running

    # The style sheet keeps the last messages in view.
    box = ui.element("div").classes("talk")
    box.props("role=log tabindex=0").props["aria-label"] = _("The talk")
    with box, ui.element("div").classes("turns"):
        rebuild_on_change(earlier, state)
        rebuild_on_change(
            latest,
            lambda: (
                state(),
                [[turn.answer for turn in v.turns[-1:]] for v in talk.voices],
            ),
        )


def _build_work(session: PageSession, start: Callable[[], object]) -> None:
    talk = session.talk
    reply_work = talk.reply_work

    def work() -> None:
        show_work(reply_work)
        if reply_work.is_running:
            return
        if session.offer is not None:
            _show_offer(session, session.offer)
        elif not talk.is_ready:
            ui.button(_("Restart the model"), on_click=start)
        elif talk.chosen is None:
            text(
                _("Training teaches the model this person's voice."),
                classes="quiet",
            )
            next_link(_("Train it"), "/choose")

    def state() -> object:
        return reply_work.state, talk.is_ready, talk.chosen is None, session.offer

    rebuild_on_change(work, state)


def _show_offer(session: PageSession, offer: BaseChoice) -> None:
    text(choice_text(offer))
    with ui.element("div").classes("form-row"):
        ui.button(
            _("Download {size} and talk", size=Size(offer.base.download_bytes)),
            on_click=lambda: session.talk_to_person(downloads=True),
        )
        button = ui.button(
            _("Use a downloaded model"),
            on_click=lambda: session.talk_to_person(downloads=False),
        )
        button.props("outline")


def _find_person(session: PageSession) -> str | None:
    """Return the name of the chosen person, or of the exports' owners."""
    contents, voice = session.contents, session.choice.voice
    if contents is None or voice is None:
        return None
    return voice or format_names(contents.owners)


def _show_turn(talk: Talk, index: int) -> None:
    voices = talk.shown_voices()
    line = talk.lines[index].line
    for bubble in split_bubbles(line):
        text(bubble, classes="bubble mine")
    _action(_("Edit"), line, lambda: _show_edit_dialog(talk, index)).classes("own")
    with ui.element("div").classes("columns"):
        for voice in voices:
            _show_answer(talk, voice, index, has_title=len(voices) > 1)
    for cited in talk.lines[index].cited:
        sentence = _(
            "Found in the chats with {person}: {line}", person=talk.name, line=cited
        )
        text(sentence, classes="quiet")


def _show_answer(talk: Talk, voice: ModelTalk, index: int, *, has_title: bool) -> None:
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
        elif not talk.reply_work.is_running:
            text(_("No answer."), classes="quiet")


def _action(title: str, message: str, on_click: Callable[[], object] | None) -> Any:
    """Add a small button; without a handler, it copies the bubbles next to it."""
    button = ui.button(title, on_click=on_click).props("flat dense size=sm")
    # The label tells screen readers to which message the button belongs.
    button.props["aria-label"] = f"{title}: {message[:_MAX_LABEL]}"
    if on_click is None:
        button.on("click", js_handler=_COPY)
    return button.classes("small")


def _show_edit_dialog(talk: Talk, index: int) -> None:
    show_dialog(
        _("Edit the message"),
        _("Send"),
        lambda value: talk.edit(index, _as_messages(value)),
        _("Later messages are removed, and the model replies again."),
        field=lambda: _message_field(_("Message"), talk.lines[index].line),
    )


def _build_input(talk: Talk) -> None:
    def send_line() -> None:
        if line.value and line.value.strip() and talk.send(_as_messages(line.value)):
            line.set_value("")

    def confirm() -> None:
        question = _("Delete this talk?")
        show_dialog(question, _("Delete the talk"), talk.delete, is_destructive=True)

    def new_talk() -> None:
        if talk.model is not None and talk.is_saved:
            talk.open()
        else:
            show_dialog(
                _(
                    "Delete this talk and start a new one? It is not saved with the "
                    "model."
                ),
                _("Delete the talk"),
                talk.delete,
                is_destructive=True,
            )

    with ui.element("div").classes("form-row"):
        line = _message_field(_("Message")).classes("grow")
        line.on("keydown", send_line, js_handler=ENTER)
        button = ui.button(_("Send"), on_click=send_line)

    def can_send(is_ready: bool) -> bool:
        return is_ready and bool((line.value or "").strip())

    line.bind_enabled_from(talk, "is_ready")
    button.bind_enabled_from(talk, "is_ready", can_send)
    with ui.element("div").classes("form-row"):
        for title, on_click, enabled_by in (
            (_("Stop"), talk.stop, "is_answering"),
            (_("Again"), talk.regenerate, "can_regenerate"),
            (_("New talk"), new_talk, "can_regenerate"),
            (_("Delete the talk"), confirm, "can_regenerate"),
        ):
            button = ui.button(title, on_click=on_click).props("outline dense")
            button.bind_enabled_from(talk, enabled_by, bool)


def _message_field(label: str, value: str = "") -> Any:
    lines = "\n".join(split_bubbles(value))
    return ui.textarea(label, value=lines).props("autogrow rows=1 dir=auto")


def _as_messages(value: str) -> str:
    """Separate lines into messages."""
    return "\n\n".join(split_bubbles(value))


def _build_saved(talk: Talk) -> None:
    def show_saved_talks() -> None:
        talks = talk.saved()
        if not talks:
            return
        with ui.expansion(_("Earlier talks ({count})", count=len(talks))).classes(
            "again"
        ):
            for saved_talk in talks:
                with ui.element("div").classes("card"):
                    text(
                        split_bubbles(saved_talk.turns[0].line)[0][:_MAX_LABEL],
                        classes="name",
                    )
                    text(
                        join_parts(
                            format_time(saved_talk.changed_at),
                            ngettext(
                                "{count} answer",
                                "{count} answers",
                                len(saved_talk.turns),
                            ),
                        ),
                        classes="quiet",
                    )
                    button = ui.button(
                        _("Continue"), on_click=partial(talk.open, saved_talk.id)
                    )
                    button.props("outline dense").classes("small")

    rebuild_on_change(
        show_saved_talks,
        lambda: [(saved.id, len(saved.turns)) for saved in talk.saved()],
    )
