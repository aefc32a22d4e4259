"""Messages from people and from the app, in many languages."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from langchain_chatexports.chat_loaders.messages import KINDS
from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from tests.unit_tests.builders.whatsapp import LRM, RLM, WhatsAppChat

ANDROID, IPHONE, WEB = WhatsAppChat.android, WhatsAppChat.ios, WhatsAppChat.web
Exporter: TypeAlias = Callable[[], WhatsAppChat]
Reader: TypeAlias = Callable[[Exporter, str], tuple[str, str, dict[str, Any]]]

ENCRYPTED = "Messages and calls are end-to-end encrypted."
NO_ONE_OUTSIDE = (
    "No one outside of this chat, not even WhatsApp, can read or listen to them."
)
ONLY_PEOPLE = "Only people in this chat can read, listen to, or share them."
IMAGE = "IMG-20220327-WA0001.jpg"
PHOTO = "00000035-PHOTO-2022-03-27-21-41-55.jpg"

# For each language: Android's omitted and attached, the iPhone's omitted and attached
# (file F), deleted by others and by the owner.
LANGUAGES = """
en | <Media omitted> | (file attached) | image omitted | <attached: F>
   | This message was deleted | You deleted this message
de | <Medien ausgeschlossen> | (Datei angehängt) | Bild weggelassen | <Anhang: F>
   | Diese Nachricht wurde gelöscht. | Du hast diese Nachricht gelöscht.
fr | <Médias omis> | (fichier joint) | image absente | <pièce jointe : F>
   | Ce message a été supprimé | Vous avez supprimé ce message
es | <Multimedia omitido> | (archivo adjuntado) | imagen omitida | <adjunto: F>
   | Se eliminó este mensaje. | Eliminaste este mensaje.
it | <Media omessi> | (file allegato) | immagine omessa | <allegato: F>
   | Questo messaggio è stato eliminato | Hai eliminato questo messaggio
nl | <Media weggelaten> | (bestand bijgevoegd) | afbeelding weggelaten | <bijgevoegd: F>
   | Dit bericht is verwijderd | U hebt dit bericht verwijderd
pl | <pominięto multimedia> | (załączony plik) | obraz pominięty | <załączono: F>
   | Ta wiadomość została usunięta | Usunąłeś(-ęłaś) tę wiadomość
cs | <Média vynechány> | (soubor byl přiložen) | obrázek vynechán | <příloha: F>
   | Tato zpráva byla smazána | Tuto zprávu jste smazal/a
ru | <Без медиафайлов> | (файл добавлен) | изображение отсутствует | <прикреплено: F>
   | Данное сообщение удалено | Вы удалили данное сообщение
tr | <Medya dahil edilmedi> | (dosya ekli) | görüntü dahil edilmedi | <F eklendi>
   | Bu mesaj silindi | Bu mesajı sildiniz
ar | <تم استبعاد الوسائط> | (الملف مرفق) | لم يتم إدراج الصورة | <المُرفق: F>
   | تم حذف هذه الرسالة | لقد حذَفت هذه الرسالة
fa | <رسانه حذف شد> | فایل پیوست شد | تصویر حذف شد | <پیوست: F>
   | این پیام حذف شده است | شما این پیام را حذف کردید
he | <המדיה לא נכללה> | (קובץ מצורף) | התמונה הושמטה | <מצורף: F>
   | הודעה זו נמחקה | מחקת את ההודעה הזו
hi | <मीडिया के बिना> | (फाइल अटैच कर दी गई है) | फ़ोटो हटाई गई | <अटैच किया गया: F>
   | यह मैसेज डिलीट कर दिया गया है | आपने यह मैसेज डिलीट किया
id | <Media tidak disertakan> | (file terlampir) | gambar tidak disertakan
   | <terlampir: F> | Pesan ini dihapus | Anda menghapus pesan ini
vi | <bỏ qua tệp phương tiện> | (tệp đính kèm) | đã bỏ qua hình ảnh | <đính kèm: F>
   | Tin nhắn này đã bị xóa | Bạn đã xoá tin nhắn này
ja | <メディアなし> | (添付ファイル有り) | 画像は含まれていません | <添付ファイル: F>
   | このメッセージは削除されました | このメッセージを削除しました
ko | <미디어 파일 제외됨> | (파일 첨부됨) | 이미지 생략됨 | <첨부됨: F>
   | 이 메시지는 삭제되었습니다 | 이 메시지를 삭제했습니다
zh-CN | <省略影音内容> | (文件附件) | 照片已忽略 | <附件：F>
   | 这条消息已被删除 | 您已删除这条消息
th | <ไฟล์สื่อถูกลบ> | (ไฟล์ที่แนบ) | ไม่มีรูปภาพ | <แนบ: F>
   | ข้อความนี้ถูกลบแล้ว | คุณได้ลบข้อความนี้
"""
_ROWS = [
    re.split(r"\s*\|\s*", row.replace("F>", f"{PHOTO}>").replace("<F ", f"<{PHOTO} "))
    for row in LANGUAGES.strip().replace("\n   |", "|").split("\n")
]
rows = pytest.mark.parametrize(
    "row", [row[1:] for row in _ROWS], ids=[row[0] for row in _ROWS]
)


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Return a function that loads a message: its kind, its text and its extra keys."""

    def read(exporter: Exporter, text: str) -> tuple[str, str, dict[str, Any]]:
        path = exporter().says("Ann", text).to_file(tmp_path / "chat.txt")
        summary = WhatsAppChatLoader(path, timezone="UTC").inspect()
        skipped = Counter(summary.skipped)
        skipped["system"] -= exporter is WEB  # The first line.
        kind = next(iter(+skipped), "text")
        if kind in {"empty", "unsent"}:
            return kind, "", {}
        (session,) = WhatsAppChatLoader(path, timezone="UTC", keep=KINDS).load()
        message = session["messages"][-1]
        usual = {"message_time", "sender", "is_from_me", "events"}
        extra = {k: v for k, v in message.additional_kwargs.items() if k not in usual}
        return str(extra.get("system", kind)), str(message.content), extra

    return read


OMITTED_PHOTO = {"attachments": [{"type": "photo"}]}


def photo(name: str) -> dict[str, Any]:
    return {"attachments": [{"type": "photo", "name": name}]}


def file(name: str) -> dict[str, Any]:
    return {"attachments": [{"type": "file", "name": name}]}


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
        ("DOC-20220327-WA0001.doc", "file"),
        ("Ann Lee.vcf", "contact"),
        ("holiday.JPG", "photo"),
    ],
)
def test_file_name_shows_the_attachment_type(
    read: Reader, name: str, kind: str
) -> None:
    _, _, extra = read(IPHONE, f"{LRM}<attached: {name}>")
    assert extra["attachments"] == [{"type": kind, "name": name}]


@pytest.mark.parametrize(
    ("note", "name"),
    [
        ("attached: a.jpg", "a.jpg"),
        ("附件：a.jpg", "a.jpg"),
        ("a b.jpg eklendi", "a b.jpg"),
        ("pièce jointe : a: b.jpg", "a: b.jpg"),
    ],
)
def test_file_name_in_an_iphone_note_is_found(
    read: Reader, note: str, name: str
) -> None:
    assert read(IPHONE, f"{LRM}<{note}>") == ("media", "[photo]", photo(name))


@rows
def test_media_omitted_by_android_is_recognized(
    read: Reader, row: tuple[str, ...]
) -> None:
    assert read(ANDROID, row[0])[0] == "media"


@rows
def test_media_attached_by_android_is_recognized(
    read: Reader, row: tuple[str, ...]
) -> None:
    assert read(ANDROID, f"{IMAGE} {row[1]}") == ("media", "[photo]", photo(IMAGE))
    with_caption = read(ANDROID, f"{IMAGE} {row[1]}\nLook (here)!\nNow")
    assert with_caption == ("text", "Look (here)!\nNow", photo(IMAGE))
    document = read(ANDROID, f"my talk (2).pdf {row[1]}")
    assert document == ("media", "[file]", file("my talk (2).pdf"))


@rows
def test_media_omitted_by_an_iphone_is_recognized(
    read: Reader, row: tuple[str, ...]
) -> None:
    for mark in (LRM, RLM):
        content = read(IPHONE, f"{mark}{row[2]}")
        assert content == ("media", "[photo]", OMITTED_PHOTO)
    with_caption = read(IPHONE, f"Look!\nNow {LRM}{row[2]}")
    assert with_caption == ("text", "Look!\nNow", OMITTED_PHOTO)


@rows
def test_media_attached_by_an_iphone_is_recognized(
    read: Reader, row: tuple[str, ...]
) -> None:
    assert read(IPHONE, f"{LRM}{row[3]}") == ("media", "[photo]", photo(PHOTO))
    assert read(IPHONE, f"Look! {LRM}{row[3]}") == ("text", "Look!", photo(PHOTO))


# The Portuguese phrases are the same for both people of a chat.
BY_OTHERS = [row[5] for row in _ROWS] + [
    "Mensagem apagada",
    "Esta mensagem foi apagada",
]


@pytest.mark.parametrize(
    ("phrase", "is_by_owner"),
    [(phrase, False) for phrase in BY_OTHERS] + [(row[6], True) for row in _ROWS],
)
def test_deleted_message_is_unsent(
    read: Reader, tmp_path: Path, phrase: str, is_by_owner: bool
) -> None:
    for exporter, mark in ((ANDROID, ""), (IPHONE, LRM), (IPHONE, "")):
        assert read(exporter, f"{mark}{phrase}") == ("unsent", "", {})
    summary = WhatsAppChatLoader(tmp_path / "chat.txt", timezone="UTC").inspect()
    found_by = "deleted messages" if is_by_owner else None
    assert summary.owner_found_by == found_by


@pytest.mark.parametrize(
    "note",
    [
        "This message was edited",
        "Diese Nachricht wurde bearbeitet.",
        "Se editó este mensaje.",
        "Ce message a été modifié",
        "Questo messaggio è stato modificato",
        "Mensagem editada",
        "Dit bericht is bewerkt",
        "Bu mesaj düzenlendi",
        "Сообщение изменено",
        "Pesan ini diedit",
        "ההודעה נערכה",
        "تم تعديل هذه الرسالة",
    ],
)
def test_edited_note_is_removed(read: Reader, note: str) -> None:
    expected = ("text", "See you\nthere", {"edited": True})
    assert read(ANDROID, f"See you\nthere <{note}>") == expected
    assert read(IPHONE, f"See you\nthere {LRM}<{note}>") == expected


def test_edited_note_in_an_unknown_language_needs_a_mark(read: Reader) -> None:
    text = f"Bonan tagon {LRM}<Ĉi tiu mesaĝo estis redaktita>"
    assert read(IPHONE, text) == ("text", "Bonan tagon", {"edited": True})
    typed = "Bonan tagon <mi skribis tion>"
    assert read(ANDROID, typed) == ("text", typed, {})


NOTICES = [
    f"{ENCRYPTED} {NO_ONE_OUTSIDE}",
    f"{ENCRYPTED} {ONLY_PEOPLE} Learn more.",
    "Waiting for this message. This may take a while.",
]
POLLS = [
    "POLL:\nTea?\nM:OPTION: Yes (1 vote)\nM:OPTION: No (0 votes)",
    "ENCUESTA:\n¿Té?\nM:OPCIÓN: Sí (1 voto)\nM:OPCIÓN: No: nunca (0 votos)",
    "ABSTIMMUNG:\nTee?\nM:OPTION: Ja (1 Stimme)",
]
# Texts by exporter and kind. M is the mark of iPhones.
TEXTS: dict[tuple[Exporter, str], list[str]] = {
    (IPHONE, "call"): [
        *("M:Missed voice call", "M:Video call, M:5 min", "M:Voice call, M:No answer")
    ],
    (IPHONE, "poll"): [f"M:{poll}" for poll in POLLS],
    (IPHONE, "media"): [
        *("M:video omitted", "M:audio omitted", "M:sticker omitted", "M:GIF omitted"),
        *("M:document omitted", "M:Contact card omitted", "M:Video weggelassen"),
        "M:動画は含まれていません",
    ],
    # Texts with the mark are by the phone, in any language.
    (IPHONE, "notice"): [
        *("M:Tiu ĉi babilejo estas ĉifrita.", "M:Ann kreis la grupon “Kuru”"),
        *("M:Ann added Bob", "M:This business uses a secure service from Meta"),
        *NOTICES,
    ],
    (IPHONE, "typed"): ["null", "he wrote M:hello"],
    (ANDROID, "call"): [
        *("Missed voice call", "Zmeškaný hovor", "Пропущенный аудиозвонок"),
        *("Verpasster Sprachanruf", "Llamada de voz perdida", "Appel vocal manqué"),
    ],
    (ANDROID, "poll"): [poll.replace("M:", "") for poll in POLLS[:2]],
    (ANDROID, "notice"): NOTICES,
    # "null" is a view-once message. The last message is in an unknown language.
    (ANDROID, "media"): [
        *("null", "<View once voice message omitted>"),
        f"{IMAGE} (dosiero alkroĉita)",
    ],
    (ANDROID, "empty"): ["", " ", "M:", "\u00a0"],
    (ANDROID, "typed"): [
        *("Tiu ĉi babilejo estas ĉifrita.", "Ann kreis la grupon “Kuru”"),
        *("holiday.jpg (dosiero alkroĉita)", "Look! M:image omitted", "null\nand void"),
        *(
            "This message was deleted by mistake, sorry",
            "You deleted this message, why?",
        ),
        *("You deleted this message\nwhy?", "image omitted", "Media omitted"),
        "null and void",
        *(
            "I said <sigh>",
            "<sigh>",
            "<my own words>",
            "<Nee, écht niet>",
            "<3",
            "<3>",
            "a < b > c",
            ":)",
            "(:",
            ".",
        ),
        "what's up?",
        *("see notes.txt (the new ones)", "look at this (file attached)"),
        *("Look at IMG-1.jpg (nice)", "https://example.org/a?q=1,2"),
        "Missed voice call again!",
        *("Ann: https://maps.google.com/ is down", "POLL:\nyes or no", "Ann added Bob"),
        "Agreed:\ndinner\nDinner: at Bo's (7 pm)\nDinner: at home (8 pm)",
        "This business uses a secure service from Meta",
    ],
    (WEB, "call"): ["[Call: Voice call, 5 min]"],
    (WEB, "poll"): ["Poll: Tea?\n    - Yes\n    - No"],
    (WEB, "unsent"): ["This message was deleted by admin Ann Lee"],
}


@pytest.mark.parametrize(
    ("exporter", "kind", "text"),
    [(*key, text) for key, texts in TEXTS.items() for text in texts],
)
def test_text_is_classified(
    read: Reader, exporter: Exporter, kind: str, text: str
) -> None:
    found, content, extra = read(exporter, text.replace("M:", LRM))
    assert found == ("text" if kind == "typed" else kind)
    if kind == "typed":
        assert (content, extra) == (text.replace("M:", LRM), {})
    elif kind == "notice":
        assert content == text.replace("M:", "")


MAPS = "https://maps.google.com/?q=52.5,13.4"
FOURSQUARE = "https://foursquare.com/v/4b058804f964a520"


@pytest.mark.parametrize(
    ("exporter", "text", "uri"),
    [
        (ANDROID, f"location: {MAPS}", MAPS),
        (ANDROID, f"poloha: {MAPS.replace('13', '-13')}", MAPS.replace("13", "-13")),
        (IPHONE, f"{LRM}Location: {MAPS}", MAPS),
        (IPHONE, f"{LRM}Café (Main Street 1): {FOURSQUARE}", FOURSQUARE),
        (ANDROID, f"Café\nMain Street 1\n{FOURSQUARE}", FOURSQUARE),
    ],
)
def test_location_is_an_attachment(
    read: Reader, exporter: Exporter, text: str, uri: str
) -> None:
    attachments = [{"type": "location", "uri": uri}]
    assert read(exporter, text) == ("media", "[location]", {"attachments": attachments})


@pytest.mark.parametrize(
    ("note", "name"),
    [
        ("<attached: 00000001-talk.pdf>", "00000001-talk.pdf"),
        ("document omitted", "talk.pdf"),
    ],
)
def test_iphone_document_has_no_caption(read: Reader, note: str, name: str) -> None:
    content = read(IPHONE, f"talk.pdf • {LRM}2 pages {LRM}{note}")
    assert content == ("media", "[file]", file(name))


def test_mark_before_a_file_name_on_android_is_removed(read: Reader) -> None:
    # Czech and Russian phones write it.
    content = read(ANDROID, f"{LRM}report.pdf (nekonata lingvo)")
    assert content == ("media", "[file]", file("report.pdf"))


@pytest.mark.parametrize(
    ("text", "extra"),
    [
        (f"{IMAGE} (file attached) Look!", photo(IMAGE)),
        ("<image omitted> Look!", OMITTED_PHOTO),
    ],
)
def test_web_caption_follows_the_marker(
    read: Reader, text: str, extra: dict[str, Any]
) -> None:
    assert read(WEB, text) == ("text", "Look!", extra)


@pytest.mark.parametrize("text", ["live location shared", f"{LRM}Live location shared"])
def test_live_location_is_media(read: Reader, text: str) -> None:
    expected = ("media", "[location]", {"attachments": [{"type": "location"}]})
    assert read(IPHONE if LRM in text else ANDROID, text) == expected


def test_only_marks_of_mentions_are_removed(read: Reader) -> None:
    family = "👨\u200d👩\u200d👧"
    content = read(ANDROID, f"@\u2068Ann Lee\u2069 look {family}")
    assert content == ("text", f"@Ann Lee look {family}", {})
    assert read(ANDROID, family) == ("text", family, {})
