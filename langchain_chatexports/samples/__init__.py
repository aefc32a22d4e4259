"""Sample exports, written from text of our own.

```python
from langchain_chatexports.samples import write_imessage, write_messenger

path = write_imessage("chat.db")  # ten chats of Tortoise and Hare
folder = write_messenger("hogwarts")  # nine Messenger threads of one owner
```

These two stand where LangChain's chat-loader tutorials download theirs; samples of the
other apps hold the ten talks of Tortoise and Hare. Each function takes a path, makes
missing folders, leaves the same sample there as it is, and raises `ExportFormatError`
before anything is written if something else is there. The names are borrowed, the
text is invented, and we are not affiliated with their owners.
"""

from langchain_chatexports.samples.chats import (
    write_discord,
    write_signal,
    write_slack,
    write_telegram,
    write_whatsapp,
)
from langchain_chatexports.samples.imessage import write_imessage
from langchain_chatexports.samples.messenger import write_messenger

__all__ = [
    "write_discord",
    "write_imessage",
    "write_messenger",
    "write_signal",
    "write_slack",
    "write_telegram",
    "write_whatsapp",
]
