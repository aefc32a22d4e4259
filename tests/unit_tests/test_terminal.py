"""What others chose as their names does nothing to a terminal or a page."""

import pytest

from langchain_chatexports._terminal import escaped, printable
from langchain_chatexports.chat_loaders.counts import ExportSummary


@pytest.mark.parametrize(
    "name",
    [
        "Tortoise",
        "نور الهدى",
        "می‌خواهم",  # A joiner that Persian needs.
        "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL} Lee",
        "",
    ],
)
def test_names_of_all_scripts_stay(name: str) -> None:
    assert printable(name) == name


@pytest.mark.parametrize(
    "character", ["\n", "\t", "\x1b", "\x00", "\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}"]
)
def test_what_a_terminal_obeys_is_a_space(character: str) -> None:
    assert printable(f"a{character}b") == "a b"


def test_a_summary_has_a_line_for_each_sender() -> None:
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
def test_what_a_terminal_obeys_is_escaped_in_a_path(name: str, shown: str) -> None:
    assert escaped(name) == shown


@pytest.mark.parametrize("name", ["Zo\u00eb \u674e", "9.41\u202fAM.json", "a\u200db"])
def test_a_path_that_commands_nothing_stays_as_it_is(name: str) -> None:
    assert escaped(name) == name
