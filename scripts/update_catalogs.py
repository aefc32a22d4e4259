"""Bring the page's catalogs up to date with its sentences (`make catalogs`).

New sentences are added without a translation, and those that are gone are removed. The
tests fail until each one is translated: open `langchain_chatexports/page/catalogs/`.
"""

import json
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

PAGE = Path(__file__).parents[1] / "langchain_chatexports" / "page"
CATALOGS = PAGE / "catalogs"
_KEYWORDS = {
    **dict.fromkeys(("_", "lazy_gettext", "paragraph")),
    **dict.fromkeys(("ngettext", "lazy_ngettext"), (1, 2)),
}
_WIDTH = 88


def sentences() -> Catalog:
    """Return a catalog of the sentences of the page, without translations."""
    found = Catalog(fuzzy=False)
    for file in sorted(PAGE.glob("*.py")):
        for _, sentence, _, _ in extract_from_file("python", file, _KEYWORDS):
            found.add(sentence, locations=[(file.name, 1)])
    steps_of = json.loads((PAGE / "how_to_export.json").read_text("utf-8"))
    for app, steps in steps_of.items():
        screens = (line for step in steps for line in step.get("screen", ()))
        lines = (line.removeprefix("*") for line in screens)
        for sentence in (app, *(step["instruction"] for step in steps), *lines):
            found.add(sentence, locations=[("how_to_export.json", 1)])
    return found


def update(file: Path, template: Catalog) -> bytes:
    """Return a catalog with the sentences of a template."""
    catalog = read_po(BytesIO(file.read_bytes()), locale=file.stem)
    created = catalog.creation_date
    catalog.update(template, no_fuzzy_matching=True)
    catalog.creation_date = created  # Changes only if the sentences do.
    catalog.obsolete.clear()
    written = BytesIO()
    write_po(written, catalog, width=_WIDTH, include_lineno=False, omit_header=False)
    return written.getvalue()


def main() -> None:
    """Update the catalogs."""
    template = sentences()
    for file in sorted(CATALOGS.glob("*.po")):
        file.write_bytes(update(file, template))


if __name__ == "__main__":
    main()
