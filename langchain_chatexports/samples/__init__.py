"""Sample exports with text of our own.

```python
from langchain_chatexports.samples import write_imessage, write_messenger

path = write_imessage("chat.db")  # ten chats of Tortoise and Hare
folder = write_messenger("hogwarts")  # nine Messenger threads of one owner
```

These two replace the downloads of LangChain's chat-loader tutorials; the samples of
other apps contain the same ten talks of Tortoise and Hare. Each function takes a path,
creates missing folders, does not change an existing sample, and raises
`ExportFormatError` if the path contains anything else. The names are borrowed, the text
is invented, and we are not affiliated with their owners.
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
