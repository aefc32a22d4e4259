"""The folded choices of a lesson: another model, and which chats it learns from."""

from __future__ import annotations

from contextlib import suppress
from datetime import date

from nicegui import ui

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import Base, find_base, fitting_bases
from langchain_chatexports.page.elements import (
    KeyedList,
    Show,
    add,
    fields_form,
    input_field,
    line_form,
    set_prop,
    set_text,
)
from langchain_chatexports.page.languages import (
    LanguageName,
    Size,
    _,
    format_duration,
    join_parts,
)
from langchain_chatexports.page.lessons import Lesson, LessonOptions
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.workflows.chat_filter import ChatFilter

_CHOSEN = "(event) => emit(event.target.value)"


class BaseList:
    """The models that fit this computer and the language, and your own file."""

    def __init__(self, on_choose: Show[str]) -> None:
        """Build the list."""
        add("p", _("Larger ones write better, and take longer to learn."), "quiet")
        self._on_choose = on_choose
        self._list = KeyedList(self._build, lambda item: item[0].id, "div")
        line_form(
            _(
                "The file of a model on this computer, such as {name}",
                name="model.gguf",
            ),
            _("Use it"),
            lambda path: on_choose(path.strip("\"'")),
        ).mark("base-file")

    def _build(
        self, _row: ui.element, item: tuple[Base, bool, str]
    ) -> Show[tuple[Base, bool, str]]:
        base = item[0]
        with add("label", classes="choice"):
            box = add("input", type="radio", name="base", value=base.id)
            with add("span"):
                add("span", base.name.removesuffix("-Instruct"))
                details = add("span", classes="quiet details")
        box.on("change", lambda e: self._on_choose(str(e.args)), js_handler=_CHOSEN)

        def show(item: tuple[Base, bool, str]) -> None:
            set_prop(box, "checked", item[1])
            set_text(details, item[2])

        return show

    def show(self, chosen: str, lesson: Lesson) -> None:
        """Show what fits, and which one is chosen."""
        fitting = [b for b in fitting_bases() if b.supports_language(lesson.language)]
        if chosen not in {base.id for base in fitting}:
            with suppress(LocalServerError):
                fitting.insert(0, find_base(chosen))
        self._list.show(
            (base, base.id == chosen, _base_details(base, lesson)) for base in fitting
        )


def _base_details(base: Base, lesson: Lesson) -> str:
    seconds = None
    if lesson.seconds is not None:
        seconds = base.training_seconds(lesson.seconds)
    needed = base.needs_download()
    language = LanguageName(lesson.language)
    return join_parts(
        _("a tiny model for trying out") if base.is_default else "",
        _("{size} to download", size=Size(base.download_bytes()))
        if needed
        else _("already on this computer"),
        _("learns in about {duration}", duration=format_duration(seconds))
        if seconds
        else "",
        ""
        if base.supports_language(lesson.language)
        else _("does not speak {language}", language=language),
        _("license: {license}", license=base.license) if base.license else "",
    )


def build_options(session: PageSession, lesson: Lesson) -> None:
    """Add the form of the chats, and of the replacement of names."""
    chats = lesson.options.chats

    def apply(values: dict[str, str]) -> None:
        names = values.get("people", "").splitlines()
        options = LessonOptions(
            ChatFilter(
                include=tuple(filter(None, map(str.strip, names))),
                without_groups="no_groups" in values,
                start=_parse_day(values.get("start")),
                end=_parse_day(values.get("end")),
            ),
            redact="redact" in values,
        )
        session.teacher.prepare(lesson.key, lesson.name, options)
        session.teacher.lessons.pop(lesson.key, None)

    with fields_form(apply):
        with add("label", classes="field"):
            add("span", _("Only chats with these people: one name a line; empty: all"))
            people = add("textarea", "\n".join(chats.include), name="people", rows=2)
            people.props["dir"] = "auto"
        with ui.element("div").classes("buttons"):
            for label, name, day in (
                (_("First day"), "start", chats.start),
                (_("Last day"), "end", chats.end),
            ):
                value = day.isoformat() if day else ""
                input_field(label, name, value=value, type="date")
        for label, name, is_on in (
            (_("Leave out groups"), "no_groups", chats.without_groups),
            (_("Replace names and numbers"), "redact", lesson.options.redact),
        ):
            props = {"checked": True} if is_on else {}
            input_field(label, name, value="on", type="checkbox", **props)
        add(
            "p",
            _(
                "The model then learns made-up names and numbers, and uses them. They "
                "cannot be turned back. Some names may be missed: look at what it "
                "learns from."
            ),
            "quiet",
        )
        with ui.element("div").classes("buttons"):
            add("button", _("Apply"), "quiet", type="submit")


def _parse_day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None
