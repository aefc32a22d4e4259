"""Elements of the screens that are not yet built on `elements.py`.

Names and text from chats are only shown in elements that do not interpret HTML.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nicegui import ui

from langchain_chatexports.page.errors import Failure
from langchain_chatexports.page.languages import (
    LazyMessage,
    Size,
    TimeLeft,
    _,
    join_parts,
    lazy_gettext,
    lazy_ngettext,
)
from langchain_chatexports.page.work import Work

# Ignores Enter in an input method, such as for Chinese, Japanese and Korean.
ENTER = """(event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    emit();
}"""
"""The script that calls a handler of `keydown` for Enter only."""

POLL_SECONDS = 0.3
"""The interval for checking whether a screen's content has changed."""


def text(content: str | LazyMessage, *, tag: str = "p", classes: str = "") -> Any:
    """Add plain text with automatic direction."""
    element = ui.element(tag).props("dir=auto").classes(f"text {classes}")
    with element:
        # File names that are not UTF-8 have lone surrogates, which cannot be sent.
        escaped = str(content).encode("utf-8", "backslashreplace").decode("utf-8")
        ui.label(escaped).classes("plain")
    return element


def paragraph(sentence: str, *, classes: str = "", **values: object) -> None:
    """Add a translated sentence; takes the same arguments as `_`."""
    text(_(sentence, **values), classes=classes)


def next_link(title: str, path: str) -> None:
    """Add the link to the next step."""
    ui.link(title, path).classes("next")


def show_dialog(
    title: str,
    confirm: str,
    on_confirm: Callable[..., object],
    *texts: str | LazyMessage,
    field: Callable[[], Any] | None = None,
    is_destructive: bool = False,
) -> None:
    """Ask for confirmation, or for the value of a field, passed to `on_confirm`.

    The focus is on the field, where Enter confirms; without a field, on Cancel.
    """
    for element in ui.context.client.elements.values():
        if isinstance(element, ui.dialog) and element.value:
            element.close()  # A double click must not open two dialogs.
    dialog = ui.dialog(value=True)
    dialog.props["aria-label"] = title
    with dialog, ui.element("div").classes("content dialog"):
        text(title, tag="h2", classes="name")
        for line in texts:
            text(line)
        value_field = field() if field else None

        def close_and_confirm() -> None:
            dialog.close()
            if value_field is None:
                on_confirm()
            else:
                on_confirm(value_field.value)

        with ui.element("div").classes("form-row"):
            button = ui.button(confirm, on_click=close_and_confirm)
            cancel = ui.button(_("Cancel"), on_click=dialog.close).props("outline")
        if is_destructive:
            button.props("color=negative")
        if value_field is None:
            cancel.props("autofocus")
        else:
            value_field.props("autofocus")
            value_field.on("keydown", close_and_confirm, js_handler=ENTER)


def error_box(message: str | LazyMessage, details: str = "") -> None:
    """Show an error, which screen readers announce immediately."""
    with ui.element("div").props("role=alert").classes("error"):
        text(message)
        if details:
            show_details(_("Details, in English"), [details])


def show_details(title: str, texts: Iterable[str]) -> None:
    """Show untranslated messages of the library in a collapsed section."""
    with ui.expansion(title):
        for line in texts:
            text(line, classes="quiet").props("lang=en")


def show_failure(failure: Failure | None) -> None:
    if failure is not None:
        error_box(*failure)


def _progress_text(unit: str, done: int, total: int | None) -> str:
    """Format the progress; empty for an unknown unit."""
    total_or_done = total or done
    sizes = {"done": Size(1e6 * done), "total": Size(1e6 * total_or_done)}
    texts = {
        "messages": lazy_ngettext("{count} message", "{count} messages", done),
        "examples": lazy_ngettext("{count} example", "{count} examples", done),
        "answers": lazy_ngettext("{count} answer", "{count} answers", done),
        "steps": lazy_ngettext("{count} step", "{count} steps", done),
        "examples checked": lazy_gettext(
            "{done} of {total} examples", done=done, total=total_or_done
        ),
        "MB": lazy_gettext("{done} of {total}", **sizes),
    }
    return str(texts.get(unit, ""))


def show_work(work: Work) -> None:
    """Show the progress of work in the background, or its error."""
    if not work.is_running:
        show_failure(work.error)
        return
    done, total = work.progress
    fraction = min(done / total, 1) if total else None
    left = work.seconds_left
    progress = _progress_text(work.unit, done, total)
    with ui.element("div").props("role=status").classes("work"):
        text(
            join_parts(
                f"{work.title} …",
                progress if done else "",
                TimeLeft(left),
            )
        )
        bar = ui.linear_progress(fraction or 0, show_value=False)
        bar.props["aria-label"] = str(work.title)
        if fraction is None:
            bar.props("indeterminate")


def rebuild_on_change(build: Callable[[], object], state: Callable[[], object]) -> None:
    """Build a section of a screen, and rebuild it when `state()` changes."""

    @ui.refreshable
    def section() -> None:
        with ui.element("div").classes("part"):
            build()

    # A change while the section is built rebuilds it.
    last_state = state()
    section()

    def refresh() -> None:
        nonlocal last_state
        current = state()
        if current != last_state:
            last_state = current
            section.refresh()

    ui.timer(POLL_SECONDS, refresh)


def focus(element: Any) -> None:
    """Move the keyboard focus to an element that is being built."""
    script = f"document.getElementById('{element.html_id}')?.focus()"
    ui.run_javascript(f"setTimeout(() => {script}, 50)")


def scroll_to(element: Any) -> None:
    """Scroll to an element after other sections were rebuilt."""
    script = f"document.getElementById('{element.html_id}')?.scrollIntoView()"
    ui.run_javascript(f"setTimeout(() => {script}, 600)")


def show_table(rows: Iterable[Sequence[str]]) -> None:
    """Show a table; the first cell of a row is its header."""
    with ui.element("table"), ui.element("tbody"):
        for name, *cells in rows:
            with ui.element("tr"):
                text(name, tag="th")
                for cell in cells:
                    text(cell, tag="td")
