"""`evaluate`: compare a tuned model with the person, its base and another's model."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

from langchain_chatexports._languages import main_language
from langchain_chatexports.datasets.chat_prompts import label_of
from langchain_chatexports.evaluation.answers import Answers, Progress, collect_answers
from langchain_chatexports.evaluation.blind_test import BlindPair, blind_pairs
from langchain_chatexports.evaluation.contestants import (
    Contestant,
    WrongPerson,
    contestants_for,
)
from langchain_chatexports.evaluation.conversations import HeldOutData, replies_in
from langchain_chatexports.evaluation.detector import MIN_CONVERSATIONS, told_apart
from langchain_chatexports.evaluation.held_out import HeldOutTurn, choose_turns
from langchain_chatexports.evaluation.loss import compare_losses
from langchain_chatexports.evaluation.model_server import ModelServer, Reply
from langchain_chatexports.evaluation.results import (
    BlindFinding,
    DataInfo,
    Evaluation,
    Figures,
)
from langchain_chatexports.evaluation.talk_measures import (
    TalkReply,
    measure_talk,
    messages_in,
)
from langchain_chatexports.finetuning.model_names import TunedModelName


@dataclass(frozen=True)
class EvaluationSettings:
    """The settings of an evaluation.

    Attributes:
        turns: Maximum number of held-out turns to answer.
        conversations: Number of their conversations, if there are as many.
        temperature: The sampling temperature; the default is that of chats.
        rounds: Bootstrap rounds for the intervals.
        seed: The random seed.
    """

    turns: int = 200
    conversations: int = 40
    temperature: float = 0.7
    rounds: int = 1000
    seed: int = 0


def evaluate(
    data: HeldOutData,
    server: ModelServer,
    *,
    tuned: str,
    base: str | None = None,
    wrong_person: WrongPerson | None = None,
    settings: EvaluationSettings | None = None,
    blind: Callable[[list[BlindPair]], BlindFinding | None] | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> Evaluation:
    """Compare a tuned model with the person, with its base, and with few-shot.

    Args:
        data: Conversations that the model was trained on, and others.
        server: The server that has the models.
        tuned: The tuned model's name.
        base: The base model's name; `None` for the tuned model alone.
        wrong_person: A model of another person, as a control: gains over the base that
            it shares are not due to the person.
        settings: The settings of the evaluation.
        blind: Called with pairs of answers for a person to guess; returns the result,
            or `None`.
        progress: Called with the stage, its finished turns, and all of its turns.

    Returns:
        The results, without any message text.

    Raises:
        TrainingDataError: If no turn fits into the models' context.
        ChatExportError: If the server cannot be reached.
    """
    settings = settings or EvaluationSettings()
    contestants = contestants_for(tuned, base, wrong_person)
    answers = _answers(data, server, contestants, settings, progress)
    known = _known_messages(data)
    guessed = None
    if blind is not None:
        kind = contestants[0].kind
        pairs = blind_pairs(answers, kind, known, max_pairs=10**6, seed=settings.seed)
        guessed = blind(pairs) if pairs else None
    progress("comparing", 0, 1)
    losses, differences = compare_losses(
        answers.scores, answers.groups, rounds=settings.rounds, seed=settings.seed
    )
    own = [text for dialogue in data.training for text in dialogue.replies()]
    language = main_language(own)
    measure = partial(
        _figures, answers, known=known, language=language, settings=settings
    )
    figures = [
        measure(
            answers.replies[each.kind],
            answers.replies[each.kind],
            kind=each.kind,
            model=_without_person(each.model),
            bits_per_byte=losses[each.kind],
        )
        for each in contestants
    ]
    person = [Reply(text, is_cut=False) for text in answers.person]
    figures.append(
        measure(person, _earlier_replies(data, settings.seed), kind="person")
    )
    conversations = max(answers.groups) + 1
    reasons = {}
    if conversations < MIN_CONVERSATIONS:
        reasons["told_apart"] = (
            f"it takes {MIN_CONVERSATIONS} held-out conversations, there are "
            f"{conversations}"
        )
    progress("comparing", 1, 1)
    return Evaluation(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seed=settings.seed,
        temperature=settings.temperature,
        max_tokens=answers.max_tokens,
        data=DataInfo(
            train_conversations=len(data.training),
            heldout_conversations=conversations,
            heldout_turns=len(answers.turns),
            language=language,
        ),
        figures=figures,
        loss_differences=differences,
        blind=guessed,
        reasons=reasons,
    )


def pairs_for_blind_test(
    data: HeldOutData,
    server: ModelServer,
    *,
    tuned: str,
    pairs: int,
    seed: int = 0,
    progress: Progress = lambda _what, _done, _total: None,
) -> list[BlindPair]:
    """Make the pairs of a blind test, without the rest of an evaluation.

    Only the tuned model answers, about twice as many turns as pairs are needed: some
    pairs are not fair.
    """
    turns = 2 * min(pairs, len(data.held_out))
    settings = EvaluationSettings(turns, conversations=turns, seed=seed)
    contestants = contestants_for(tuned, None)
    answers = _answers(data, server, contestants, settings, progress, with_scores=False)
    return blind_pairs(
        answers, "tuned", _known_messages(data), max_pairs=pairs, seed=seed
    )


def _answers(
    data: HeldOutData,
    server: ModelServer,
    contestants: Sequence[Contestant],
    settings: EvaluationSettings,
    progress: Progress,
    *,
    with_scores: bool = True,
) -> Answers:
    turns = choose_turns(
        data,
        max_turns=settings.turns,
        min_conversations=settings.conversations,
        seed=settings.seed,
    )
    return collect_answers(
        turns,
        replies_in(data.training),
        server,
        contestants,
        seed=settings.seed,
        temperature=settings.temperature,
        progress=progress,
        with_scores=with_scores,
    )


def _known_messages(data: HeldOutData) -> set[str]:
    return messages_in(line.text for found in data.training for line in found.lines)


def _figures(
    answers: Answers,
    replies: Sequence[Reply],
    detected: Sequence[Reply],
    *,
    known: Collection[str],
    language: str | None,
    settings: EvaluationSettings,
    **facts: Any,
) -> Figures:
    """Measure replies, and how easily others are told from the person's."""
    detected = detected[: len(answers.turns)]
    real, groups = answers.person[: len(detected)], answers.groups[: len(detected)]
    found = None
    if len(set(groups)) >= MIN_CONVERSATIONS:
        texts = [reply.text for reply in detected]
        found = told_apart(
            real, texts, groups, rounds=settings.rounds, seed=settings.seed
        )
    turns = zip(answers.turns, replies, strict=True)
    talk = measure_talk(
        [_talk_reply(turn, reply) for turn, reply in turns],
        language=language,
        known=known,
    )
    return Figures(told_apart=found, talk=talk, **facts)


def _earlier_replies(data: HeldOutData, seed: int) -> list[Reply]:
    """Return the person's replies in the training, conversations in random order."""
    dialogues = list(data.training)
    random.Random(seed).shuffle(dialogues)  # noqa: S311 - no secret
    return [
        Reply(text, is_cut=False)
        for dialogue in dialogues
        for text in dialogue.replies()
    ]


def _talk_reply(turn: HeldOutTurn, reply: Reply) -> TalkReply:
    labels = (label_of(line.text) for line in turn.history)
    return TalkReply(
        reply.text,
        is_cut=reply.is_cut,
        prompt=turn.system or "",
        names=tuple({*filter(None, labels)}),
        before=tuple(line.text for line in turn.history),
    )


def _without_person(model: str) -> str:
    """Return a model's name without the person's."""
    name = TunedModelName.parse(model)
    return str(name._replace(suffix="…")) if name and name.suffix else model
