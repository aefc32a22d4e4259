"""Sample exports, written from text of our own.

```python
from langchain_chatexports.samples import write_imessage, write_messenger

path = write_imessage("chat.db")  # ten chats of Tortoise and Hare
folder = write_messenger("hogwarts")  # nine Messenger threads of one owner
```

These two stand where LangChain's chat-loader tutorials download theirs; samples of the
other apps hold the ten talks of Tortoise and Hare. The characters' names are borrowed,
the text is invented, and we are affiliated with nobody's work.
"""

from __future__ import annotations

from langchain_chatexports.samples.discord import write_discord
from langchain_chatexports.samples.imessage import write_imessage
from langchain_chatexports.samples.messenger import write_messenger
from langchain_chatexports.samples.signal import write_signal
from langchain_chatexports.samples.slack import write_slack
from langchain_chatexports.samples.telegram import write_telegram
from langchain_chatexports.samples.whatsapp import write_whatsapp

__all__ = [
    "write_discord",
    "write_imessage",
    "write_messenger",
    "write_signal",
    "write_slack",
    "write_telegram",
    "write_whatsapp",
]
