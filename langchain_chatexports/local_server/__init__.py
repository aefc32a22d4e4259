"""A local server with OpenAI's API: fine-tuning and chats on the user's machine.

```python
from langchain_chatexports.local_server import LocalServer

with LocalServer() as server:
    print(server.base_url, server.base_model)
```

Importing this package does not import torch, transformers or FastAPI. They are a part
of the extra `local`, and the server's process loads them.
"""

from typing import TYPE_CHECKING

from langchain_chatexports._lazy import lazy_names

if TYPE_CHECKING:
    from langchain_chatexports.local_server.export import export_model
    from langchain_chatexports.local_server.launcher import LocalServer
    from langchain_chatexports.local_server.old_http.server import serve_forever
    from langchain_chatexports.local_server.settings import ServerSettings
    from langchain_chatexports.local_server.storage.deletion import delete_data
    from langchain_chatexports.local_server.storage.models import (
        find_model,
        list_models,
    )

__all__ = [
    "LocalServer",
    "ServerSettings",
    "delete_data",
    "export_model",
    "find_model",
    "list_models",
    "serve_forever",
]

_MODULES = {
    "export": ("export_model",),
    "old_http.server": ("serve_forever",),
    "launcher": ("LocalServer",),
    "settings": ("ServerSettings",),
    "storage.deletion": ("delete_data",),
    "storage.models": ("find_model", "list_models"),
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
