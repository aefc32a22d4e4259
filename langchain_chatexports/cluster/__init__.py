"""Reading many exports with Ray Data, with the same steps and counts.

```python
import ray

from langchain_chatexports import ChunkSessions, MapAIMessages, MergeChatRuns
from langchain_chatexports.cluster import JsonLines, add_counts, read_examples

steps = MergeChatRuns() | MapAIMessages() | ChunkSessions(8, 2)
examples = read_examples(["exports/a.zip", "exports/b.zip"], steps, counts="counts")
examples.write_datasink(JsonLines("examples"))
print(add_counts("counts"))
```

One export needs none of this: a million messages take one process 15 to 20 seconds.
Needs the extra `ray`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports.cluster.counts import ClusterCounts, add_counts
from langchain_chatexports.cluster.parts import part_of
from langchain_chatexports.cluster.reading import (
    read_examples,
    read_exports,
    session_of_row,
    through,
)

if TYPE_CHECKING:
    from langchain_chatexports.cluster.writing import JsonLines, ParquetRows

__all__ = [
    "ClusterCounts",
    "JsonLines",
    "ParquetRows",
    "add_counts",
    "part_of",
    "read_examples",
    "read_exports",
    "session_of_row",
    "through",
]


def __getattr__(name: str) -> Any:
    if name in {"JsonLines", "ParquetRows"}:  # Classes of Ray's: it is imported late.
        from langchain_chatexports.cluster import writing

        return getattr(writing, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
