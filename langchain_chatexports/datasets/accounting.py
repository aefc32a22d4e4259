"""What became of the messages of an export, in one sentence for people."""

from collections import Counter
from collections.abc import Iterator, Mapping

from langchain_chatexports._terminal import plural
from langchain_chatexports.chat_loaders.counts import MERGED
from langchain_chatexports.datasets.card_reasons import short_reason
from langchain_chatexports.datasets.write import WrittenSet

# The card has the others, too.
_MAX_REASONS = 5


def accounting_sentence(written: WrittenSet, *, conversations: int = 0) -> str:
    """Return how many examples were made of how much, and what was skipped."""
    text = plural(written.examples.kept, "example")
    if len(written.files) > 1:
        parts = (f"{name} {rows:,}" for name, rows in written.files.items())
        text += f" ({', '.join(parts)})"
    total = written.total
    if total is not None:
        text += f" from {plural(total.found, 'message')}"
        if conversations:
            text += f" in {plural(conversations, 'conversation')}"
    skipped = [*_skipped(written)]
    return f"{text}; skipped: {', '.join(skipped)}." if skipped else f"{text}."


def _skipped(written: WrittenSet) -> Iterator[str]:
    total = written.total
    if total is None:
        stages = [stage for stage in written.stages if stage.unit == "examples"]
        examples = sum((stage.skipped for stage in stages), Counter[str]())
        yield from _counted(examples, "example")
    else:
        # The text of what is merged is kept.
        lost = {why: n for why, n in total.skipped.items() if why != MERGED}
        yield from _counted(lost)
    yield from _counted(written.answers.skipped, "answer")


def _counted(counts: Mapping[str, int], what: str | None = None) -> Iterator[str]:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    for why, count in ordered[:_MAX_REASONS]:
        number = plural(count, what) if what else f"{count:,}"
        yield f"{number} {short_reason(why)}"
    if rest := sum(count for _, count in ordered[_MAX_REASONS:]):
        yield f"{rest:,} for other reasons"
