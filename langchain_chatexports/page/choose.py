"""Screen 2: choose the person, the chats, and the base."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from nicegui import ui

from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.splits import MIN_EXAMPLES
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import Base, find_base, fitting_bases
from langchain_chatexports.page.base_sentences import (
    choice_text,
    download_text,
    license_text,
    training_time_text,
)
from langchain_chatexports.page.errors import translate_error
from langchain_chatexports.page.exports import ExportContents
from langchain_chatexports.page.languages import (
    LanguageName,
    Size,
    _,
    format_names,
    join_parts,
    message_count_text,
    ngettext,
)
from langchain_chatexports.page.layout import (
    POLL_SECONDS,
    error_box,
    next_link,
    paragraph,
    rebuild_on_change,
    show_failure,
    show_work,
    text,
)
from langchain_chatexports.page.session import Choice, PageSession
from langchain_chatexports.workflows.bases import (
    BaseChoice,
    detect_language,
    download_bytes,
)
from langchain_chatexports.workflows.chat_filter import ChatFilter
from langchain_chatexports.workflows.training_data import TrainingData

# The select's value for the owner; other values are indexes of senders.
_OWNER = -1
_MAX_LABEL = 60


def build_choose(session: PageSession) -> None:
    if session.contents is None:
        text(_("No chats to choose from yet."))
        next_link(_("Add exports first"), "/add")
        return
    paragraph("The model learns to reply like one person in these chats.")
    _build_form(session)

    def examples() -> None:
        show_work(session.preparing)
        if session.data is not None:
            _show_data(session.data)

    def base() -> None:
        if session.data is not None and session.data.has_enough_examples:
            text(_("Choose a base model"), tag="h2")
            paragraph(
                "A base model can already talk; training teaches it the person's "
                "style. Larger models write better, but take longer. If in doubt, "
                "keep the suggested one."
            )
            _build_base(session, session.data)

    rebuild_on_change(examples, lambda: (session.preparing.state, id(session.data)))
    rebuild_on_change(base, lambda: id(session.data))


def _build_form(session: PageSession) -> None:
    displayed_choice = session.choice

    def set_choice(choice: Choice) -> None:
        nonlocal displayed_choice
        session.choice = displayed_choice = choice

    @ui.refreshable
    def form() -> None:
        nonlocal displayed_choice
        displayed_choice = session.choice
        if session.contents is not None:
            with ui.element("div").classes("part"):
                _build_fields(session, session.contents, set_choice)

    def refresh() -> None:
        # Another tab may have changed the choice.
        if session.choice is not displayed_choice:
            form.refresh()

    form()
    ui.timer(POLL_SECONDS, refresh)


def _build_fields(
    session: PageSession,
    contents: ExportContents,
    set_choice: Callable[[Choice], None],
) -> None:
    senders = list(contents.senders)
    options = _voice_options(contents)
    indexes: dict[str | None, int] = {name: index for index, name in enumerate(senders)}
    indexes[""] = _OWNER
    people = {index: _shorten(name) for index, name in enumerate(senders)}
    choice = session.choice
    chats = choice.chats
    chosen = indexes.get(choice.voice)
    if chosen is not None and chosen not in options:
        chosen = _OWNER
    voice = ui.select(options, label=_("Whose voice"), value=chosen)
    voice.classes("grow")
    is_all = chats.includes_all and not choice.redact
    with ui.expansion(_("Filter chats or replace names"), value=not is_all):
        people_select = ui.select(
            people,
            label=_("Only chats with these people (empty: all)"),
            multiple=True,
            value=[senders.index(name) for name in chats.include],
        )
        people_select.props("use-chips").classes("grow")
        with ui.element("div").classes("form-row"):
            since = _day_input(_("First day"), chats.start)
            until = _day_input(_("Last day"), chats.end)
        no_groups = ui.checkbox(_("Exclude groups"), value=chats.without_groups)
        redact = ui.checkbox(
            _("Replace names and private numbers"), value=choice.redact
        )
        paragraph(
            "The model is trained on made-up names, and on [phone-084f] in place of "
            "a number, and will use them in replies. The key that maps them back is "
            "deleted when you quit chatexports open. Some names may be missed: check "
            "the examples.",
            classes="quiet",
        )
    paragraph(
        "Next, the chats are split into examples: excerpts with the replies to learn.",
        classes="quiet",
    )
    problem = ui.element("div")

    def choose() -> None:
        index = voice.value
        voice_name = (
            None if index is None else "" if index == _OWNER else senders[index]
        )
        set_choice(
            Choice(
                voice=voice_name,
                chats=ChatFilter(
                    include=tuple(senders[index] for index in people_select.value),
                    without_groups=no_groups.value,
                    start=_parse_day(since.value),
                    end=_parse_day(until.value),
                ),
                redact=redact.value,
            )
        )

    for field in (voice, people_select, since, until, no_groups, redact):
        field.on_value_change(choose)

    def make() -> None:
        problem.clear()
        choose()
        chats = session.choice.chats
        with problem:
            if session.choice.voice is None:
                error_box(_("Choose whose voice the model learns."))
                return
            if chats.start and chats.end and chats.start > chats.end:
                error_box(_("The first day is after the last day."))
                return
        session.prepare()

    ui.button(_("Next: create examples"), on_click=make)


def _voice_options(contents: ExportContents) -> dict[int, str]:
    """Return labels by sender index; a single owner is listed only once."""
    labels = [
        {"name": _shorten(name), "messages": message_count_text(count)}
        for name, count in contents.senders.items()
    ]
    voices = {
        index: _("{name} ({messages})", **label) for index, label in enumerate(labels)
    }
    owners = contents.owners
    if len(owners) == 1 and owners[0] in contents.senders:
        index = list(contents.senders).index(owners[0])
        del voices[index]
        owner = _("{name}, the export's owner ({messages})", **labels[index])
        return {_OWNER: owner, **voices}
    if owners:
        names = format_names(map(_shorten, owners))
        return {_OWNER: _("The owner of the export: {names}", names=names), **voices}
    return voices


def _day_input(label: str, day: date | None) -> Any:
    field = ui.input(label, value=day.isoformat() if day else "")
    return field.props("type=date stack-label")


def _show_data(data: TrainingData) -> None:
    text(_("What the model learns from"), tag="h2")
    text(_data_text(data))
    if data.has_enough_examples and not data.validation:
        if len(data.examples) < MIN_EXAMPLES:
            paragraph(
                "With fewer than {count} examples, no conversation is held out for "
                "testing. You can talk to the model, but not play Guess or evaluate "
                "it.",
                count=MIN_EXAMPLES,
                classes="quiet",
            )
        else:
            paragraph(
                "No conversation can be held out for testing: the chats are mostly "
                "duplicates, or one long conversation. You can talk to the model, "
                "but not play Guess or evaluate it.",
                classes="quiet",
            )
    if data.examples:
        _show_example(data.examples)
    if not data.has_enough_examples:
        error_box(
            _(
                "Too few examples: at least {count} are needed. Choose more chats.",
                count=MIN_EXAMPLES,
            )
        )


def _data_text(data: TrainingData) -> str:
    held_out, repeated = len(data.validation), data.repeated
    return join_parts(
        ngettext("{count} example", "{count} examples", len(data.examples)),
        _("{count} more held out for testing", count=held_out) if held_out else "",
        ngettext(
            "{count} skipped because it repeats an older one",
            "{count} skipped because they repeat older ones",
            repeated,
        )
        if repeated
        else "",
    )


def _show_example(examples: list[TrainingExample]) -> None:
    index = 0

    @ui.refreshable
    def example() -> None:
        counted = _(
            "Example {number} of {total}", number=index + 1, total=len(examples)
        )
        text(counted, classes="quiet")
        with ui.element("div").classes("turns"):
            for message in examples[index]["messages"]:
                classes = {"assistant": "bubble mine", "user": "bubble theirs"}
                role = message["role"]
                if role in classes:  # Not the system prompt.
                    text(str(message.get("content") or ""), classes=classes[role])

    def show_next() -> None:
        nonlocal index
        index = (index + 1) % len(examples)
        example.refresh()

    with ui.element("div").classes("card"):
        example()
        text(_("The replies to learn are on the right."), classes="quiet")
        ui.button(_("Next"), on_click=show_next).props("outline dense")


def _build_base(session: PageSession, data: TrainingData) -> None:
    fitting = fitting_bases()
    requested_base = session.base
    default = fitting[0].id

    seconds = session.estimate_seconds()
    labels = {base.id: _label(base, seconds) for base in fitting}
    if requested_base is not None and requested_base not in labels:
        name = Path(requested_base).name or requested_base
        labels = {requested_base: name, **labels}
    proposal = None if requested_base else _find_proposal(session, data)
    if proposal is not None:
        text(choice_text(proposal))
    value = requested_base or (proposal.base.id if proposal else default)
    select = ui.select(labels, label=_("Base model"), value=value).classes("grow")
    warning = ui.element("div").classes("part")
    language = detect_language(data.examples)

    def selected_base() -> str | None:
        is_default = select.value == default and requested_base != default
        return None if is_default else str(select.value)

    def train() -> None:
        if session.train(selected_base()):
            ui.navigate.to("/train")

    button = ui.button(_("Next: train"), on_click=train)

    def choose() -> None:
        base = find_base(selected_base())
        warning.clear()
        if not base.supports_language(language):
            with warning:
                error_box(
                    _(
                        "{base} does not speak {language}, the language of these "
                        "chats, so its replies will be poor. Choose another base "
                        "model.",
                        base=base.name,
                        language=LanguageName(language),
                    )
                )
        size = Size(download_bytes(base))
        button.text = (
            _("Download {size} and train", size=size)
            if base.needs_download()
            else _("Next: train")
        )

    select.on_value_change(choose)
    choose()


def _find_proposal(session: PageSession, data: TrainingData) -> BaseChoice | None:
    try:
        return session.choose_base(data)
    except LocalServerError as error:
        show_failure(translate_error(error))
        return None


def _label(base: Base, seconds: float | None) -> str:
    training_seconds = None if seconds is None else base.training_seconds(seconds)
    return join_parts(
        base.name,
        _("a tiny demo model") if base.is_default else "",
        "" if training_seconds is None else training_time_text(training_seconds),
        download_text(base) if base.needs_download() else "",
        license_text(base),
    )


def _shorten(name: str) -> str:
    return name if len(name) <= _MAX_LABEL else f"{name[:_MAX_LABEL]}…"


def _parse_day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None
