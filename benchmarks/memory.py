"""Answers about facts in talks, with and without memory.

```
python -m benchmarks.memory -o RESULTS [--base BASE] [--ways prompt tuned]
```

The person is the mother of `benchmarks/talks.py`, in German. For ten questions, a
message of her export has the answer; for ten others, there is no answer. A reply is
right if it has the word of the answer, a refusal if it contains a phrase such as "I
don't know", and otherwise invented. `RESULTS` is the folder of `benchmarks.talks`,
which has the trained models.
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
from langchain_chatexports.workflows.memory import open_memory
from langchain_chatexports.workflows.talk import Speaker, create_talks

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
    """Ask all questions, and return the number of replies of each type."""
    kinds: Counter[tuple[bool, str]] = Counter()
    paths = [] if export is None else [export]
    with open_memory(paths, person="Mama", language=speaker.language) as memory:
        settings = ChatSettings(seed=1, memory=memory)
        for question in (*FACTS, *UNKNOWN):
            (voice,) = create_talks(server, speaker, settings)
            voice.add_line(question)
            answer = "".join(voice.answer()).casefold()
            kind = "invented"
            if any(word.casefold() in answer for word in FACTS.get(question, ())):
                kind = "right"
            elif any(refusal.casefold() in answer for refusal in _REFUSALS):
                kind = "unknown"
            kinds[question in FACTS, kind] += 1
    known = ", ".join(str(kinds[True, k]) for k in ("right", "unknown", "invented"))
    return f"{known} | {kinds[False, 'unknown']}, {kinds[False, 'invented']}"


def main() -> None:
    """Print the number of correct, refused and invented replies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--base", default=None)
    parser.add_argument("--ways", nargs="+", default=["prompt", "tuned"])
    parser.add_argument("--threads", type=int, default=None)
    given = parser.parse_args()
    given.base_name = Path(given.base).stem if given.base else "default"
    person = Person("mother", given.output)
    data = given.output / f"data-{given.base_name}"
    print("| way | known: right, unknown, invented | unknown: unknown, invented |")
    print("|---|---|---|")
    with LocalServer(given.base, data_dir=data, threads=given.threads) as server:
        bench = Bench(server, given)
        for way in given.ways:
            speaker = bench.speaker(person, way)
            for export, title in ((None, way), (person.export, f"{way}, with memory")):
                counts = count_answers(server, speaker, export)
                print(f"| {title} | {counts} |", flush=True)


if __name__ == "__main__":
    main()
