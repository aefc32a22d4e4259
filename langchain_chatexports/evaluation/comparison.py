"""`evaluate`: compare a tuned model with the person, its base and another's model."""

import platform
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version

from langchain_chatexports._languages import main_language
from langchain_chatexports._terminal import plural
from langchain_chatexports._version import __version__
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
from langchain_chatexports.evaluation.held_out import HeldOutTurn, choose_excerpts
from langchain_chatexports.evaluation.loss import compare_losses
from langchain_chatexports.evaluation.model_server import ModelServer, Reply
from langchain_chatexports.evaluation.results import (
    BlindFinding,
    DataInfo,
    Evaluation,
    Figures,
    Measured,
)
from langchain_chatexports.evaluation.talk_measures import (
    TalkFigures,
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

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: If one is too small.
        """
        if min(self.turns, self.conversations, self.rounds) < 1:
            msg = "turns, conversations and rounds must be at least 1."
            raise ValueError(msg)


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
        TrainingDataError: If the model was trained on turns that should be held out.
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
    comparison = _Comparison(data, answers, known, settings)
    result = comparison.result(contestants, guessed)
    progress("comparing", 1, 1)
    return result


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
    excerpts = choose_excerpts(
        data,
        max_turns=settings.turns,
        min_conversations=settings.conversations,
        seed=settings.seed,
    )
    return collect_answers(
        excerpts,
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


class _Comparison:
    """Measures the answers of each contestant."""

    def __init__(
        self,
        data: HeldOutData,
        answers: Answers,
        known: Collection[str],
        settings: EvaluationSettings,
    ) -> None:
        self._data = data
        self._answers = answers
        self._known = known
        self._settings = settings
        self._conversations = max(answers.groups) + 1
        own = [text for found in data.training for text in found.replies()]
        self._own = own
        self._language = main_language(own)
        self._reasons: dict[str, str] = {}

    def result(
        self, contestants: Sequence[Contestant], guessed: BlindFinding | None
    ) -> Evaluation:
        answers, settings = self._answers, self._settings
        losses, differences = compare_losses(
            answers.scores, answers.groups, rounds=settings.rounds, seed=settings.seed
        )
        reasons = {s for s in answers.scores.values() if isinstance(s, str)}
        if reasons:
            self._reasons["bits_per_byte"] = "; ".join(sorted(reasons))
        figures = [
            Figures(
                kind=each.kind,
                model=_without_person(each.model),
                prompt=each.in_words(),
                bits_per_byte=losses.get(each.kind),
                told_apart=self._told_apart(texts),
                talk=self._talk(found),
            )
            for each in contestants
            for found in (answers.replies[each.kind],)
            for texts in ([reply.text for reply in found],)
        ]
        own = Figures(
            kind="person",
            told_apart=self._told_apart(self._earlier()),
            talk=self._talk([Reply(text, is_cut=False) for text in answers.person]),
        )
        return Evaluation(
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            seed=settings.seed,
            temperature=settings.temperature,
            max_tokens=answers.max_tokens,
            versions={
                "langchain-chatexports": __version__,
                "python": platform.python_version(),
                "scikit-learn": version("scikit-learn"),
            },
            data=DataInfo(
                train_conversations=len(self._data.training),
                heldout_conversations=self._conversations,
                heldout_turns=len(answers.turns),
                language=self._language,
            ),
            figures=[*figures, own],
            loss_differences=differences,
            blind=guessed,
            reasons=self._reasons,
            notes=self._notes(),
        )

    def _told_apart(self, texts: Sequence[str]) -> Measured | None:
        if self._conversations < MIN_CONVERSATIONS:
            self._reasons["told_apart"] = (
                f"it takes {MIN_CONVERSATIONS} held-out conversations, there are "
                f"{self._conversations}"
            )
            return None
        answers, settings = self._answers, self._settings
        real, groups = answers.person[: len(texts)], answers.groups[: len(texts)]
        if len(set(groups)) < MIN_CONVERSATIONS:
            return None  # The person has too few earlier replies.
        return told_apart(
            real, texts, groups, rounds=settings.rounds, seed=settings.seed
        )

    def _earlier(self) -> list[str]:
        """Return the person's replies in some conversations of the training."""
        dialogues = list(self._data.training)
        random.Random(self._settings.seed).shuffle(dialogues)  # noqa: S311 - no secret
        texts = [text for dialogue in dialogues for text in dialogue.replies()]
        return texts[: len(self._answers.turns)]

    def _talk(self, replies: Sequence[Reply]) -> TalkFigures:
        return measure_talk(
            [
                _talk_reply(turn, reply)
                for turn, reply in zip(self._answers.turns, replies, strict=True)
            ],
            language=self._language,
            known=self._known,
        )

    def _notes(self) -> list[str]:
        answers, notes = self._answers, []
        if self._conversations < MIN_CONVERSATIONS:
            notes.append(
                f"With so few conversations ({self._conversations}) the intervals are "
                "narrower than they should be."
            )
        if answers.too_long:
            notes.append(
                f"{plural(answers.too_long, 'turn')} left out: with what comes before, "
                "longer than a model's context."
            )
        return notes


def _talk_reply(turn: HeldOutTurn, reply: Reply) -> TalkReply:
    labels = (label_of(line.text) for line in turn.history)
    return TalkReply(
        reply.text,
        is_cut=reply.is_cut,
        prompt=turn.excerpt.system or "",
        names=tuple({*filter(None, labels)}),
        before=tuple(line.text for line in turn.history),
    )


def _without_person(model: str) -> str:
    """Return a model's name without the person's."""
    name = TunedModelName.parse(model)
    return str(name._replace(suffix="…")) if name and name.suffix else model
