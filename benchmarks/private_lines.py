"""Invented chat lines with labeled private data, in four languages.

Templates and values are invented; numbers have valid check digits. The lines also
contain data that rules cannot find, such as names of people who are not in the export,
numbers in unusual groups, and words that are also names.
"""

import random
import re
import string
from collections.abc import Callable
from dataclasses import dataclass

from langchain_chatexports.redaction.spans import Span


@dataclass(frozen=True)
class LabeledLine:
    """A line with its language and private spans, in order."""

    text: str
    language: str
    spans: tuple[Span, ...]


PEOPLE = (
    *("Ann Lee", "Mark Hollis", "Rose Tyndall", "Priya Raman", "Will O'Brien"),
    *("Jürgen Brandt", "Heide Vollmer", "Ernst Kowalke", "Svenja Oltmanns"),
    *("José Ibáñez", "Pilar Echeverri", "Lucía Montejo", "Sol Arriaga"),
    *("Chloé Deschamps", "Pierre Vasseur", "Noémie Aubert", "Théo Garnault"),
    *("annlee92", "svenja.o", "@jose_ib", "Chlo"),
)
"""The names, nicknames and handles of the export."""

_FIRST = {
    "en": ("Ann", "Mark", "Rose", "Priya", "Will"),
    "de": ("Jürgen", "Heide", "Ernst", "Svenja"),
    "es": ("José", "Pilar", "Lucía", "Sol"),
    "fr": ("Chloé", "Pierre", "Noémie", "Théo"),
}
_FULL = {
    "en": ("Ann Lee", "Mark Hollis", "Rose Tyndall", "Priya Raman", "Will O'Brien"),
    "de": ("Jürgen Brandt", "Heide Vollmer", "Ernst Kowalke", "Svenja Oltmanns"),
    "es": ("José Ibáñez", "Pilar Echeverri", "Lucía Montejo", "Sol Arriaga"),
    "fr": ("Chloé Deschamps", "Pierre Vasseur", "Noémie Aubert", "Théo Garnault"),
}
_LOWER = {
    "en": ("ann", "priya"),
    "de": ("jürgen", "svenja", "juergen"),
    "es": ("jose", "lucia", "josé"),
    "fr": ("chloe", "noemie", "théo", "chlo"),
}
_OUTSIDERS = {
    "en": ("Dorothy Kemp", "Malcolm", "Tess"),
    "de": ("Frau Petersen", "Torben", "Wiebke"),
    "es": ("Ramiro", "Jimena Costas", "doña Elvira"),
    "fr": ("Madame Lacroix", "Bastien", "Solène"),
}
_GENITIVE = {
    "en": ("Ann's", "Priya's", "Rose's"),
    "de": ("Jürgens", "Svenjas"),
    "es": ("José",),
    "fr": ("Théo",),
}


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice(string.digits) for _ in range(count))


def _phone(rng: random.Random, language: str) -> str:
    d = rng.randint
    forms = {
        "en": (
            f"({d(201, 989)}) 555-{d(1000, 9999)}",
            f"{d(201, 989)}-555-{d(1000, 9999)}",
            f"+1 {d(201, 989)} 555 {d(1000, 9999)}",
            f"{d(201, 989)}.555.{d(1000, 9999)}",
            f"07700 {d(900100, 900999)}",
            f"+44 7700 {d(900100, 900999)}",
            f"{d(201, 989)}555{d(1000, 9999)}",
            f"555-{d(1000, 9999)}",
        ),
        "de": (
            f"+49 171 {d(1000000, 9999999)}",
            f"0171 {d(1000000, 9999999)}",
            f"0171/{d(1000000, 9999999)}",
            f"030 {d(100, 999)} {d(10, 99)} {d(100, 999)}",
            f"0049151{d(10000000, 99999999)}",
            f"(040) {d(100000, 9999999)}",
        ),
        "es": (
            f"6{d(10, 99)} {d(100, 999)} {d(100, 999)}",
            f"6{d(10, 99)} {d(10, 99)} {d(10, 99)} {d(10, 99)}",
            f"+34 6{d(10, 99)} {d(100, 999)} {d(100, 999)}",
            f"6{d(10000000, 99999999)}",
            f"91 {d(100, 999)} {d(10, 99)} {d(10, 99)}",
        ),
        "fr": (
            f"06 {d(10, 99)} {d(10, 99)} {d(10, 99)} {d(10, 99)}",
            f"+33 6 {d(10, 99)} {d(10, 99)} {d(10, 99)} {d(10, 99)}",
            f"06{d(10000000, 99999999)}",
            f"01.{d(10, 99)}.{d(10, 99)}.{d(10, 99)}.{d(10, 99)}",
            f"07-{d(10, 99)}-{d(10, 99)}-{d(10, 99)}-{d(10, 99)}",
        ),
    }
    return rng.choice(forms[language])


def _email(rng: random.Random, language: str) -> str:
    user = rng.choice(("tess.k", "wiebke-p", "ramiro77", "b.lacroix", "info", "j_c+x"))
    host = rng.choice(
        ("example.org", "mail.example.com", "post.example.net", "uni.example.com")
    )
    return f"{user}@{host}" if language != "en" else f"{user.title()}@{host}"


def _card(rng: random.Random, language: str) -> str:
    del language
    body = rng.choice("45") + _digits(rng, 14)
    for last in string.digits:
        digits = [int(c) for c in reversed(body + last)]
        total = sum(digits[::2]) + sum(sum(divmod(2 * x, 10)) for x in digits[1::2])
        if total % 10 == 0:
            number = body + last
            groups = [number[i : i + 4] for i in range(0, 16, 4)]
            return rng.choice((" ", "-", "")).join(groups)
    raise AssertionError


def _iban(rng: random.Random, language: str) -> str:
    country, length = {
        "en": ("GB", 18),
        "de": ("DE", 18),
        "es": ("ES", 20),
        "fr": ("FR", 23),
    }[language]
    bank = "NWBK" if country == "GB" else _digits(rng, 4)
    body = bank + _digits(rng, length - 4)
    number = "".join(str(int(c, 36)) for c in body + country + "00")
    iban = f"{country}{98 - int(number) % 97:02}{body}"
    if rng.random() < 0.6:  # noqa: PLR2004 - a share
        return " ".join(iban[i : i + 4] for i in range(0, len(iban), 4))
    return iban if rng.random() < 0.7 else iban.lower()  # noqa: PLR2004 - a share


def _account(rng: random.Random, language: str) -> str:
    del language
    return _digits(rng, rng.choice((8, 10)))


def _code(rng: random.Random, language: str) -> str:
    del language
    first, second = rng.randint(100, 999), rng.randint(100, 999)
    return rng.choice(
        (f"{first}{second}", f"{first} {second}", f"{first}{second % 10}")
    )


def _password(rng: random.Random, language: str) -> str:
    del language
    return rng.choice(
        ("hunter2", "Tr0ub4dor&3", "bluefish!9", "swordfish", "K4tze_miau", "l33tpw#x")
    )


def _secret_link(rng: random.Random, language: str) -> str:
    del language
    token = "".join(rng.choice(string.ascii_letters + string.digits) for _ in range(24))
    return rng.choice(
        (
            f"https://shop.example.com/reset?token={token}",
            f"https://files.example.org/s/{token}7a",
            f"https://chat.whatsapp.com/{token}",
            f"https://zoom.us/j/{_digits(rng, 10)}?pwd={token[:10]}",
            f"https://bob:{token[:8]}@git.example.org/repo.git",
            f"https://docs.google.com/document/d/{token}/edit",
        )
    )


_ADDRESSES = {
    "en": (
        "12 Oak Street",
        "221 Baker St",
        "1600 Maple Avenue, Springfield",
        "48 High Road, London N17 6QN",
        "7 elm road",
        "Flat 3, 90 Queens Drive",
        "5 Harbor Lane Apt 4b",
    ),
    "de": (
        "Lindenstraße 12",
        "Goethestr. 5, 10115 Berlin",
        "Am Alten Markt 3",
        "Hauptstr 7b",
        "lindenweg 4",
        "Berliner Allee 101",
        "Ringstraße 9, 80331 München",
    ),
    "es": (
        "calle de Alcalá 45",
        "Calle Mayor 5, 3º B",
        "Avenida de la Constitución, 20",
        "c/ Toledo 8",
        "plaza España 1, 28008 Madrid",
        "calle del pez 14",
    ),
    "fr": (
        "12 rue de la Paix",
        "3 bis avenue Victor Hugo, 75016 Paris",
        "27, boulevard Voltaire",
        "8 place des Vosges",
        "14 allée des tilleuls",
        "5 impasse du Moulin",
    ),
}

_MAKERS: dict[str, tuple[str, Callable[[random.Random, str], str]]] = {
    "first": ("name", lambda rng, lang: rng.choice(_FIRST[lang])),
    "full": ("name", lambda rng, lang: rng.choice(_FULL[lang])),
    "lower": ("name", lambda rng, lang: rng.choice(_LOWER[lang])),
    "genitive": ("name", lambda rng, lang: rng.choice(_GENITIVE[lang])),
    "outsider": ("name", lambda rng, lang: rng.choice(_OUTSIDERS[lang])),
    "handle": (
        "handle",
        lambda rng, _: rng.choice(("annlee92", "svenja.o", "jose_ib")),
    ),
    "phone": ("phone", _phone),
    "email": ("email", _email),
    "card": ("card", _card),
    "iban": ("account", _iban),
    "account": ("account", _account),
    "code": ("code", _code),
    "password": ("password", _password),
    "link": ("link", _secret_link),
    "address": ("address", lambda rng, lang: rng.choice(_ADDRESSES[lang])),
}

_TEMPLATES = {
    "en": """
        hey {first}, are you still coming?
        {first}! where are you
        did {lower} tell you about saturday
        that was {genitive} idea, not mine
        I saw {full} at the station today
        ok so {full} and {first} are in, anyone else?
        ask {lower}, she knows
        ran into {outsider} again, she says hi
        {outsider} from work is leaving :(
        follow me, I'm @{handle} there
        my new number is {phone}
        call {first} on {phone} if you get lost
        {phone} is the landlord's
        text me at {phone}, this one is dead
        send it to {email} please
        {email} bounced, do you have another one?
        we live at {address} now
        the party is at {address}, ring twice
        parcel goes to {address} right?
        use my card {card} exp 04/29
        {card} and the cvc is on the back
        transfer it to {iban} thanks
        account number {account}, same bank as before
        sort code as usual and my account is {account}
        your verification code is {code}
        {code} is your code, don't share it
        google says the code is {code}, quick
        wifi password: {password}
        the password for netflix is {password}
        pw is {password}
        use {password} for the wifi
        join here {link}
        reset link {link} valid for an hour
        can you mark the date, will you?
        may I call you later or will that wake you up
        the rose in the garden is finally out
        it was 1200 dollars in 2019 and 1500 in 2024
        see you at 10:30, bring 2 bottles and 12 eggs
        order 20240501-33 shipped, arrives 05/12/2024
        my zip code is 90210 lol
        look https://news.example.com/2024/05/hare-beats-tortoise
        the password is wrong again
        lol no way
        it's a 5 minute drive, 3 miles max
        version 2.14.3 broke it, back to 1.9
        flight BA2490 lands 14:05 gate 22
        he scored 45 points in 12 games
        room 4021 second floor
        the code doesn't compile
        haha yes!! 100%
    """,
    "de": """
        {first}, kommst du heute noch?
        hat {lower} schon was gesagt
        das ist {genitive} Fahrrad
        habe {full} am Bahnhof getroffen
        {full} und {first} sind dabei
        frag doch {lower}
        {outsider} hat wieder angerufen
        ich war gestern bei {outsider}
        folg mir, ich bin @{handle}
        meine neue Nummer ist {phone}
        ruf {first} unter {phone} an
        {phone} ist der Vermieter
        schick es bitte an {email}
        {email} geht nicht mehr
        wir wohnen jetzt in der {address}
        die Feier ist {address}, zweimal klingeln
        Paket bitte an {address}
        nimm meine Karte {card} gültig bis 04/29
        überweis es auf {iban} danke
        Kontonummer {account}, gleiche Bank
        dein Bestätigungscode lautet {code}
        {code} ist dein Code, nicht weitergeben
        die TAN ist {code}, schnell
        WLAN Passwort: {password}
        das Passwort für netflix ist {password}
        Kennwort lautet {password}
        nimm {password} fürs wlan
        hier der Link {link}
        zum Zurücksetzen {link} gilt eine Stunde
        das meine ich ernst
        die Heide blüht schon, sehr schön
        das waren 2019 noch 1200 Euro, jetzt 1500
        bis 10:30 Uhr, bring 2 Flaschen mit
        am 01.02.2024 um 18:30 Uhr geht's los
        bin in 5 Minuten da, noch 3 km
        Bestellung 20240501-33 ist unterwegs
        PLZ ist 10115 glaube ich
        schau https://news.example.de/2024/05/hase-gegen-igel
        das Passwort ist falsch
        haha genau
        Parkplatz 12 ist frei
        Version 2.14.3 geht nicht
        Zug ICE 1045 Gleis 7
        er hat 45 Punkte in 12 Spielen
        kein Plan ehrlich
        weg 3 Stunden lang
        Zimmer 4021 im zweiten Stock
        100% sicher
    """,
    "es": """
        {first}, vienes hoy?
        ya te lo dijo {lower}
        la bici es de {genitive}
        he visto a {full} en la estación
        {full} y {first} se apuntan
        pregúntale a {lower}
        {outsider} ha vuelto a llamar
        ayer estuve con {outsider}
        sígueme, soy @{handle}
        mi número nuevo es {phone}
        llama a {first} al {phone}
        {phone} es del casero
        mándalo a {email} porfa
        {email} ya no funciona
        ahora vivimos en {address}
        la fiesta es en {address}, llama dos veces
        el paquete a {address}
        usa mi tarjeta {card} caduca 04/29
        la transferencia a {iban} gracias
        número de cuenta {account}, el mismo banco
        tu código de verificación es {code}
        {code} es tu código, no lo compartas
        el código es {code}, corre
        contraseña del wifi: {password}
        la contraseña de netflix es {password}
        la clave es {password}
        usa {password} para el wifi
        entra aquí {link}
        para restablecer {link} vale una hora
        hace mucho sol hoy
        la pilar del puente se cayó
        eran 1200 euros en 2019 y ahora 1500
        a las 10:30, trae 2 botellas
        el 01/02/2024 a las 18:30
        está a 5 minutos, 3 km
        pedido 20240501-33 en camino
        el código postal es 28008 creo
        mira https://news.example.es/2024/05/liebre-y-tortuga
        la contraseña es incorrecta
        jajaja sí
        la versión 2.14.3 no va
        el vuelo IB3166 sale 14:05
        metió 45 puntos en 12 partidos
        ni idea la verdad
        habitación 4021 segunda planta
        100% seguro
    """,
    "fr": """
        {first}, tu viens ce soir ?
        {lower} te l'a déjà dit
        c'est le vélo de {genitive}
        j'ai vu {full} à la gare
        {full} et {first} sont partants
        demande à {lower}
        {outsider} a encore appelé
        hier j'étais chez {outsider}
        suis-moi, je suis @{handle}
        mon nouveau numéro : {phone}
        appelle {first} au {phone}
        {phone} c'est le proprio
        envoie-le à {email} stp
        {email} ne marche plus
        on habite maintenant {address}
        la fête est au {address}, sonne deux fois
        le colis au {address}
        prends ma carte {card} exp 04/29
        fais le virement sur {iban} merci
        numéro de compte {account}, même banque
        ton code de vérification est {code}
        {code} est ton code, ne le partage pas
        le code c'est {code}, vite
        mot de passe wifi : {password}
        le mot de passe pour netflix est {password}
        mdp: {password}
        prends {password} pour le wifi
        entre ici {link}
        pour réinitialiser {link} valable une heure
        quelle belle pierre dans le jardin
        c'est joyeux noël quoi
        c'était 1200 euros en 2019, 1500 maintenant
        à 10:30, apporte 2 bouteilles
        le 01/02/2024 à 18h30
        c'est à 5 minutes, 3 km
        commande 20240501-33 expédiée
        le code postal c'est 75016 je crois
        regarde https://news.example.fr/2024/05/lievre-et-tortue
        le mot de passe est incorrect
        mdr oui
        la version 2.14.3 plante
        le vol AF1680 part à 14h05
        il a mis 45 points en 12 matchs
        aucune idée franchement
        chambre 4021 deuxième étage
        100% sûr
    """,
}
# Written after the rules, and not used to correct them.
_HELD_OUT_TEMPLATES = {
    "en": """
        {phone}, that's my work cell
        could you forward {email} the invoice, cc {lower}
        {full} owes me 20 bucks
        pls pay {iban} by friday
        just got {code} by sms, is that the login code?
        our netflix pw: {password}
        moving to {address} in june!!
        my card number's {card} ok
        {first} and {outsider} are dating, apparently
        ur otp is {code}
        {link} <- don't share this one
        drop it off at {address} please, {first}'s there
        she turned 42 on 12/05, 300 people came
        the will was read on monday
        that's 3,500 calories, 2x a day
        ok 555 lol
    """,
    "de": """
        {phone} geht immer
        kannst du {email} die Rechnung schicken, cc {lower}
        {full} schuldet mir 20 Euro
        bitte an {iban} bis Freitag
        hab grad {code} per sms bekommen, ist das der Code?
        netflix pw: {password}
        wir ziehen im Juni in die {address}
        Kartennummer ist {card} ok
        {first} und {outsider} sind jetzt zusammen
        dein Einmalcode: {code}
        {link} nicht weitergeben
        gib es in der {address} ab, {first} ist da
        sie wurde am 12.05. 42, 300 Leute kamen
        der Ernst des Lebens
        das sind 3.500 Kalorien, 2x am Tag
        ok 555 lol
    """,
    "es": """
        {phone}, ese es el del trabajo
        puedes reenviar a {email} la factura, con copia a {lower}
        {full} me debe 20 pavos
        paga a {iban} antes del viernes
        me llegó {code} por sms, ¿es el código?
        la contraseña es: {password}
        nos mudamos a {address} en junio
        el número de mi tarjeta es {card} vale
        {first} y {outsider} están saliendo
        tu código de acceso: {code}
        {link} no lo compartas
        déjalo en {address}, está {first}
        cumplió 42 el 12/05, vinieron 300 personas
        qué sol hace
        son 3.500 calorías, 2 veces al día
        vale 555 jaja
    """,
    "fr": """
        {phone}, c'est celui du boulot
        tu peux transférer la facture à {email}, copie à {lower}
        {full} me doit 20 balles
        paie sur {iban} avant vendredi
        j'ai reçu {code} par sms, c'est le code ?
        le mdp de netflix : {password}
        on déménage au {address} en juin
        mon numéro de carte c'est {card} ok
        {first} et {outsider} sortent ensemble
        votre code de connexion : {code}
        {link} à ne pas partager
        dépose-le au {address}, {first} est là
        elle a eu 42 ans le 12/05, 300 personnes sont venues
        la pierre qui roule
        ça fait 3 500 calories, 2 fois par jour
        ok 555 mdr
    """,
}
_SLOT = re.compile(r"\{(\w+)\}")
_ROUNDS = 6


def labeled_lines(seed: int = 2026, *, held_out: bool = False) -> list[LabeledLine]:
    """Create the lines, several per template with different values."""
    rng = random.Random(seed)
    lines = {}
    for language, templates in (
        _HELD_OUT_TEMPLATES if held_out else _TEMPLATES
    ).items():
        for template in templates.strip().splitlines():
            for _ in range(_ROUNDS if "{" in template else 1):
                line = _fill(template.strip(), language, rng)
                lines[line.text] = line
    return list(lines.values())


def _fill(template: str, language: str, rng: random.Random) -> LabeledLine:
    text, spans, end = "", [], 0
    for slot in _SLOT.finditer(template):
        kind, make = _MAKERS[slot[1]]
        value = make(rng, language)
        text += template[end : slot.start()]
        # Titles and endings are not part of a name.
        ending = r"(?:'s|s)$" if slot[1] == "genitive" and language in "ende" else "$"
        title = r"^(?:Frau|doña|Madame) "
        private = re.sub(title, "", re.sub(ending, "", value))
        start = len(text) + value.index(private)
        spans.append(Span(start, start + len(private), kind))
        text += value
        end = slot.end()
    return LabeledLine(text + template[end:], language, tuple(spans))
