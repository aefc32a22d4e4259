"""For tests of programs that use the local server: no base, no torch, no waiting.

```python
from langchain_chatexports.local_server.testing import EchoServer

with EchoServer(data_dir=folder) as server:
    model = ChatFineTuner(
        model=server.base_model, base_url=server.base_url, api_key=server.api_key
    ).invoke(examples)
```

Its models repeat the last message, and its trainer counts steps.
"""

import json
import time
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.bases.base import Base
from langchain_chatexports.local_server.bases.cache import write_json
from langchain_chatexports.local_server.engines.echo import EchoEngine
from langchain_chatexports.local_server.engines.engine import Engine
from langchain_chatexports.local_server.server import LocalServer
from langchain_chatexports.local_server.training.trainer import Progress, step_of
from langchain_chatexports.local_server.workspace import Job
from langchain_chatexports.local_server.workspace.jobs import SAMPLE

__all__ = ["EchoEngine", "EchoServer", "train_steps"]

_EPOCHS = 2


def train_steps(
    progress: Progress,
    examples: list[dict[str, Any]],
    job: Job,
    settings: dict[str, Any],
) -> Path | None:
    """Count steps instead of training, for `Queue(workspace, train=train_steps)`.

    The hyperparameters `steps` and `step_seconds` of a job say how many and how slowly.
    """
    del settings
    epochs = job.hyperparameters.get("n_epochs", _EPOCHS)
    steps = job.hyperparameters.get("steps", epochs * len(examples))
    save = progress.begin()
    asked = str(examples[0]["messages"][0]["content"])
    write_json(progress.folder / SAMPLE, {"message": asked, "answer": asked})
    for step in range(step_of(save) + 1 if save else 1, steps + 1):
        time.sleep(job.hyperparameters.get("step_seconds", 0.0))
        progress.step(step, steps, 1 / step)
        is_stopping = progress.is_stopping  # Another thread may set it at any time.
        if is_stopping or progress.should_save():
            folder = progress.folder / f"checkpoint-{step}"
            folder.mkdir(exist_ok=True)
            progress.saved(folder)
        if is_stopping:
            return None
    result = progress.folder / "model"
    result.mkdir(exist_ok=True)
    (result / "steps.json").write_text(json.dumps({"steps": steps}), "ascii")
    progress.record(trained_tokens=steps, reply_tokens=None)
    return result


class EchoServer(LocalServer):
    """A local server whose models repeat the last message.

    It trains by `train_steps`. Its arguments are those of `LocalServer`; the base is
    any name.
    """

    _train = staticmethod(train_steps)

    def _find_base(self, base: str | Path | None) -> Base:
        return Base(str(base or "echo"), str(base or "echo"), "directory")

    def _open_engine(self) -> Engine:
        return EchoEngine()
