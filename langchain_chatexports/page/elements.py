"""Native HTML elements, and lists whose rows are never rebuilt.

Names and text from chats are only shown in elements that do not interpret HTML. What
runs in the browser is in `page.js`.
"""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Self, TypeVar

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from langchain_chatexports.page.errors import Failure, translate_error
from langchain_chatexports.page.languages import (
    LazyMessage,
    _,
    format_percent,
    join_parts,
    time_left,
)
from langchain_chatexports.page.work import IDLE, WorkState

T = TypeVar("T")
Show = Callable[[T], object]

_SUBMIT = "(event) => page.submit(event, emit)"
_CLOSED = "(event) => emit(event.target.returnValue)"
_OPEN = "(node) => node.el.showModal()"
_CANCEL = "(event) => event.target.closest('dialog').close('')"


class Element(TextElement):
    """An HTML element with plain text."""

    def set_text(self, text: object) -> Self:
        return super().set_text(clean(text))

    def set_prop(self, name: str, value: object) -> None:
        """Set a prop; an equal value would be sent again."""
        if self.props.get(name) != value:
            self.props[name] = value

    def set_class(self, name: str, *, is_on: bool) -> None:
        if (name in self.classes) != is_on:
            self.classes(name if is_on else "", remove="" if is_on else name)


def add(tag: str, text: object = "", classes: str = "", **props: Any) -> Element:
    """Add an element with plain text; `aria_label` is the prop `aria-label`."""
    element = Element(tag=tag, text=clean(text)).classes(classes)
    for name, value in props.items():
        element.props[name.strip("_").replace("_", "-")] = value
    return element


def clean(text: object) -> str:
    """Return text that can be sent: file names can have lone surrogates."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def url(path: str) -> str:
    """Return the address of a screen, under the page's secret path."""
    request = ui.context.client.request
    return str(request.scope.get("root_path", "")) + path


def link(text: object, path: str, classes: str = "", **props: Any) -> Element:
    return add("a", text, classes, href=url(path), **props)


def button(
    text: object,
    on_click: Callable[[], object] | None = None,
    classes: str = "",
    **props: Any,
) -> Element:
    """Add a button; without a handler, give it one by `on`."""
    element = add("button", text, classes, **{"type": "button", **props})
    if on_click is not None:
        # One handler for the life of the element.
        element.on("click", lambda _event: on_click())
    return element


class KeyedList(ui.element, Generic[T]):
    """Shows items as rows, one per key; rows are added, moved and removed.

    `build` builds a row inside its element, and returns what shows an item in it, if
    items of one `key` can change.
    """

    def __init__(
        self,
        build: Callable[[Element, T], Show[T] | None],
        key: Callable[[T], Hashable] = lambda item: item,
        tag: str = "ul",
    ) -> None:
        super().__init__(tag)
        self._build, self._key = build, key
        self._row_tag = "li" if tag == "ul" else "div"
        self._rows: dict[Hashable, tuple[Element, Show[T] | None]] = {}
        self._items: dict[Hashable, T] = {}

    def show(self, items: Iterable[T]) -> None:
        """Show these items, and change only the rows of those that are different."""
        new = {self._key(item): item for item in items}
        for key in self._rows.keys() - new.keys():
            self._rows.pop(key)[0].delete()
            del self._items[key]
        for index, (key, item) in enumerate(new.items()):
            if key not in self._rows:
                with self, add(self._row_tag) as element:
                    self._rows[key] = element, self._build(element, item)
            element, show = self._rows[key]
            if key not in self._items or self._items[key] != item:
                self._items[key] = item
                if show is not None:
                    show(item)
            if self.default_slot.children[index] is not element:
                element.move(target_index=index)


def build_line(_row: Element, line: str) -> None:
    """Build a row of a list of lines."""
    add("p", line, "quiet", dir="auto")


def line_form(
    label: str,
    send: str,
    on_submit: Callable[[str], object],
    *,
    text: str = "",
    icon: str = "",
    classes: str = "",
    **props: Any,
) -> Element:
    """Add a field and its button: Enter submits, Shift+Enter adds a line.

    The field is read and cleared in the browser: no event per key, and no key is lost.
    """
    with add("form", classes=f"line-form {classes}") as form:
        # Vue writes a `value` back at every render, and so drops what was typed; text
        # inside the element is only its start.
        field = add("textarea", text, name="line", rows=1, aria_label=label, dir="auto")
        field.props["placeholder"] = label
        for name, value in props.items():
            field.props[name.replace("_", "-")] = value
        field.on("keydown", js_handler="(event) => page.enter(event)")
        add("button", icon or send, "primary", type="submit", aria_label=send)
    form.on("submit", lambda event: on_submit(event.args), js_handler=_SUBMIT)
    return form


def ask(
    title: str, confirm: str, on_confirm: Callable[[], object], *texts: object
) -> None:
    """Ask before something is destroyed; the focus is on *Cancel*."""
    layout = ui.context.client.layout
    if any("ask" in e.classes for e in layout.default_slot.children):
        return  # A double click must not open two dialogs.

    def close(event: Any) -> object:
        dialog.delete()
        return on_confirm() if event.args else None

    with _dialog(title) as dialog, add("form", method="dialog"):
        for text in texts:
            add("p", text, dir="auto")
        with add("div", classes="buttons"):
            add("button", confirm, "danger", type="submit", value="confirm")
            cancel = button(_("Cancel"), classes="quiet", autofocus=True)
            cancel.on("click", js_handler=_CANCEL)
    dialog.mark("ask").on("close", close, js_handler=_CLOSED)


@contextmanager
def sheet(title: str) -> Iterator[None]:
    """Show what is built inside in a dialog with one button, which closes it."""
    with _dialog(title) as dialog:
        yield
        with add("form", classes="buttons", method="dialog"):
            add("button", _("Close"), "primary", type="submit", autofocus=True)
    dialog.on("close", lambda _event: dialog.delete())


@contextmanager
def _dialog(title: str) -> Iterator[ui.element]:
    with ui.context.client.layout:
        dialog = add("dialog", classes="ask", aria_label=title)
    with dialog:
        add("h2", title, dir="auto")
        yield dialog
    dialog.on("vnodeMounted", js_handler=_OPEN)


def fold(title: str) -> ui.element:
    """Add a folded section; build its content inside of it."""
    with add("details", classes="fold") as details:
        add("summary", title)
    return details


class FailureBox:
    """An error, which screen readers announce, with folded details in English."""

    def __init__(self) -> None:
        with ui.element("div").props("role=alert").classes("failure") as self.box:
            self._message = add("p")
            with fold(_("Details, in English")) as self._fold:
                self._details = add("p", classes="quiet", lang="en", dir="ltr")
        self.show(None)

    def show(self, failure: Failure | None) -> None:
        self.box.set_visibility(failure is not None)
        self._message.set_text(failure.message if failure else "")
        self._fold.set_visibility(bool(failure and failure.details))
        self._details.set_text(failure.details if failure else "")


class WorkBar:
    """The progress of work in the background, or its error."""

    def __init__(self) -> None:
        with ui.element("div").props("role=status").classes("work") as self.box:
            self._text = add("p")
            self._bar = add("progress", max=1).mark("progress")
        self._failure = FailureBox()
        self.show(IDLE)

    async def run(self, title: LazyMessage, work: Awaitable[T]) -> T | None:
        """Show that work goes on, or its error; return its result."""
        self.show(WorkState(is_running=True, title=title))
        result, end = None, IDLE
        try:
            result = await work
        except Exception as error:  # noqa: BLE001 - its text can quote chats.
            end = WorkState(error=translate_error(error))
        self.show(end)
        return result

    def show(self, work: WorkState) -> None:
        self.box.set_visibility(work.is_running)
        self._failure.show(work.error)
        title = str(work.title or "")
        percent = "" if work.fraction is None else format_percent(work.fraction)
        left = time_left(work.seconds_left)
        self._text.set_text(join_parts(f"{title} …", percent, left))
        self._bar.set_prop("aria-label", title)
        # Without a value, its length is not known.
        if work.fraction is None:
            self._bar.props.pop("value", None)
        else:
            self._bar.set_prop("value", work.fraction)
