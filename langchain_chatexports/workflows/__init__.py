"""The steps from exports to a talk as functions, which the commands call.

```python no-run
from langchain_chatexports.workflows import PrepareOptions, prepare, talk, train

data = prepare("chat.db", PrepareOptions(ai=("Tortoise",)))
model = train(data, on_event=print)
with talk(model) as ask:
    print(ask("Are you ready for the race?"))
```

These functions neither prompt nor print: they take choices as arguments, and report
progress as events.
"""

from langchain_chatexports.workflows.bases import choose_base
from langchain_chatexports.workflows.models import delete_everything, list_data
from langchain_chatexports.workflows.preparation import PrepareOptions
from langchain_chatexports.workflows.prepare import prepare, write_examples
from langchain_chatexports.workflows.removal import delete_remaining, forget
from langchain_chatexports.workflows.talk import load_person, talk
from langchain_chatexports.workflows.train import train

__all__ = [
    "PrepareOptions",
    "choose_base",
    "delete_everything",
    "delete_remaining",
    "forget",
    "list_data",
    "load_person",
    "prepare",
    "talk",
    "train",
    "write_examples",
]
