"""A data directory: jobs, models and files, for any number of processes.

```python
from langchain_chatexports.local_server.workspace import Workspace

workspace = Workspace()
for job in workspace.jobs.list():
    print(job.id, job.state)
```

A database and the folders beside it are the only truth: no process has to be asked.
"""

from langchain_chatexports.local_server.workspace.data_directory import (
    DataDirectory,
    default_data_dir,
)
from langchain_chatexports.local_server.workspace.files import (
    ExampleFile,
    Files,
    file_id_of,
)
from langchain_chatexports.local_server.workspace.jobs import Jobs
from langchain_chatexports.local_server.workspace.models import (
    Model,
    Models,
    job_labels,
)
from langchain_chatexports.local_server.workspace.records import (
    ACTIVE,
    UNFINISHED,
    Event,
    Job,
    State,
)
from langchain_chatexports.local_server.workspace.workspace import (
    Snapshot,
    Workspace,
)

__all__ = [
    "ACTIVE",
    "UNFINISHED",
    "DataDirectory",
    "Event",
    "ExampleFile",
    "Files",
    "Job",
    "Jobs",
    "Model",
    "Models",
    "Snapshot",
    "State",
    "Workspace",
    "default_data_dir",
    "file_id_of",
    "job_labels",
]
