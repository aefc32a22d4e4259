"""`evaluate`: how much models sound like a person, on conversations held out."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np

from langchain_chatexports._version import __version__
from langchain_chatexports.evaluation.answers import gather
from langchain_chatexports.evaluation.blind_test import blind_pairs
from langchain_chatexports.evaluation.contestants import Contestant
from langchain_chatexports.evaluation.controls import compare_relevance
from langchain_chatexports.evaluation.copies import CopyIndex, compare_copies
from langchain_chatexports.evaluation.held_out import (
    PERSON,
    chosen_pieces,
    require_turns,
    turns_of_others,
    without_known_turns,
)
from langchain_chatexports.evaluation.leaks import unread_conversations
from langchain_chatexports.evaluation.loss import compare_losses
from langchain_chatexports.evaluation.notes import (
    MIN_CONVERSATIONS_FOR_STYLE,
    notes_on,
    reasons_of,
)
from langchain_chatexports.evaluation.results import (
    CONFIDENCE,
    BlindFinding,
    DataInfo,
    Evaluation,
    OtherPerson,
    Share,
)
from langchain_chatexports.evaluation.sanity_checks import guard
from langchain_chatexports.evaluation.style import StyleSamples, compare_styles
from langchain_chatexports.evaluation.unprompted import (
    Said,
    TrainingMentions,
    compare_names,
    name_words,
)
from langchain_chatexports.exceptions import TrainingDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    from langchain_chatexports.evaluation.answers import Gathered
    from langchain_chatexports.evaluation.blind_test import BlindPair, BlindResult
    from langchain_chatexports.evaluation.contestants import Kind
    from langchain_chatexports.evaluation.held_out import (
        Conversation,
        HeldOutData,
        Piece,
    )
    from langchain_chatexports.evaluation.jobs import JobFacts
    from langchain_chatexports.evaluation.replies import ModelServer
    from langchain_chatexports.evaluation.results import (
        Copies,
        NameRates,
        Secrets,
    )
    from langchain_chatexports.evaluation.style import Styles

    Found = TypeVar("Found")

__all__ = ["EvaluationSettings", "evaluate"]

_MIN_TURNS_OF_OTHERS = 25
_MAX_OTHERS = 8
# More of them would take memory, and tell no more.
_MAX_TRAINING = 2000


@dataclass(frozen=True)
class EvaluationSettings:
    """How to evaluate.

    Attributes:
        temperatures: At which temperatures the models write, the main one first.
        turns: How many held-out turns are answered, at most.
        conversations: From how many conversations they are, if there are as many.
        rounds: How often conversations are drawn anew for the intervals.
        loss_rounds: The same for the loss.
        seed: Where chance begins.
    """

    temperatures: tuple[float, ...] = (1.0, 0.7)
    turns: int = 200
    conversations: int = 40
    rounds: int = 500
    loss_rounds: int = 2000
    seed: int = 0


def evaluate(
    data: HeldOutData,
    server: ModelServer,
    *,
    tuned: str,
    base: str | None = None,
    settings: EvaluationSettings | None = None,
    secrets: Callable[[], list[Secrets]] | str = "no test run was asked for",
    blind: Callable[[list[BlindPair]], BlindResult | str] | str = "nobody was asked",
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> Evaluation:
    """Compare a tuned model with the person, with its base, and with few-shot.

    Args:
        data: Conversations that the model was trained on, and others.
        server: Who has the models.
        tuned: The tuned model's name.
        base: The base model's name; `None` for the tuned model alone.
        settings: How to evaluate.
        secrets: Gives what `probe_canaries` found in a test run; or why there is none.
        blind: Shows pairs of answers to somebody and says what came of it, or why
            nothing did; or why nobody is asked.
        progress: Is told what is done, how much of it, and how much there is.

    Returns:
        The findings, without any message text.

    Raises:
        TrainingDataError: If there is nothing held out, or nothing trained on, or the
            model was trained on what should be held out.
        ChatExportError: If the server cannot be asked.
    """
    settings = settings or EvaluationSettings()
    require_turns(data)
    job = server.job_facts(tuned)
    data, read = _unread(data, job)
    training, pieces, known = _halves(data, settings)
    probed = secrets if isinstance(secrets, str) else secrets()
    contestants = _contestants(tuned, base, settings.temperatures)
    gathered = gather(
        pieces, training, server, contestants, seed=settings.seed, progress=progress
    )
    index = CopyIndex([line.text for line in found.lines] for found in training)
    asked = _asked(blind, gathered, contestants, index, settings)
    progress("comparing", 0, 1)
    others = turns_of_others(
        data,
        conversations=gathered.conversations,
        least_turns=_MIN_TURNS_OF_OTHERS,
        most_people=_MAX_OTHERS,
    )
    styles = _styles(gathered, training, others, settings)
    names = _names(gathered, training, data.names)
    prices = gathered.prices_by_order()
    losses, differences = compare_losses(
        prices,
        conversations=gathered.conversations,
        rounds=settings.loss_rounds,
        seed=settings.seed,
    )
    own = [text for found in training for text in found.replies()]
    result = Evaluation(
        **_heading(data, styles, settings),
        data=DataInfo(
            train_conversations=len(training),
            train_turns=len(own),
            heldout_conversations=gathered.conversations,
            heldout_turns=len(gathered.turns),
            trained_on_dropped=read,
            near_duplicates_dropped=known,
            forwarded_dropped=_forwarded(data.held_out),
            others=[
                OtherPerson(id=name, turns=sum(map(len, found)))
                for name, found in others.items()
            ],
        ),
        contestants=[
            each.info(
                gathered.max_tokens,
                has_system=any(found.system is not None for found in data.held_out),
            )
            for each in contestants
        ],
        loss=losses,
        loss_differences=differences,
        validation_loss=_known(job.validation),
        relevance=compare_relevance(
            prices,
            gathered.foreign_by_order(),
            conversations=gathered.conversations,
            rounds=settings.loss_rounds,
            seed=settings.seed,
        ),
        measures=None if isinstance(styles, str) else styles.measures,
        summary=None if isinstance(styles, str) else styles.summary,
        summary_differences=[] if isinstance(styles, str) else styles.differences,
        guards=[
            guard(name, replies, gathered.person, own)
            for name, replies in gathered.replies.items()
        ],
        copies=_copies(gathered, index, settings),
        secrets=_known(probed),
        names=_known(names),
        blind=None if isinstance(asked, str) else _blind_finding(asked),
        reasons=reasons_of(
            measures=styles,
            summary=styles,
            language=styles,
            person=None if data.person else "the examples do not say who it is",
            validation_loss=job.validation,
            secrets=probed,
            names=names,
            blind=asked,
        ),
        notes=notes_on(gathered, styles, read=read, examples=job.examples),
    )
    progress("comparing", 1, 1)
    return result


def _halves(
    data: HeldOutData, settings: EvaluationSettings
) -> tuple[list[Conversation], list[Piece], int]:
    training = [found for found in data.training if found.replies()][-_MAX_TRAINING:]
    chosen = chosen_pieces(
        data.held_out,
        most_turns=settings.turns,
        least_conversations=settings.conversations,
        seed=settings.seed,
    )
    pieces, known = without_known_turns(chosen, training)
    if not pieces:
        msg = (
            f"All {known} held-out turns nearly stand in the training half, so they "
            "say nothing about the model. Hold other conversations out."
        )
        raise TrainingDataError(msg)
    return training, pieces, known


def _unread(data: HeldOutData, job: JobFacts) -> tuple[HeldOutData, int]:
    examples = () if isinstance(job.examples, str) else job.examples
    unread, read = unread_conversations(data.held_out, data.training, examples)
    return replace(data, held_out=unread), read


def _heading(
    data: HeldOutData, styles: Styles | str, settings: EvaluationSettings
) -> dict[str, Any]:
    return {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seed": settings.seed,
        "language": None if isinstance(styles, str) else styles.language,
        "person": _digest(data.person),
        "versions": {
            "langchain-chatexports": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _contestants(
    tuned: str, base: str | None, temperatures: Sequence[float]
) -> list[Contestant]:
    kinds: list[tuple[Kind, str]] = [("tuned", tuned)]
    if base is not None:
        kinds = [("base", base), ("few_shot", base), *kinds]
    return [
        # The first temperature is meant where none is named.
        Contestant(f"{kind}@{heat:g}" if number else kind, kind, model, heat)
        for number, heat in enumerate(temperatures)
        for kind, model in kinds
    ]


def _styles(
    gathered: Gathered,
    training: Sequence[Conversation],
    others: Mapping[str, list[list[str]]],
    settings: EvaluationSettings,
) -> Styles | str:
    if gathered.conversations < MIN_CONVERSATIONS_FOR_STYLE:
        return (
            f"it takes {MIN_CONVERSATIONS_FOR_STYLE} held-out conversations, there are "
            f"{gathered.conversations}"
        )
    return compare_styles(
        StyleSamples(
            training=[found.replies() for found in training],
            held_out=gathered.by_conversation(gathered.person),
            contestants={
                name: gathered.by_conversation(gathered.texts(name))
                for name in gathered.replies
            },
            others=others,
        ),
        rounds=settings.rounds,
        seed=settings.seed,
    )


def _names(
    gathered: Gathered,
    training: Sequence[Conversation],
    names: frozenset[str] | None,
) -> list[NameRates] | str:
    if names is None:
        return "the examples do not say who takes part"

    def said(texts: Sequence[str]) -> list[Said]:
        return [
            Said(text, found.context, found.piece.circle)
            for found, text in zip(gathered.turns, texts, strict=True)
        ]

    return compare_names(
        name_words(names),
        TrainingMentions.of(line.text for found in training for line in found.lines),
        said(gathered.person),
        {name: said(gathered.texts(name)) for name in gathered.replies},
    )


def _copies(
    gathered: Gathered, index: CopyIndex, settings: EvaluationSettings
) -> list[Copies]:
    return compare_copies(
        index,
        gathered.by_conversation(gathered.person),
        {
            name: gathered.by_conversation(gathered.texts(name))
            for name in gathered.replies
        },
        rounds=settings.rounds,
        seed=settings.seed,
    )


def _asked(
    blind: Callable[[list[BlindPair]], BlindResult | str] | str,
    gathered: Gathered,
    contestants: Sequence[Contestant],
    index: CopyIndex,
    settings: EvaluationSettings,
) -> BlindResult | str:
    if isinstance(blind, str):
        return blind
    # At the temperature that people chat with, if there are several: the last one.
    tuned = [each.name for each in contestants if each.kind == "tuned"][-1]
    pairs = blind_pairs(
        gathered, tuned, index, most=gathered.conversations, seed=settings.seed
    )
    return blind(pairs) if pairs else "no pair of answers was fit to be shown"


def _blind_finding(found: BlindResult) -> BlindFinding:
    sure = found.by_confidence()
    return BlindFinding(
        pairs=found.pairs,
        right=found.right,
        interval=found.interval,
        p=found.p,
        by_length=[Share(pairs=n, right=right) for n, right in found.by_length()],
        by_confidence={
            level: Share(pairs=sure[int(level)][0], right=sure[int(level)][1])
            for level in CONFIDENCE
            if int(level) in sure
        },
    )


def _known(found: Found | str) -> Found | None:
    return None if isinstance(found, str) else found


def _forwarded(held_out: Sequence[Conversation]) -> int:
    return sum(
        line.is_forwarded and line.speaker == PERSON
        for found in held_out
        for line in found.lines
    )


def _digest(person: str | None) -> str | None:
    if person is None:
        return None
    return f"sha256:{hashlib.sha256(person.encode('utf-8', 'replace')).hexdigest()}"
