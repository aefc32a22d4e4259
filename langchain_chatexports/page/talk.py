"""The screen of a talk: a messenger whose other side is a model."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from nicegui import ui

from langchain_chatexports.page.conversation import Conversation
from langchain_chatexports.page.corrections import build_mark, cited_correction
from langchain_chatexports.page.elements import (
    FailureBox,
    KeyedList,
    Show,
    WorkBar,
    add,
    button,
    line_form,
    link,
    set_class,
    set_prop,
    set_text,
)
from langchain_chatexports.page.frame import (
    ADD,
    add_avatar,
    add_back,
)
from langchain_chatexports.page.languages import (
    Size,
    _,
    format_clock,
    format_day,
    format_seconds,
    join_parts,
    ngettext,
)
from langchain_chatexports.page.messages import Message, TalkState, Version
from langchain_chatexports.page.people import Person, find_person, state_text
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.snapshot import Snapshot
from langchain_chatexports.page.speakers import Offer
from langchain_chatexports.page.talk_menus import (
    build_bubble_menu,
    build_menu,
    show_facts,
)

_GROUP_SECONDS = 300.0
# NiceGUI renders all elements of a tab at each change, so a long talk shows its end.
_SHOWN = 60
_CITED_TIME = len("2025-04-01 21:36")
_MAX_EMOJI = 3
_SYMBOLS = frozenset({"So", "Sk"})
_OTHER_MARKS = frozenset("\N{ZERO WIDTH JOINER}\N{VARIATION SELECTOR-16}")


@dataclass(frozen=True)
class _Row:
    """A bubble, or the day above it; the style sheet groups bubbles."""

    key: str
    label: str = ""
    message: Message | None = None
    is_later: bool = False
    """Minutes after the message before it, so not in its group."""


def to_rows(messages: Iterable[Message]) -> list[_Row]:
    """Add the days between messages."""
    rows: list[_Row] = []
    day, last = "", 0.0
    for message in messages:
        if message.time and (today := format_day(message.time)) != day:
            day = today
            rows.append(_Row(f"day-{day}", day))
        is_later = bool(message.time) and (message.time or 0) - last > _GROUP_SECONDS
        rows.append(_Row(message.key, "", message, is_later))
        last = message.time or last
    return rows


def build_talk(session: PageSession, conversation: Conversation) -> None:
    """Build the head, the bubbles and the field, once."""
    _build_head(session, conversation)
    with ui.element("div").classes("talk-body"):
        _build_bubbles(conversation)
        pill = button("", classes="pill", hidden=True)
        pill.props["aria-label"] = _("To the newest message")
        pill.on("click", js_handler="(event) => page.toEnd()")
    _build_composer(session, conversation)
    build_bubble_menu(conversation)


def _build_head(session: PageSession, conversation: Conversation) -> None:
    person = conversation.person
    with add("header", classes="bar talk-head") as head:
        add_back()
        add_avatar(person.name, is_model=True)
        facts = button("", lambda: show_facts(conversation), "who")
        with facts:
            with add("span", classes="name-line"):
                add("h1", person.name, "name", dir="auto")
                activity = add("span", classes="activity", role="status")
            add("span", _("written by a model on this computer"), "mark")
        switch = _build_switch(conversation)
        build_menu(conversation)

    def show_activity(_part: object) -> None:
        known = find_person(session.published.value, person.key)
        text = _activity_text(conversation.state)
        if not text and known is not None and known.training is not None:
            text = state_text(known, session.published.value.trainings)
        set_text(activity, text)
        is_learning = known is not None and known.training is not None
        has_model = known is not None and known.model is not None
        set_class(head, "comparable", is_on=has_model)
        switch.set_visibility(has_model or is_learning)
        set_prop(switch, "disabled", not has_model)
        set_prop(switch, "title", "" if has_model else text)

    conversation.published.watch(
        lambda s: (s.phase, s.shows_dots, s.slowness, s.download, s.version),
        show_activity,
    )
    session.published.watch(lambda s: find_person(s, person.key), show_activity)


def _activity_text(state: TalkState) -> str:
    if state.download.is_running:
        return _("downloading …")
    if not state.shows_dots:
        return _("before training") if state.version == "before" else ""
    if state.phase == "waking":
        if state.waking_seconds is None:
            return _("waking up …")
        seconds = format_seconds(state.waking_seconds)
        return _("waking up, about {time}", time=seconds)
    if state.slowness and state.usual_seconds is not None:
        usual = _("usually {time}", time=format_seconds(state.usual_seconds))
        return join_parts(_("is typing …"), usual)
    return _("is typing …")


def _build_switch(conversation: Conversation) -> Any:
    with add("fieldset", classes="switch") as switch:
        add("legend", _("Before or after training"), "visually-hidden")
        buttons = {}
        titles: dict[Version, str] = {"before": _("Before"), "after": _("After")}
        for version, title in titles.items():
            with add("label"):
                radio = add("input", type="radio", name="version")
                add("span", title)
            radio.on("change", partial(_set_version, conversation, version))
            buttons[version] = radio

    def show(version: Version) -> None:
        for other, radio in buttons.items():
            set_prop(radio, "checked", other == version)

    conversation.published.watch(lambda s: s.version, show)
    return switch


def _set_version(conversation: Conversation, version: Version, _event: Any) -> None:
    conversation.set_version(version)


# The conversation


def _build_bubbles(conversation: Conversation) -> None:
    person, shown = conversation.person, _SHOWN
    label = _("Talk with {name}", name=person.name)
    # The style sheet turns the box upside down, so that its end stays in view.
    box = ui.element("div").classes("bubbles")
    box.props("role=region tabindex=0 id=bubbles").props["aria-label"] = label
    with box, ui.element("div").classes("inner"):
        empty = _build_empty(conversation)
        earlier = button(_("Earlier messages"), classes="earlier")
        build = partial(_build_row, conversation)
        rows = KeyedList(build, lambda row: row.key).classes("messages")
        # A script draws what is on its way to the server.
        ui.element("ul").classes("messages pending").props("id=pending")
        with ui.element("div").classes("entry theirs dots") as dots:
            dots.props["aria-hidden"] = "true"
            for _number in range(3):
                add("span")
        slow = add("p", classes="notice", role="status")
        _build_end(conversation)
        _build_offer(conversation)

    def show_messages(messages: tuple[Message, ...]) -> None:
        rows.show(to_rows(messages[-shown:]))
        earlier.set_visibility(len(messages) > shown)

    def show_earlier(_event: Any) -> None:
        nonlocal shown
        shown += _SHOWN
        show_messages(conversation.state.messages)

    def show_slow(slowness: int) -> None:
        text = _("Slow today: something else uses this computer.")
        set_text(slow, text if slowness > 1 else "")

    def announce(last: Message | None) -> None:
        if last is not None and last.author == "model":
            sentence = f"{_('Model of {name}', name=person.name)}: {last.text}"
            set_text(live, sentence)

    earlier.on("click", show_earlier)
    # The list has buttons, so this element is what screen readers announce.
    live = add("p", classes="visually-hidden", aria_live="polite")
    watch = conversation.published.watch
    watch(lambda s: s.messages, show_messages)
    watch(lambda s: s.shows_dots, dots.set_visibility)
    watch(lambda s: s.slowness, show_slow)
    watch(lambda s: not s.messages and s.offer is None, empty.set_visibility)
    watch(lambda s: s.messages[-1] if s.messages and s.is_busy else None, announce)


def _build_empty(conversation: Conversation) -> ui.element:
    """Build what an empty talk shows: what this is, and how to begin."""
    name = conversation.person.name
    with ui.element("div").classes("empty") as empty:
        add(
            "p",
            _(
                "This is a model that writes like {name}. It makes things up.",
                name=name,
            ),
        )
        title = add("p", _("For example:"), "quiet")

        def build(_row: ui.element, text: str) -> Show[str]:
            # Others really wrote this to the person.
            button(text, partial(conversation.send, text), "opening", dir="auto")
            return lambda _text: None

        openings = KeyedList(build, lambda text: text).classes("openings")

    def show(texts: tuple[str, ...]) -> None:
        openings.show(texts)
        title.set_visibility(bool(texts))

    conversation.published.watch(lambda s: s.openings, show)
    return empty


def _build_row(
    conversation: Conversation, element: ui.element, row: _Row
) -> Show[_Row]:
    message = row.message
    if message is None:
        add("span", row.label, "day")
        return lambda _row: None
    if message.author == "note":
        add("span", _("not asked then"), "notice")
        return lambda _row: None
    is_own = message.author == "me"
    element.classes("entry mine" if is_own else "entry theirs")
    set_class(element, "later", is_on=row.is_later)
    set_class(element, "emoji", is_on=is_emoji(message.text))
    name = _("You") if is_own else _("Model of {name}", name=conversation.person.name)
    with add("article", classes="bubble", tabindex=-1) as bubble:
        bubble.props["data-turn"] = message.turn
        add("span", f"{name}: ", "visually-hidden")
        text = add("span", classes="words", dir="auto")
        with add("span", classes="meta"):
            if message.time:
                add("time", format_clock(message.time))
            ticks = add("span", classes="ticks", role="img") if is_own else None
            mark = None if is_own else build_mark()
    if is_own:
        # The real bubble replaces the one that the script drew.
        element.on("vnodeMounted", js_handler="(node) => page.confirm(node.el)")
    why = None if is_own else _build_why()

    def show(row: _Row) -> None:
        new = row.message or message
        set_text(text, new.text)
        if ticks is not None:
            set_text(ticks, "✓✓" if new.is_read else "✓")
            set_prop(ticks, "aria-label", _("read") if new.is_read else _("sent"))
        if mark is not None:
            mark(new.is_corrected)
        if why is not None:
            why(new.cited)

    return show


def _build_why() -> Show[tuple[str, ...]]:
    """Build the folded lines that the model remembered."""
    with ui.element("details").classes("why") as details:
        summary = add("summary")

        def build(_row: ui.element, line: str) -> Show[str]:
            add("q", _cited_text(line), dir="auto")
            return lambda _line: None

        lines = KeyedList(build, lambda line: line)

    def show(cited: tuple[str, ...]) -> None:
        details.set_visibility(bool(cited))
        count = len(cited)
        set_text(summary, f"⟲ {count}" if cited else "")
        label = ngettext("{count} remembered line", "{count} remembered lines", count)
        set_prop(summary, "aria-label", label)
        lines.show(cited)

    return show


def _cited_text(line: str) -> str:
    """Return a remembered line with a readable date."""
    if corrected := cited_correction(line):
        return corrected
    try:
        when = datetime.strptime(line[:_CITED_TIME], "%Y-%m-%d %H:%M")  # noqa: DTZ007 - it is local.
    except ValueError:
        return line
    name, colon, text = line[_CITED_TIME:].strip().partition(": ")
    return f"{name}, {format_day(when.timestamp())}{colon}{text}"


def is_emoji(text: str) -> bool:
    """Return whether a message is a few emoji, which are shown large."""
    letters = [letter for letter in text if letter not in _OTHER_MARKS]
    is_symbol = all(unicodedata.category(letter) in _SYMBOLS for letter in letters)
    return 0 < len(letters) <= _MAX_EMOJI and is_symbol


def _build_end(conversation: Conversation) -> None:
    """Build what stands below a message without an answer."""
    with ui.element("div").classes("end") as end:
        mark = add("span", "!", "bad-mark", aria_hidden="true")
        failure = FailureBox()
        stopped = add("p", _("Stopped."), "quiet")
        again = button(_("Try again"), conversation.answer, "quiet")
    keep = FailureBox()

    def show(state: TalkState) -> None:
        is_unanswered = state.failure is not None or state.is_stopped
        end.set_visibility(is_unanswered and not state.is_busy)
        mark.set_visibility(state.failure is not None)
        failure.show(state.failure)
        stopped.set_visibility(state.is_stopped and state.failure is None)
        has_own = bool(state.messages) and state.messages[-1].author == "me"
        again.set_visibility(has_own)

    conversation.published.watch(lambda s: s, show)
    conversation.published.watch(lambda s: s.keep_failure, keep.show)


def _build_offer(conversation: Conversation) -> None:
    """Build the card that offers a language model to download."""
    with ui.element("div").classes("offer card") as card:
        question = add("p")
        work = WorkBar()
        with add("div", classes="buttons"):
            download = button("", conversation.download, "primary")
            cancel = button(_("Cancel"), conversation.cancel_download, "quiet")
            local = button(
                _("Use the smaller model that is here"), conversation.use_local, "quiet"
            )

    def show(part: tuple[Offer | None, Any]) -> None:
        offer, download_work = part
        card.set_visibility(offer is not None)
        if offer is None:
            return
        size = Size(offer.choice.base.download_bytes())
        set_text(
            question,
            _(
                "To talk, this computer needs a language model: {size}, once.",
                size=size,
            ),
        )
        percent = ""
        if download_work.total:
            share = round(100 * min(download_work.done / download_work.total, 1))
            percent = _("{percent} %", percent=share)
        work.show(download_work, progress=percent)
        is_running = download_work.is_running
        download.set_visibility(not is_running)
        has_failed = download_work.error is not None
        set_text(download, _("Try the download again") if has_failed else _("Download"))
        cancel.set_visibility(is_running)
        local.set_visibility(offer.local is not None and not is_running)

    conversation.published.watch(lambda s: (s.offer, s.download), show)


# The field


def _build_composer(session: PageSession, conversation: Conversation) -> None:
    key = conversation.person.key
    form = line_form(
        _("Message"),
        _("Send"),
        conversation.send,
        text=conversation.draft,
        icon="➤",
        classes="composer",
        enterkeyhint="send",
        data_pending=1,
    )
    form.mark("composer")
    field = form.default_slot.children[0]
    field.on(
        "input",
        lambda event: conversation.set_draft(str(event.args)),
        js_handler="(event) => page.draft(event, emit)",
    )
    field.on("vnodeMounted", js_handler="(node) => page.openTalk(node.el)")
    with form:
        stop = button("■", conversation.stop, "stop", aria_label=_("Stop"))
    stop.mark("stop")
    with ui.element("div").classes("closed") as closed:
        reason = add("p")
        link(_("Add chats"), ADD, "primary")

    def show(person: Person | None) -> None:
        can_talk = person is not None and person.can_talk
        form.set_visibility(can_talk)
        closed.set_visibility(not can_talk)
        set_text(reason, "" if can_talk else _closed_text(session.published.value, key))

    session.published.watch(lambda s: find_person(s, key), show)
    conversation.published.watch(
        lambda s: s.is_busy, lambda is_on: set_class(form, "busy", is_on=is_on)
    )


def _closed_text(snapshot: Snapshot, key: str) -> str:
    person = find_person(snapshot, key)
    if person is None:
        return _("This model was deleted, and its chats with it.")
    if person.training is not None and person.talk is None:
        return _("This person is still learning.")
    return _("The export of this chat was removed: add it again to go on.")
