"""The frame of all screens: the list of chats, and the screen beside it.

On a phone, one of both is shown: the list on the first screen, and else the screen.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial
from pathlib import Path

from nicegui import ui
from nicegui.translations import translations

from langchain_chatexports.local_server import Model
from langchain_chatexports.page.elements import (
    Element,
    KeyedList,
    Show,
    add,
    button,
    link,
    url,
)
from langchain_chatexports.page.languages import (
    _,
    current_language,
    format_short_time,
    languages,
    lazy_gettext,
)
from langchain_chatexports.page.people import Person, list_people, state_text
from langchain_chatexports.page.session import PageSession

CHATS, ADD, SETTINGS = "/", "/add", "/settings"
"""The three places."""

TALK, TEACH, TELL_APART, SEARCH = "/talk", "/teach", "/tell-apart", "/search"
"""The screens of a person: their key follows, or is `person` in a search."""

# NiceGUI's own messages: it does not translate them into Hindi.
_NICEGUI = {
    "connection_lost": lazy_gettext("The program Chat exports is not running."),
    "trying_to_reconnect": lazy_gettext(
        "Start Chat exports again from your programs, and go on in the page that opens."
    ),
    "message_too_long": lazy_gettext("Message too long"),
    "message_too_long_body": lazy_gettext("The message is too long to be sent."),
}
_FILES = "style.css", "page.js", "upload.js"
_MAX_OTHERS = 12


def add_style() -> None:
    """Add the style sheet, the scripts and NiceGUI's messages to all screens."""
    for language in languages():
        words = {key: language.render(message) for key, message in _NICEGUI.items()}
        translations[language.tag] = words  # type: ignore[index] # Quasar has it.
    for name in _FILES:
        content = Path(__file__).with_name(name).read_text("utf-8")
        tag = "style" if name.endswith(".css") else "script"
        ui.add_head_html(f"<{tag}>{content}</{tag}>", shared=True)


@contextmanager
def screen(
    session: PageSession,
    path: str,
    title: str,
    *,
    classes: str = "",
    has_heading: bool = True,
) -> Iterator[None]:
    """Build the frame of a screen around its content; `path` is its address."""
    client = ui.context.client
    client.page = copy(client.page)  # NiceGUI's language belongs to a route.
    client.page.language = current_language().tag  # type: ignore[assignment] # Quasar has it.
    _build_title(session, title)
    ui.colors(primary="#1d5fae")
    kind = "home" if path == CHATS else "inside"
    # Vue would replace what a script changes in its elements.
    with add("div", classes=f"frame {kind}").props("id=frame"):
        add("a", _("Skip to the content"), "skip", href="#content")
        _build_column(session, path)
        with add("div", classes="drop-frame").props("aria-hidden=true"):
            add("p", _("Drop here, to add it"), "drop-here")
            add("p", _("Copying …"), "copying")
        # What a script announces to screen readers.
        add("p", classes="visually-hidden", aria_live="polite", id="announcer")
        with add("div", classes=f"screen {classes}") as content:
            content.props("id=content tabindex=-1")
            problem = add("p", classes="problem", role="status")
            if has_heading:
                with add("header", classes="bar"):
                    add_back()
                    add("h1", title)
            yield
    text = _("The data of this page could not be read. Trying again.")
    session.published.watch(
        lambda s: s.problem, lambda name: problem.set_text(text if name else "")
    )


def add_back() -> None:
    link(
        "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
        CHATS,
        "back",
        aria_label=_("Chats"),
    )


def add_avatar(name: str, *, is_model: bool = False) -> None:
    """Add the initial of a person in a circle; ✦ marks a model."""
    hue = sum(map(ord, name)) % 6
    initial = next(filter(str.isalnum, name), "?").upper()
    with add("span", classes=f"avatar hue-{hue}").props("aria-hidden=true"):
        add("span", initial)
        if is_model:
            add("span", "✦", "spark")


def _build_title(session: PageSession, title: str) -> None:
    """Set the title of the tab, which says when a training is done."""
    ui.page_title(f"{title} · Chat exports")
    seen = {model.name for model in session.published.value.stored.models}

    def show(models: tuple[Model, ...]) -> None:
        for model in models:
            if model.name not in seen:
                seen.add(model.name)
                sentence = _("{name} has learned", name=model.title)
                ui.run_javascript(f"page.notify({json.dumps(sentence)})")

    session.published.watch(lambda s: s.stored.models, show)


def _build_column(session: PageSession, path: str) -> None:
    with add("nav", classes="chat-list", aria_label=_("Chats")):
        with add("div", classes="bar"):
            add("h1" if path == CHATS else "h2", _("Chats"), "grow")
            link("+", ADD, "icon", aria_label=_("Add chats"), title=_("Add chats"))
        with add("div", classes="scroll"):
            build = partial(_build_chat, session, path)
            chats = KeyedList(build, lambda p: p.key).classes("chats")
            level = "h2" if path == CHATS else "h3"
            others_title = add(level, _("Also in your chats"), "others-title")
            others = KeyedList(build, lambda p: p.key).classes("others")
            more = button("", lambda: show_others(is_all=True), "chat-row more")
            link(_("+ Add a chat"), ADD, "chat-row more")
        with add("div", classes="bar places"):
            for target, name in ((SEARCH, _("Search")), (SETTINGS, _("Settings"))):
                place = link(name, target)
                if target == path:
                    place.props["aria-current"] = "page"

    rest: list[Person] = []
    is_whole = False

    def show_others(*, is_all: bool) -> None:
        nonlocal is_whole
        is_whole = is_all
        others.show(rest if is_all else rest[:_MAX_OTHERS])
        hidden = 0 if is_all else max(len(rest) - _MAX_OTHERS, 0)
        more.set_visibility(hidden > 0)
        more.set_text(_("and {count} more", count=hidden))

    def show(people: tuple[Person, ...]) -> None:
        chats.show(person for person in people if person.has_chat)
        rest[:] = [person for person in people if not person.has_chat]
        others_title.set_visibility(bool(rest))
        show_others(is_all=is_whole)

    session.published.watch(list_people, show)


def _build_chat(
    session: PageSession, path: str, _row: Element, person: Person
) -> Show[Person]:
    with link("", "", "chat-row") as row:
        add_avatar(person.name, is_model=person.has_chat)
        with add("span", classes="who"):
            with add("span", classes="split"):
                name = add("span", classes="name", dir="auto")
                side = add("span", classes="quiet time")
            last = add("span", classes="quiet last", dir="auto")
            state = add("span", classes="state")

    def show(person: Person) -> None:
        talk, is_listed = person.talk, person.has_chat
        # Nobody answers yet: what can be done is on the sheet of the training.
        is_learning = person.training is not None and not (person.can_talk or talk)
        target = f"{TEACH if is_learning else TALK}/{person.key}"
        row.set_prop("href", url(target))
        row.set_prop("aria-current", "page" if target == path else None)
        name.set_text(person.name)
        time = format_short_time(talk.changed_at.timestamp()) if talk else ""
        side.set_text(_("you") if person.is_owner and not is_listed else time)
        last.set_text(talk.lines[-1] if talk else "")
        trainings = session.published.value.trainings
        state.set_text(state_text(person, trainings) if is_listed else "")
        row.set_class("gone", is_on=not person.can_talk and not person.training)

    return show
