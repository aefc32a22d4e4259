"""Fine-tuning and chats on the user's machine, and OpenAI's API for them.

```python
from langchain_chatexports.local_server import LocalServer

with LocalServer() as server:
    print(server.base_url, server.base_model)
```

`Workspace` has the jobs, models and files of a data directory, `Queue` runs its jobs,
and `LocalServer` does both and answers OpenAI's requests. Importing this package
imports nothing of the extra `local`: functions do, and child processes load torch.
"""

from langchain_chatexports.local_server.bases.base import (
    Base,
    find_base,
    fitting_bases,
    known_bases,
    list_downloaded_bases,
)
from langchain_chatexports.local_server.bases.cache import list_cache_folders
from langchain_chatexports.local_server.bases.choice import (
    BaseChoice,
    NoBaseError,
    propose_base,
)
from langchain_chatexports.local_server.bases.download import (
    download_gguf,
    download_model,
)
from langchain_chatexports.local_server.bases.preparation import (
    conversion_bytes,
    conversion_text,
)
from langchain_chatexports.local_server.errors import (
    BaseMissingError,
    DataDirectoryError,
    DiskFullError,
    InvalidExamplesError,
    NoConnectionError,
    NotFoundError,
    OutOfMemoryError,
    StateError,
    TrainingError,
)
from langchain_chatexports.local_server.export import (
    EVALUATION_FILE,
    export_model,
    usage_instructions,
)
from langchain_chatexports.local_server.processes import thread_count
from langchain_chatexports.local_server.server import LocalServer
from langchain_chatexports.local_server.training.hyperparameters import (
    resolve_hyperparameters,
    save_bytes,
)
from langchain_chatexports.local_server.training.queue import Queue
from langchain_chatexports.local_server.workspace import (
    Event,
    ExampleFile,
    Job,
    Model,
    Snapshot,
    State,
    Workspace,
    file_id_of,
    job_labels,
)

__all__ = [
    "EVALUATION_FILE",
    "Base",
    "BaseChoice",
    "BaseMissingError",
    "DataDirectoryError",
    "DiskFullError",
    "Event",
    "ExampleFile",
    "InvalidExamplesError",
    "Job",
    "LocalServer",
    "Model",
    "NoBaseError",
    "NoConnectionError",
    "NotFoundError",
    "OutOfMemoryError",
    "Queue",
    "Snapshot",
    "State",
    "StateError",
    "TrainingError",
    "Workspace",
    "conversion_bytes",
    "conversion_text",
    "download_gguf",
    "download_model",
    "export_model",
    "file_id_of",
    "find_base",
    "fitting_bases",
    "job_labels",
    "known_bases",
    "list_cache_folders",
    "list_downloaded_bases",
    "propose_base",
    "resolve_hyperparameters",
    "save_bytes",
    "thread_count",
    "usage_instructions",
]
