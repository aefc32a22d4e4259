"""A trained detector that tells a model's replies from the person's.

A ridge classifier of character n-grams learns from some conversations which replies are
real, and classifies the others (cross-validation by conversation).
"""

from collections.abc import Sequence

import numpy as np

from langchain_chatexports.evaluation.intervals import percentiles, resampled
from langchain_chatexports.evaluation.results import Measured
from langchain_chatexports.evaluation.talk_measures import bubbles

MIN_CONVERSATIONS = 20

_FOLDS = 5
# Longer n-grams are mostly topic.
_LENGTHS = (1, 3)
_MAX_GRAMS = 4000


def told_apart(
    real: Sequence[str],
    other: Sequence[str],
    groups: Sequence[int],
    *,
    rounds: int = 500,
    seed: int = 0,
) -> Measured:
    """Return how often the detector finds the real reply of two: 0.5 by chance."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    texts = [_marked(text) for text in (*real, *other)]
    is_real = np.repeat([1, 0], [len(real), len(other)])
    conversations = np.array([*groups, *groups])
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
        groups=conversations,
        cv=GroupKFold(_FOLDS),
        method="decision_function",
    )
    draws = resampled(int(conversations.max()) + 1, rounds, seed)
    resamples = [
        roc_auc_score(is_real, scores, sample_weight=draw[conversations])
        for draw in draws
    ]
    return Measured(
        value=float(roc_auc_score(is_real, scores)),
        interval=percentiles(np.array(resamples)),
    )


def _marked(text: str) -> str:
    # The ends of messages are a part of style, too.
    return "".join(f"\n{bubble}\n" for bubble in bubbles(text))
