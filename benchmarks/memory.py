"""What a talk says about facts, with and without what it remembers.

```
python -m benchmarks.memory -o RESULTS [--base BASE] [--ways prompt tuned]
```

The person is the mother of `benchmarks/talks.py`, in German. Ten questions are answered
by a message of her export, and ten by none. An answer is right if it has the word that
says it, a refusal if it says that it does not know, and else invented. `RESULTS` are
those of `benchmarks.talks`, which trains.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.talks import Bench, Person
from langchain_chatexports import LocalServer
from langchain_chatexports.personas.talk import ChatSettings
from langchain_chatexports.workflows.memory import memory_of
from langchain_chatexports.workflows.talk import Speaker, voices_on

FACTS = {
    "Welche Blumen mag Oma?": ("Tulpe",),
    "Wann ist das Konzert vom Chor?": ("12", "Juni"),
    "Wohin ziehen die Müllers?": ("Kiel",),
    "Was singt ihr im Chor?": ("Brahms",),
    "Wer hat noch einen Schlüssel?": ("Berger",),
    "Wohin bist du mit dem roten Rad gefahren?": ("Bodensee",),
    "Wo ist mein neuer Job?": ("Bibliothek",),
    "Welche Farbe bekommen die Vorhänge?": ("blau",),
    "Wie lange schmoren die Rouladen?": ("zwei", "2 Stunden"),
    "Wer bringt beim Umzug den Anhänger mit?": ("Papa",),
}
UNKNOWN = (
    "Wann war der Urlaub in Portugal?",
    "Wie heißt der Hund von Tante Gisela?",
    "Wo steht das Klavier von Herrn Albers?",
    "Wer hat das Boot gekauft?",
    "Wie viele Kühe hat Bauer Petersen?",
    "Wann fliegt Katharina nach Norwegen?",
    "Wo liegt mein Reisepass aus Kanada?",
    "Wer hat den Marathon gewonnen?",
    "Welche Farbe hat der Wohnwagen?",
    "Wann kommt der Schornsteinfeger Schulz?",
)
_REFUSALS = ("weiß ich nicht", "weiß nicht", "weiß es nicht", "keine ahnung")


def count_answers(server: LocalServer, speaker: Speaker, export: Path | None) -> str:
    """Ask everything, and return how many answers were of which kind."""
    kinds: Counter[tuple[bool, str]] = Counter()
    paths = [] if export is None else [export]
    with memory_of(paths, person="Mama", language=speaker.language) as memory:
        settings = ChatSettings(seed=1, memory=memory)
        for question in (*FACTS, *UNKNOWN):
            (voice,) = voices_on(server, speaker, settings)
            voice.hear(question)
            answer = "".join(voice.answer()).casefold()
            kind = "invented"
            if any(word.casefold() in answer for word in FACTS.get(question, ())):
                kind = "right"
            elif any(refusal.casefold() in answer for refusal in _REFUSALS):
                kind = "unknown"
            kinds[question in FACTS, kind] += 1
    told = ", ".join(str(kinds[True, k]) for k in ("right", "unknown", "invented"))
    return f"{told} | {kinds[False, 'unknown']}, {kinds[False, 'invented']}"


def main() -> None:
    """Print how many answers are right, refused and invented."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--base", default=None)
    parser.add_argument("--ways", nargs="+", default=["prompt", "tuned"])
    parser.add_argument("--threads", type=int, default=None)
    given = parser.parse_args()
    given.base_name = Path(given.base).stem if given.base else "default"
    person = Person("mother", given.output)
    data = given.output / f"data-{given.base_name}"
    print("| way | told: right, unknown, invented | not told: unknown, invented |")
    print("|---|---|---|")
    with LocalServer(
        given.base, data_dir=data, share=True, threads=given.threads
    ) as server:
        bench = Bench(server, given)
        for way in given.ways:
            speaker = bench.speaker(person, way)
            for export, title in ((None, way), (person.export, f"{way}, remembers")):
                found = count_answers(server, speaker, export)
                print(f"| {title} | {found} |", flush=True)


if __name__ == "__main__":
    main()
