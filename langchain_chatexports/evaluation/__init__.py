"""How much a model sounds like the person it was tuned on, in figures.

```python
from langchain_chatexports.evaluation import Contestant, evaluate
```

No model judges another one here: what a model writes behind held-out messages is
counted, and compared with what the person wrote there. Needs the extra `evaluate`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import MissingExtraError

if TYPE_CHECKING:
    from langchain_chatexports.evaluation.blind import BlindResult, blind_result
    from langchain_chatexports.evaluation.comparison import (
        EvaluationSettings,
        evaluate,
    )
    from langchain_chatexports.evaluation.contestants import Contestant
    from langchain_chatexports.evaluation.held_out import HeldOutData
    from langchain_chatexports.evaluation.page import (
        evaluation_page,
        write_evaluation_page,
    )
    from langchain_chatexports.evaluation.results import Evaluation

__all__ = [
    "BlindResult",
    "Contestant",
    "Evaluation",
    "EvaluationSettings",
    "HeldOutData",
    "blind_result",
    "evaluate",
    "evaluation_page",
    "write_evaluation_page",
]

_MODULES = {
    "blind": ("BlindResult", "blind_result"),
    "contestants": ("Contestant",),
    "comparison": ("EvaluationSettings", "evaluate"),
    "held_out": ("HeldOutData",),
    "page": ("evaluation_page", "write_evaluation_page"),
    "results": ("Evaluation",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
_EXTRA = frozenset({"emoji", "numpy"})


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    try:
        module = import_module(f"{__name__}.{_MODULE_OF[name]}")
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        feature = "The evaluation"
        raise MissingExtraError(feature, "evaluate") from error
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
