"""The sheet of a person: what a model learns from, one button, and how it goes."""

from __future__ import annotations

from contextlib import suppress
from datetime import date

from nicegui import ui

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import Base, find_base, fitting_bases
from langchain_chatexports.page.elements import (
    FailureBox,
    KeyedList,
    Show,
    WorkBar,
    add,
    button,
    fields_form,
    fold,
    input_field,
    line_form,
    link,
    set_prop,
    set_text,
)
from langchain_chatexports.page.errors import Failure
from langchain_chatexports.page.frame import ADD, TEACH, screen
from langchain_chatexports.page.languages import (
    LanguageName,
    Size,
    _,
    format_days,
    format_duration,
    format_time,
    join_parts,
    lazy_gettext,
    ngettext,
)
from langchain_chatexports.page.lessons import Lesson, LessonOptions
from langchain_chatexports.page.people import Person, find_person
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.snapshot import Snapshot
from langchain_chatexports.page.training_card import TrainingCard, View
from langchain_chatexports.page.work import IDLE
from langchain_chatexports.workflows.chat_filter import ChatFilter

_NO_MODEL = lazy_gettext("There is no such model, or it cannot be used here.")
_MAY_NOTIFY = "() => window.Notification?.requestPermission()"
_CHOSEN = "(event) => emit(event.target.value)"


def build_teach(session: PageSession, person: Person) -> None:
    """Build the sheet of a person."""

    def view(snapshot: Snapshot) -> View:
        found = find_person(snapshot, person.key) or Person(person.key, person.name)
        lesson = next((o for o in snapshot.lessons if o.key == person.key), None)
        is_own = snapshot.training_key == person.key
        return View(
            found,
            lesson,
            snapshot.preparing,
            snapshot.training if is_own else IDLE,
            snapshot.trainings if found.training else (),
            snapshot.stored.queue,
        )

    title = _("Teach a model to write like {name}", name=person.name)
    with (
        screen(session, f"{TEACH}/{person.key}", title),
        ui.element("div").classes("body"),
    ):
        shows = (
            _build_learned(session, person),
            TrainingCard(session, person).show,
            _build_work(session),
            _LessonPart(session, person).show,
        )

    def show(view: View) -> None:
        for show_part in shows:
            show_part(view)

    session.published.watch(view, show)


def _build_learned(session: PageSession, person: Person) -> Show[View]:
    with ui.element("div").classes("card learned") as card:
        text = add("p", dir="auto")
        again = add("p", _("It has already learned exactly this."), "quiet")
        with ui.element("div").classes("buttons"):
            talk = _("Talk with {name}", name=person.name)
            link(talk, f"/talk/{person.key}", "primary")

    def show(view: View) -> None:
        model = view.person.model
        card.set_visibility(model is not None)
        again.set_visibility(session.teacher.learned_key == person.key)
        if model is not None:
            time = format_time(model.created_at)
            set_text(
                text, _("{name} has learned, {time}.", name=model.title, time=time)
            )

    return show


def _build_work(session: PageSession) -> Show[View]:
    bar = WorkBar()
    stop = button(_("Stop"), session.teacher.stop_preparing, "quiet")

    def show(view: View) -> None:
        work = view.work
        sizes = {"done": Size(1e6 * work.done), "total": Size(1e6 * (work.total or 0))}
        is_download = work.unit == "MB" and work.total
        bar.show(work, progress=_("{done} of {total}", **sizes) if is_download else "")
        # What is paused or continued has a button of its own.
        stop.set_visibility(work.is_running and view.person.training is None)

    return show


# Before: what it learns from


class _LessonPart:
    """What a model of the person would learn from, and the button."""

    def __init__(self, session: PageSession, person: Person) -> None:
        self._session, self._person = session, person
        self._chosen = session.base
        """The base that was chosen in this tab."""

        self._lesson: Lesson | None = None
        with add("section", classes="body-part") as self._part:
            with ui.element("div").classes("body-part") as self._missing:
                add("p", _("The chats are not here: add them again, to teach it."))
                link(_("Add chats"), ADD, "primary")
            self._reading = WorkBar()
            self._sentence, self._base_text = add("p", dir="auto"), add("p")
            self._failure = FailureBox()
            with ui.element("div").classes("buttons") as self._buttons:
                self._teach = button(_("Teach it"), self._start, "primary").mark(
                    "teach"
                )
                self._teach.on("click", js_handler=_MAY_NOTIFY)
            with fold(_("Another model")) as self._bases_fold:
                self._bases = _BaseList(self._choose)
            with fold(_("Leave out chats, or replace names")) as self._options_fold:
                self._options = ui.element("div")
            with fold(_("What it learns from")) as self._example_fold:
                self._example = KeyedList(_build_bubble, lambda line: line[:2], "div")
                self._example.classes("turns")
        self._show_lesson(None)

    def show(self, view: View) -> None:
        """Show the lesson, and begin to read it if that was not done."""
        lesson, can_learn = view.lesson, view.person.messages > 0
        is_busy = view.work.is_running or view.person.training is not None
        is_read = lesson is not None or not can_learn
        if not (is_read or is_busy):
            self._session.teacher.prepare(self._person.key, self._person.name)
        self._part.set_visibility(not is_busy)
        self._missing.set_visibility(not can_learn)
        self._reading.show(IDLE if is_read else view.preparing)
        if lesson is not self._lesson:
            self._lesson = lesson
            self._show_lesson(lesson)

    def _show_lesson(self, lesson: Lesson | None) -> None:
        has_data = lesson is not None and lesson.data is not None
        for folded in (self._bases_fold, self._example_fold):
            folded.set_visibility(has_data)
        self._options_fold.set_visibility(lesson is not None)
        set_text(self._sentence, _lesson_text(lesson) if lesson and has_data else "")
        set_text(self._base_text, "")
        self._show_base()
        if lesson is not None:
            self._options.clear()
            with self._options:
                _build_options(self._session, lesson)
            self._example.show(_example_lines(lesson))

    def _selected(self) -> str | None:
        proposal = self._lesson.proposal if self._lesson else None
        return self._chosen or (proposal.base.id if proposal else None)

    def _choose(self, base: str) -> None:
        self._chosen = base
        self._show_base()

    def _show_base(self) -> None:
        lesson, base_id = self._lesson, self._selected()
        failure = lesson.failure if lesson else None
        base: Base | None = None
        if lesson is not None and lesson.data is not None and base_id is not None:
            try:
                base, failure = find_base(base_id), None
            except LocalServerError as error:
                failure = Failure(_NO_MODEL, str(error))
        self._failure.show(failure)
        self._buttons.set_visibility(base is not None)
        if base is not None and lesson is not None:
            set_text(self._base_text, _base_text(base, lesson))
            self._bases.show(base.id, lesson)
            size = Size(base.download_bytes())
            download = _("Download {size} and teach it", size=size)
            title = download if base.needs_download() else _("Teach it")
            set_text(self._teach, title)

    def _start(self) -> None:
        base = self._selected()
        if self._lesson is not None and base is not None:
            self._session.teacher.train(self._lesson, base)


def _lesson_text(lesson: Lesson) -> str:
    return ngettext(
        "It learns from {count} message that {name} wrote: {days}.",
        "It learns from {count} messages that {name} wrote: {days}.",
        lesson.messages,
        name=lesson.name,
        days=format_days(lesson.first, lesson.last),
    )


def _base_text(base: Base, lesson: Lesson) -> str:
    seconds = None
    if lesson.seconds is not None:
        seconds = base.training_seconds(lesson.seconds)
    texts = [
        _(
            "Before that, this computer downloads a language model, once: {size}.",
            size=Size(base.download_bytes()),
        )
        if base.needs_download()
        else "",
        _("It is a tiny model for trying out, which speaks a little English.")
        if base.is_default
        else "",
        _("It takes about {duration}.", duration=format_duration(seconds))
        if seconds
        else _("How long it takes is known when it has begun."),
        _("Everything happens on this computer; you can close this page meanwhile."),
    ]
    return " ".join(filter(None, texts))


def _example_lines(lesson: Lesson) -> list[tuple[int, bool, str]]:
    examples = lesson.data.examples if lesson.data else []
    messages = examples[len(examples) // 2]["messages"] if examples else []
    return [
        (number, message["role"] == "assistant", str(message.get("content") or ""))
        for number, message in enumerate(messages)
        if message["role"] in {"assistant", "user"}  # Not the system prompt.
    ]


def _build_bubble(
    row: ui.element, line: tuple[int, bool, str]
) -> Show[tuple[int, bool, str]]:
    # The person is always on the left.
    row.classes(f"quote {'theirs' if line[1] else 'mine'}")
    text = add("p", dir="auto")
    return lambda line: set_text(text, line[2])


# The folded choices: another model, and which chats it learns from


class _BaseList:
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


def _build_options(session: PageSession, lesson: Lesson) -> None:
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
        session.teacher.choose(lesson.key, options)
        session.poller.poke()

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
