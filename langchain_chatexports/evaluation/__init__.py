"""Measures how much a tuned model sounds like the person it was trained on.

```python
from langchain_chatexports.evaluation import evaluate, write_evaluation_page
```

Replies to held-out messages are counted and compared with the person's own; no model
judges another one. Needs the extra `evaluate`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from langchain_chatexports._lazy import lazy_names
from langchain_chatexports.exceptions import MissingExtraError

if TYPE_CHECKING:
    from langchain_chatexports.evaluation.blind_test import (
        BlindGuess,
        BlindPair,
        BlindResult,
        blind_result,
    )
    from langchain_chatexports.evaluation.comparison import (
        EvaluationSettings,
        evaluate,
    )
    from langchain_chatexports.evaluation.contestants import WrongPerson
    from langchain_chatexports.evaluation.conversations import (
        HeldOutData,
        data_from_examples,
        data_from_sessions,
    )
    from langchain_chatexports.evaluation.model_server import ModelServer
    from langchain_chatexports.evaluation.page import (
        evaluation_page,
        write_evaluation_page,
    )
    from langchain_chatexports.evaluation.results import Evaluation

__all__ = [
    "BlindGuess",
    "BlindPair",
    "BlindResult",
    "Evaluation",
    "EvaluationSettings",
    "HeldOutData",
    "ModelServer",
    "WrongPerson",
    "blind_result",
    "check_extra",
    "data_from_examples",
    "data_from_sessions",
    "evaluate",
    "evaluation_page",
    "write_evaluation_page",
]

_MODULES = {
    "blind_test": ("BlindGuess", "BlindPair", "BlindResult", "blind_result"),
    "comparison": ("EvaluationSettings", "evaluate"),
    "contestants": ("WrongPerson",),
    "conversations": ("HeldOutData", "data_from_examples", "data_from_sessions"),
    "model_server": ("ModelServer",),
    "page": ("evaluation_page", "write_evaluation_page"),
    "results": ("Evaluation",),
}
_NEEDED = ("numpy", "emoji")
_NEEDED_FOR_PAGES = ("jinja2", "matplotlib")


def check_extra() -> None:
    """Check that the extra is installed, before something long begins.

    Raises:
        MissingExtraError: If it is not.
    """
    _check((*_NEEDED, *_NEEDED_FOR_PAGES))


def _check(needed: tuple[str, ...]) -> None:
    if not all(map(find_spec, needed)):
        feature = "The evaluation"
        raise MissingExtraError(feature, "evaluate")


_get_own, __dir__ = lazy_names(__name__, _MODULES)


def __getattr__(name: str) -> Any:
    if name in __all__:
        _check(_NEEDED)
    return _get_own(name)
