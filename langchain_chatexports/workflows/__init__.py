"""The steps from exports to a talk as functions, which the commands call.

```python no-run
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.prepare import prepare
from langchain_chatexports.workflows.talk import talk
from langchain_chatexports.workflows.train import train

data = prepare("chat.db", PrepareOptions(ai=("Tortoise",)))
model = train(data, on_event=print)
with talk(model) as ask:
    print(ask("Are you ready for the race?"))
```

These functions neither prompt nor print: they take choices as arguments, and report
progress as events.
"""

from typing import TYPE_CHECKING

from langchain_chatexports._lazy import lazy_names

if TYPE_CHECKING:
    from langchain_chatexports.workflows.bases import choose_base
    from langchain_chatexports.workflows.models import delete_everything, list_data
    from langchain_chatexports.workflows.preparation import PrepareOptions
    from langchain_chatexports.workflows.prepare import write_examples
    from langchain_chatexports.workflows.removal import delete_remaining, forget
    from langchain_chatexports.workflows.talk import load_person

# `prepare`, `talk` and `train` are modules with a function of the same name.
__all__ = [
    "PrepareOptions",
    "choose_base",
    "delete_everything",
    "delete_remaining",
    "forget",
    "list_data",
    "load_person",
    "write_examples",
]

_MODULES = {
    "bases": ("choose_base",),
    "models": ("delete_everything", "list_data"),
    "preparation": ("PrepareOptions",),
    "prepare": ("write_examples",),
    "removal": ("delete_remaining", "forget"),
    "talk": ("load_person",),
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
