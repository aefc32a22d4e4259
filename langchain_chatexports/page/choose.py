"""Screen 2: choose the person, the chats, and the base."""

from datetime import date
from pathlib import Path
from typing import Any

from nicegui import ui

from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.examples import TrainingExample
from langchain_chatexports.datasets.splits import MIN_EXAMPLES
from langchain_chatexports.datasets.training_data import TrainingData
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.page.base_sentences import (
    choice_text,
    download_text,
    license_text,
    training_time_text,
)
from langchain_chatexports.page.errors import explain
from langchain_chatexports.page.exports import ReadExports
from langchain_chatexports.page.languages import (
    LanguageName,
    Size,
    _,
    facts,
    listed,
    messages_text,
    ngettext,
)
from langchain_chatexports.page.layout import (
    SECONDS_BETWEEN_LOOKS,
    error_box,
    follow,
    next_link,
    paragraph,
    show_failure,
    show_work,
    text,
)
from langchain_chatexports.page.session import Choice, PageSession
from langchain_chatexports.workflows.bases import (
    Base,
    find_base,
    fitting_bases,
    language_of_examples,
)

# The value for the owner; persons have their index, so names are not sent twice.
_OWNER = -1
_MAX_LABEL = 60


def build_choose(session: PageSession) -> None:
    if session.read is None:
        text(_("There are no chats to choose from yet."))
        next_link(_("Add exports first"), "/")
        return
    paragraph(
        "The model learns to write like one person in these chats, in answer to "
        "what the others wrote."
    )
    _build_form(session)
    # The choice stays when its part is rebuilt after measuring the machine.
    chosen: dict[str, str] = {}

    def examples() -> None:
        show_work(session.preparing)
        if session.data is not None:
            _show_data(session.data)

    def base() -> None:
        if session.data is not None and session.data.is_enough:
            text(_("Which base model it starts from"), tag="h2")
            paragraph(
                "A base model can already talk; training teaches it the "
                "voice. Larger ones talk better, and take longer. If in "
                "doubt, keep the proposed one."
            )
            # Measuring can take a minute, and runs in the background.
            show_work(session.measuring)
            _build_base(session, session.data, chosen)

    follow(examples, lambda: (session.preparing.state, id(session.data)))
    measuring = session.measuring
    follow(base, lambda: (measuring.is_running, id(session.data)))


def _build_form(session: PageSession) -> None:
    shown = [session.choice]

    @ui.refreshable
    def form() -> None:
        shown[0] = session.choice
        if session.read is not None:
            with ui.element("div").classes("part"):
                _build_fields(session, session.read, shown)

    def look() -> None:
        # The choice may change in another tab.
        if session.choice is not shown[0]:
            form.refresh()

    form()
    ui.timer(SECONDS_BETWEEN_LOOKS, look)


def _build_fields(session: PageSession, read: ReadExports, shown: list[Choice]) -> None:
    senders = list(read.senders)
    voices = _voices(read)
    indexes: dict[str | None, int] = {one: at for at, one in enumerate(senders)}
    indexes[""] = _OWNER
    people = {index: _short(name) for index, name in enumerate(senders)}
    choice = session.choice
    chats = choice.chats
    chosen = indexes.get(choice.voice)
    if chosen is not None and chosen not in voices:
        chosen = _OWNER
    voice = ui.select(voices, label=_("Whose voice"), value=chosen)
    voice.classes("grow")
    is_all = chats.is_everything and not choice.redact
    with ui.expansion(_("Only some of the chats, or without names"), value=not is_all):
        with_people = ui.select(
            people,
            label=_("Only chats with these people (empty: all)"),
            multiple=True,
            value=[senders.index(name) for name in chats.include],
        )
        with_people.props("use-chips").classes("grow")
        with ui.element("div").classes("row-of"):
            since = _day_input(_("From this day on"), chats.start)
            until = _day_input(_("Up to this day"), chats.end)
        no_groups = ui.checkbox(_("Leave out groups"), value=chats.without_groups)
        redact = ui.checkbox(
            _("Replace names and private numbers"), value=choice.redact
        )
        paragraph(
            "The model then learns made-up names, and [phone-084f] for a number: "
            "they are in its answers, too. The key to undo this is deleted when "
            "chatexports open ends. Some names may be missed: look at the "
            "examples.",
            classes="quiet",
        )
    paragraph(
        "Next, the chats are cut into examples: pieces of a chat, each with the "
        "replies that the model learns to give.",
        classes="quiet",
    )
    problem = ui.element("div")

    def choose() -> None:
        index = voice.value
        session.choice = shown[0] = Choice(
            voice=None if index is None else "" if index == _OWNER else senders[index],
            chats=ChatChoice(
                include=tuple(senders[index] for index in with_people.value),
                without_groups=no_groups.value,
                start=_day(since.value),
                end=_day(until.value),
            ),
            redact=redact.value,
        )

    for field in (voice, with_people, since, until, no_groups, redact):
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
                error_box(_("The first day is after the last, so no message is left."))
                return
        session.prepare()

    ui.button(_("Next: make the examples"), on_click=make)


def _voices(read: ReadExports) -> dict[int, str]:
    """Return the people to choose from; a sole owner is listed as such only."""
    shown = [
        {"name": _short(name), "messages": messages_text(count)}
        for name, count in read.senders.items()
    ]
    voices = {at: _("{name} ({messages})", **one) for at, one in enumerate(shown)}
    owners = read.owners
    if len(owners) == 1 and owners[0] in read.senders:
        index = list(read.senders).index(owners[0])
        del voices[index]
        owner = _("{name}, whose export it is ({messages})", **shown[index])
        return {_OWNER: owner, **voices}
    if owners:
        names = listed(map(_short, owners))
        return {_OWNER: _("The owner of the export: {names}", names=names), **voices}
    return voices


def _day_input(label: str, day: date | None) -> Any:
    field = ui.input(label, value=day.isoformat() if day else "")
    return field.props("type=date stack-label")


def _show_data(data: TrainingData) -> None:
    text(_("What the model learns from"), tag="h2")
    text(_data_text(data))
    if data.is_enough and not data.validation:
        if len(data.examples) < MIN_EXAMPLES:
            paragraph(
                "With fewer than {count} examples, no conversation is held out to "
                "test the model with. You can talk to it, but not play Guess with "
                "it, nor evaluate it.",
                count=MIN_EXAMPLES,
                classes="quiet",
            )
        else:
            paragraph(
                "No conversation can be held out to test the model with: the "
                "chats repeat themselves, or are one long conversation. You can "
                "talk to it, but not play Guess with it, nor evaluate it.",
                classes="quiet",
            )
    if data.examples:
        _show_example(data.examples)
    if not data.is_enough:
        error_box(
            _(
                "That is too few: at least {count} are needed. Choose more chats.",
                count=MIN_EXAMPLES,
            )
        )


def _data_text(data: TrainingData) -> str:
    held_out, repeated = len(data.validation), data.repeated
    return facts(
        ngettext("{count} example", "{count} examples", len(data.examples)),
        _("{count} more held out for tests", count=held_out) if held_out else "",
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
                sides = {"assistant": "bubble mine", "user": "bubble theirs"}
                if side := sides.get(message["role"]):  # Not the system prompt.
                    text(str(message.get("content") or ""), classes=side)

    def show_next() -> None:
        nonlocal index
        index = (index + 1) % len(examples)
        example.refresh()

    with ui.element("div").classes("card"):
        example()
        text(_("On the right: what the model learns to answer."), classes="quiet")
        ui.button(_("Next"), on_click=show_next).props("outline dense")


def _build_base(
    session: PageSession, data: TrainingData, chosen: dict[str, str]
) -> None:
    seconds = session.estimate_seconds()
    fitting = fitting_bases()
    own = session.base
    bases = {base.id: _label(base, seconds) for base in fitting}
    if own is not None and own not in bases:
        bases = {own: Path(own).name or own, **bases}
    default = fitting[0].id
    value = chosen.get("base") or own or _show_proposal(session, data) or default
    select = ui.select(bases, label=_("Base model"), value=value).classes("grow")
    warning = ui.element("div").classes("part")
    language = language_of_examples(data.examples)

    def base_of(value: str) -> str | None:
        return None if value == default and own != default else value

    def train() -> None:
        if session.train(base_of(select.value)):
            ui.navigate.to("/train")

    button = ui.button(_("Next: train"), on_click=train)

    def choose() -> None:
        chosen["base"] = select.value
        base = find_base(base_of(select.value))
        warning.clear()
        if not base.speaks(language):
            with warning:
                error_box(
                    _(
                        "{base} does not speak {language}, the language of these "
                        "chats: its answers will be of little use. Choose another "
                        "base.",
                        base=base.name,
                        language=LanguageName(language),
                    )
                )
        size = Size(base.download_bytes)
        button.text = (
            _("Download {size}, and train", size=size)
            if base.download_bytes
            else _("Next: train")
        )

    select.on_value_change(choose)
    choose()


def _show_proposal(session: PageSession, data: TrainingData) -> str | None:
    try:
        choice = session.choose_base(data)
    except LocalServerError as error:
        show_failure(explain(error))
        return None
    text(choice_text(choice))
    return choice.base.id


def _label(base: Base, seconds: float | None) -> str:
    took = None if seconds is None else base.training_seconds(seconds)
    return facts(
        base.name,
        _("a tiny demo model") if base.is_default else "",
        "" if took is None else training_time_text(took),
        download_text(base) if base.download_bytes else "",
        license_text(base),
    )


def _short(name: str) -> str:
    return name if len(name) <= _MAX_LABEL else f"{name[:_MAX_LABEL]}…"


def _day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None
