"""Slack's markup as plain text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.chat_loaders.slack import plain_text


def plain(text: str) -> str:
    return plain_text(text, {"U1": "Ann"}, {"C1": "general"})


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("<@U1> hi", "@Ann hi"),
        ("<@U1|old handle>", "@Ann"),
        ("<@U7|bo>", "@bo"),
        ("<@U7>", "@U7"),
        ("<#C1|renamed>", "#general"),
        ("<#C1|>", "#general"),
        ("<#C7|elsewhere>", "#elsewhere"),
        ("<#C7>", "#C7"),
        ("<!here>", "@here"),
        ("<!channel|@channel>", "@channel"),
        ("<!channel|channel>", "@channel"),
        ("<!everyone|everyone>", "@everyone"),
        ("<!subteam^S1|@team>", "@team"),
        ("<!subteam^S1>", "@S1"),
        ("<!date^1714550400^{date}|May 1st>", "May 1st"),
        ("<https://a.b/c>", "https://a.b/c"),
        ("<https://a.b/c|the page>", "the page"),
        ("<https://a.b|a.b>", "https://a.b"),
        ("<https://a.b/|a.b>", "https://a.b/"),
        ("<https://a.b?x=1&amp;y=2>", "https://a.b?x=1&y=2"),
        ("<https://a.b|R&amp;D>", "R&D"),
        ("<mailto:a@b.c|a@b.c>", "a@b.c"),
        ("<tel:+4930|030>", "030"),
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&amp;lt;", "&lt;"),
        ("&lt;@U1&gt;", "<@U1>"),
        ("&quot;", "&quot;"),
        ("*bold* _it_ ~no~ `<@U1>`\n&gt; quote", "*bold* _it_ ~no~ `@Ann`\n> quote"),
        (":thumbsup::skin-tone-3:", ":thumbsup::skin-tone-3:"),
        ("a < b", "a < b"),
        ("<>", "<>"),
    ],
)
def test_what_is_stored_is_shown_as_people_saw_it(stored: str, shown: str) -> None:
    assert plain(stored) == shown


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_typed_survives(typed: str) -> None:
    """Slack escapes three characters of what people type."""
    escaped = typed.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert plain(escaped) == typed


@given(st.text("<>|&!@#U1C;ampltg^"))
def test_any_text_becomes_text(text: str) -> None:
    assert isinstance(plain(text), str)
