"""`evaluate`: compare a tuned model with the person, its base model and few-shot."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from langchain_chatexports._terminal import plural
from langchain_chatexports._version import __version__
from langchain_chatexports.datasets.chat_prompts import (
    PERSONA_REPLIES,
    SHOWN_REPLIES,
    common_prompt,
)
from langchain_chatexports.evaluation.answers import SCORED_TWICE, collect_answers
from langchain_chatexports.evaluation.blind_test import blind_pairs
from langchain_chatexports.evaluation.contestants import Contestant
from langchain_chatexports.evaluation.conversations import PERSON
from langchain_chatexports.evaluation.detector import detect
from langchain_chatexports.evaluation.held_out import (
    choose_excerpts,
    replies_of_others,
    require_turns,
    unseen_conversations,
    without_near_duplicates,
)
from langchain_chatexports.evaluation.loss import compare_losses, compare_relevance
from langchain_chatexports.evaluation.memorization import (
    CopyIndex,
    ReplyInContext,
    TrainingMentions,
    compare_copies,
    compare_names,
    name_words,
)
from langchain_chatexports.evaluation.results import (
    CONFIDENCE,
    BlindFinding,
    DataInfo,
    Evaluation,
    GuessCount,
    OtherPerson,
)
from langchain_chatexports.evaluation.sanity_checks import sanity_checks
from langchain_chatexports.evaluation.style_scores import StyleSamples, compare_styles
from langchain_chatexports.exceptions import TrainingDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from langchain_chatexports.evaluation.answers import CollectedAnswers
    from langchain_chatexports.evaluation.blind_test import BlindPair, BlindResult
    from langchain_chatexports.evaluation.contestants import Kind, WrongPerson
    from langchain_chatexports.evaluation.conversations import Dialogue, HeldOutData
    from langchain_chatexports.evaluation.held_out import Excerpt
    from langchain_chatexports.evaluation.model_server import JobFacts, ModelServer
    from langchain_chatexports.evaluation.results import Detector, NameRates, Secrets
    from langchain_chatexports.evaluation.style_scores import Styles

    Result = TypeVar("Result")

__all__ = [
    "EvaluationSettings",
    "Passes",
    "blind_finding",
    "evaluate",
    "pairs_for_blind_test",
]

_HYBRID: Kind = "hybrid"
_OF_THE_BASE: tuple[Kind, ...] = ("base", "few_shot", "persona")
_MIN_TURNS_OF_OTHERS = 25
_MAX_OTHERS = 8
# More of them would take memory, and change no result.
_MAX_TRAINING = 2000
_MIN_CONVERSATIONS_FOR_STYLE = 20


class Passes(NamedTuple):
    """How often all held-out turns are gone through."""

    scoring: int
    writing: int


@dataclass(frozen=True)
class EvaluationSettings:
    """How to evaluate.

    Attributes:
        temperatures: The sampling temperatures, the main one first.
        turns: How many held-out turns are answered, at most.
        conversations: From how many conversations they are, if there are as many.
        rounds: Bootstrap rounds for the intervals.
        loss_rounds: The same for those of the loss.
        seed: The random seed.
        contestants: Who is compared with the tuned model, each at its cost: `"base"`,
            `"few_shot"` (the base with examples), `"hybrid"` (the tuned model that sees
            earlier replies, as `chat` shows them, unless it was trained with such) and
            `"persona"` (the base with the person's style and earlier replies).
    """

    temperatures: tuple[float, ...] = (1.0, 0.7)
    turns: int = 200
    conversations: int = 40
    rounds: int = 500
    loss_rounds: int = 2000
    seed: int = 0
    contestants: tuple[Kind, ...] = ("base", "few_shot")

    @property
    def stages(self) -> int:
        """How often all turns are gone through, with a base on a local server."""
        return sum(self.passes())

    def for_model(self, *, replies: int) -> EvaluationSettings:
        """Return the settings for a model: one trained with replies is the hybrid.

        Args:
            replies: How many earlier replies its training examples show.
        """
        others = (
            kind for kind in self.contestants if not (replies and kind == _HYBRID)
        )
        return replace(self, contestants=tuple(others))

    def passes(self, *, has_wrong_person: bool = False) -> Passes:
        """Return how often all turns are scored and answered, on a local server.

        Each kind of contestant is scored, some after another conversation, too, and
        each one answers at each temperature.

        Args:
            has_wrong_person: Whether another person's model is compared, too.
        """
        kinds = ["tuned", *self.contestants]
        if has_wrong_person:
            kinds.append("wrong_person")
        twice = SCORED_TWICE.intersection(kinds)
        return Passes(len(kinds) + len(twice), len(kinds) * len(self.temperatures))


def evaluate(
    data: HeldOutData,
    server: ModelServer,
    *,
    tuned: str,
    base: str | None = None,
    wrong_person: WrongPerson | None = None,
    settings: EvaluationSettings | None = None,
    secrets: Callable[[], list[Secrets]] | str = "no test run was asked for",
    blind: Callable[[list[BlindPair]], BlindResult | str] | str = "nobody was asked",
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> Evaluation:
    """Compare a tuned model with the person, with its base, and with few-shot.

    Args:
        data: Conversations that the model was trained on, and others.
        server: The server that has the models.
        tuned: The tuned model's name.
        base: The base model's name; `None` for the tuned model alone.
        wrong_person: A model that learned another person's words in the same chats,
            as a control: what it gains over the base, too, is not the person's.
        settings: How to evaluate.
        secrets: Returns the results of `probe_canaries` in a test run; or why there is
            none.
        blind: Shows pairs of answers to somebody and returns the result, or why there
            is none; or why nobody is asked.
        progress: Called with what is done, how much of it, and how much there is.

    Returns:
        The results, without any message text.

    Raises:
        TrainingDataError: If there is nothing held out, or nothing trained on, or the
            model was trained on what should be held out.
        ChatExportError: If the server cannot be asked.
    """
    settings = settings or EvaluationSettings()
    rounds, seed = settings.rounds, settings.seed
    require_turns(data)
    job = server.job_facts(tuned)
    data, seen = _unseen(data, job)
    training, excerpts, near_duplicates = _halves(data, settings)
    probed = secrets if isinstance(secrets, str) else secrets()
    learned = () if isinstance(job.examples, str) else job.examples
    contestants = _contestants(
        tuned, base, wrong_person, settings, common_prompt(learned).replies
    )
    answers = collect_answers(
        excerpts, training, server, contestants, seed=seed, progress=progress
    )
    index = CopyIndex([line.text for line in found.lines] for found in training)
    guessed = _blind_test(blind, answers, contestants, index, seed)
    progress("comparing", 0, 1)
    others = replies_of_others(
        data,
        conversations=answers.conversations,
        min_turns=_MIN_TURNS_OF_OTHERS,
        max_people=_MAX_OTHERS,
    )
    own = answers.by_conversation(answers.person)
    replies = {
        name: answers.by_conversation(answers.texts(name)) for name in answers.replies
    }
    trained = [found.replies() for found in training]
    styles: Styles | str
    detector: Detector | str
    styles = detector = (
        f"it takes {_MIN_CONVERSATIONS_FOR_STYLE} held-out conversations, there are "
        f"{answers.conversations}"
    )
    if answers.conversations >= _MIN_CONVERSATIONS_FOR_STYLE:
        samples = StyleSamples(trained, own, replies, others)
        styles = compare_styles(samples, rounds=rounds, seed=seed)
        detector = detect(samples, rounds=rounds, seed=seed)
    names = _names(answers, training, data.names)
    losses, differences = compare_losses(
        answers.scores,
        conversations=answers.conversations,
        rounds=settings.loss_rounds,
        seed=seed,
    )
    own_training = [text for texts in trained for text in texts]
    has_system = any(found.system is not None for found in data.held_out)
    result = Evaluation(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seed=seed,
        language=None if isinstance(styles, str) else styles.language,
        person=_digest(data.person),
        versions={
            "langchain-chatexports": __version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        data=DataInfo(
            train_conversations=len(training),
            train_turns=len(own_training),
            heldout_conversations=answers.conversations,
            heldout_turns=len(answers.turns),
            trained_on_dropped=seen,
            near_duplicates_dropped=near_duplicates,
            forwarded_dropped=_forwarded(data.held_out),
            others=[
                OtherPerson(id=name, turns=sum(map(len, found)))
                for name, found in others.items()
            ],
        ),
        contestants=[
            each.info(answers.max_tokens, has_system=has_system) for each in contestants
        ],
        loss=losses,
        loss_differences=differences,
        validation_loss=_measured(job.validation),
        relevance=compare_relevance(
            answers.scores,
            answers.foreign,
            conversations=answers.conversations,
            rounds=settings.loss_rounds,
            seed=seed,
        ),
        measures=None if isinstance(styles, str) else styles.measures,
        summary=None if isinstance(styles, str) else styles.summary,
        summary_differences=[] if isinstance(styles, str) else styles.differences,
        detector=_measured(detector),
        guards=[
            sanity_checks(name, found, answers.person, own_training)
            for name, found in answers.replies.items()
        ],
        copies=compare_copies(index, own, replies, rounds=rounds, seed=seed),
        secrets=_measured(probed),
        names=_measured(names),
        blind=_measured(guessed),
        reasons=_reasons(
            measures=styles,
            summary=styles,
            detector=detector,
            language=styles,
            person=None if data.person else "the examples do not say who it is",
            validation_loss=job.validation,
            secrets=probed,
            names=names,
            blind=guessed,
        ),
        notes=_notes(answers, styles, seen=seen, examples=job.examples),
    )
    progress("comparing", 1, 1)
    return result


def pairs_for_blind_test(
    data: HeldOutData,
    server: ModelServer,
    *,
    tuned: str,
    pairs: int,
    temperature: float = EvaluationSettings.temperatures[-1],
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> list[BlindPair]:
    """Make the pairs of a blind test, without the rest of an evaluation.

    Only the tuned model answers, about twice as often as there are to be pairs: some
    pairs are not fit to be shown.

    Args:
        data: Conversations that the model was trained on, and others.
        server: The server that has the model.
        tuned: The tuned model's name.
        pairs: How many pairs, if there are as many held-out conversations.
        temperature: The sampling temperature.
        seed: The random seed.
        progress: Called with what is done, how much of it, and how much there is.

    Raises:
        TrainingDataError: If there is nothing held out, or nothing trained on, or the
            model was trained on what should be held out.
        ChatExportError: If the server cannot be asked.
    """
    require_turns(data)
    data, _ = _unseen(data, server.job_facts(tuned))
    turns = 2 * min(pairs, len(data.held_out))
    settings = EvaluationSettings((temperature,), turns, conversations=turns, seed=seed)
    training, excerpts, _ = _halves(data, settings)
    answers = collect_answers(
        excerpts,
        training,
        server,
        _contestants(tuned, None, None, settings),
        seed=seed,
        progress=progress,
        with_scores=False,
    )
    index = CopyIndex([line.text for line in found.lines] for found in training)
    return blind_pairs(answers, "tuned", index, max_pairs=pairs, seed=seed)


def _halves(
    data: HeldOutData, settings: EvaluationSettings
) -> tuple[list[Dialogue], list[Excerpt], int]:
    training = [found for found in data.training if found.replies()][-_MAX_TRAINING:]
    chosen = choose_excerpts(
        data.held_out,
        max_turns=settings.turns,
        min_conversations=settings.conversations,
        seed=settings.seed,
    )
    excerpts, near_duplicates = without_near_duplicates(chosen, training)
    if not excerpts:
        msg = (
            f"All {near_duplicates} held-out turns are near-duplicates of the training "
            "half, so they say nothing about the model. Hold out other conversations."
        )
        raise TrainingDataError(msg)
    return training, excerpts, near_duplicates


def _unseen(data: HeldOutData, job: JobFacts) -> tuple[HeldOutData, int]:
    examples = () if isinstance(job.examples, str) else job.examples
    unseen, seen = unseen_conversations(data.held_out, data.training, examples)
    return replace(data, held_out=unseen), seen


def _contestants(
    tuned: str,
    base: str | None,
    wrong_person: WrongPerson | None,
    settings: EvaluationSettings,
    trained: int = 0,
) -> list[Contestant]:
    kinds: list[tuple[Kind, str]] = [("tuned", tuned)]
    if wrong_person is not None:
        kinds = [("wrong_person", wrong_person.model), *kinds]
    if base is not None:
        asked = [kind for kind in _OF_THE_BASE if kind in settings.contestants]
        kinds = [*((kind, base) for kind in asked), *kinds]
    if _HYBRID in settings.for_model(replies=trained).contestants:
        kinds = [*kinds, (_HYBRID, tuned)]
    shown = {_HYBRID: SHOWN_REPLIES, "persona": PERSONA_REPLIES}
    shown |= {"tuned": trained, "wrong_person": trained}
    return [
        # A name without a temperature stands for the first one.
        Contestant(
            f"{kind}@{value:g}" if number else kind,
            kind,
            model,
            value,
            wrong_person if kind == "wrong_person" else None,
            shown.get(kind, 0),
        )
        for number, value in enumerate(settings.temperatures)
        for kind, model in kinds
    ]


def _names(
    answers: CollectedAnswers,
    training: Sequence[Dialogue],
    names: frozenset[str] | None,
) -> list[NameRates] | str:
    if names is None:
        return "the examples do not say who takes part"
    contexts = [
        ("\n".join(line.text for line in turn.history), turn.excerpt.participants)
        for turn in answers.turns
    ]

    def in_context(texts: Sequence[str]) -> list[ReplyInContext]:
        return [
            ReplyInContext(text, *context)
            for text, context in zip(texts, contexts, strict=True)
        ]

    return compare_names(
        name_words(names),
        TrainingMentions.of(line.text for found in training for line in found.lines),
        in_context(answers.person),
        {name: in_context(answers.texts(name)) for name in answers.replies},
    )


def _blind_test(
    blind: Callable[[list[BlindPair]], BlindResult | str] | str,
    answers: CollectedAnswers,
    contestants: Sequence[Contestant],
    index: CopyIndex,
    seed: int,
) -> BlindFinding | str:
    if isinstance(blind, str):
        return blind
    # At the last temperature, the one that people chat with.
    tuned = [each.name for each in contestants if each.kind == "tuned"][-1]
    pairs = blind_pairs(
        answers, tuned, index, max_pairs=answers.conversations, seed=seed
    )
    found = blind(pairs) if pairs else "no pair of answers was fit to be shown"
    return found if isinstance(found, str) else blind_finding(found)


def blind_finding(found: BlindResult) -> BlindFinding:
    """Return the result of a blind test as the results have it."""
    sure = found.by_confidence()
    return BlindFinding(
        pairs=found.pairs,
        right=found.right,
        interval=found.interval,
        p=found.p,
        by_length=[GuessCount(pairs=n, right=right) for n, right in found.by_length()],
        by_confidence={
            level: GuessCount(pairs=sure[int(level)][0], right=sure[int(level)][1])
            for level in CONFIDENCE
            if int(level) in sure
        },
    )


def _measured(found: Result | str) -> Result | None:
    return None if isinstance(found, str) else found


def _reasons(**found: object) -> dict[str, str]:
    return {what: why for what, why in found.items() if isinstance(why, str)}


def _notes(
    answers: CollectedAnswers, styles: Styles | str, *, seen: int, examples: object
) -> list[str]:
    notes = []
    if seen:
        notes.append(
            f"{seen} held-out conversations were left out: the model was trained on "
            "them."
        )
    if isinstance(examples, str):
        notes.append(
            "It is not known whether the model was trained on the held-out "
            f"conversations: {examples}."
        )
    scores = [] if isinstance(styles, str) else styles.summary
    if any(each.interval is not None and each.interval[0] > 1 for each in scores):
        notes.append(
            "A model that scores above the person may have copied: look at the copies."
        )
    if answers.conversations < _MIN_CONVERSATIONS_FOR_STYLE:
        notes.append(
            f"With so few conversations ({answers.conversations}) the intervals are "
            "narrower than they should be."
        )
    if answers.too_long:
        notes.append(
            f"{plural(answers.too_long, 'turn')} left out: with what comes before, "
            "longer than a model's context."
        )
    if answers.shortened:
        notes.append(
            f"{plural(answers.shortened, 'prompt')} with fewer examples, or replies, "
            "than planned, to fit into the model's context."
        )
    return notes


def _forwarded(held_out: Sequence[Dialogue]) -> int:
    return sum(
        line.is_forwarded and line.speaker == PERSON
        for found in held_out
        for line in found.lines
    )


def _digest(person: str | None) -> str | None:
    if person is None:
        return None
    return f"sha256:{hashlib.sha256(person.encode('utf-8', 'replace')).hexdigest()}"
