"""A local server with OpenAI's API: fine-tuning and chats on the user's machine.

```python
from langchain_chatexports.local_server import LocalServer

with LocalServer() as server:
    print(server.base_url, server.base_model)
```

Importing this package imports neither torch nor transformers nor FastAPI. They come
with the extra `local`, and are loaded in the server's process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports._lazy import lazy_names

if TYPE_CHECKING:
    from langchain_chatexports.local_server.bases.description import (
        BaseDescription,
        describe_base,
        describe_default_base,
    )
    from langchain_chatexports.local_server.bases.known_bases import (
        KnownBase,
        fitting_bases,
        list_bases,
        suggest_base,
    )
    from langchain_chatexports.local_server.engines.scoring import (
        TurnScore,
        score_conversations,
    )
    from langchain_chatexports.local_server.export import (
        export_model,
    )
    from langchain_chatexports.local_server.http.server import (
        ServerInfo,
        check_extra,
        serve_forever,
    )
    from langchain_chatexports.local_server.in_process import (
        InProcessServer,
        serve_in_process,
    )
    from langchain_chatexports.local_server.launcher import (
        LocalServer,
    )
    from langchain_chatexports.local_server.settings import (
        ServerSettings,
    )
    from langchain_chatexports.local_server.storage.data_directory import (
        default_data_dir,
    )
    from langchain_chatexports.local_server.storage.deletion import (
        NOT_DELETED,
        KeptData,
        count_kept,
        delete_everything,
        delete_kept,
    )
    from langchain_chatexports.local_server.storage.jobs import (
        KeptJob,
        cancel_job,
        list_jobs,
        pause_job,
    )
    from langchain_chatexports.local_server.storage.models import (
        TunedModel,
        find_model,
        list_models,
        rename_model,
    )
    from langchain_chatexports.local_server.storage.running import (
        RunningServer,
        find_running_server,
    )
    from langchain_chatexports.local_server.storage.uses import (
        KeptSet,
        jobs_that_used_set,
        list_sets,
    )
    from langchain_chatexports.local_server.trained_voice import (
        voice_of,
    )

__all__ = [
    "NOT_DELETED",
    "BaseDescription",
    "InProcessServer",
    "KeptData",
    "KeptJob",
    "KeptSet",
    "KnownBase",
    "LocalServer",
    "RunningServer",
    "ServerInfo",
    "ServerSettings",
    "TunedModel",
    "TurnScore",
    "cancel_job",
    "check_extra",
    "count_kept",
    "default_data_dir",
    "delete_everything",
    "delete_kept",
    "describe_base",
    "describe_default_base",
    "export_model",
    "find_model",
    "find_running_server",
    "fitting_bases",
    "jobs_that_used_set",
    "list_bases",
    "list_jobs",
    "list_models",
    "list_sets",
    "pause_job",
    "rename_model",
    "score_conversations",
    "serve_forever",
    "serve_in_process",
    "suggest_base",
    "voice_of",
]

_MODULES = {
    "bases.known_bases": (
        "KnownBase",
        "fitting_bases",
        "list_bases",
        "suggest_base",
    ),
    "bases.description": (
        "BaseDescription",
        "describe_base",
        "describe_default_base",
    ),
    "export": ("export_model",),
    "http.server": (
        "ServerInfo",
        "check_extra",
        "serve_forever",
    ),
    "in_process": (
        "InProcessServer",
        "serve_in_process",
    ),
    "engines.scoring": (
        "TurnScore",
        "score_conversations",
    ),
    "launcher": ("LocalServer",),
    "settings": ("ServerSettings",),
    "storage.data_directory": ("default_data_dir",),
    "storage.deletion": (
        "NOT_DELETED",
        "KeptData",
        "count_kept",
        "delete_everything",
        "delete_kept",
    ),
    "storage.jobs": (
        "KeptJob",
        "cancel_job",
        "list_jobs",
        "pause_job",
    ),
    "storage.models": (
        "TunedModel",
        "find_model",
        "list_models",
        "rename_model",
    ),
    "storage.running": (
        "RunningServer",
        "find_running_server",
    ),
    "storage.uses": (
        "KeptSet",
        "jobs_that_used_set",
        "list_sets",
    ),
    "trained_voice": ("voice_of",),
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
