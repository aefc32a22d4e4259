"""The frame of all screens, and elements that follow the work in the background.

Names and texts are only put into elements that show them literally.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

from nicegui import ui
from nicegui.translations import translations

from langchain_chatexports.page.errors import Failure
from langchain_chatexports.page.languages import (
    Sentence,
    Size,
    TimeLeft,
    _,
    current,
    facts,
    languages,
    later,
    nlater,
)
from langchain_chatexports.page.work import Work

SCREENS = {
    "/": later("Add exports"),
    "/choose": later("Choose"),
    "/train": later("Train"),
    "/talk": later("Talk"),
    "/guess": later("Guess"),
    "/manage": later("Manage"),
}
"""The screens by path, in the order of their use; the last one at any time."""

# Not while an input method composes a word, as for Chinese, Japanese and Korean.
ENTER = """(event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    emit();
}"""
"""The script that calls a handler of `keydown` for Enter only."""

# NiceGUI's messages, because it has no Hindi.
_NICEGUI = {
    "connection_lost": later("The page has lost the connection to its program."),
    "trying_to_reconnect": later("Reconnecting …"),
    "message_too_long": later("This is too long."),
    "message_too_long_body": later("This is too long to be sent to the page."),
}

SECONDS_BETWEEN_LOOKS = 0.3
"""The interval for checking whether a screen's content has changed."""


def add_style(tab_key: str) -> None:
    """Add the style sheet, our scripts and NiceGUI's messages to all screens."""
    for language in languages():
        words = {key: language.render(message) for key, message in _NICEGUI.items()}
        translations[language.tag] = words  # type: ignore[index] # Quasar has it.
    style, upload, old_tab = (
        Path(__file__).with_name(name).read_text("utf-8")
        for name in ("style.css", "upload.js", "old_tab.js")
    )
    ui.add_head_html(f"<style>{style}</style>", shared=True)
    ui.add_head_html(f"<script>{upload}</script>", shared=True)
    script = old_tab.replace("TAB_KEY", tab_key)
    ui.add_head_html(f"<script>{script}</script>", shared=True)


@contextmanager
def screen(path: str, training: Callable[[], Sentence | None]) -> Iterator[None]:
    """Build a screen's frame, and its content inside."""

    def status() -> None:
        if path != "/train" and (line := training()):
            ui.link(str(line), "/train")

    client = ui.context.client
    client.page = copy(client.page)
    client.page.language = current().tag  # type: ignore[assignment] # Quasar has it.
    title = SCREENS[path]
    ui.page_title(f"{title} | chatexports")
    ui.colors(primary="#1d5fae")
    with ui.element("nav").classes("steps") as steps:
        steps.props["aria-label"] = _("Steps")
        for number, (target, name) in enumerate(SCREENS.items(), 1):
            is_step = number < len(SCREENS)
            link = ui.link(f"{number}. {name}" if is_step else str(name), target)
            if target == path:
                link.props('aria-current="page"')
    with ui.element("div").classes("status").props("role=status"):
        follow(status, training)
    with ui.element("div").classes("content"):
        text(title, tag="h1")
        yield


def text(content: str | Sentence, *, tag: str = "p", classes: str = "") -> Any:
    """Add literal text with automatic direction."""
    element = ui.element(tag).props("dir=auto").classes(f"text {classes}")
    with element:
        # A file name that is not UTF-8 has lone surrogates, which cannot be sent.
        sent = str(content).encode("utf-8", "backslashreplace").decode("utf-8")
        ui.label(sent).classes("plain")
    return element


def paragraph(sentence: str, *, classes: str = "", **values: object) -> None:
    """Add a sentence of the page, as for `_`."""
    text(_(sentence, **values), classes=classes)


def next_link(title: str, path: str) -> None:
    """Add the link to the usual next screen."""
    ui.link(title, path).classes("next")


def ask(
    question: str,
    answer: str,
    act: Callable[..., object],
    *texts: str | Sentence,
    field: Callable[[], Any] | None = None,
    deletes: bool = False,
) -> None:
    """Ask before something is done; with a field, `act` gets its value.

    The focus is on the field, where Enter acts, or on Cancel without a field.
    """
    for element in ui.context.client.elements.values():
        if isinstance(element, ui.dialog) and element.value:
            element.close()  # A double click opens one dialog.
    opened = ui.dialog(value=True)
    opened.props["aria-label"] = question
    with opened, ui.element("div").classes("content asked"):
        text(question, tag="h2", classes="name")
        for one in texts:
            text(one)
        typed = field() if field else None

        def agree() -> None:
            opened.close()
            if typed is None:
                act()
            else:
                act(typed.value)

        with ui.element("div").classes("row-of"):
            button = ui.button(answer, on_click=agree)
            cancel = ui.button(_("Cancel"), on_click=opened.close).props("outline")
        if deletes:
            button.props("color=negative")
        if typed is None:
            cancel.props("autofocus")
        else:
            typed.props("autofocus").on("keydown", agree, js_handler=ENTER)


def error_box(message: str | Sentence, details: str = "") -> None:
    """Show an error with its remedy; screen readers announce it immediately."""
    with ui.element("div").props("role=alert").classes("error"):
        text(message)
        if details:
            show_english(_("Details, in English"), [details])


def show_english(title: str, texts: Iterable[str]) -> None:
    """Show the library's own English texts, folded."""
    with ui.expansion(title):
        for one in texts:
            text(one, classes="quiet").props("lang=en")


def show_failure(failure: Failure | None) -> None:
    if failure is not None:
        error_box(*failure)


def _progress_text(unit: str, done: int, total: int | None) -> str:
    """Return a progress as text; empty for an unknown unit."""
    whole = total or done
    sizes = {"done": Size(1e6 * done), "total": Size(1e6 * whole)}
    texts = {
        "messages": nlater("{count} message", "{count} messages", done),
        "examples": nlater("{count} example", "{count} examples", done),
        "answers": nlater("{count} answer", "{count} answers", done),
        "steps": nlater("{count} step", "{count} steps", done),
        "examples checked": later("{done} of {total} examples", done=done, total=whole),
        "MB": later("{done} of {total}", **sizes),
    }
    return str(texts.get(unit, ""))


def show_work(work: Work) -> None:
    """Show the progress of work in the background, or its error."""
    if not work.is_running:
        show_failure(work.error)
        return
    done, total = work.progress
    share = min(done / total, 1) if total else None
    left = work.seconds_left
    words = _progress_text(work.unit, done, total)
    with ui.element("div").props("role=status").classes("work"):
        text(
            facts(
                f"{work.title} …",
                words if done else "",
                TimeLeft(left),
            )
        )
        bar = ui.linear_progress(share or 0, show_value=False)
        bar.props["aria-label"] = str(work.title)
        if share is None:
            bar.props("indeterminate")


def follow(build: Callable[[], object], look: Callable[[], object]) -> None:
    """Build a part of a screen, and rebuild it when the result of `look` changes."""

    @ui.refreshable
    def part() -> None:
        with ui.element("div").classes("part"):
            build()

    part()
    shown = [look()]

    def refresh() -> None:
        now = look()
        if now != shown[0]:
            shown[0] = now
            part.refresh()

    ui.timer(SECONDS_BETWEEN_LOOKS, refresh)


def focus(element: Any) -> None:
    """Move the keyboard's focus to an element that is being built."""
    script = f"document.getElementById('{element.html_id}')?.focus()"
    ui.run_javascript(f"setTimeout(() => {script}, 50)")


def scroll_to(element: Any) -> None:
    """Scroll to an element after other parts were rebuilt."""
    script = f"document.getElementById('{element.html_id}')?.scrollIntoView()"
    ui.run_javascript(f"setTimeout(() => {script}, 600)")


def show_table(rows: Iterable[Sequence[str]]) -> None:
    """Show rows, each with its name first."""
    with ui.element("table"), ui.element("tbody"):
        for name, *cells in rows:
            with ui.element("tr"):
                text(name, tag="th")
                for cell in cells:
                    text(cell, tag="td")
