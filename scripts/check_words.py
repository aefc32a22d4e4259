"""Find words that this project avoids, and suggest others (`make lint`).

Checks the package, scripts, benchmarks and docs. The tables have the replacements; add
words that read badly, not matters of taste.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (
    "langchain_chatexports/**/*.py",
    "langchain_chatexports/**/*.html",
    "benchmarks/*.py",
    "scripts/*.py",
    "docs/**/*.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
)
# Files with word lists.
WORD_LISTS = {
    "check_words.py",
    "memory.py",
    "private_lines.py",
    "words.json",
    "system_lines.py",
}

# The first word of a docstring.
DOCSTRINGS = {
    r"Gives?": "Return",
    r"Remembers?": "Initialize …, or no docstring on a trivial `__init__`",
    r"Tells?": "Return whether …, Return …",
}
# Names in the code.
NAMES = {
    r"_?(?:\w+_)?(?:HIGHEST|LARGEST|LONGEST|MOST)_\w+": "MAX_…",
    r"_?(?:\w+_)?(?:COLDEST|FEWEST|LEAST|LOWEST|SHORTEST|SMALLEST)_\w+": "MIN_…",
    r"about_messages": "estimate_message_count",
    r"of_the_system": "os_error_message",
    r"to_take_up": "job_to_resume",
}
# Anywhere. A space also stands for the end of a line.
TEXTS = {
    # Riddles, and what sounds translated.
    r"[Aa] toy": "a tiny demo model",
    r"as if by itself": "by itself",
    r"can say no later": "can change their mind later",
    r"comes? of (?:it|them)": "the result",
    r"(?-i:Else) (?:he|it|no|nobody|that|the|there|they|this|what)": "Otherwise …",
    r"for ever": "forever",
    r"How far something is,? is": "Progress is",
    r"in the same moment": "at the same moment",
    r"(?:it|that|this|which) is no (?!longer|more|less)\w+": "… is not a …",
    r"needs? (?:it|them) not": "does not need …",
    r"No example came of": "… produced no examples",
    r"of (?:before|then)(?=[;,.)])": "say which one: the key file from the redaction",
    r"one's own": "your own, its own",
    r"shall": "should, must, or the present tense",
    r"shows the way": "is for trying things out",
    r"so many (?:of|pairs)": "this many",
    r"makes? (?:it|them) anew": "rebuild",
    r"mostly ends": "usually ends",
    r"(?:take|taken|takes) (?:it|somebody|them|those|people) out": "remove",
    r"whatever it has noted": "whatever its records show",
    r"what goes with it": "name it",
    r"[Ww]here chance begins": "random seed",
    r"without a word of (?:it|them)": "without their text",
    # Spelling.
    r"\w*(?:initiali|normali|organi|recogni|seriali|summari)s(?:e[drs]?|ing)": "-ize",
    r"analys(?:e[ds]?|ing)": "analyze",
    r"centred?": "center",
    r"\w*behaviour\w*": "behavior",
    r"\w*(?:colour|favour|honour|neighbour)\w*": "color, favor, honor, neighbor",
    r"grey": "gray",
    r"\w*labell(?:ed|ing)": "labeled, labeling",
    r"\w*licence\w*": "license",
    r"(?:modelled|modelling)": "modeled, modeling",
    r"(?:travelled|travelling)": "traveled, traveling",
    r"(?:amid|among|whil)st": "amid, among, while",
}
# Module names that do not name the content.
MODULES = {
    "drawings": "charts",
    "explaining": "notes",
    "gathering": "what is gathered",
    "guards": "sanity_checks",
    "keeping": "models",
    "learning": "finetune",
    "looking": "inspect, report",
    "making": "prepare",
    "manners": "_exit",
    "teaching": "_help",
}
# A space or line break between two words, also in comments, quotations and strings.
_SPACE = r"""(?: ?["']?\n *(?:# |> |f?["'] ?)?| )"""


class Finding(NamedTuple):
    """A word to avoid, with its position and a replacement."""

    path: Path
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        """Return the finding as one line, like other linters."""
        word = re.sub(_SPACE, " ", self.word)
        return f"{self.path.as_posix()}:{self.line}: {word!r}: write {self.instead}"


def _pattern(words: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words.replace(' ', _SPACE)})(?!\w)", flags)


ANYWHERE = [(_pattern(words, re.IGNORECASE), use) for words, use in TEXTS.items()]
IN_CODE = [
    *((_pattern(words), use) for words, use in NAMES.items()),
    *((_pattern(f'(?<=""")(?:{words})'), use) for words, use in DOCSTRINGS.items()),
]


def find_words(path: Path, text: str) -> list[Finding]:
    """Return the words to avoid in a file.

    Args:
        path: The file; in Python files, names and docstrings are also checked.
        text: Its content.
    """
    is_python = path.suffix == ".py"
    found = [
        Finding(path, text.count("\n", 0, match.start()) + 1, match[0], use)
        for pattern, use in [*ANYWHERE, *(IN_CODE if is_python else ())]
        for match in pattern.finditer(text)
    ]
    if is_python and path.stem in MODULES:
        found.append(Finding(path, 1, path.stem, MODULES[path.stem]))
    return sorted(found)


def main(arguments: list[str]) -> int:
    """Check the given files, or all; return 0 if there are no findings."""
    paths = [Path(name) for name in arguments] or [
        path.relative_to(ROOT) for glob in SOURCES for path in sorted(ROOT.glob(glob))
    ]
    found = [
        finding
        for path in paths
        if path.name not in WORD_LISTS
        for finding in find_words(path, (ROOT / path).read_text(encoding="utf-8"))
    ]
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
