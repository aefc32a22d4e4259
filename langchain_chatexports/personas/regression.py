"""Regressions of habits on few occasions, which a prior steadies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def fit_weights(
    x: Array,
    y: Array,
    strength: float,
    prior: Sequence[float] = (),
    *,
    is_binary: bool = False,
) -> tuple[float, ...]:
    """Return the weights of a (logistic) regression, pulled towards the prior."""
    np = import_numpy()
    varies = x.std(axis=0) > 1e-9  # noqa: PLR2004 - rounding errors.
    scale = np.where(varies, x.std(axis=0), 1.0)
    mean = np.where(varies, x.mean(axis=0), 0.0)
    z = (x - mean) / scale
    center = np.array(prior or [0.0] * len(mean)) * scale
    penalty = np.diag([1e-6, *[strength] * (len(mean) - 1)])

    def expect(w: Array) -> Any:
        return 1 / (1 + np.exp(-np.clip(z @ w, -30, 30))) if is_binary else z @ w

    def loss(w: Array) -> float:
        u = z @ w
        errors = np.logaddexp(0, u) - y * u if is_binary else (y - u) ** 2 / 2
        return float(errors.sum() + (w - center) @ penalty @ (w - center) / 2)

    w, step = center, np.ones(len(center))
    while np.abs(step).max() > 1e-6:  # noqa: PLR2004 - Newton's method has converged.
        p = expect(w)
        weighted = z * (p * (1 - p))[:, None] if is_binary else z
        gradient = z.T @ (y - p) - penalty @ (w - center)
        step = np.linalg.solve(z.T @ weighted + penalty, gradient)
        while loss(w + step) > loss(w) + 1e-9:
            step = step / 2
        w = w + step
    return (float(w[0] - w / scale @ mean), *(w / scale)[1:].tolist())


def import_numpy() -> Any:
    """Return the module; an error names the extra that has it."""
    try:
        import numpy as np
    except ImportError:
        feature = "Learning when a person answers"
        raise MissingExtraError(feature, "evaluate") from None
    return np
