"""Look-ups of names, which every option that takes a name must obey."""
# ruff: noqa: RUF001, RUF003 - letters that look alike

import unicodedata
from typing import NamedTuple


class Lookup(NamedTuple):
    """A query, the known names, and those that it refers to."""

    query: str
    known: tuple[str, ...]
    found: tuple[str, ...]


_LEA = ("Lea Köhler", "Lea", "Leander", "lea@example.org")
_THAO = ("Thảo", "Thạo")
_PHONES = ("+49 170 1234567", "+43 170 1234567", "+1 (555) 000-1111")

LOOKUPS = [
    Lookup(*values)
    for values in (
        # A full name comes before the beginning of another.
        ("Lea", _LEA, ("Lea",)),
        ("LEA", _LEA, ("Lea",)),
        ("  lea ", _LEA, ("Lea",)),
        ("@lea", _LEA, ("Lea",)),
        ("Lea@Example.org", _LEA, ("lea@example.org",)),
        ("<lea@example.org>", _LEA, ("lea@example.org",)),
        ("lea  köhler", _LEA, ("Lea Köhler",)),
        # Accents.
        ("LEA KOHLER", _LEA, ("Lea Köhler",)),
        (unicodedata.normalize("NFD", "Lea Köhler"), _LEA, ("Lea Köhler",)),
        ("Lea Kóhler", _LEA, ()),
        ("Zoë", ("Zoe", "Zoé"), ("Zoe",)),
        # Two people whose names differ only in their accents.
        ("Thảo", _THAO, ("Thảo",)),
        ("THẠO", _THAO, ("Thạo",)),
        ("Thảo", ("Thạo",), ()),
        ("Thả", ("Thạo Nguyễn",), ()),
        ("Thao", _THAO, ("Thạo", "Thảo")),
        ("Thao", ("Thảo", "Thao"), ("Thao",)),
        ("Dang", ("Đặng", "Danger"), ("Đặng",)),
        # The Turkish letters i and ı.
        ("IŞIK", ("Işık", "Ipek"), ("Işık",)),
        ("isik", ("Işık", "Ipek"), ("Işık",)),
        ("ipek", ("İpek", "Işık"), ("İpek",)),
        # The beginning of a name: its words, then its letters, then another word.
        ("Lea", ("Lea Köhler", "Leander"), ("Lea Köhler",)),
        ("lean", ("Lea Köhler", "Leander"), ("Leander",)),
        ("Le", ("Lea Köhler", "Leander"), ("Lea Köhler", "Leander")),
        ("lea k", ("Lea Köhler", "Lea Ode"), ("Lea Köhler",)),
        ("Lea", ("Lea Köhler", "Lea Ode"), ("Lea Köhler", "Lea Ode")),
        ("ann", ("Ann Ode", "Jo Ann"), ("Ann Ode",)),
        ("koh", ("Lea Köhler", "Kim"), ("Lea Köhler",)),
        ("öhler", ("Lea Köhler",), ()),
        # The width of characters, and scripts without case.
        ("Ａｎｎ", ("Ann", "Anna"), ("Ann",)),
        ("ｱﾝ", ("アン", "アンナ"), ("アン",)),
        ("王", ("王小明", "李明"), ("王小明",)),
        # Phone numbers: all digits, then the last ten.
        ("491701234567", _PHONES, ("+49 170 1234567",)),
        ("+49 (170) 123-4567", _PHONES, ("+49 170 1234567",)),
        ("tel:+1-555-000-1111", _PHONES, ("+1 (555) 000-1111",)),
        ("555 000 1111", _PHONES, ("+1 (555) 000-1111",)),
        ("0170 1234567", _PHONES, ("+43 170 1234567", "+49 170 1234567")),
        ("+49", _PHONES, ()),
        ("0001111", _PHONES, ()),
        # Nobody.
        ("Tom", _LEA, ()),
        ("", _LEA, ()),
        (" ", _LEA, ()),
    )
]
