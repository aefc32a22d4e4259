"""How to export chats from each app, with a small drawing of each step.

The steps are those of the sections "Get your export" in docs/, with translations.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from nicegui import ui

from langchain_chatexports.page.languages import _
from langchain_chatexports.page.layout import text

# The mark of the line to tap in a drawing.
_TAPPED = "*"


def build_how_to_export() -> ui.expansion:
    """Build the folded section."""
    file = Path(__file__).with_suffix(".json")
    steps_of = json.loads(file.read_text("utf-8"))
    with ui.expansion(_("How do I get an export?")) as folded:
        app = ui.select(
            {name: _(name) for name in steps_of},
            label=_("App"),
            value=next(iter(steps_of)),
        )

        @ui.refreshable
        def steps() -> None:
            with ui.element("ol").classes("steps-to-take"):
                for step in steps_of[app.value]:
                    with ui.element("li"):
                        what = step["what"]
                        text(_(what))
                        if "screen" in step:
                            _draw(step["screen"])

        steps()
        app.on_value_change(steps.refresh)
    return folded


def _draw(lines: Sequence[str]) -> None:
    with ui.element("div").classes("phone").props("aria-hidden=true"):
        for line in lines:
            kind = "tapped" if line.startswith(_TAPPED) else ""
            with ui.element("div").classes(kind):
                name = line.removeprefix(_TAPPED)
                ui.label(_(name))
