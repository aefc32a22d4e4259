"""An OpenAI-protocol server of one's own: fine-tuning and chats that stay at home.

```python
from langchain_chatexports.local_server import LocalServer

with LocalServer() as server:
    print(server.base_url, server.base_model)
```

Importing this package imports neither torch nor transformers nor FastAPI; they come
with the extra `local`, and are loaded in the server's own process.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_chatexports.local_server.bases.known_bases import (
        KnownBase,
        list_bases,
        suggest_base,
    )
    from langchain_chatexports.local_server.bases.sources import (
        BaseDescription,
        describe_base,
        describe_default_base,
    )
    from langchain_chatexports.local_server.export import export_model
    from langchain_chatexports.local_server.http.server import ServerInfo, serve_forever
    from langchain_chatexports.local_server.in_process import (
        InProcessServer,
        serve_in_process,
    )
    from langchain_chatexports.local_server.inference.scoring import (
        TurnScore,
        score_conversations,
    )
    from langchain_chatexports.local_server.launcher import LocalServer
    from langchain_chatexports.local_server.settings import ServerSettings
    from langchain_chatexports.local_server.storage.data_directory import (
        default_data_dir,
    )
    from langchain_chatexports.local_server.storage.deletion import (
        KeptData,
        count_kept,
        delete_everything,
        delete_model,
    )
    from langchain_chatexports.local_server.storage.models import (
        TunedModel,
        list_models,
    )

__all__ = [
    "BaseDescription",
    "InProcessServer",
    "KeptData",
    "KnownBase",
    "LocalServer",
    "ServerInfo",
    "ServerSettings",
    "TunedModel",
    "TurnScore",
    "count_kept",
    "default_data_dir",
    "delete_everything",
    "delete_model",
    "describe_base",
    "describe_default_base",
    "export_model",
    "list_bases",
    "list_models",
    "score_conversations",
    "serve_forever",
    "serve_in_process",
    "suggest_base",
]

_MODULES = {
    "bases": ("BaseDescription", "describe_base", "describe_default_base"),
    "exporting": ("export_model",),
    "housekeeping": ("KeptData", "count_kept", "delete_everything", "delete_model"),
    "in_process": ("InProcessServer", "serve_in_process"),
    "known_bases": ("KnownBase", "list_bases", "suggest_base"),
    "launcher": ("LocalServer",),
    "scoring": ("TurnScore", "score_conversations"),
    "server": ("ServerInfo", "serve_forever"),
    "settings": ("ServerSettings",),
    "storage": ("default_data_dir",),
    "tuned_models": ("TunedModel", "list_models"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
