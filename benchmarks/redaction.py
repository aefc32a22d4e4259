"""Recall and precision of Redact's rules on lines with labeled private data.

Run `python -m benchmarks.redaction` from the repository's root.

The lines are invented (benchmarks/private_lines.py): 600 in English, German, Spanish
and French, with valid check digits, people who are not in the export, and lines that
only look private; and 300 from other templates, written after the rules ("held out").
Private data counts as found if each of its letters and digits is covered; a finding
counts as right if it overlaps private data of any kind.

A third table has the hard cases (benchmarks/hard_cases.py): how many of each class are
found, and how many harmless lines change.
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
        spans = sum(len(line.spans) for line in lines)
        print(f"\n{len(lines)} lines{', held out' * held_out}, {spans} private spans")
        _print_table(lines, Redactor("benchmark", PEOPLE).find_spans)
    _print_hard_cases()


def counts(lines: Sequence[LabeledLine], detect: Detector) -> Counter[str]:
    """Count the private spans and the findings, by kind and language."""
    counted = Counter[str]()
    for line in lines:
        findings = detect(line.text)
        counted["findings"] += len(findings)
        counted["right"] += sum(_is_right(finding, line) for finding in findings)
        for span in line.spans:
            found = _is_covered(line.text, span, findings)
            for group in ("all", span.kind, line.language):
                counted[f"{group} expected"] += 1
                counted[f"{group} found"] += found
        counted[f"{line.language} findings"] += len(findings)
        counted[f"{line.language} right"] += sum(_is_right(f, line) for f in findings)
    return counted


def count_hard_cases() -> tuple[Counter[str], Counter[str]]:
    """Count all hard cases and the found ones, by class."""
    redactor = Redactor("benchmark", KNOWN)
    expected, found = Counter[str](), Counter[str]()
    for case in hard_cases():
        span = Span(case.start, case.end, case.kind)
        expected[case.kind] += 1
        found[case.kind] += _is_covered(case.text, span, redactor.find_spans(case.text))
    return expected, found


def changed_harmless_lines() -> list[str]:
    """Return the harmless lines with findings."""
    redactor = Redactor("benchmark", KNOWN)
    lines = [line.strip() for line in HARMLESS.strip().splitlines()]
    return [line for line in lines if redactor.find_spans(line)]


def _print_hard_cases() -> None:
    expected, found = count_hard_cases()
    print(f"\n{expected.total()} hard cases")
    for kind, count in expected.items():
        print(f"{kind:<26}{found[kind]:>4} of {count:>4}")
    print(f"{'all':<26}{found.total():>4} of {expected.total():>4}")
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
    # The first call imports libraries.
    detect("48 29 13 55, 529.982.247-25, DE89370400440532013000, 4111111111111111")
    begin = time.process_time()
    for line in lines:
        detect(line.text)
    seconds = time.process_time() - begin
    counted = counts(lines, detect)
    _print_share("precision", counted["right"], counted["findings"])
    for group in ("all", *KINDS):
        found, expected = counted[f"{group} found"], counted[f"{group} expected"]
        _print_share(f"recall: {group}", found, expected)
    for group in _LANGUAGES:
        right, findings = counted[f"{group} right"], counted[f"{group} findings"]
        _print_share(f"precision in {group}", right, findings)
        found, expected = counted[f"{group} found"], counted[f"{group} expected"]
        _print_share(f"recall in {group}", found, expected)
    print(f"{'microseconds per line':<22}{1e6 * seconds / len(lines):>20.0f}")


def _print_share(label: str, part: int, whole: int) -> None:
    if whole:
        print(f"{label:<22}{part:>6} of {whole:>4}{part / whole:>8.3f}")


if __name__ == "__main__":
    main()
