"""Nine Messenger threads of one owner, Harry Potter, as an export's folder."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from langchain_chatexports.samples.writing import SceneLine, read_scenes, write_folder

_OWNER = "Harry Potter"

# A real export lists members in any order, names threads in any case, and may end a
# path in a slash: the sample does all of it, as the tutorial's does.
_CLASSMATES = "classmates"
_GROWN_UPS = "grown-ups"


class _Thread(NamedTuple):
    folder: str
    friend: str
    file_name: str
    exchanges: int
    common: str | None = _CLASSMATES
    owner_first: bool = True
    path_end: str = ""
    ties: Sequence[int] = ()


# 26 moments for 78 messages: 52 of the 77 neighbors share one, up to six in a row.
_TIES = (1, 2, 6) * 8 + (1, 5)

_THREADS = (
    _Thread("GinnyWeasley", "Ginny Weasley", "Ginny_Weasley", 33),
    _Thread(
        "HermioneGranger", "Hermione Granger", "Hermione_Granger", 30, owner_first=False
    ),
    _Thread("LunaLovegood", "Luna Lovegood", "Luna_Lovegood", 39),
    _Thread("RonWeasley", "Ron Weasley", "Harry_Potter", 39),
    _Thread(
        "SiriusBlack",
        "Sirius Black",
        "Sirius_Black",
        33,
        _GROWN_UPS,
        owner_first=False,
        ties=_TIES,
    ),
    _Thread("dracomalfoy", "Draco Malfoy", "Draco_Malfoy", 36),
    _Thread("hagrid", "Rubeus Hagrid", "Hagrid", 32, _GROWN_UPS, owner_first=False),
    _Thread("nevillelongbottom", "Neville Longbottom", "Neville", 34),
    _Thread(
        "severussnape",
        "Severus Snape",
        "Severus_Snape",
        25,
        None,
        owner_first=False,
        path_end="/",
    ),
)

_SLOTS = {
    slot: words.split(", ")
    for slot, words in {
        "subject": "Charms, Herbology, Potions, Astronomy, Transfiguration, "
        "History of Magic",
        "place": "the library, the courtyard, the greenhouse, the great hall, "
        "the clock tower, the boathouse",
        "food": "pumpkin soup, shepherd's pie, apple crumble, mushroom stew, porridge",
        "day": "Monday, Tuesday, Wednesday, Thursday, Friday",
        "thing": "scarf, lantern, quill, kettle, notebook, compass, raincoat",
        "weather": "raining, snowing, foggy, windy, far too warm",
    }.items()
}

# Shares no factor with the number of exchanges in any bank, so all are drawn in turn.
_STRIDE = 5
_EXCHANGES_BETWEEN_AFTERTHOUGHTS = 4

_UTF8_BYTES = re.compile(r"[^\x00-\x7f]")

_MILLISECONDS_A_MINUTE = 60_000
_FIRST_THREAD_BEGINS = 1_693_555_200_000  # 2023-09-01 08:00 UTC
_BETWEEN_THREADS = 1_570 * _MILLISECONDS_A_MINUTE


def write_messenger(folder: str | Path = "hogwarts") -> Path:
    """Write nine threads of one owner, Harry Potter, as a Messenger export.

    The files are `<folder>/inbox/<thread>/messages_<Name>.json`, the same, byte for
    byte, at each call and on each machine.

    Args:
        folder: A new or empty folder; the same sample there is left as it is.

    Returns:
        The folder.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If something else is there. Nothing is written then.
    """
    scenes = read_scenes("hogwarts.txt")
    files = {}
    for number, thread in enumerate(_THREADS):
        text = json.dumps(
            _thread_json(thread, number, scenes), indent=2, ensure_ascii=False
        )
        name = f"inbox/{thread.folder}/messages_{thread.file_name}.json"
        files[name] = f"{_UTF8_BYTES.sub(_as_exported, text)}\n"
    return write_folder(folder, files)


def _thread_json(
    thread: _Thread, number: int, scenes: Mapping[str, list[SceneLine]]
) -> dict[str, Any]:
    people = [_OWNER, thread.friend]
    if not thread.owner_first:
        people.reverse()
    lines = list(_lines(thread, number, scenes))
    return {
        "participants": [{"name": name} for name in people],
        "messages": [
            {
                "sender_name": thread.friend if line.speaker == "Friend" else _OWNER,
                "timestamp_ms": moment,
                "content": line.text,
            }
            for line, moment in zip(lines, _moments(thread, number), strict=False)
        ],
        "title": thread.friend,
        "is_still_participant": True,
        "thread_path": f"inbox/{thread.folder}{thread.path_end}",
        "magic_words": [],
    }


def _lines(
    thread: _Thread, number: int, scenes: Mapping[str, list[SceneLine]]
) -> Iterator[SceneLine]:
    own, common = scenes[f"{thread.friend}: exchanges"], scenes.get(thread.common or "")
    spoken = [*own, *(common or ())]
    bank = list(zip(spoken[::2], spoken[1::2], strict=True))
    afterthoughts = iter(scenes.get(f"{thread.friend}: afterthoughts", ()))
    yield from scenes[f"{thread.friend}: opening"]
    for index in range(thread.exchanges):
        draw, place = divmod(index, len(bank))
        question, answer = bank[place * _STRIDE % len(bank)]
        words = _words(place + draw + number)
        yield SceneLine(question.speaker, question.text.format_map(words))
        if index % _EXCHANGES_BETWEEN_AFTERTHOUGHTS == 0:
            yield from islice(afterthoughts, 1)
        yield SceneLine(answer.speaker, answer.text.format_map(words))
    yield from scenes.get(f"{thread.friend}: closing", ())


def _words(index: int) -> dict[str, str]:
    # The index grows by one from one draw of an exchange to the next, so that each
    # time it comes with other words.
    words = {slot: options[index % len(options)] for slot, options in _SLOTS.items()}
    subjects = _SLOTS["subject"]
    return {**words, "other": subjects[(index + 2) % len(subjects)]}


def _moments(thread: _Thread, number: int) -> Iterator[int]:
    moment = _FIRST_THREAD_BEGINS + number * _BETWEEN_THREADS
    sizes = iter(thread.ties)
    index = 0
    while True:
        for _ in range(next(sizes, 1)):
            yield moment
        index += 1
        pause = 14 * 60 if index % 8 == 0 else 1 + index * 7 % 11
        moment += pause * _MILLISECONDS_A_MINUTE + index * 37 % 1_000


def _as_exported(match: re.Match[str]) -> str:
    """Escape each UTF-8 byte as a character of its own, as the exporter does."""
    return "".join(f"\\u{byte:04x}" for byte in match[0].encode())
