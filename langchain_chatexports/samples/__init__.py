"""Sample exports, written from text of our own.

```python
from langchain_chatexports.samples import write_imessage, write_messenger

path = write_imessage("chat.db")  # ten chats of Tortoise and Hare
folder = write_messenger("hogwarts")  # nine Messenger threads of one owner
```

They stand where LangChain's two chat-loader tutorials download theirs. The characters'
names are borrowed, the text is invented, and we are affiliated with nobody's work.
"""

from __future__ import annotations

from langchain_chatexports.samples.imessage import write_imessage
from langchain_chatexports.samples.messenger import write_messenger

__all__ = ["write_imessage", "write_messenger"]
