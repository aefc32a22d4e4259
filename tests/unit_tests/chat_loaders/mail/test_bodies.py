"""E-mail: charsets, parts, HTML, quotations, attachments."""

# ruff: noqa: RUF001 - letters of other scripts

import base64
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import EmailChatLoader
from langchain_chatexports.chat_loaders.mail.bodies import strip_html, strip_quotations
from langchain_chatexports.chat_loaders.schema import keys_of, metadata_of
from tests.unit_tests.builders.mails import mail, multipart, texts, write

FORWARD = (
    "---------- Forwarded message ---------\nFrom: Cy <c@c.example>\n"
    "Date: 1 Jan 2024\nSubject: x\n\n"
)
PLAIN, HTML = "Content-Type: text/plain; charset=utf-8", "Content-Type: text/html"


def quoted_printable(text: str, charset: str) -> bytes:
    data = "".join(f"={byte:02X}" for byte in text.encode(charset))
    return data.encode()


@pytest.mark.parametrize(
    ("declared", "charset", "text"),
    [
        *(("utf-8", "utf-8", "für €"), ("iso-8859-1", "cp1252", "für €")),
        *(("gb2312", "gb18030", "你好"), ("ks_c_5601-1987", "cp949", "안녕")),
        *(("iso-2022-jp", "iso-2022-jp", "元気"), ("koi8-r", "koi8-r", "привет")),
        *(("unknown-8bit", "cp1252", "für"), ("x-unknown", "utf-8", "für")),
        ('"utf-8; format=x"', "utf-8", "für"),
    ],
)
def test_charset(tmp_path: Path, declared: str, charset: str, text: str) -> None:
    encoded = quoted_printable(text, charset)
    keys: Any = {"Content_Transfer_Encoding": "quoted-printable"}
    row = mail(encoded, Content_Type=f"text/plain; charset={declared}", **keys)
    assert texts(write(tmp_path, row)) == [text]


@pytest.mark.parametrize("charset", ["utf-8", "cp1252"])
def test_text_without_an_encoding(tmp_path: Path, charset: str) -> None:
    row = mail("Grüße", sender="Zoë <z@a.example>", Subject="Süßes\n und Salziges")
    path = write(tmp_path, row.decode().encode(charset))
    (session,) = EmailChatLoader(path).load()
    assert metadata_of(session)["title"] == "Süßes und Salziges"
    (message,) = session["messages"]
    assert (keys_of(message)["sender"], message.content) == ("Zoë", "Grüße")


BODIES: dict[str, tuple[dict[str, Any], str]] = {
    "encoding with a language": (
        {"body": "für", "Content_Type": "text/plain; charset*=us-ascii'en'utf-8"},
        "für",
    ),
    "flowed": (
        {"body": "one \ntwo\nthree", "Content_Type": "text/plain; format=flowed"},
        "one two\nthree",
    ),
    "flowed with delsp": (
        {"body": "on \ne", "Content_Type": "text/plain; format=flowed; delsp=yes"},
        "one",
    ),
    "HTML": (
        {"body": "<p>a&nbsp;b</p><p>c<br>d</p>", "Content_Type": "text/html"},
        "a b\n\nc\nd",
    ),
    "both": (
        multipart((PLAIN, "plain"), (HTML, "<b>html</b>"), kind="alternative"),
        "plain",
    ),
    "stub": (
        multipart((PLAIN, "View this in your browser"), (HTML, "<b>html</b>")),
        "html",
    ),
    "signed": (
        multipart(
            (PLAIN, "Hi"),
            ("Content-Type: application/pgp-signature", "x"),
            kind="signed",
        ),
        "Hi",
    ),
    "broken HTML": (
        {"body": "<p>a < b <b>c</i><div>d</div", "Content_Type": "text/html"},
        "a < b c\nd</div",
    ),
    "no end": (
        {
            "body": f"--xyz\n{PLAIN}\n\nHi",
            "Content_Type": "multipart/mixed; boundary=xyz",
        },
        "Hi",
    ),
}


@pytest.mark.parametrize(("keys", "text"), BODIES.values(), ids=BODIES)
def test_body(tmp_path: Path, keys: dict[str, Any], text: str) -> None:
    assert texts(write(tmp_path, mail(**keys))) == [text]


@pytest.mark.parametrize(
    "source",
    [
        '<div>new</div><div class="gmail_quote">old <div>x</div></div>',
        'new<div class="moz-cite-prefix">x</div><blockquote type="cite">o</blockquote>',
        'new<div class="yahoo_quoted" id="x">old</div>',
        'new<div id="appendonsend"></div><hr>old',
        "new<style>old</style><!-- old -->",
        'new<div class="gmail_signature">old</div>',
    ],
)
def test_quotation_in_html_is_removed(source: str) -> None:
    assert strip_html(source) == "new"


INTRODUCTIONS = [
    "On Mon, Jan 1, 2024 at 10:00 AM Ben <ben@b.example> wrote:",
    "On Mon, Jan 1, 2024 at 10:00\u202fAM Ben <ben@b.example> wrote:",
    "On Mon, Jan 1, 2024 at 10:00 AM Ben Long Name\n<ben@b.example>\nwrote:",
    "Am Mo., 1. Jan. 2024 um 10:00 Uhr schrieb Ben <ben@b.example>:",
    "Le lun. 1 janv. 2024 à 10:00, Ben <ben@b.example> a écrit :",
    "El lun, 1 ene 2024 a las 10:00, Ben (<ben@b.example>) escribió:",
    "Il giorno lun 1 gen 2024 alle ore 10:00 Ben <ben@b.example> ha scritto:",
    "Em seg., 1 de jan. de 2024 às 10:00, Ben <ben@b.example> escreveu:",
    "пн, 1 янв. 2024 г. в 10:00, Ben <ben@b.example>:",
    "2024年1月1日(月) 10:00 Ben <ben@b.example>:",
    "Ben <ben@b.example> 于2024年1月1日周一 10:00写道:",
    "2024년 1월 1일 (월) 오전 10:00, Ben <ben@b.example>님이 작성:",
    "Op ma 1 jan 2024 om 10:00 schreef Ben <ben@b.example>:",
    "Den mån 1 jan. 2024 kl 10:00 skrev Ben <ben@b.example>:",
    "pon., 1 sty 2024 o 10:00 Ben <ben@b.example> napisał(a):",
    "1 Oca 2024 Pzt, 10:00 tarihinde Ben <ben@b.example> şunu yazdı:",
    "Vào Th 2, 1 thg 1, 2024 vào lúc 10:00 Ben <ben@b.example> đã viết:",
    "בתאריך יום ב׳, 1 בינו׳ 2024 ב-10:00 מאת Ben <\u202aben@b.example\u202c>:",
]
OLD = "> old\n> words"
OUTLOOK = "From: Ben <ben@b.example>\nSent: 1 January 2024\nTo: Ann\nSubject: x\n\nold"
WRITTEN = {
    **{
        f"{number} {text[:9]}": (f"new\n\n{text}\n\n{OLD}", "new")
        for number, text in enumerate(INTRODUCTIONS)
    },
    "Outlook": (f"new\n\n________________________________\n{OUTLOOK}", "new"),
    "Outlook in German": (
        "new\n\nVon: Ben <ben@b.example>\nGesendet: 1. Januar 2024\nAn: Ann\nold",
        "new",
    ),
    "Outlook in French": (
        (
            "new\n\nDe : Ben <ben@b.example>\nEnvoyé : lundi 1 janvier 2024\n"
            "À : Ann\nObjet : x\n\nold"
        ),
        "new",
    ),
    "Outlook in Japanese": (
        "new\n\n差出人: Ben\n送信日時: 2024年1月1日\n宛先: Ann\nold",
        "new",
    ),
    "phone": (
        f"new\n\nSent from my iPhone\n\n> On 1 Jan 2024, Ben wrote:\n{OLD}",
        "new",
    ),
    "answer below": (f"{INTRODUCTIONS[0]}\n{OLD}\n\nnew", "new"),
    "answers between": ("> old\n\nnew 1\n\n> old\n\nnew 2", "new 1\n\nnew 2"),
    "signature": ("new\n\n-- \nAnn\nSea Road", "new"),
    "introduction only": (f"new\n\n{INTRODUCTIONS[0]}", "new"),
    "typed sentence": ("On Monday I wrote: nothing.", None),
    "greeting": ("Thanks,\nI will come.", None),
    "list": ("- eggs\n- milk", None),
    "one word and a colon": ("Plan:\n- eggs", None),
    "forward with a comment": (f"look!\n\n{FORWARD}old", "look!"),
}


@pytest.mark.parametrize(("text", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_only_own_words_are_kept(text: str, expected: str | None) -> None:
    assert strip_quotations(text)[0] == (expected or text)


@pytest.mark.parametrize(
    "name",
    ['filename="a.pdf"', "filename*=utf-8''a.pdf", 'filename="=?utf-8?q?a.pdf?="'],
)
def test_attachment(tmp_path: Path, name: str) -> None:
    head = f"Content-Type: application/pdf\nContent-Disposition: attachment; {name}"
    row = mail(**multipart((PLAIN, "Look"), (head, "x")))
    (session,) = EmailChatLoader(write(tmp_path, row)).load()
    (item,) = session["messages"][0].additional_kwargs["attachments"]
    assert item == {"type": "file", "name": "a.pdf", "mime_type": "application/pdf"}


def test_large_attachment_takes_little_memory(tmp_path: Path) -> None:
    data = base64.encodebytes(bytes(40_000_000)).decode()
    head = "Content-Type: video/mp4\nContent-Transfer-Encoding: base64"
    path = write(
        tmp_path, mail(**multipart((PLAIN, "Look"), (head, data))), mail("b", "2")
    )
    del data
    tracemalloc.start()
    assert sorted(texts(path)) == ["Look", "b"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000


def test_long_lines_take_linear_time() -> None:
    start = time.process_time()
    for text in ("On we go and so on\n" * 8_000, "a: b\n" * 30_000, "> a\n\n" * 30_000):
        strip_quotations(text)
    assert time.process_time() - start < 5


def test_deep_nesting_is_counted(tmp_path: Path) -> None:
    body = "".join(
        f"--b{n}\nContent-Type: multipart/mixed; boundary=b{n + 1}\n\n"
        for n in range(500)
    )
    row = mail(body, "2", Content_Type="multipart/mixed; boundary=b0")
    summary = EmailChatLoader(write(tmp_path, mail(), row)).inspect()
    assert (summary.kept, dict(summary.skipped)) == (1, {"unreadable": 1})


def test_too_many_parts_are_counted(tmp_path: Path) -> None:
    row = mail(id_="2", **multipart(*[(PLAIN, "x")] * 1001))
    summary = EmailChatLoader(write(tmp_path, mail(), row)).inspect()
    assert (summary.kept, dict(summary.skipped)) == (1, {"unreadable": 1})


@pytest.mark.parametrize(
    "headers",
    [
        {"To": "(" * 20_000},
        {"Subject": "=?utf-8?b?a?="},
        {"Content_Type": "text/plain; " + '"\\;' * 10_000},
    ],
    ids=["parentheses", "encoded word", "parameters"],
)
def test_crafted_header_loses_no_other_mail(tmp_path: Path, headers: Any) -> None:
    path = write(tmp_path, mail("a"), mail("x", "2", **headers), mail("b", "3"))
    assert {"a", "b"} <= {*texts(path)}
    assert EmailChatLoader(path).inspect().found == 3


def test_many_pictures_are_all_listed(tmp_path: Path) -> None:
    data = base64.encodebytes(bytes(500_000)).decode()
    head = 'Content-Type: image/jpeg; name="{}.jpg"\nContent-Transfer-Encoding: base64'
    pictures = [(head.format(n), data) for n in range(20)]
    row = mail(**multipart(*pictures, (PLAIN, "Look")))
    (session,) = EmailChatLoader(write(tmp_path, row)).load()
    (message,) = session["messages"]
    names = [item["name"] for item in message.additional_kwargs["attachments"]]
    assert names == [f"{n}.jpg" for n in range(20)]
    assert message.content == "Look"
