"""The bubbles of a talk, and the field in which one is edited or corrected."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from langchain_chatexports.page.conversation import Conversation
from langchain_chatexports.page.elements import (
    Element,
    FailureBox,
    KeyedList,
    Show,
    add,
    button,
)
from langchain_chatexports.page.languages import _, format_clock, format_day, ngettext
from langchain_chatexports.page.messages import Author, Message, author_name
from langchain_chatexports.personas.talk import CORRECTED

# NiceGUI renders all elements of a tab at each change, so a long talk shows its end.
_SHOWN = 60
_CITED_TIME = len("2025-04-01 21:36")
_MAX_EMOJI = 3
_SYMBOLS = frozenset({"So", "Sk"})
_OTHER_MARKS = frozenset("\N{ZERO WIDTH JOINER}\N{VARIATION SELECTOR-16}")

Side = tuple[int, Author]
"""The messages of one side in a turn, which are edited together."""


def put_field(messages: Iterable[Message], edited: Side | None) -> Iterator[Message]:
    """Put a field in place of all messages of one side."""
    is_put = False
    for message in messages:
        if (message.turn, message.author) != edited:
            yield message
        elif not is_put:
            is_put = True
            yield replace(message, is_edited=True)


def build_bubbles(conversation: Conversation) -> Callable[[Side | None], None]:
    """Build the bubbles; return what puts a field in place of those of one side."""
    shown, edited = _SHOWN, None

    def show() -> None:
        messages = conversation.state.messages
        rows.show(put_field(messages[-shown:], edited))
        earlier.set_visibility(len(messages) > shown)

    def show_earlier() -> None:
        nonlocal shown
        shown += _SHOWN
        show()

    def edit(side: Side | None) -> None:
        nonlocal edited
        edited = side
        show()

    def announce(last: Message | None) -> None:
        if last is not None and last.author in {"model", "base"}:
            live.set_text(f"{_author(conversation, last)}: {last.text}")

    earlier = button(_("Earlier messages"), show_earlier, "earlier")
    build = partial(_build_row, conversation, lambda: edit(None))
    rows = KeyedList(build, lambda m: m.key).classes("messages")
    # The list has buttons, so this element is what screen readers announce.
    live = add("p", classes="visually-hidden", aria_live="polite")
    watch = conversation.published.watch
    watch(lambda s: s.messages, lambda _messages: show())
    watch(lambda s: s.version, lambda version: rows.props(f"data-version={version}"))
    watch(lambda s: s.messages[-1] if s.messages and s.is_busy else None, announce)
    return edit


def _author(conversation: Conversation, message: Message) -> str:
    name = conversation.person.name
    return author_name(message, _("Model of {name}", name=name))


def _build_row(
    conversation: Conversation,
    close: Callable[[], None],
    element: Element,
    message: Message,
) -> Show[Message] | None:
    if message.author == "note":
        add("span", _("not asked then"), "notice")
        return None
    is_own = message.author == "me"
    element.classes("entry mine" if is_own else f"entry theirs {message.author}")
    element.set_class("later", is_on=message.is_later)
    if message.time and message.is_new_day:
        add("span", format_day(message.time), "day")
    if message.is_edited:
        _build_field(conversation, message, close)
        return None
    if not (is_own or message.index):
        # Shown by the style sheet where both are.
        title = _("Before") if message.author == "base" else _("After")
        element.props["data-title"] = title
    with add("article", classes="bubble", tabindex=-1, data_turn=message.turn):
        add("span", f"{_author(conversation, message)}: ", "visually-hidden")
        words = add("span", classes="words", dir="auto")
        with add("span", classes="meta"):
            if message.time:
                add("time", format_clock(message.time))
            mark = add("span", "" if is_own else "✎", "ticks", role="img")
    if is_own:
        # The real bubble replaces the one that the script drew.
        element.on("vnodeMounted", js_handler="(node) => page.confirm(node.el)")
    why = None if is_own else _build_why()

    def show(new: Message) -> None:
        words.set_text(new.text)
        element.set_class("emoji", is_on=is_emoji(new.text))
        label = _("corrected by you")
        if is_own:
            mark.set_text("✓✓" if new.is_read else "✓")
            label = _("read") if new.is_read else _("sent")
        mark.set_visibility(is_own or new.is_corrected)
        mark.set_prop("aria-label", label)
        mark.set_prop("title", label)
        if why is not None:
            why(new.cited)

    return show


def _build_field(
    conversation: Conversation, message: Message, close: Callable[[], None]
) -> None:
    """Build the field for what the reader, or the person, would write instead.

    What was written is there again after *Cancel*, a reload or a failure.
    """
    is_own, turn = message.author == "me", message.turn
    side = (m for m in conversation.state.messages if m.turn == turn)
    text = "\n".join(m.text for m in side if m.author == message.author)
    unsent, key = conversation.unsent, (turn, text)
    label = _("What would {name} write?", name=conversation.person.name)
    note = _(
        "The chat continues with your text. An empty field only marks the reply as "
        "wrong."
    )
    if is_own:
        label = _("Edit the message")
        note = _("Later messages are removed, and the model replies again.")

    def save(event: Any) -> None:
        unsent[key] = str(event.args)

    async def keep(event: Any) -> None:
        better = unsent[key] = str(event.args)
        if is_own:
            close()
            conversation.edit(turn, better)
        elif problem := await conversation.correct(turn, better):
            failure.show(problem)
            return
        else:
            close()
        del unsent[key]

    def cancel(event: Any) -> None:
        save(event)
        close()

    with add("form", classes="edit-form").mark("edit") as form:
        with add("label", classes="field"):
            add("span", label, "quiet", dir="auto")
            field = add("textarea", unsent.get(key, text), name="line", rows=1)
        field.props["dir"], field.props["required"] = "auto", is_own
        add("p", note, "quiet")
        failure = FailureBox()
        with add("div", classes="buttons"):
            back = add("button", _("Cancel"), "quiet cancel", type="button")
            add("button", _("Send") if is_own else _("Keep"), "primary", type="submit")
    back.mark("cancel").on("click", cancel, js_handler="(e) => page.leave(e, emit)")
    field.on("input", save, js_handler="(event) => page.draft(event, emit)")
    field.on("keydown", js_handler="(event) => page.editKey(event)")
    field.on("vnodeMounted", js_handler="(node) => page.select(node.el)")
    form.on("submit", keep, js_handler="(event) => page.keep(event, emit)")
    focus = f"() => page.focusBubble({turn}, '{'mine' if is_own else 'theirs'}')"
    form.on("vnodeUnmounted", js_handler=focus)


def _build_why() -> Show[tuple[str, ...]]:
    """Build the folded lines that the model remembered."""
    with add("details", classes="why") as details:
        summary = add("summary")

        def build(_row: Element, line: str) -> None:
            add("q", cited_text(line), dir="auto")

        lines = KeyedList(build)

    def show(cited: tuple[str, ...]) -> None:
        details.set_visibility(bool(cited))
        count = len(cited)
        summary.set_text(f"⟲ {count}" if cited else "")
        label = ngettext("{count} remembered line", "{count} remembered lines", count)
        summary.set_prop("aria-label", label)
        lines.show(cited)

    return show


def cited_text(line: str) -> str:
    """Return a remembered line or correction in the language of the page."""
    if line.startswith(CORRECTED):
        return f"{_('corrected by you')}: {line.removeprefix(CORRECTED)}"
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
