"""`evaluate`: compare a tuned model with the person and its base."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from langchain_chatexports._languages import main_language
from langchain_chatexports.datasets.chat_prompts import speaker_label
from langchain_chatexports.evaluation.answers import Answers, Progress, collect_answers
from langchain_chatexports.evaluation.blind_test import BlindPair, choose_blind_pairs
from langchain_chatexports.evaluation.contestants import Contestant, build_contestants
from langchain_chatexports.evaluation.detector import MIN_DIALOGUES, detector_score
from langchain_chatexports.evaluation.dialogues import HeldOutData, index_replies
from langchain_chatexports.evaluation.held_out import HeldOutTurn, choose_turns
from langchain_chatexports.evaluation.loss import compare_losses
from langchain_chatexports.evaluation.model_server import ModelClient, Reply
from langchain_chatexports.evaluation.results import (
    BlindResult,
    DataInfo,
    Evaluation,
    Figures,
)
from langchain_chatexports.evaluation.sense import measure_sense
from langchain_chatexports.evaluation.talk_measures import (
    Phrase,
    TalkReply,
    comparable_messages,
    find_phrases,
    measure_talk,
)
from langchain_chatexports.finetuning.model_names import TunedModelName


@dataclass(frozen=True)
class EvaluationSettings:
    """The settings of an evaluation."""

    turns: int = 200
    """Maximum number of held-out turns to answer."""

    dialogues: int = 40
    """Minimum number of dialogues to draw them from, if available."""

    temperature: float = 0.7
    """The sampling temperature."""

    rounds: int = 1000
    """Bootstrap rounds for the intervals."""

    seed: int = 0
    """The random seed."""


def evaluate(
    data: HeldOutData,
    server: ModelClient,
    *,
    tuned: str,
    base: str | None = None,
    settings: EvaluationSettings | None = None,
    blind: Callable[[list[BlindPair]], BlindResult | None] | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> Evaluation:
    """Compare a tuned model with the person, with its base, and with few-shot prompts.

    Args:
        data: The training dialogues, and held-out ones.
        server: A server with the models.
        tuned: The tuned model's name.
        base: The base model's name; `None` to measure the tuned model only.
        settings: The settings of the evaluation.
        blind: Called with the pairs of a blind test; returns its result, or `None`.
        progress: Called with the stage, the number of finished turns, and their total.

    Returns:
        The results, without message text.

    Raises:
        TrainingDataError: If no turn fits in the models' context.
        ChatExportError: If the server cannot be reached.
    """
    settings = settings or EvaluationSettings()
    contestants = build_contestants(tuned, base)
    answers = _collect_answers(data, server, contestants, settings, progress)
    known = _known_messages(data)
    blind_result = None
    if blind is not None:
        kind = contestants[0].kind
        pairs = choose_blind_pairs(
            answers, kind, known, max_pairs=10**6, seed=settings.seed
        )
        blind_result = blind(pairs) if pairs else None
    matched, reasons = measure_sense(
        answers,
        contestants,
        server,
        base,
        rounds=settings.rounds,
        seed=settings.seed,
        progress=progress,
    )
    progress("comparing", 0, 1)
    losses, differences = compare_losses(
        answers.scores, answers.groups, rounds=settings.rounds, seed=settings.seed
    )
    own_replies = [text for dialogue in data.training for text in dialogue.replies()]
    language = main_language(own_replies)
    measure = partial(
        _measure_replies,
        answers,
        settings=settings,
        language=language,
        known=known,
        trained=find_phrases(own_replies),
    )
    figures = [
        measure(
            answers.replies[contestant.kind],
            answers.replies[contestant.kind],
            kind=contestant.kind,
            model=_strip_person(contestant.model),
            bits_per_byte=losses[contestant.kind],
            matched=matched.get(contestant.kind),
        )
        for contestant in contestants
    ]
    person_replies = [Reply(text, is_cut=False) for text in answers.person_replies]
    figures.append(
        measure(
            person_replies,
            _earlier_replies(data, settings.seed),
            kind="person",
            matched=matched.get("person"),
        )
    )
    dialogues = max(answers.groups) + 1
    if dialogues < MIN_DIALOGUES:
        reasons["told_apart"] = "fewer than 20 dialogues are held out"
    progress("comparing", 1, 1)
    return Evaluation(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=settings.seed,
        temperature=settings.temperature,
        max_tokens=answers.max_tokens,
        data=DataInfo(
            train_dialogues=len(data.training),
            heldout_dialogues=dialogues,
            heldout_turns=len(answers.turns),
            language=language,
        ),
        figures=figures,
        loss_differences=differences,
        blind=blind_result,
        reasons=reasons,
    )


def create_blind_pairs(
    data: HeldOutData,
    server: ModelClient,
    *,
    tuned: str,
    pairs: int,
    seed: int = 0,
    progress: Progress = lambda _what, _done, _total: None,
) -> list[BlindPair]:
    """Create the pairs for a blind test, without the rest of an evaluation.

    The tuned model replies to twice as many turns as needed, because some pairs will be
    skipped.
    """
    turns = 2 * min(pairs, len(data.held_out))
    settings = EvaluationSettings(turns, dialogues=turns, seed=seed)
    contestants = build_contestants(tuned, None)
    answers = _collect_answers(
        data, server, contestants, settings, progress, with_scores=False
    )
    return choose_blind_pairs(
        answers, "tuned", _known_messages(data), max_pairs=pairs, seed=seed
    )


def _collect_answers(
    data: HeldOutData,
    server: ModelClient,
    contestants: Sequence[Contestant],
    settings: EvaluationSettings,
    progress: Progress,
    *,
    with_scores: bool = True,
) -> Answers:
    turns = choose_turns(
        data,
        max_turns=settings.turns,
        min_dialogues=settings.dialogues,
        seed=settings.seed,
    )
    return collect_answers(
        turns,
        index_replies(data.training),
        server,
        contestants,
        seed=settings.seed,
        temperature=settings.temperature,
        progress=progress,
        with_scores=with_scores,
    )


def _known_messages(data: HeldOutData) -> set[str]:
    lines = (line for dialogue in data.training for line in dialogue.lines)
    return comparable_messages(line.text for line in lines)


def _measure_replies(
    answers: Answers,
    replies: Sequence[Reply],
    detector_replies: Sequence[Reply],
    *,
    settings: EvaluationSettings,
    language: str | None,
    known: Collection[str],
    trained: Collection[Phrase],
    **metadata: Any,
) -> Figures:
    """Measure `replies` and how well a detector tells others from the person's.

    The detector compares `detector_replies` with the person's replies to as many turns.
    """
    detector_replies = detector_replies[: len(answers.turns)]
    real = answers.person_replies[: len(detector_replies)]
    groups = answers.groups[: len(detector_replies)]
    score = None
    if len(set(groups)) >= MIN_DIALOGUES:
        texts = [reply.text for reply in detector_replies]
        score = detector_score(
            real, texts, groups, rounds=settings.rounds, seed=settings.seed
        )
    turns = zip(answers.turns, replies, strict=True)
    talk = measure_talk(
        [_talk_reply(turn, reply) for turn, reply in turns],
        language=language,
        known=known,
        trained=trained,
    )
    return Figures(told_apart=score, talk=talk, **metadata)


def _earlier_replies(data: HeldOutData, seed: int) -> list[Reply]:
    """Return the person's replies in the training data, shuffled by dialogue."""
    dialogues = list(data.training)
    random.Random(seed).shuffle(dialogues)  # noqa: S311 - no secret
    return [
        Reply(text, is_cut=False)
        for dialogue in dialogues
        for text in dialogue.replies()
    ]


def _talk_reply(turn: HeldOutTurn, reply: Reply) -> TalkReply:
    labels = (speaker_label(line.text) for line in turn.history)
    return TalkReply(
        reply.text,
        is_cut=reply.is_cut,
        prompt=turn.system or "",
        names=tuple({*filter(None, labels)}),
        before=tuple(line.text for line in turn.history),
    )


def _strip_person(model: str) -> str:
    """Remove the person's name from a model's name."""
    name = TunedModelName.parse(model)
    return str(name._replace(suffix="…")) if name and name.suffix else model
