"""Remove the tags of HTML and similar markup; what is not a tag is text."""

import html
import re
from collections.abc import Callable, Collection

_TAG = re.compile(r"<(/?)([A-Za-z_][\w:]*)((?:\s[^<>]*)?)>")
# `html` takes quadratic time for these.
_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{10,};?")
_VOID = frozenset({"br", "hr", "img", "meta", "link", "input"})


def unescape(text: str) -> str:
    """Decode references, such as `&amp;`."""
    return html.unescape(_LONG_REFERENCE.sub("\ufffd", text))


def strip_tags(
    source: str, is_hidden: Callable[[str, str], bool], blocks: Collection[str] = ()
) -> str:
    """Return the text without tags and hidden elements.

    Args:
        source: The markup.
        is_hidden: Whether to remove the element whose tag has this name, in lower case,
            and these attributes.
        blocks: The names of tags that stand for a line break, as in HTML, in which a
            line break in the source is a space.
    """
    parts: list[str] = []
    at = depth = 0
    hidden = ""
    for tag in _TAG.finditer(source):
        text = source[at : tag.start()]
        at = tag.end()
        is_end, name, attributes = bool(tag[1]), tag[2].lower(), tag[3]
        if hidden:
            depth += (-1 if is_end else 1) if name == hidden else 0
            hidden = hidden if depth else ""
            continue
        parts.append(text.replace("\n", " ") if blocks else text)
        if name in blocks:
            parts.append("\n")
        is_empty = name in _VOID or attributes.endswith("/")
        if not is_end and is_hidden(name, attributes) and not is_empty:
            hidden, depth = name, 1
    parts.append("" if hidden else source[at:])
    return unescape("".join(parts))
