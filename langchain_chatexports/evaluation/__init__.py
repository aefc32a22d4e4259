"""How much a model sounds like the person it was tuned on, in figures.

```python
from langchain_chatexports.evaluation import evaluate, write_evaluation_page
```

No model judges another one here: what a model writes behind held-out messages is
counted, and compared with what the person wrote there. Needs the extra `evaluate`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

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
    from langchain_chatexports.evaluation.conversations import (
        data_from_examples,
        data_from_sessions,
    )
    from langchain_chatexports.evaluation.held_out import HeldOutData
    from langchain_chatexports.evaluation.page import (
        evaluation_page,
        write_evaluation_page,
    )
    from langchain_chatexports.evaluation.replies import ModelServer
    from langchain_chatexports.evaluation.results import Evaluation

__all__ = [
    "BlindGuess",
    "BlindPair",
    "BlindResult",
    "Evaluation",
    "EvaluationSettings",
    "HeldOutData",
    "ModelServer",
    "blind_result",
    "check_extra",
    "data_from_examples",
    "data_from_sessions",
    "evaluate",
    "evaluation_page",
    "write_evaluation_page",
]

_MODULES = {
    "asking": ("ModelServer",),
    "blind": ("BlindGuess", "BlindPair", "BlindResult", "blind_result"),
    "comparison": ("EvaluationSettings", "evaluate"),
    "held_out": ("HeldOutData",),
    "page": ("evaluation_page", "write_evaluation_page"),
    "reading": ("data_from_examples", "data_from_sessions"),
    "results": ("Evaluation",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
_NEEDED = ("numpy", "emoji")
_NEEDED_FOR_PAGES = ("jinja2", "matplotlib")


def check_extra() -> None:
    """Make sure that the extra is installed, before something long begins.

    Raises:
        MissingExtraError: If it is not.
    """
    _check((*_NEEDED, *_NEEDED_FOR_PAGES))


def _check(needed: tuple[str, ...]) -> None:
    if not all(map(find_spec, needed)):
        feature = "The evaluation"
        raise MissingExtraError(feature, "evaluate")


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    _check(_NEEDED)
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
