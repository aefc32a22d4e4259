"""What WhatsApp writes in place of a text, by language.

From the app's own language resources (42 of iPhones, 62 of Android phones). Compared
without case, a final full stop, marks and the spaces inside angle brackets.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from langchain_chatexports.chat_loaders.whatsapp.headers import MARKS

__all__ = [
    "ATTACHED",
    "ATTACHED_WITHOUT_BRACKETS",
    "CALLS",
    "DELETED",
    "DELETED_BY_ADMIN",
    "DELETED_BY_OWNER",
    "EDITED",
    "LIVE_LOCATION",
    "NOTICES",
    "OMITTED",
    "OMITTED_ENDS",
    "OMITTED_KINDS",
    "YOU",
    "phrase_key",
]

_MARK = re.compile(f"[{MARKS}]")


def phrase_key(text: str) -> str:
    """Return what texts are compared by."""
    if not text.isascii():
        text = _MARK.sub("", text)
    return " ".join(text.strip(" <>").rstrip(".").split()).casefold()


class Phrases(NamedTuple):
    """The sentences of one language."""

    omitted: tuple[str, ...]
    """Android, for any attachment of an export without media, in angle brackets."""

    attached: str
    """Android, behind the name of a file, in round brackets."""

    image_omitted: str
    """iPhone, for a picture of an export without media."""

    deleted: tuple[str, ...]
    """Of a message that its sender took back."""

    deleted_by_owner: tuple[str, ...]
    """The same, where the sender is the owner; only sentences that mean nothing else
    in another language or on another phone."""


_PHRASES = {
    "en": Phrases(
        omitted=("Media omitted",),
        attached="file attached",
        image_omitted="image omitted",
        deleted=("This message was deleted",),
        deleted_by_owner=("You deleted this message",),
    ),
    "de": Phrases(
        omitted=("Medien ausgeschlossen", "Medien weggelassen"),
        attached="Datei angehängt",
        image_omitted="Bild weggelassen",
        deleted=("Diese Nachricht wurde gelöscht",),
        deleted_by_owner=("Du hast diese Nachricht gelöscht",),
    ),
    "fr": Phrases(
        omitted=("Médias omis", "Fichier omis"),
        attached="fichier joint",
        image_omitted="image absente",
        deleted=("Ce message a été supprimé",),
        deleted_by_owner=("Vous avez supprimé ce message",),
    ),
    "es": Phrases(
        omitted=("Multimedia omitido", "Archivo omitido"),
        attached="archivo adjuntado",
        image_omitted="imagen omitida",
        deleted=("Se eliminó este mensaje", "Este mensaje fue eliminado"),
        deleted_by_owner=("Eliminaste este mensaje",),
    ),
    "it": Phrases(
        omitted=("Media omessi", "Media omesso"),
        attached="file allegato",
        image_omitted="immagine omessa",
        deleted=("Questo messaggio è stato eliminato",),
        deleted_by_owner=("Hai eliminato questo messaggio",),
    ),
    "pt-BR": Phrases(
        omitted=("Mídia oculta", "Mídia omitida"),
        attached="arquivo anexado",
        image_omitted="imagem ocultada",
        deleted=("Mensagem apagada", "Esta mensagem foi apagada"),
        deleted_by_owner=("Você apagou esta mensagem",),
    ),
    "pt-PT": Phrases(
        omitted=("Ficheiro não revelado",),
        attached="ficheiro anexado",
        image_omitted="imagem não revelada",
        deleted=(
            "Esta mensagem foi apagada",
            "Esta mensagem foi apagada pelo remetente",
        ),
        deleted_by_owner=("Apagou esta mensagem",),
    ),
    "nl": Phrases(
        omitted=("Media weggelaten",),
        attached="bestand bijgevoegd",
        image_omitted="afbeelding weggelaten",
        deleted=("Dit bericht is verwijderd",),
        deleted_by_owner=("U hebt dit bericht verwijderd",),
    ),
    "ca": Phrases(
        omitted=("fitxers multimèdia omesos", "Mitjans omesos"),
        attached="arxiu adjunt",
        image_omitted="Imatge omesa",
        deleted=("Aquest missatge s'ha suprimit", "Aquest missatge està esborrat"),
        deleted_by_owner=(
            "Has suprimit aquest missatge",
            "Has esborrat aquest missatge",
        ),
    ),
    "ro": Phrases(
        omitted=("Conținut media omis",),
        attached="fișier atașat",
        image_omitted="Imagine omisă",
        deleted=("Acest mesaj a fost șters",),
        deleted_by_owner=("Ați șters acest mesaj",),
    ),
    "da": Phrases(
        omitted=("medier udeladt", "Mediefil udeladt"),
        attached="fil vedhæftet",
        image_omitted="billede udeladt",
        deleted=("Denne besked er blevet slettet", "Denne besked blev slettet"),
        deleted_by_owner=("Du har slettet denne besked", "Du slettede denne besked"),
    ),
    "nb": Phrases(
        omitted=("media utelatt", "Uten vedlegg"),
        attached="vedlagt fil",
        image_omitted="bilde ikke inkludert",
        deleted=("Denne meldingen ble slettet",),
        deleted_by_owner=("Du slettet denne meldingen",),
    ),
    "sv": Phrases(
        omitted=("media utelämnat", "Media har utelämnats"),
        attached="bifogad fil",
        image_omitted="bild utesluten",
        deleted=("Det här meddelandet raderades", "Detta meddelande raderades"),
        deleted_by_owner=(
            "Du raderade det här meddelandet",
            "Du raderade detta meddelande",
        ),
    ),
    "fi": Phrases(
        omitted=("media jätettiin pois", "Media jätetty pois"),
        attached="liitetiedosto",
        image_omitted="ei kuvaa",
        deleted=("Tämä viesti poistettiin",),
        deleted_by_owner=("Poistit tämän viestin",),
    ),
    "pl": Phrases(
        omitted=("pominięto multimedia", "pliki pominięto"),
        attached="załączony plik",
        image_omitted="obraz pominięty",
        deleted=("Ta wiadomość została usunięta",),
        deleted_by_owner=("Usunąłeś(-ęłaś) tę wiadomość", "Usunąłeś(aś) tę wiadomość"),
    ),
    "cs": Phrases(
        omitted=("Média vynechány", "Média vynechána"),
        attached="soubor byl přiložen",
        image_omitted="obrázek vynechán",
        deleted=("Tato zpráva byla smazána", "Tato zpráva byla odstraněna"),
        deleted_by_owner=("Tuto zprávu jste smazal/a", "Tuto zprávu jste odstranil/a"),
    ),
    "sk": Phrases(
        omitted=("Médiá vynechané",),
        attached="súbor pripojený",
        image_omitted="obrázok vynechaný",
        deleted=("Táto správa bola odstránená",),
        deleted_by_owner=("Túto správu ste odstránili",),
    ),
    "hu": Phrases(
        omitted=("média elhagyva", "Hiányzó médiafájl"),
        attached="fájl csatolva",
        image_omitted="kép küldése sikertelen",
        deleted=("Ez az üzenet törlésre került",),
        deleted_by_owner=("Törölted ezt az üzenetet",),
    ),
    "hr": Phrases(
        omitted=("Medijski zapis izostavljen",),
        attached="datoteka u privitku",
        image_omitted="slika izostavljena",
        deleted=("Ova je poruka izbrisana", "Ova poruka je izbrisana"),
        deleted_by_owner=("Izbrisali ste ovu poruku",),
    ),
    "el": Phrases(
        omitted=("αρχείο παραλήφθηκε", "Εξαίρεση πολυμέσων"),
        attached="συνημμένο αρχείο",
        image_omitted="εικόνα παραλείφθηκε",
        deleted=("Αυτό το μήνυμα διαγράφηκε",),
        deleted_by_owner=("Διαγράψατε το μήνυμα", "Διαγράψατε αυτό το μήνυμα"),
    ),
    "ru": Phrases(
        omitted=("Без медиафайлов", "Файл пропущен"),
        attached="файл добавлен",
        image_omitted="изображение отсутствует",
        deleted=("Данное сообщение удалено",),
        deleted_by_owner=("Вы удалили данное сообщение",),
    ),
    "uk": Phrases(
        omitted=("Медіа пропущено",),
        attached="файл додано",
        image_omitted="зображення відсутнє",
        deleted=("Це повідомлення було видалено",),
        deleted_by_owner=("Ви видалили це повідомлення",),
    ),
    "tr": Phrases(
        omitted=("Medya dahil edilmedi", "Medya atlanmış"),
        attached="dosya ekli",
        image_omitted="görüntü dahil edilmedi",
        deleted=("Bu mesaj silindi",),
        deleted_by_owner=("Bu mesajı sildiniz",),
    ),
    "ar": Phrases(
        omitted=("تم استبعاد الوسائط",),
        attached="الملف مرفق",
        image_omitted="لم يتم إدراج الصورة",
        deleted=("تم حذف هذه الرسالة",),
        deleted_by_owner=("لقد حذَفت هذه الرسالة", "أنت حذفت هذه الرسالة"),
    ),
    "fa": Phrases(
        omitted=("رسانه حذف شد", "پيوست نما/آهنگ حذف شد"),
        attached="فایل پیوست شد",
        image_omitted="تصویر حذف شد",
        deleted=("این پیام حذف شده است", "این پیام حذف شد"),
        deleted_by_owner=("شما این پیام را حذف کردید",),
    ),
    "he": Phrases(
        omitted=("המדיה לא נכללה", "מדיה הושמטה"),
        attached="קובץ מצורף",
        image_omitted="התמונה הושמטה",
        deleted=("הודעה זו נמחקה",),
        deleted_by_owner=("מחקת את ההודעה הזו", "מחקת הודעה זו"),
    ),
    "ur": Phrases(
        omitted=("میڈیا ہٹا دیا گیا", "میڈیا چھوڑ دیا گیا"),
        attached="پیوستہ فائل",
        image_omitted="تصویر نکال دی گئی ہے",
        deleted=("یہ میسج حذف کر دیا گیا ہے", "یہ پیغام حذف کیا گیا"),
        deleted_by_owner=("آپ نے یہ میسج حذف کر دیا ہے", "آپ نے اس پیغام کو حذف کیا"),
    ),
    "hi": Phrases(
        omitted=("मीडिया के बिना",),
        attached="फाइल अटैच कर दी गई है",
        image_omitted="फ़ोटो हटाई गई",
        deleted=("यह मैसेज डिलीट कर दिया गया है", "यह संदेश मिटाया गया"),
        deleted_by_owner=("आपने यह मैसेज डिलीट किया", "आपने यह संदेश मिटाया"),
    ),
    "bn": Phrases(
        omitted=("মিডিয়া বাদ দেওয়া হয়েছে",),
        attached="ফাইল সংযুক্ত হয়েছে",
        image_omitted="ইমেজ বাদ দেওয়া হয়েছে",
        deleted=("এই মেসেজটি বাদ দেওয়া হয়েছে", "এই বার্তাটি মুছে ফেলা হয়েছে"),
        deleted_by_owner=("আপনি এই মেসেজটি বাদ দিয়েছেন", "আপনি এই বার্তাটি মুছে ফেলেছেন"),
    ),
    "th": Phrases(
        omitted=("ไฟล์สื่อถูกลบ", "สื่อถูกลบ"),
        attached="ไฟล์ที่แนบ",
        image_omitted="ไม่มีรูปภาพ",
        deleted=("ข้อความนี้ถูกลบแล้ว", "ข้อความนี้ได้ถูกลบ"),
        deleted_by_owner=("คุณได้ลบข้อความนี้", "คุณลบข้อความนี้"),
    ),
    "vi": Phrases(
        omitted=("bỏ qua tệp phương tiện", "Bỏ qua Media"),
        attached="tệp đính kèm",
        image_omitted="đã bỏ qua hình ảnh",
        deleted=("Tin nhắn này đã bị xóa", "Tin nhắn này đã bị xoá"),
        deleted_by_owner=("Bạn đã xoá tin nhắn này",),
    ),
    "id": Phrases(
        omitted=("Media tidak disertakan",),
        attached="file terlampir",
        image_omitted="gambar tidak disertakan",
        deleted=("Pesan ini dihapus", "Pesan ini telah dihapus"),
        deleted_by_owner=("Anda menghapus pesan ini", "Anda telah menghapus pesan ini"),
    ),
    "ms": Phrases(
        omitted=("media dikecualikan", "Media disingkirkan"),
        attached="fail dilampirkan",
        image_omitted="imej tidak dimasukkan",
        deleted=("Mesej ini telah dipadam",),
        deleted_by_owner=("Anda telah memadamkan mesej ini",),
    ),
    "ja": Phrases(
        omitted=("メディアなし", "メディアは含まれていません"),
        attached="添付ファイル有り",
        image_omitted="画像は含まれていません",
        deleted=("このメッセージは削除されました",),
        deleted_by_owner=("このメッセージを削除しました",),
    ),
    "ko": Phrases(
        omitted=("미디어 파일 제외됨", "미디어 파일을 생략한 대화내용"),
        attached="파일 첨부됨",
        image_omitted="이미지 생략됨",
        deleted=("이 메시지는 삭제되었습니다",),
        deleted_by_owner=("이 메시지를 삭제했습니다", "삭제한 메시지입니다"),
    ),
    "zh-CN": Phrases(
        omitted=("省略影音内容", "省略多媒体文件"),
        attached="文件附件",
        image_omitted="照片已忽略",
        deleted=("这条消息已被删除", "信息已删除"),
        deleted_by_owner=("您已删除这条消息", "您删除这个信息"),
    ),
    "zh-TW": Phrases(
        omitted=("已省略多媒體檔案", "忽略多媒體檔"),
        attached="附件檔案",
        image_omitted="圖像已省略",
        deleted=("此訊息已刪除",),
        deleted_by_owner=("您已刪除此訊息",),
    ),
}

LIVE_LOCATION = "live location shared"
"""All phones' sentence for a place that moves, without brackets or a mark."""

# The sentences of other languages are not known.
_ENGLISH_OMITTED = {
    "image omitted": "photo",
    "video omitted": "video",
    "audio omitted": "audio",
    "sticker omitted": "sticker",
    "GIF omitted": "gif",
    "document omitted": "file",
    "Contact card omitted": "contact",
    "video note omitted": "video",
    "View once voice message omitted": "audio",
    LIVE_LOCATION: "location",
}

OMITTED_KINDS: dict[str, str] = {
    phrase_key(text): kind
    for text, kind in (
        *((one.image_omitted, "photo") for one in _PHRASES.values()),
        *_ENGLISH_OMITTED.items(),
    )
}
"""The type of the attachment that an iPhone's sentence stands for."""

# Of "Video weggelassen" and "Audio weggelassen" only the picture's sentence is known;
# they end in the same word.
OMITTED_ENDS = frozenset(key.rpartition(" ")[2] for key in OMITTED_KINDS) | {
    "含まれていません",
    "已忽略",
    "已省略",
}
"""The last words of such sentences."""

OMITTED = frozenset(
    phrase_key(text) for one in _PHRASES.values() for text in one.omitted
)
"""Android's sentences for an attachment that was left out."""

ATTACHED = tuple(dict.fromkeys(one.attached.casefold() for one in _PHRASES.values()))
"""Android's words behind the name of a file."""

ATTACHED_WITHOUT_BRACKETS = (_PHRASES["fa"].attached,)
"""Those that stand without brackets."""

DELETED_BY_OWNER = frozenset(
    phrase_key(text) for one in _PHRASES.values() for text in one.deleted_by_owner
)
"""Sentences of messages that the owner took back."""

DELETED = DELETED_BY_OWNER | {
    phrase_key(text)
    for one in _PHRASES.values()
    for text in (*one.deleted, "You deleted this message as admin")
}
"""Sentences of messages that somebody took back."""

DELETED_BY_ADMIN = "this message was deleted by admin "
"""How the sentence begins that names the admin who took a message back."""

EDITED = frozenset(
    map(
        phrase_key,
        (
            "This message was edited",
            "Diese Nachricht wurde bearbeitet",
            "Se editó este mensaje",
            "Ce message a été modifié",
            "Questo messaggio è stato modificato",
            "Mensagem editada",
            "Dit bericht is bewerkt",
            "Bu mesaj düzenlendi",
            "Сообщение изменено",
            "Pesan ini diedit",
            "ההודעה נערכה",
            "تم تعديل هذه الرسالة",
        ),
    )
)
"""The notes behind a message that was edited, in angle brackets."""

CALLS = frozenset(
    map(
        phrase_key,
        (
            "Missed voice call",
            "Missed video call",
            "Missed group voice call",
            "Missed group video call",
            "Zmeškaný hovor",
            "Пропущенный аудиозвонок",
            "Verpasster Sprachanruf",
            "Llamada de voz perdida",
            "Appel vocal manqué",
        ),
    )
)
"""What Android writes in the name of who called."""

_ENCRYPTED = "Messages and calls are end-to-end encrypted."
_OF_ENCRYPTION = (
    (
        f"{_ENCRYPTED} No one outside of this chat, not even WhatsApp, can read or "
        "listen to them."
    ),
    f"{_ENCRYPTED} Only people in this chat can read, listen to, or share them.",
)
NOTICES = frozenset(
    map(
        phrase_key,
        (
            "Waiting for this message. This may take a while.",
            *_OF_ENCRYPTION,
            *(f"{said} Tap to learn more." for said in _OF_ENCRYPTION),
            *(f"{said} Learn more" for said in _OF_ENCRYPTION),
        ),
    )
)
"""Other sentences that nobody typed, for exports that lost their marks."""

YOU = frozenset(
    {
        *("You", "Du", "Vous", "Tú", "Tu", "Você", "U", "Jij", "Siz", "Anda", "Ty"),
        *("Вы", "أنت", "आप", "あなた", "您", "你"),
    }
)
"""The owner's name in an export of WhatsApp Web, by language."""
