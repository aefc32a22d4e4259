"""Lines whose private data is hard to find, and harmless lines that look private.

People, numbers and keys are invented: telephone numbers are from ranges reserved for
fiction if a country has them, keys repeat a pattern. Private data is marked by `⟦…⟧`.
"""

# ruff: noqa: RUF001 - letters of other scripts.

import re
import unicodedata
from typing import NamedTuple

KNOWN = (
    *("José Ibáñez", "Jürgen Müller", "Chloé Lefèvre", "Zoë Brontë", "Søren Kjær"),
    *("Łukasz Wójcik", "Nguyễn Thảo", "Åsa Öberg", "Dvořák Jiří", "İlayda Yıldız"),
    *("Renée Noël", "Gonçalo Simões", "Márton Szűcs", "Ștefan Țăran", "Ülle Jõgi"),
    *("김철수", "李小龙", "प्रिया शर्मा", "Αλέξης Νικολάου", "Пётр Йорданов"),
    *(
        "Ann Lee",
        "May Carter",
        "Will Stone",
        "Mark Hollis",
        "Rose Tyndall",
        "Weiß Groß",
    ),
    *("やまぐち ガク", "عائشة", "annlee92", "@jose_ib"),
    *("Katherine Webb", "Liam O'Brien", "Anne-Sofie Dahl", "田中太郎", "佐々木ゆり"),
)
"""The names of the export."""


class HardCase(NamedTuple):
    """A line with its class and language, and the position of the private data."""

    kind: str
    language: str
    text: str
    start: int
    end: int


_ACCENTED = (
    *(
        "José",
        "Ibáñez",
        "Jürgen",
        "Müller",
        "Chloé",
        "Lefèvre",
        "Zoë",
        "Brontë",
        "Kjær",
    ),
    *("Łukasz", "Wójcik", "Nguyễn", "Thảo", "Åsa", "Öberg", "Dvořák", "Jiří", "İlayda"),
    *("Renée", "Noël", "Gonçalo", "Simões", "Márton", "Szűcs", "Ștefan", "Țăran"),
    *("Jõgi", "김철수", "Αλέξης", "Пётр", "Йорданов", "ガク"),
)

_LINES = {
    ("name, other spelling", "any"): """
        ⟦jose⟧ is here
        ask ⟦LUKASZ⟧
        ⟦Soren⟧ called
        ⟦ilayda⟧ kommt
        ⟦YILDIZ⟧ hat gewonnen
        ⟦yildiz⟧ geldi
        ⟦WEISS⟧ war da
        ⟦ΑΛΈΞΗΣ⟧ ήρθε
        ⟦αλέξης⟧ ήρθε
        ⟦Ａｎｎ⟧ said hi
        ⟦𝓐𝓷𝓷⟧ said hi
        ⟦Ⓐⓝⓝ⟧ said hi
        아까 ⟦철수⟧가 왔어
        昨天⟦小龙⟧来了
        ⟦प्रिया⟧ आ रही है
        ⟦عائشة⟧ هنا
        follow ⟦annlee⟧ there
        it's @⟦ann92⟧ now
        look at example.org/⟦lee_ann⟧
        ⟦ｶﾞｸ⟧さん
    """,
    ("name, word", "en"): """
        Hey ⟦May⟧!
        we met ⟦May⟧ at the bar
        ⟦May⟧, where are you
        ⟦Will⟧ said he's late
        ⟦Mark⟧ and I are in
        Dr. ⟦May⟧ is my dentist
        told ⟦Rose⟧ yesterday
        ⟦Rose⟧ texted me
    """,
    ("phone, China", "zh"): """
        我的手机 ⟦13912345678⟧
        打⟦139 1234 5678⟧给我
        电话:⟦13912345678⟧
        ⟦186-1234-5678⟧ 是房东
        ⟦+86 139 1234 5678⟧
        ⟦１３９１２３４５６７８⟧
        手机号码是⟦159 123 45 678⟧
        座机电话 ⟦010-12345678⟧
    """,
    ("phone, India", "hi"): """
        call me on ⟦98765 43210⟧
        mera number ⟦9812345678⟧
        ⟦+91 98765 43210⟧
        ⟦९८१२३४५६७८⟧ पर कॉल करो
        ⟦09812345678⟧ new number
        फोन ⟦70123 45678⟧
        ⟦81234-56789⟧ is papa
    """,
    ("phone, Russia", "ru"): """
        позвони ⟦8 916 123-45-67⟧
        мой номер ⟦89161234567⟧
        ⟦8 (916) 123-45-67⟧ это мама
        ⟦+7 (916) 123-45-67⟧
        ⟦8-800-123-45-67⟧ бесплатно
        тел. ⟦9161234567⟧
        тел ⟦123-45-67⟧
    """,
    ("phone, other countries", "any"): """
        me liga ⟦(11) 91234-5678⟧
        ⟦11 91234-5678⟧ é meu
        celular ⟦11912345678⟧
        ⟦090-1234-5678⟧ です
        ⟦010-1234-5678⟧ 입니다
        جوالي ⟦٠٥٠١٢٣٤٥٦٧⟧
        رقم ⟦٠٥٠ ١٢٣ ٤٥٦٧⟧
        chiamami ⟦347 123 4567⟧
        cellulare ⟦3471234567⟧
        komórka ⟦512 345 678⟧
        whatsapp ⟦612345678⟧
        telefoon ⟦06-12345678⟧
        móvil: ⟦612.345.678⟧
        ⟦+44 (0)7700 900123⟧
        ⟦+1-212-555-0123⟧
    """,
    ("phone, other characters", "any"): """
        ⟦+49 171 2345678⟧
        ⟦＋４９ １７１ ２３４５６７８⟧
        ⟦+49\u00a0171\u00a02345678⟧
        ⟦+49\u202f171\u202f2345678⟧
        ⟦+49\u200b171\u200b2345678⟧
        ⟦212‑555‑0123⟧
        ⟦212–555–0123⟧
        ⟦2\ufe0f\u20e31\ufe0f\u20e32\ufe0f\u20e3-555-0123⟧
        ⟦06\u00a012\u00a034\u00a056\u00a078⟧ stp
        \u202a⟦+1 212 555 0123⟧\u202c
        ⟦𝟐𝟏𝟐-𝟓𝟓𝟓-𝟎𝟏𝟐𝟑⟧
        ⟦+49 171 23\u00ad45678⟧
    """,
    ("phone, Norway", "no"): """
        ring ⟦412 34 567⟧
        ⟦22 12 34 56⟧ er hjemme
        nummeret er ⟦901 23 456⟧
        tlf ⟦41234567⟧
        +47 ⟦41 23 45 67⟧
        nytt nummer: ⟦92345678⟧
    """,
    ("phone, Denmark", "da"): """
        ring på ⟦20 12 34 56⟧
        mit nummer er ⟦31 23 45 67⟧
        tlf. ⟦20123456⟧
        ⟦+45 20 12 34 56⟧
        sms til ⟦42 31 87 65⟧
        mobil ⟦42318765⟧
    """,
    ("phone, Brazil", "pt"): """
        me liga ⟦(21) 98765-4321⟧
        ⟦21 98765 4321⟧ é o novo
        zap ⟦11987654321⟧
        ⟦(11) 3234-5678⟧ é o fixo
        meu número é ⟦11 3234-5678⟧
        ⟦+55 21 98765-4321⟧
        ⟦(85) 9 8765-4321⟧
    """,
    ("phone, more countries", "any"): """
        zadzwoń ⟦512 345 678⟧
        ⟦912 345 678⟧ é do trabalho
        číslo ⟦777 123 456⟧
        ⟦55 1234 5678⟧ es mi casa
        celu ⟦9 8765 4321⟧
        ⟦91 123 45 67⟧ es el fijo
    """,
    ("name, joined", "any"): """
        she is ⟦KatherineWebb99⟧ there
        ask ⟦katherinewebb⟧ please
        ⟦katherine99⟧ on the forum
        ⟦OBrien⟧ is late
        told ⟦obrien⟧ already
        ⟦AnneSofie⟧ kommer
        ⟦太郎⟧が来た
        ⟦田中⟧さんはどこ
        ⟦佐々木⟧さん
        昨日⟦ゆり⟧と会った
    """,
    ("code, in groups", "any"): """
        code: ⟦48 29 13⟧
        your code is ⟦4 8 2 9 1 3⟧
        pin: ⟦12-34-56-78⟧
        Code ⟦12-34-56⟧ eingeben
    """,
    ("password, no sign", "any"): """
        pw ⟦hunter2⟧
        wifi password ⟦hunter2⟧
        Passwort ⟦igel2020⟧
        mdp ⟦soleil33!⟧
        senha ⟦abacaxi77⟧
    """,
    ("national id", "any"): """
        my ssn is ⟦536-90-4399⟧
        dni ⟦12345678Z⟧
        NIE ⟦X1234567L⟧
        CPF ⟦529.982.247-25⟧
        ⟦RSSMRA85T10A562S⟧
        hetu ⟦131052-308T⟧
        personnummer ⟦811218-9876⟧
        ⟦1 85 05 78 006 084 91⟧
        ⟦11010519491231002X⟧
        aadhaar ⟦2341 2341 2346⟧
    """,
    ("card", "any"): """
        ⟦4111\u00a01111\u00a01111\u00a01111⟧
        ⟦4111\u202f1111\u202f1111\u202f1111⟧
        ⟦4111\u20091111\u20091111\u20091111⟧
        ⟦4111\u200b1111\u200b1111\u200b1111⟧
        ⟦４１１１ １１１１ １１１１ １１１１⟧
        ⟦４１１１１１１１１１１１１１１１⟧
        ⟦٤١١١ ١١١١ ١١١١ ١١١١⟧
        ⟦४१११११११११११११११⟧
        ⟦4111.1111.1111.1111⟧
        ⟦4111‑1111‑1111‑1111⟧
        ⟦4111 - 1111 - 1111 - 1111⟧
        ⟦4111  1111  1111  1111⟧
        ⟦3782 822463 10005⟧
        ⟦5555 5555 5555 4444⟧ exp 04/29
        card:⟦4242424242424242⟧
        ⟦4111/1111/1111/1111⟧
    """,
    ("account", "any"): """
        ⟦DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000⟧
        ⟦DE89‑3704‑0044‑0532‑0130‑00⟧
        ⟦ＤＥ８９３７０４００４４０５３２０１３０００⟧
        ⟦gb29\u202fnwbk\u202f6016\u202f1331\u202f9268\u202f19⟧
        IBAN:⟦FR1420041010050500013M02606⟧
        Konto ⟦１２３４５６７８９０⟧
        ⟦0x52908400098527886E0F7030069857D2E4169EE7⟧
        send it to ⟦bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq⟧
    """,
    ("key of a service", "any"): """
        ⟦sk-abcdEFGH1234abcdEFGH1234abcdEFGH1234abcdEFGH1234⟧
        ⟦sk-proj-abcdEFGH1234_abcdEFGH-1234abcdEFGH1234⟧
        ⟦sk-ant-api03-abcdEFGH1234_abcdEFGH-1234abcd⟧
        ⟦ghp_abcdEFGH1234abcdEFGH1234abcdEFGH1234⟧
        ⟦gho_abcdEFGH1234abcdEFGH1234abcdEFGH1234⟧
        ⟦github_pat_11ABCDEFG0abcdEFGH1234_abcdEFGH1234⟧
        ⟦glpat-abcdEFGH1234abcdEFGH⟧
        ⟦AKIAABCDEFGH12345678⟧
        ⟦ASIAABCDEFGH12345678⟧
        ⟦xoxb-123456789012-123456789012-abcdEFGH1234abcdEFGH⟧
        ⟦xoxp-123456789012-123456789012-abcdEFGH⟧
        ⟦xapp-1-A0123456789-1234567890123-abcdef0123⟧
        ⟦AIzaabcdEFGH1234abcdEFGH1234abcdEFGH123⟧
        ⟦eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdEFGH1234abcdEFGH1234⟧
        ⟦hf_abcdEFGH1234abcdEFGH1234abcdEFGH12⟧
        ⟦npm_abcdEFGH1234abcdEFGH1234abcdEFGH1234⟧
        ⟦pypi-abcdEFGH1234abcdEFGH1234abcdEFGH1234abcdEFGH1234⟧
        ⟦rk_live_abcdEFGH1234abcdEFGH1234⟧
        ⟦SG.abcdEFGH1234abcdEFGH12.abcdEFGH1234abcdEFGH1234abcdEFGH1234abcdEFG⟧
        ⟦1234567890:AAabcdEFGH1234abcdEFGH1234abcdEFGH1⟧
        Authorization: Bearer ⟦abcdEFGH1234abcdEFGH1234⟧
        -H "x: ⟦ghs_abcdEFGH1234abcdEFGH1234abcdEFGH1234⟧"
        api key: ⟦8f14e45fceea167a⟧
        secret token = ⟦8f14e45fceea167a5a36⟧
        ⟦-----BEGIN RSA PRIVATE KEY----- MIIEabcdEFGH1234 -----END RSA PRIVATE KEY-----⟧
        ⟦-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjEA⟧
        aws is ⟦wJalrXUtnFEMIabcdEFGHbPxRfiCYEXAMPLEKEY1⟧
    """,
    ("handle in a link", "any"): """
        https://t.me/⟦hare_of_lore⟧
        t.me/⟦hare_of_lore⟧
        instagram.com/⟦hare.of.lore⟧
        https://www.instagram.com/⟦hare.of.lore⟧/?hl=en
        https://instagram.com/stories/⟦hare.of.lore⟧/123
        https://facebook.com/⟦hare.lore.77⟧
        https://www.facebook.com/profile.php?id=⟦100012345678901⟧
        https://x.com/⟦harelore⟧/status/123456
        twitter.com/⟦harelore⟧
        https://www.tiktok.com/@⟦hare.lore⟧
        snapchat.com/add/⟦harelore⟧
        https://www.linkedin.com/in/⟦hare-lore-7b1234⟧/
        https://wa.me/⟦491712345678⟧
        https://vk.com/⟦id12345678⟧
        paypal.me/⟦harelore⟧/20
        https://venmo.com/u/⟦harelore⟧
        https://cash.app/$⟦harelore⟧
        https://www.reddit.com/user/⟦harelore⟧
        https://bsky.app/profile/⟦harelore.bsky.social⟧
        https://mastodon.example/@⟦harelore⟧
        add me on insta: ⟦hare.of.lore⟧
    """,
    ("email", "any"): """
        ⟦hare＠example．org⟧
        ⟦hare@\u200bexample.org⟧
        ⟦hare [at] example [dot] org⟧
        ⟦hare(at)example.org⟧
        ⟦hase@exämple.org⟧
        ⟦josé@example.org⟧
        ⟦hare at example dot org⟧
    """,
    ("code", "any"): """
        验证码是⟦482913⟧
        您的验证码：⟦482913⟧，请勿泄露
        認証コードは⟦482913⟧です
        인증번호 ⟦482913⟧
        ваш код: ⟦482913⟧
        код ⟦4829⟧ никому
        رمز التحقق ⟦٤٨٢٩١٣⟧
        your code is ⟦４８２９１３⟧
        your code: ⟦482\u00a0913⟧
        ⟦482-913⟧ is your code
        just got ⟦4829⟧, is that the code?
    """,
    ("password", "any"): """
        密码是⟦hunter2!x⟧
        密码：⟦hunter2!x⟧
        пароль: ⟦hunter2!x⟧
        パスワードは⟦hunter2!x⟧
        비밀번호: ⟦hunter2!x⟧
        senha: ⟦hunter2!x⟧
        wachtwoord = ⟦hunter2!x⟧
        hasło to ⟦hunter2!x⟧
        şifre: ⟦hunter2!x⟧
        password：⟦hunter2!x⟧
        pass\u00adword: ⟦hunter2!x⟧
        use ⟦hunter2!x⟧ for the wifi
    """,
}

HARMLESS = """
    In May we travel
    see you in May
    on the 5th of May
    May 5 works for me
    until May at the latest
    the end of May is fine
    next May we move
    May I come in?
    May the 4th be with you
    Will you come?
    will you mark it
    I WILL BE LATE
    WILL YOU BE THERE
    Mark my words
    mark the date
    a rose is a rose
    Rose petals everywhere
    roses are red
    Stone cold
    that costs $1,299.99
    1 299,99 € pro Monat
    ¥13,912,345 is too much
    98,765.43 dollars
    ₹12,34,567 for the flat
    9 876 543 210 people
    on 2024-05-01 at 12:30
    01.02.2024 - 03.02.2024
    2019–2024
    version 2.14.3-rc1
    192.168.0.1:8080
    order 13912345678
    order no. 9812345678
    Bestellnummer 9812345678
    tracking #9812345678012
    commande n° 9812345678
    ISBN 978-3-16-148410-0
    订单号 13912345678
    1693182723000
    flight BA2490, gate 22, 14:05
    4111 1111 1111 1112
    round 3 of 12, 45 points
    sk-ip this one
    the ghp_ prefix
    eyJ is how tokens begin
    https://github.com/langchain-ai/langchain/pull/1234
    https://www.instagram.com/p/Cx1a2b3c4d/
    https://www.youtube.com/watch?v=dQw4w9WgXcQ
    https://x.com/i/events/123
    https://example.com/blog/2024/05/how-to-win-a-race
    pip install foo==1.2.3 --no-deps
    commit 9fceb02d0ae598e95dc970b74767f19372d6
    the password is wrong
    密码错了
    код не компилируется
    三点半见 🙂‍↕️
    الساعة ١٠:٣٠
    सुबह ८ बजे
    m² and ½ and 3º
    ❤️❤️❤️ 100%
    meet at the café (at noon)
    at 8 at the pub
    300 000 000 km
    ok 555
    20 30 40 50 push-ups
    between 2019 2020 and now
    the 2019-2024 plan
    250 000 000 views
    600 000 000 Menschen
    1 234 567 stars
    52.520008, 13.404954
    password reset please
    pw is wrong
    code 12 and 13 fail
    clave para 2 personas
    12345678 is a bad password
    日本の太陽
    田んぼの中
    the webbing is brown
    99 red balloons
"""
_MARKED = re.compile("⟦(.*?)⟧", re.DOTALL)


def hard_cases() -> list[HardCase]:
    """Return the cases: each line once, and accented names in five encodings."""
    cases = []
    for name in _ACCENTED:
        nfd = unicodedata.normalize("NFD", name)
        forms = {"NFC": name, "NFD": nfd, "upper case, NFD": nfd.upper()}
        forms["zero-width"] = f"{name[:1]}\u200b{name[1:]}"
        forms["soft hyphen"] = f"{name[:2]}\u00ad{name[2:]}"
        cases += [
            _case("name, accented", form, f"and then ⟦{written}⟧ left")
            for form, written in forms.items()
        ]
    for (kind, language), lines in _LINES.items():
        cases += [
            _case(kind, language, line.strip())
            for line in lines.strip("\n ").split("\n")
        ]
    return cases


def _case(kind: str, language: str, marked: str) -> HardCase:
    # If a line has several marks, the last one counts.
    span = list(_MARKED.finditer(marked))[-1]
    before = marked[: span.start()].replace("⟦", "").replace("⟧", "")
    after = marked[span.end() :]
    return HardCase(
        kind,
        language,
        f"{before}{span[1]}{after}",
        len(before),
        len(before) + len(span[1]),
    )
