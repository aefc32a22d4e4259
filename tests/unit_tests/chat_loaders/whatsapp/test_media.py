"""Names of attached files."""

from __future__ import annotations

import pytest

from langchain_chatexports.chat_loaders.whatsapp.media import (
    attached_file,
    attachment,
    file_in_note,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("00000035-PHOTO-2022-03-27-21-41-55.jpg", "photo"),
        ("00000036-VIDEO-2022-03-27-21-41-55.mp4", "video"),
        ("00000037-AUDIO-2022-03-27-21-41-55.opus", "audio"),
        ("00000038-STICKER-2022-03-27-21-41-55.webp", "sticker"),
        ("00000039-GIF-2022-03-27-21-41-55.mp4", "gif"),
        ("00000040-talk.pdf", "file"),
        ("IMG-20220327-WA0001.jpg", "photo"),
        ("VID-20220327-WA0001.mp4", "video"),
        ("PTT-20220327-WA0001.opus", "audio"),
        ("AUD-20220327-WA0001.mp3", "audio"),
        ("STK-20220327-WA0001.webp", "sticker"),
        ("DOC-20220327-WA0001.", "file"),
        ("Ann Lee.vcf", "contact"),
        ("holiday.JPG", "photo"),
    ],
)
def test_types_of_attachments(name: str, kind: str) -> None:
    assert attachment(name) == {"type": kind, "uri": name}


@pytest.mark.parametrize(
    ("note", "name"),
    [
        ("attached: a.jpg", "a.jpg"),
        ("附件：a.jpg", "a.jpg"),
        ("a b.jpg eklendi", "a b.jpg"),
        ("pièce jointe : a: b.jpg", "a: b.jpg"),
        ("This message was edited", None),
        ("Diese Nachricht wurde bearbeitet.", None),
        ("", None),
    ],
)
def test_files_in_notes(note: str, name: str | None) -> None:
    assert file_in_note(note) == name


def test_a_phones_own_name_is_enough_in_any_language() -> None:
    assert attached_file("IMG-20220327-WA0001.jpg (dosiero alkroĉita)") is not None
    assert attached_file("holiday.jpg (dosiero alkroĉita)") is None
