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

if TYPE_CHECKING:  # Names that are not in `__all__` are for the rooms above.
    from langchain_chatexports.local_server.bases.description import (
        BaseDescription as BaseDescription,
    )
    from langchain_chatexports.local_server.bases.description import (
        describe_base as describe_base,
    )
    from langchain_chatexports.local_server.bases.description import (
        describe_default_base as describe_default_base,
    )
    from langchain_chatexports.local_server.bases.known_bases import (
        KnownBase as KnownBase,
    )
    from langchain_chatexports.local_server.bases.known_bases import (
        fitting_bases as fitting_bases,
    )
    from langchain_chatexports.local_server.bases.known_bases import (
        list_bases as list_bases,
    )
    from langchain_chatexports.local_server.bases.known_bases import (
        suggest_base as suggest_base,
    )
    from langchain_chatexports.local_server.engines.scoring import (
        TurnScore as TurnScore,
    )
    from langchain_chatexports.local_server.engines.scoring import (
        score_conversations,
    )
    from langchain_chatexports.local_server.export import (
        export_model,
    )
    from langchain_chatexports.local_server.http.server import (
        ServerInfo as ServerInfo,
    )
    from langchain_chatexports.local_server.http.server import (
        check_extra as check_extra,
    )
    from langchain_chatexports.local_server.http.server import (
        serve_forever,
    )
    from langchain_chatexports.local_server.launcher import (
        LocalServer,
    )
    from langchain_chatexports.local_server.settings import (
        ServerSettings,
    )
    from langchain_chatexports.local_server.storage.data_directory import (
        default_data_dir as default_data_dir,
    )
    from langchain_chatexports.local_server.storage.deletion import (
        NOT_DELETED as NOT_DELETED,
    )
    from langchain_chatexports.local_server.storage.deletion import (
        KeptData as KeptData,
    )
    from langchain_chatexports.local_server.storage.deletion import (
        count_kept as count_kept,
    )
    from langchain_chatexports.local_server.storage.deletion import (
        delete_everything as delete_everything,
    )
    from langchain_chatexports.local_server.storage.deletion import (
        delete_kept,
    )
    from langchain_chatexports.local_server.storage.jobs import (
        KeptJob as KeptJob,
    )
    from langchain_chatexports.local_server.storage.jobs import (
        cancel_job as cancel_job,
    )
    from langchain_chatexports.local_server.storage.jobs import (
        list_jobs as list_jobs,
    )
    from langchain_chatexports.local_server.storage.jobs import (
        pause_job as pause_job,
    )
    from langchain_chatexports.local_server.storage.models import (
        TunedModel as TunedModel,
    )
    from langchain_chatexports.local_server.storage.models import (
        find_model,
        list_models,
    )
    from langchain_chatexports.local_server.storage.models import (
        rename_model as rename_model,
    )
    from langchain_chatexports.local_server.storage.running import (
        RunningServer as RunningServer,
    )
    from langchain_chatexports.local_server.storage.running import (
        find_running_server as find_running_server,
    )
    from langchain_chatexports.local_server.storage.uses import (
        KeptSet as KeptSet,
    )
    from langchain_chatexports.local_server.storage.uses import (
        jobs_that_used_set as jobs_that_used_set,
    )
    from langchain_chatexports.local_server.storage.uses import (
        list_sets as list_sets,
    )
    from langchain_chatexports.local_server.trained_voice import (
        voice_of as voice_of,
    )

__all__ = [
    "LocalServer",
    "ServerSettings",
    "delete_kept",
    "export_model",
    "find_model",
    "list_models",
    "score_conversations",
    "serve_forever",
]

_MODULES = {
    "bases.known_bases": ("KnownBase", "fitting_bases", "list_bases", "suggest_base"),
    "bases.description": ("BaseDescription", "describe_base", "describe_default_base"),
    "export": ("export_model",),
    "http.server": ("ServerInfo", "check_extra", "serve_forever"),
    "engines.scoring": ("TurnScore", "score_conversations"),
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
    "storage.jobs": ("KeptJob", "cancel_job", "list_jobs", "pause_job"),
    "storage.models": ("TunedModel", "find_model", "list_models", "rename_model"),
    "storage.running": ("RunningServer", "find_running_server"),
    "storage.uses": ("KeptSet", "jobs_that_used_set", "list_sets"),
    "trained_voice": ("voice_of",),
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
