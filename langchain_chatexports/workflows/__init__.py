"""The steps from exports to a talk, as functions, which the commands use.

```python no-run
from langchain_chatexports.workflows import PrepareOptions, prepare, talk, train

data = prepare("chat.db", PrepareOptions(ai=("Tortoise",)))
model = train(data, on_event=print)
with talk(model) as ask:
    print(ask("Are you ready for the race?"))
```

Nothing here asks or prints: choices are arguments, and progress is sent as events.
"""

from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.workflows.bases import choose_base
from langchain_chatexports.workflows.models import delete_everything, kept
from langchain_chatexports.workflows.prepare import prepare, write_examples
from langchain_chatexports.workflows.removal import delete_known, forget
from langchain_chatexports.workflows.talk import person_of, talk
from langchain_chatexports.workflows.train import train

__all__ = [
    "PrepareOptions",
    "choose_base",
    "delete_everything",
    "delete_known",
    "forget",
    "kept",
    "person_of",
    "prepare",
    "talk",
    "train",
    "write_examples",
]
