"""Words of the 12-hour clock, before noon and after it, in all languages.

Those of Unicode CLDR 47, which the phones' date formatters follow: the wide and the
abbreviated ones, not the narrow ones, which collide. `ip.` is before noon in Inari Sami
and after it in Finnish, `ut` the other way round in Greenlandic and Embu; the language
with more speakers has the word.
"""

from __future__ import annotations

import re

__all__ = ["add_to_hour", "is_period"]

# Unlike the others these are periods of CLDR's field "B", which Taiwan uses.
_BEFORE_NOON_IN_TAIWAN = ("凌晨", "清晨", "早上")
_AFTER_NOON_IN_TAIWAN = ("中午", "晚上")

_IGNORED = re.compile(r"[\s._\u200b-\u200f\u202a-\u202e\u2066-\u2069\u061c\ufeff]+")


def is_period(word: str) -> bool:
    """Return whether a word is one of the 12-hour clock."""
    return _key(word) in _PERIODS


def add_to_hour(hour: int, word: str) -> int | None:
    """Return the hour of the day for an hour of the 12-hour clock and its word.

    Args:
        hour: The hour as it stands.
        word: The word before or after the time.

    Returns:
        0 to 23; `None` if there is no such word or hour.
    """
    is_after_noon = _PERIODS.get(_key(word))
    if is_after_noon is None or hour > 23:  # noqa: PLR2004 - hours of a day
        return None
    if hour > 12:  # noqa: PLR2004 - a 24-hour clock that writes the word, too
        return hour
    return hour % 12 + 12 * is_after_noon


def _key(word: str) -> str:
    return _IGNORED.sub("", word).casefold()


_BEFORE_NOON = """
    a adduha ag am amvormittag an ap atm banhaet bn braxkndaax comme de
    delmatin dinda dop dopoldne eparadites fh fm ft gh hengihengi hh hoseng i/m
    iarmade ib icheheavo isuk karoon ki kiroko krn lb leebi lumalwak lwamilawu m
    ma makeo mambia mat matin moies muhi munkyo nd ntufat od pagi/siang pamilau
    paradite pd pg pg/sg piopensuno prijepodne rn rw sa saaku safiya sf sokallim
    soodo sub subaka subbaahi taparachu tesiran tifawt to too ulloqeqqata-tungaa
    uluchelo ut utuko vaasisu vm vorm vormittag wd wichishu yb zdatazal zmu
    ankstāinan antemidí damanhã delamañana dopołdnja dopołedniŏ förmiddag fọmọ́nin
    goöň göň günortadanöň ibikɛ̂glà idiɓa iđitbeaivet iđitbeaivi kang’ama kiɛmɛ́ɛm
    kíkíríg manhã maná mañana mbaʼámbaʼ mbaꞌmbaꞌ ntɔ́ngɔ́ n’ụtụtụ priekšp
    priekšpusdiena priekšpusdienā priešpiet prīškpušdīnē rũ sárúwá uhrvörmiddaachs
    vörmeddaach àárɔ̀ àárọ̀ öö ĩyakwakya ŋdi ǁgoagas ɛnkakɛnyá ʊshilèkʊboɖu πμ ам
    апоўначы дп обедтэикеле преподне претпл пријеподне проб таңкы то тң эи үө
    ӕмбисбоныразмӕ פֿאַרמיטאָג اےایم بن تد ص صباحا صباحًا صبح،منجهند غم قبلازظهر
    قظ چب چۈشتىنبۇرۇن ܏ܩܛ ߛ एएम तडके दुपहरब्रोंठ पूर्वाह्न फुं भोर भ्यागा येएम
    सकाळीं सबेरे सवेर सुबुहजा এএম নুমাং ਪੂਦੁ ଏଏମ ପୂର୍ବାହ୍ନ ఎఎమ్ පෙව ก่อนเที่ยง
    ກ່ອນທ່ຽງ སྔ་ཆ་ སྔ་དྲོ་ နံနက် ማለዶ ቀደምሰርምዕል ቅቀ ጥዋት ጽባሕ ፋዱስጃብ ᏌᎾᎴ ᐁᒼ ᐊᒼ ᠦ᠂ᠥ ᱥᱮᱛᱟᱜ
    ⵜⵉⴼⴰⵡⵜ 上午 午前 ꎸꄑ 오전 𐐰𐑋 𐑨𐑥 𞤢𞤰
"""
_AFTER_NOON = """
    ak akasuba aluula amnamittag anw banringzgvaq baubaukndaax carra ch chilo
    datarde delatarde desira dilolo du e/m ea eahketbeaivet eahketbeaivi eb ebongi
    efiafi eftermade eftermiddag eh eigulo em ep epasdites ew f fi gd gm hawwaro
    ichamthi in ip kingoto koosk kooskoliny kyiukonyi lilli lk lumalwap makaaripi
    md mo mog muu nam namittag ngo nm nommendaach ntmeddit nyiaghuo odp ot p
    pamunyi papussideinan pasdite pashamihe pipinisuno pm pn pop popiet popodne
    popoldne ptg ptm sanje shwane sn soir sr/mlm tarde teipa thapama tk
    uhrnommendaachs uk ulloqeqqata-kingorna wb wengi yamma yh ym zaarikayb zmw
    cɛɛ́nko ebyámu fọívnin gosoň gsoň günortadansoň hwaĩ-inĩ iɓugajɔp kikiiɗe
    kisɛ́ndɛ kugú mchochil’l mpókwa ncwònzém ngəgógəle nomëttes n’abali n’abalị
    piecpušdīnē popołdnju popołedniu posmidí pēcp pēcpusd pēcpusdiena pēcpusdienā
    soré/malem tadggʷat tŋ wótp wótpołdnja ös ĩyawĩoo ŋkambɔ́tnji ũg ǃuias ɔ̀sán
    ɛndámâ ɣetrɔ ʊshilèkʊsasʊ μμ апоўдні обедтэмейле пм попл поподне послијеподне
    пп слоб тк түштөнкийинки эк үх ӕмбисбоныфӕстӕ נאָכמיטאָג بظ بعدازظهر تك دن
    شام،منجهند غو م مساء مساءً منجهند،شام پیایم چك چۈشتىنكېيىن ܏ܒܛ ߥ अपराह्न
    दपेहरा/संजा दपैहरबाद दुपहरपतॖ पीएम बेलासे शामजा सांजे सांझ सांम स’ञ পিএম ਬਾਦੁ
    ଅପରାହ୍ନ ପିଏମ పిఎమ్ පව หลังเที่ยง ຫຼັງທ່ຽງ ཕྱི་ཆ་ ཕྱི་དྲོ་ ညနေ ሓቆስርምዕል ምሴት ቃማ
    ከሰዓት ድቀ ፋዱስደምቢ ᏒᎯᏱᎢ ᏒᎯᏱᎢᏗᏢ ᐲᒼ ᠦ᠂ᠬᠣ ᱧᱤᱫᱟᱹ ḍeffiraza ọ̀sán ⵜⴰⴷⴳⴳⵯⴰⵜ 下午 午後 ꁯꋒ 오후
    𐐹𐑋 𐑐𐑥 𞤩𞤰
"""

_PERIODS = {
    **dict.fromkeys((*_BEFORE_NOON.split(), *_BEFORE_NOON_IN_TAIWAN), False),
    **dict.fromkeys((*_AFTER_NOON.split(), *_AFTER_NOON_IN_TAIWAN), True),
}
