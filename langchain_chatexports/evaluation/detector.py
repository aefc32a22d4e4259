"""A classifier that detects model-written replies.

A ridge classifier of character n-grams learns to distinguish the person's replies from
the model's, with cross-validation by dialogue.
"""

from collections.abc import Sequence

import numpy as np

from langchain_chatexports.evaluation.intervals import percentiles, resample
from langchain_chatexports.evaluation.results import Measurement
from langchain_chatexports.evaluation.talk_measures import split_messages

MIN_DIALOGUES = 20

_FOLDS = 5
# Longer n-grams mostly show the topic.
_LENGTHS = (1, 3)
_MAX_GRAMS = 4000


def detector_score(
    real: Sequence[str],
    generated: Sequence[str],
    groups: Sequence[int],
    *,
    rounds: int = 500,
    seed: int = 0,
) -> Measurement:
    """Return how often the detector picks the real one of two replies (ROC AUC)."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    texts = [_mark_ends(text) for text in (*real, *generated)]
    is_real = np.repeat([1, 0], [len(real), len(generated)])
    dialogues = np.array([*groups, *groups])
    classifier = make_pipeline(
        TfidfVectorizer(
            analyzer="char",
            ngram_range=_LENGTHS,
            max_features=_MAX_GRAMS,
            lowercase=False,
            sublinear_tf=True,
        ),
        RidgeClassifier(),
    )
    scores = cross_val_predict(
        classifier,
        texts,
        is_real,
        groups=dialogues,
        cv=GroupKFold(_FOLDS),
        method="decision_function",
    )
    draws = resample(int(dialogues.max()) + 1, rounds, seed)
    resamples = [
        roc_auc_score(is_real, scores, sample_weight=draw[dialogues]) for draw in draws
    ]
    return Measurement(
        value=float(roc_auc_score(is_real, scores)),
        interval=percentiles(np.array(resamples)),
    )


def _mark_ends(text: str) -> str:
    # How messages begin and end is part of the style.
    return "".join(f"\n{message}\n" for message in split_messages(text))
