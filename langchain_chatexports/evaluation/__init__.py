"""Measures how much a tuned model sounds like the person it was trained on.

```python
from langchain_chatexports.evaluation import evaluate, write_evaluation_page
```

Models reply to held-out messages. Their replies are measured and compared with the
person's own, without a model as judge. Needs the extra `evaluate`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from langchain_chatexports._lazy import lazy_names
from langchain_chatexports.exceptions import MissingExtraError

if TYPE_CHECKING:
    from langchain_chatexports.evaluation.comparison import EvaluationSettings, evaluate
    from langchain_chatexports.evaluation.dialogues import (
        HeldOutData,
        data_from_examples,
        load_model_data,
    )
    from langchain_chatexports.evaluation.model_server import ModelClient
    from langchain_chatexports.evaluation.page import write_evaluation_page
    from langchain_chatexports.evaluation.results import Evaluation

__all__ = [
    "Evaluation",
    "EvaluationSettings",
    "HeldOutData",
    "ModelClient",
    "check_extra",
    "data_from_examples",
    "evaluate",
    "load_model_data",
    "write_evaluation_page",
]

_MODULES = {
    "comparison": ("EvaluationSettings", "evaluate"),
    "dialogues": ("HeldOutData", "data_from_examples", "load_model_data"),
    "model_server": ("ModelClient",),
    "page": ("write_evaluation_page",),
    "results": ("Evaluation",),
}
_NEEDED = ("jinja2", "numpy", "scipy", "sklearn")


def check_extra() -> None:
    """Check that the extra is installed.

    Raises:
        MissingExtraError: If one of its packages is missing.
    """
    if not all(map(find_spec, _NEEDED)):
        feature = "The evaluation"
        raise MissingExtraError(feature, "evaluate")


_get_own, __dir__ = lazy_names(__name__, _MODULES)


def __getattr__(name: str) -> Any:
    if name in __all__:
        check_extra()
    return _get_own(name)
