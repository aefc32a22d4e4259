"""Recall and precision of Redact's rules, beside Presidio's default.

Run `python -m benchmarks.redaction` from the repository's root; with the extra `pii`
and a spaCy pipeline installed the columns of Presidio are filled (`--model`; `blank:en`
is Presidio without a model for names: its patterns alone).

The lines are synthetic and our own (tests/unit_tests/builders/private_lines.py): 600 in
English, German, Spanish and French, with the numbers' check digits, with people who are
not in the export, and with lines that only look private; and 300 of other templates,
written after the rules ("held out"). A place counts as found if
each of its letters and digits is covered; a finding counts as right if it touches a
private place, of whatever kind. Presidio's dates and nationalities are left aside: they
are not looked for here.

The hard cases (tests/unit_tests/builders/hard_cases.py) are a third table: what is
found of each class, and how many of the harmless lines change.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.redaction import KINDS, Span, without_overlap
from langchain_chatexports.redaction.presidio import presidio_engine
from langchain_chatexports.redaction.redactor import Redactor
from tests.unit_tests.builders.hard_cases import HARMLESS, KNOWN, hard_cases
from tests.unit_tests.builders.private_lines import PEOPLE, LabeledLine, labeled_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Detector = Callable[[str], list[Span]]

_LANGUAGES = ("en", "de", "es", "fr")
_NOT_LOOKED_FOR = {"DATE_TIME", "NRP"}


def main() -> None:
    """Print one table for all detectors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="en_core_web_lg", help="a spaCy pipeline")
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    ours = Redactor("benchmark", PEOPLE)
    detectors: dict[str, Detector] = {"ours": ours.spans}
    try:
        presidio = _presidio(options.model)
        detectors["Presidio"] = presidio
        detectors["both"] = lambda text: without_overlap(
            [*ours.spans(text), *presidio(text)]
        )
    except ChatExportError as error:
        print(f"Without Presidio: {error}")
    for held_out in (False, True):
        lines = labeled_lines(options.seed, held_out=held_out)
        places = sum(len(line.spans) for line in lines)
        print(f"\n{len(lines)} lines{', held out' * held_out}, {places} private places")
        _print_table(lines, detectors)
    _print_hard_cases()


def counts(lines: Sequence[LabeledLine], detect: Detector) -> Counter[str]:
    """Count what is there and found, by kind and language, and the findings."""
    counted = Counter[str]()
    for line in lines:
        findings = detect(line.text)
        counted["findings"] += len(findings)
        counted["right"] += sum(_is_right(finding, line) for finding in findings)
        for span in line.spans:
            found = _is_covered(line.text, span, findings)
            for group in ("all", span.kind, line.language):
                counted[f"{group} there"] += 1
                counted[f"{group} found"] += found
        counted[f"{line.language} findings"] += len(findings)
        counted[f"{line.language} right"] += sum(_is_right(f, line) for f in findings)
    return counted


def count_hard_cases() -> tuple[Counter[str], Counter[str]]:
    """Count the hard cases, and those found, by class."""
    redactor = Redactor("benchmark", KNOWN)
    there, found = Counter[str](), Counter[str]()
    for case in hard_cases():
        place = Span(case.start, case.end, case.kind)
        there[case.kind] += 1
        found[case.kind] += _is_covered(case.text, place, redactor.spans(case.text))
    return there, found


def changed_harmless_lines() -> list[str]:
    """Return the harmless lines in which something is found."""
    redactor = Redactor("benchmark", KNOWN)
    lines = [line.strip() for line in HARMLESS.strip().splitlines()]
    return [line for line in lines if redactor.spans(line)]


def _print_hard_cases() -> None:
    there, found = count_hard_cases()
    print(f"\n{there.total()} hard cases")
    for kind, count in there.items():
        print(f"{kind:<26}{found[kind]:>4} of {count:>4}")
    print(f"{'all':<26}{found.total():>4} of {there.total():>4}")
    lines = len(HARMLESS.strip().splitlines())
    print(f"harmless lines that change: {len(changed_harmless_lines())} of {lines}")


def _presidio(model: str) -> Detector:
    engine, language = presidio_engine(model)
    entities = [
        entity
        for entity in engine.get_supported_entities(language)
        if entity not in _NOT_LOOKED_FOR
    ]

    def detect(text: str) -> list[Span]:
        found = engine.analyze(text=text, language=language, entities=entities)
        return without_overlap(Span(item.start, item.end, "found") for item in found)

    return detect


def _is_right(finding: Span, line: LabeledLine) -> bool:
    return any(
        finding.start < span.end and span.start < finding.end for span in line.spans
    )


def _is_covered(text: str, span: Span, findings: Sequence[Span]) -> bool:
    return all(
        any(finding.start <= index < finding.end for finding in findings)
        for index in range(span.start, span.end)
        if text[index].isalnum()
    )


def _print_table(lines: Sequence[LabeledLine], detectors: dict[str, Detector]) -> None:
    counted, seconds = {}, {}
    for name, detect in detectors.items():
        detect(lines[0].text)
        begin = time.perf_counter()
        counted[name] = counts(lines, detect)
        seconds[name] = time.perf_counter() - begin
    print(f"{'':<22}{'places':>8}" + "".join(f"{name:>12}" for name in detectors))
    _print_shares("precision", [(c["right"], c["findings"]) for c in counted.values()])
    for group in ("all", *KINDS):
        _print_shares(
            f"recall: {group}",
            [(c[f"{group} found"], c[f"{group} there"]) for c in counted.values()],
            show_number=True,
        )
    for group in _LANGUAGES:
        _print_shares(
            f"precision in {group}",
            [(c[f"{group} right"], c[f"{group} findings"]) for c in counted.values()],
        )
        _print_shares(
            f"recall in {group}",
            [(c[f"{group} found"], c[f"{group} there"]) for c in counted.values()],
            show_number=True,
        )
    cells = "".join(f"{1e6 * s / len(lines):>12.0f}" for s in seconds.values())
    print(f"{'microseconds a line':<30}{cells}")


def _print_shares(
    label: str, shares: list[tuple[int, int]], *, show_number: bool = False
) -> None:
    cells = "".join(
        f"{part / whole:>12.3f}" if whole else f"{'-':>12}" for part, whole in shares
    )
    number = str(shares[0][1]) if show_number else ""
    print(f"{label:<22}{number:>8}{cells}")


if __name__ == "__main__":
    main()
