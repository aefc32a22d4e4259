"""What all screens have: their frame, and parts that follow the work in the background.

Names and texts are only ever put into labels, which show them as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nicegui import ui

from langchain_chatexports._terminal import plural, short_duration
from langchain_chatexports.page.work import Work

SCREENS = {
    "/": "1. Add exports",
    "/choose": "2. Choose",
    "/train": "3. Train",
    "/talk": "4. Talk",
    "/guess": "5. Guess",
    "/manage": "Manage",
}
"""The screens by path, in the order of their use; the last one at any time."""

# Not while a word is composed, as in Chinese, Japanese and Korean.
ENTER = """(event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    emit();
}"""
"""What calls a handler of `keydown` where Enter is pressed."""

SECONDS_BETWEEN_LOOKS = 0.3
"""How often a screen looks whether what it shows has changed."""


# What workflows count, by their name for it.
_COUNTED = {
    "messages": "{done:,} messages",
    "examples": "{done:,} examples",
    "examples checked": "{done:,} of {total:,} examples",
    "MB": "{done:,} of {total:,} MB",
}


def add_style(tab_key: str) -> None:
    """Add the style sheet and our scripts to all screens."""
    style, upload, old_tab = (
        Path(__file__).with_name(name).read_text("utf-8")
        for name in ("style.css", "upload.js", "old_tab.js")
    )
    ui.add_head_html(f"<style>{style}</style>", shared=True)
    ui.add_head_html(f"<script>{upload}</script>", shared=True)
    script = old_tab.replace("TAB_KEY", tab_key)
    ui.add_head_html(f"<script>{script}</script>", shared=True)


@contextmanager
def screen(
    path: str, at_work: Callable[[], Sequence[tuple[str, str]]]
) -> Iterator[None]:
    """Build a screen's frame, and its content inside."""

    @ui.refreshable
    def status() -> None:
        for line, target in at_work():
            if target != path:
                ui.link(line, target)

    title = SCREENS[path]
    ui.page_title(f"{title} | chatexports")
    ui.colors(primary="#1d5fae")
    with ui.element("nav").props('aria-label="Steps"').classes("steps"):
        for target, name in SCREENS.items():
            link = ui.link(name, target)
            if target == path:
                link.props('aria-current="page"')
    with ui.element("div").classes("status").props("role=status"):
        follow(status, at_work)
    with ui.element("div").classes("content"):
        text(title.lstrip("0123456789. "), tag="h1")
        yield


def text(content: str, *, tag: str = "p", classes: str = "") -> Any:
    """Add a text, which is shown as it is and in its own direction."""
    element = ui.element(tag).props("dir=auto").classes(f"text {classes}")
    with element:
        # A file name that is not UTF-8 has codes that cannot be sent.
        sent = content.encode("utf-8", "backslashreplace").decode("utf-8")
        ui.label(sent).classes("plain")
    return element


def next_link(title: str, path: str) -> None:
    """Add the link to the screen that most people go on to."""
    ui.link(title, path).classes("next")


@contextmanager
def dialog(title: str) -> Iterator[Any]:
    """Open a dialog, and build its content inside."""
    for element in ui.context.client.elements.values():
        if isinstance(element, ui.dialog) and element.value:
            element.close()  # A double click opens one dialog.
    opened = ui.dialog(value=True)
    opened.props["aria-label"] = title
    with opened, ui.element("div").classes("content asked"):
        text(title, tag="h2", classes="name")
        yield opened


def answers(
    opened: Any, title: str, act: Callable[[], object], field: Any = None
) -> None:
    """Add a dialog's buttons: one that acts, and Cancel.

    The focus is on the field, where Enter acts, or else on Cancel.
    """

    def agree() -> None:
        opened.close()
        act()

    if field is not None:
        field.props("autofocus").on("keydown", agree, js_handler=ENTER)
    with ui.element("div").classes("row-of"):
        button = ui.button(title, on_click=agree)
        if title.startswith("Delete"):
            button.props("color=negative")
        cancel = ui.button("Cancel", on_click=opened.close).props("outline")
        if field is None:
            cancel.props("autofocus")


def ask(question: str, answer: str, act: Callable[[], object]) -> None:
    """Ask before something is discarded."""
    with dialog(question) as opened:
        answers(opened, answer, act)


def error_box(message: str) -> None:
    """Show an error with its remedy; screen readers say it at once."""
    if message:
        with ui.element("div").props("role=alert").classes("error"):
            text(message)


def show_work(work: Work, unit: str) -> None:
    """Show how far work in the background is, or why it failed; `unit` is one of it."""
    if not work.is_running:
        error_box(work.error)
        return
    done, total = work.progress
    share = min(done / total, 1) if total else None
    left = work.seconds_left
    counted = plural(done, unit) if done and unit else ""
    if done and not unit:
        counted = _COUNTED.get(work.unit, "").format(done=done, total=total or done)
    rest = f"about {short_duration(left)} left" if left else ""
    with ui.element("div").props("role=status").classes("work"):
        text(f"{work.what} … {', '.join(filter(None, (counted, rest)))}")
        bar = ui.linear_progress(share or 0, show_value=False)
        bar.props(f'aria-label="{work.what}"')
        if share is None:
            bar.props("indeterminate")


def follow(part: Any, look: Callable[[], object]) -> None:
    """Build a part of a screen, and build it again when what it shows has changed."""
    part()
    seen = [look()]

    def refresh() -> None:
        now = look()
        if now != seen[0]:
            seen[0] = now
            part.refresh()

    ui.timer(SECONDS_BETWEEN_LOOKS, refresh)


def focus(element: Any) -> None:
    """Move the keyboard's focus to an element that is being built."""
    script = f"document.getElementById('{element.html_id}')?.focus()"
    ui.run_javascript(f"setTimeout(() => {script}, 50)")


def scroll_to(element: Any) -> None:
    """Scroll to an element, once what changes with it was built."""
    script = f"document.getElementById('{element.html_id}')?.scrollIntoView()"
    ui.run_javascript(f"setTimeout(() => {script}, 600)")


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """Show rows, each with its name first."""
    with ui.element("table"), ui.element("tbody"):
        for name, *cells in rows:
            with ui.element("tr"):
                text(name, tag="th")
                for cell in cells:
                    text(cell, tag="td")
