"""Names of people cannot send codes to a terminal."""

import pytest

from langchain_chatexports._terminal import escaped, printable
from langchain_chatexports.chat_loaders.counts import ExportSummary


@pytest.mark.parametrize(
    "name",
    [
        "Tortoise",
        "نور الهدى",
        "می‌خواهم",  # Persian needs the joiner.
        "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL} Lee",
        "",
    ],
)
def test_names_in_all_scripts_are_printable(name: str) -> None:
    assert printable(name) == name


@pytest.mark.parametrize(
    "character", ["\n", "\t", "\x1b", "\x00", "\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}"]
)
def test_terminal_codes_become_spaces(character: str) -> None:
    assert printable(f"a{character}b") == "a b"


def test_summary_has_one_line_per_sender() -> None:
    summary = ExportSummary(
        platform="races",
        owner="O\x1b[2J",
        owner_found_by=None,
        sessions=1,
        senders={"Ann\nLee": 2, "B\x07ob": 1},
        first=None,
        last=None,
        found=3,
        kept=3,
        skipped={},
    )
    text = str(summary)
    assert text.splitlines()[-2:] == [
        "senders          2  Ann Lee",
        "                 1  B ob",
    ]
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb", "a\\nb"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}gpj", "\\u202egpj"),
        ("\udc9b", "\\udc9b"),
    ],
)
def test_terminal_codes_in_paths_are_escaped(name: str, shown: str) -> None:
    assert escaped(name) == shown


@pytest.mark.parametrize("name", ["Zo\u00eb \u674e", "9.41\u202fAM.json", "a\u200db"])
def test_harmless_paths_are_not_escaped(name: str) -> None:
    assert escaped(name) == name
