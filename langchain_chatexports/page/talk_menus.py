"""The menus of a talk and of its bubbles, and what they open."""

from collections.abc import Callable
from functools import partial
from typing import Any

from nicegui import ui

from langchain_chatexports.page.bubbles import Side
from langchain_chatexports.page.conversation import Conversation
from langchain_chatexports.page.elements import (
    Element,
    KeyedList,
    add,
    ask,
    button,
    link,
    sheet,
)
from langchain_chatexports.page.frame import SEARCH, SETTINGS, TEACH, TELL_APART
from langchain_chatexports.page.languages import (
    _,
    format_duration,
    format_short_time,
    format_size,
    format_time,
    join_parts,
    message_count_text,
    ngettext,
)
from langchain_chatexports.page.messages import Message, TalkState, Version

_TYPED = "(event) => emit(event.target.value)"
_MAX_FOUND = 50


def build_menu(conversation: Conversation) -> None:
    person, talk = conversation.person, conversation
    opener = button("⋮", classes="icon", aria_label=_("More"), aria_haspopup="menu")
    opener.props["popovertarget"] = "talk-menu"
    with add("div", classes="menu", popover="auto", role="menu", id="talk-menu"):
        # In the head, they are a switch where that is wide enough.
        _add_version(talk, "before", _("Before training"), {"before"})
        _add_version(talk, "after", _("After training"), {"after", "both"})
        _add_item(_("New chat"), talk.open_talk)
        _add_item(_("Earlier chats"), lambda: _show_earlier_chats(talk))
        search = _add_item(_("Search in this chat"), lambda: _search(talk))
        remembered = _add_item(_("Show what it remembered"), role="menuitemcheckbox")
        remembered.on("click", js_handler="(event) => page.showRemembered(event)")
        _add_item(_("Facts about this model"), lambda: show_facts(talk))
        strength = _add_item(_strength_title(talk), lambda: _show_strength(talk))
        for title, path in (
            (_("Search in your chats"), f"{SEARCH}?person={person.key}"),
            (_("Teach a model"), f"{TEACH}/{person.key}"),
            (_("Can you tell it apart?"), f"{TELL_APART}/{person.key}"),
        ):
            link(title, path, "item", role="menuitem")
        copy = _add_item(_("Copy chat"), lambda: ui.clipboard.write(talk.export()))
        export = _add_item(_("Export chat"), lambda: _export(talk))
        unkept = _add_item(
            _("Don't keep this chat"),
            lambda: talk.set_kept(not talk.state.is_kept),
            role="menuitemcheckbox",
        )
        question = _("Delete this chat?"), _("Delete"), talk.delete
        delete = _add_item(_("Delete chat …"), lambda: ask(*question))
        title = _("Delete {name} …", name=person.name)
        link(title, SETTINGS, "item", role="menuitem")

    def show(state: TalkState) -> None:
        for item in (search, copy, export, delete):
            item.set_prop("disabled", not state.messages)
        strength.set_visibility(conversation.person.model is not None)
        remembered.set_visibility(any(message.cited for message in state.messages))
        unkept.set_prop("aria-checked", "false" if state.is_kept else "true")

    conversation.published.watch(lambda s: s, show)


def _add_item(
    title: str, on_click: Callable[[], Any] | None = None, role: str = "menuitem"
) -> Element:
    item = button(title, on_click, "item", role=role)
    item.on("click", js_handler="(event) => page.closeMenu(event)")
    return item


def _add_version(
    conversation: Conversation, version: Version, title: str, chosen: set[Version]
) -> None:
    choose = partial(conversation.set_version, version)
    item = _add_item(title, choose, role="menuitemradio").classes("version")
    conversation.published.watch(
        lambda s: "true" if s.version in chosen else "false",
        partial(item.set_prop, "aria-checked"),
    )


def build_bubble_menu(
    conversation: Conversation, edit: Callable[[Side | None], None]
) -> None:
    """Build the menu of all bubbles; a script puts it beside one."""
    with add("div", classes="menu", popover="auto", role="menu") as menu:
        items = {
            action: add("button", title, f"item {action}", role="menuitem")
            for action, title in (
                ("edit", _("Edit")),
                ("correct", _("They would not say that")),
                ("again", _("Another answer")),
                ("copy", _("Copy")),
                ("why", _("Why?")),
                ("delete", _("Delete from here")),
            )
        }
    for action, item in items.items():
        item.props["data-action"] = action
        item.on("click", js_handler="(event) => page.pick(event)")

    def pick(event: Any) -> None:
        action, turn = event.args[0], int(event.args[1])
        if action == "again":
            conversation.answer_again()
        elif action == "delete":
            question = _("Delete this message and all that follows?"), _("Delete")
            ask(*question, partial(conversation.delete_from, turn))
        else:
            edit((turn, "me" if action == "edit" else "model"))

    menu.props["id"] = "bubble-menu"
    menu.mark("bubble-menu").on("pick", pick, js_handler="(e) => emit(e.detail)")


def show_facts(conversation: Conversation) -> None:
    model, usual = conversation.person.model, conversation.usual_seconds
    with sheet(conversation.person.name):
        add("p", _("written by a model on this computer"))
        if model is None:
            add("p", _("It was not trained: it imitates earlier messages."))
        else:
            when = format_short_time(model.created_at)
            size = format_size(model.size_bytes)
            add("p", _("Trained: {day}, {size}", day=when, size=size), "quiet")
            if count := model.replies:
                learned = ngettext(
                    "It has learned from {count} reply.",
                    "It has learned from {count} replies.",
                    count,
                )
                add("p", learned, "quiet")
            add("p", model.base_model, "quiet", lang="en")
        if usual is not None:
            time = format_duration(usual)
            add("p", _("An answer usually takes {time}.", time=time), "quiet")


def _strength_title(conversation: Conversation) -> str:
    return _("How much it writes like {name}", name=conversation.person.name)


def _show_strength(conversation: Conversation) -> None:
    title, name = _strength_title(conversation), conversation.person.name
    model = conversation.person.model
    with sheet(title):
        slider = add("input", type="range", min=0, max=1, step=0.05, aria_label=title)
        slider.props["defaultValue"] = model.strength if model else 1
        with add("p", classes="split quiet"):
            add("span", _("more sense"))
            add("span", _("more like {name}", name=name), dir="auto")
        add("p", _("It applies from the next reply on."), "quiet")
    slider.mark("strength").on(
        "change",
        lambda event: conversation.set_strength(float(event.args)),
        js_handler=_TYPED,
    )


def _search(conversation: Conversation) -> None:
    """Open a search in all messages of the chat, also in those that are not shown."""
    with sheet(_("Search in this chat")):
        with add("label", classes="field"):
            add("span", _("Words"))
            field = add("input", type="search", dir="auto")
        count = add("p", classes="quiet", role="status")
        found = KeyedList(_build_found)

    def show(words: str) -> None:
        key = words.strip().casefold()
        messages = conversation.state.messages
        matches = [m for m in messages if key and key in m.text.casefold()]
        found.show(matches[: -_MAX_FOUND - 1 : -1])
        count.set_text(message_count_text(len(matches)) if key else "")

    field.mark("words").on("input", lambda e: show(str(e.args)), js_handler=_TYPED)


def _build_found(row: Element, message: Message) -> None:
    row.classes("found")
    if message.time:
        add("p", format_time(message.time), "quiet")
    side = "mine" if message.author == "me" else "theirs"
    add("p", message.text, f"quote {side}", dir="auto")


def _show_earlier_chats(conversation: Conversation) -> None:
    talks = conversation.kept_talks()
    with sheet(_("Earlier chats")):
        if not talks:
            add("p", _("No chat is kept yet."), "quiet")
        for talk in talks:
            answers = sum(bool(turn.answer) for turn in talk.turns)
            count = ngettext("{count} answer", "{count} answers", answers)
            open_ = partial(conversation.open_talk, talk)
            row = button("", open_, "chat-row").mark(f"talk-{talk.id}")
            with row, add("span", classes="who"):
                add("span", talk.lines[0], "name", dir="auto")
                time = format_short_time(talk.changed_at.timestamp())
                add("span", join_parts(time, count), "quiet")
            if talk.id == conversation.state.talk_id:
                row.props["aria-current"] = "true"
            row.on("click", js_handler="(e) => e.target.closest('dialog').close()")


def _export(conversation: Conversation) -> None:
    ui.download(conversation.export().encode("utf-8", "replace"), "chat.txt")
