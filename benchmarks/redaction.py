"""Recall and precision of Redact's rules on lines with known private places.

Run `python -m benchmarks.redaction` from the repository's root.

The lines are synthetic and our own (benchmarks/private_lines.py): 600 in
English, German, Spanish and French, with the numbers' check digits, with people who are
not in the export, and with lines that only look private; and 300 of other templates,
written after the rules ("held out"). A place counts as found if each of its letters and
digits is covered; a finding counts as right if it touches a private place, of whatever
kind.

The hard cases (benchmarks/hard_cases.py) are a third table: what is
found of each class, and how many of the harmless lines change.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence

from benchmarks.hard_cases import HARMLESS, KNOWN, hard_cases
from benchmarks.private_lines import PEOPLE, LabeledLine, labeled_lines
from langchain_chatexports.redaction.redactor import Redactor
from langchain_chatexports.redaction.spans import KINDS, Span

Detector = Callable[[str], list[Span]]

_LANGUAGES = ("en", "de", "es", "fr")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    for held_out in (False, True):
        lines = labeled_lines(options.seed, held_out=held_out)
        places = sum(len(line.spans) for line in lines)
        print(f"\n{len(lines)} lines{', held out' * held_out}, {places} private places")
        _print_table(lines, Redactor("benchmark", PEOPLE).spans)
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


def _print_table(lines: Sequence[LabeledLine], detect: Detector) -> None:
    # Load what is loaded on first use.
    detect("48 29 13 55, 529.982.247-25, DE89370400440532013000, 4111111111111111")
    begin = time.process_time()
    for line in lines:
        detect(line.text)
    seconds = time.process_time() - begin
    counted = counts(lines, detect)
    _print_share("precision", counted["right"], counted["findings"])
    for group in ("all", *KINDS):
        found, there = counted[f"{group} found"], counted[f"{group} there"]
        _print_share(f"recall: {group}", found, there)
    for group in _LANGUAGES:
        right, findings = counted[f"{group} right"], counted[f"{group} findings"]
        _print_share(f"precision in {group}", right, findings)
        found, there = counted[f"{group} found"], counted[f"{group} there"]
        _print_share(f"recall in {group}", found, there)
    print(f"{'microseconds a line':<22}{1e6 * seconds / len(lines):>20.0f}")


def _print_share(label: str, part: int, whole: int) -> None:
    if whole:
        print(f"{label:<22}{part:>6} of {whole:>4}{part / whole:>8.3f}")


if __name__ == "__main__":
    main()
