"""Sample exports with invented text.

```python
from langchain_chatexports.samples import write_imessage, write_messenger

path = write_imessage("chat.db")  # ten chats between Tortoise and Hare
folder = write_messenger("hogwarts")  # nine Messenger threads of one owner
```

These two replace the downloads in LangChain's chat loader tutorials. The samples for
other apps contain the same ten chats between Tortoise and Hare. Each function takes a
path, creates missing folders, leaves an existing sample unchanged, and raises
`ExportFormatError` if the path contains anything else. The names are borrowed and the
text is invented. This project is not affiliated with the owners of the names.
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
