"""The menus of a talk and of its bubbles, and what they open."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from langchain_chatexports.page.conversation import Conversation
from langchain_chatexports.page.corrections import ask_for_correction
from langchain_chatexports.page.elements import (
    KeyedList,
    Show,
    add,
    ask,
    button,
    input_field,
    link,
    set_prop,
    set_text,
    sheet,
)
from langchain_chatexports.page.frame import SEARCH, SETTINGS, TEACH, TELL_APART
from langchain_chatexports.page.languages import (
    Size,
    _,
    format_seconds,
    format_short_time,
    format_time,
    join_parts,
    ngettext,
)
from langchain_chatexports.page.messages import Message, TalkState, Version

_PICK = "(event) => emit(event.detail)"
_TYPED = "(event) => emit(event.target.value)"
_MAX_FOUND = 50


def build_menu(conversation: Conversation) -> None:
    """Build the button ⋮ and its menu."""
    opener = button("⋮", classes="icon", aria_label=_("More"), aria_haspopup="menu")
    opener.props["popovertarget"] = "talk-menu"
    with ui.element("div").classes("menu").props("popover=auto role=menu id=talk-menu"):
        versions = _add_versions(conversation)
        _item(_("New chat"), conversation.start_new)
        _item(_("Earlier chats"), lambda: _show_earlier_chats(conversation))
        search = _item(_("Search in this chat"), lambda: _search(conversation))
        remembered = _item(_("Show what it remembered"))
        set_prop(remembered, "role", "menuitemcheckbox")
        remembered.on("click", js_handler="(event) => page.showRemembered(event)")
        _item(_("Facts about this model"), lambda: show_facts(conversation))
        strength = _item(
            _("How much it writes like {name}", name=conversation.person.name),
            lambda: _show_strength(conversation),
        )
        _add_person_links(conversation.person.key)
        copy = _item(_("Copy chat"), lambda: _copy(conversation))
        export = _item(_("Export chat"), lambda: _export(conversation))
        unkept = _item(
            _("Don't keep this chat"),
            lambda: conversation.set_kept(not conversation.state.is_kept),
        )
        set_prop(unkept, "role", "menuitemcheckbox")
        delete = _item(_("Delete chat …"), lambda: _ask_to_delete(conversation))
        link(_("Delete {name} …", name=conversation.person.name), SETTINGS, "item")

    def show(state: TalkState) -> None:
        for item in (search, copy, export, delete):
            set_prop(item, "disabled", not state.messages)
        strength.set_visibility(conversation.person.model is not None)
        remembered.set_visibility(any(message.cited for message in state.messages))
        set_prop(unkept, "aria-checked", "false" if state.is_kept else "true")
        for version, item in versions.items():
            is_chosen = state.version == version
            set_prop(item, "aria-checked", "true" if is_chosen else "false")

    conversation.published.watch(lambda s: s, show)


def _add_versions(conversation: Conversation) -> dict[Version, TextElement]:
    """Add what is a switch in the head where that is wide enough."""
    titles: dict[Version, str] = {
        "before": _("Before training"),
        "after": _("After training"),
    }
    items = {}
    for version, title in titles.items():
        item = _item(title, partial(conversation.set_version, version))
        set_prop(item.classes("version"), "role", "menuitemradio")
        items[version] = item
    return items


def _add_person_links(key: str) -> None:
    for title, path in (
        (_("Search in your chats"), f"{SEARCH}?person={key}"),
        (_("Teach a model"), f"{TEACH}/{key}"),
        (_("Can you tell it apart?"), f"{TELL_APART}/{key}"),
    ):
        link(title, path, "item", role="menuitem")


def _item(title: str, on_click: Callable[[], Any] | None = None) -> TextElement:
    item = button(title, on_click, "item", role="menuitem")
    item.on("click", js_handler="(event) => page.closeMenu(event)")
    return item


def build_bubble_menu(conversation: Conversation) -> None:
    """Build the menu of all bubbles; a script puts it beside one."""
    menu = (
        ui.element("div").classes("menu").props("popover=auto role=menu id=bubble-menu")
    )
    with menu:
        for action, title in (
            ("edit", _("Edit")),
            ("correct", _("They would not say that")),
            ("again", _("Another answer")),
            ("copy", _("Copy")),
            ("why", _("Why?")),
            ("delete", _("Delete from here")),
        ):
            item = add("button", title, f"item {action}", type="button")
            item.props["role"], item.props["data-action"] = "menuitem", action
            item.on("click", js_handler="(event) => page.pick(event)")
            if action == "correct":
                conversation.published.watch(
                    lambda s: s.version == "before", partial(set_prop, item, "disabled")
                )
    menu.mark("bubble-menu")

    def pick(event: Any) -> None:
        action, turn = event.args
        if action == "again":
            conversation.answer_again()
        elif action == "delete":
            _ask_to_delete_from(conversation, int(turn))
        elif action == "edit":
            _ask_to_edit(conversation, int(turn))
        elif action == "correct":
            ask_for_correction(conversation, int(turn))

    menu.on("pick", pick, js_handler=_PICK)


def _ask_to_edit(conversation: Conversation, turn: int) -> None:
    own = [m for m in conversation.state.messages if m.turn == turn]
    text = "\n".join(m.text for m in own if m.author == "me")
    ask(
        _("Edit the message"),
        _("Send"),
        partial(conversation.edit, turn),
        _("Later messages are removed, and the model replies again."),
        label=_("Message"),
        value=text,
        is_long=True,
    )


def _ask_to_delete_from(conversation: Conversation, turn: int) -> None:
    ask(
        _("Delete this message and all that follows?"),
        _("Delete"),
        lambda _text: conversation.delete_from(turn),
        is_destructive=True,
    )


def _ask_to_delete(conversation: Conversation) -> None:
    async def delete(_text: str) -> None:
        await conversation.delete()

    ask(_("Delete this chat?"), _("Delete"), delete, is_destructive=True)


def show_facts(conversation: Conversation) -> None:
    """Show what the model is."""
    person, state = conversation.person, conversation.state
    with sheet(person.name):
        add("p", _("written by a model on this computer"))
        model = person.model
        if model is None:
            add("p", _("It was not trained: it imitates earlier messages."))
        else:
            when = format_short_time(model.created_at)
            size = Size(model.size_bytes)
            add("p", _("Trained: {day}, {size}", day=when, size=size), "quiet")
            add("p", model.base_model, "quiet", lang="en")
        if state.usual_seconds is not None:
            usual = format_seconds(state.usual_seconds)
            add("p", _("An answer usually takes {time}.", time=usual), "quiet")


def _show_strength(conversation: Conversation) -> None:
    """Show a slider: how much of the training is used."""
    model, name = conversation.person.model, conversation.person.name
    if model is None:
        return
    title = _("How much it writes like {name}", name=name)
    with sheet(title):
        slider = add("input", type="range", min=0, max=1, step=0.05)
        slider.props["aria-label"] = title
        slider.props["defaultValue"] = conversation.strength
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
        field = input_field(_("Words"), "words", type="search")
        count = add("p", classes="quiet", role="status")
        found = KeyedList(_build_found, lambda message: message.key)

    def show(words: str) -> None:
        key = words.strip().casefold()
        messages = conversation.state.messages
        matches = [m for m in messages if key and key in m.text.casefold()]
        found.show(matches[: -_MAX_FOUND - 1 : -1])
        number = len(matches)
        text = ngettext("{count} message", "{count} messages", number) if key else ""
        set_text(count, text)

    field.mark("words").on("input", lambda e: show(str(e.args)), js_handler=_TYPED)


def _build_found(row: ui.element, message: Message) -> Show[Message]:
    row.classes("found")
    if message.time:
        add("p", format_time(message.time), "quiet")
    add("p", message.text, "quote mine" if message.author == "me" else "quote theirs")
    return lambda _message: None


def _show_earlier_chats(conversation: Conversation) -> None:
    talks = conversation.kept_talks()
    with sheet(_("Earlier chats")):
        if not talks:
            add("p", _("No chat is kept yet."), "quiet")
        for talk in talks:
            count = ngettext("{count} answer", "{count} answers", talk.answers)
            row = button("", classes="chat-row")
            with row, add("span", classes="who"):
                add("span", talk.first, "name", dir="auto")
                add("span", join_parts(format_short_time(talk.time), count), "quiet")
            if talk.id == conversation.state.talk_id:
                row.props["aria-current"] = "true"
            row.mark(f"talk-{talk.id}")
            row.on("click", partial(_open_talk, conversation, talk.id))
            row.on("click", js_handler="(e) => e.target.closest('dialog').close()")


async def _open_talk(conversation: Conversation, talk_id: str, _event: Any) -> None:
    await conversation.open_talk(talk_id)


def _export_text(conversation: Conversation) -> str:
    day = time.strftime("%Y-%m-%d")
    first = _(
        "Talk with a model of {name}, {day}, not written by {name}.",
        name=conversation.person.name,
        day=day,
    )
    return f"{first}\n\n{conversation.export()}\n"


def _copy(conversation: Conversation) -> None:
    ui.clipboard.write(_export_text(conversation))


def _export(conversation: Conversation) -> None:
    ui.download(_export_text(conversation).encode("utf-8", "replace"), "chat.txt")
