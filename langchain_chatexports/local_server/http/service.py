"""What the routes work with: files, jobs, models and the engine of one server."""

from __future__ import annotations

import contextlib
import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_chatexports.datasets.validation import validate_examples
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.devices import choose_device, choose_dtype
from langchain_chatexports.local_server.http.errors import ApiError, not_found
from langchain_chatexports.local_server.inference.generation import Engine
from langchain_chatexports.local_server.storage.files import FILE_ID, FileStore
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.local_server.storage.models import (
    ModelStore,
    new_model_id,
    tuned_model_name,
)
from langchain_chatexports.local_server.storage.training_files import (
    JsonLinesError,
    read_examples,
)
from langchain_chatexports.local_server.training.dataset import (
    DatasetReport,
    label_examples,
)
from langchain_chatexports.local_server.training.hyperparameters import (
    resolve_hyperparameters,
)
from langchain_chatexports.local_server.training.labels import TemplateError
from langchain_chatexports.local_server.training.queue import TrainingQueue

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_chatexports.local_server.http.schemas import JobRequest
    from langchain_chatexports.local_server.storage.data_directory import DataDirectory

__all__ = ["LocalService", "ServedModel"]

_MAX_EXAMPLE_TOKENS = 1024
_MIN_EXAMPLES = 10
_MAX_SHOWN_PROBLEMS = 10
_MAX_PROBLEMS = 1000


@dataclass(frozen=True)
class ServedModel:
    """A model that a request may name."""

    name: str
    """Its own name, where the request used an alias."""

    adapter: Path | None
    """The folder of its adapter; `None` for the base."""


class LocalService:
    """Everything behind the routes; usable without them."""

    def __init__(
        self,
        data: DataDirectory,
        *,
        base: str | None,
        base_model: str,
        base_directory: Path,
        signature: str,
        aliases: dict[str, str] | None = None,
        threads: int = 1,
        max_training_jobs: int = 1,
    ) -> None:
        """Open a data directory; `start` begins to train what waits in it.

        Args:
            data: The data directory, prepared and locked.
            base: The base as it was given.
            base_model: Its short name.
            base_directory: Where it lies in transformers' format.
            signature: The measures that adapter and base must share.
            aliases: More names for the base.
            threads: How many threads mathematics may use.
            max_training_jobs: How many jobs may train at the same time.
        """
        self.base_model = base_model
        self.aliases = sorted(aliases or {})
        self.data = data
        self.files = FileStore(data)
        self.jobs = JobStore(data)
        self.models = ModelStore(data, base_model=base_model, signature=signature)
        self.engine = Engine(base_directory, threads=threads)
        self.queue = TrainingQueue(
            self.jobs,
            self.files,
            self.models,
            base_directory=base_directory,
            threads=threads,
            at_once=max_training_jobs,
        )
        # Parsing and tokenizing takes many times the memory of a text: one at a time.
        self.reading = threading.Lock()
        self._reading_files = threading.Lock()
        self._base = base
        self._signature = signature

    def start(self) -> None:
        """Begin to train what is queued, and to load what the first order needs."""
        self.queue.start()
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def stop(self) -> None:
        """End answers and training; an unfinished job is queued again."""
        self.engine.close()
        self.queue.stop()

    def find_model(self, name: str) -> ServedModel:
        """Resolve a model's name; no path and no hub id is ever one.

        Raises:
            ApiError: With status 404 if this server does not serve it.
        """
        if name == self.base_model or name in self.aliases:
            return ServedModel(self.base_model, None)
        folder = self.models.adapter_folder(name)
        if folder is not None:
            return ServedModel(name, folder)
        msg = "The model does not exist on this server."
        other = self.models.other_base(name)
        if other is not None:
            msg = (
                f"This model was tuned from {other}, and the server runs "
                f"{self.base_model}. Start it with the other base."
            )
        raise ApiError(msg, status=404, code="model_not_found", param="model")

    def delete_model(self, name: str) -> None:
        """Delete a tuned model with its checkpoints.

        Raises:
            ApiError: If it is not there, or not one's own.
        """
        if name == self.base_model or name in self.aliases:
            msg = "Only tuned models can be deleted."
            raise ApiError(msg, status=403, code="cannot_delete", param="model")
        record = self.models.get(name)
        if record is None:
            raise not_found(kind="model", param="model")
        self.models.delete(name)
        self.engine.forget(self.models.folder(record["id"]))

    def create_job(self, request: JobRequest) -> dict[str, Any]:
        """Check an order whole, and queue it.

        Raises:
            ApiError: If anything about it would fail later.
        """
        if self.find_model(request.model).adapter is not None:
            msg = f"A tuned model cannot be tuned again here; use {self.base_model}."
            raise ApiError(msg, code="model_not_available", param="model")
        max_length = self._check_template()
        training = self._read(request.training_file, "training_file", max_length)
        validation = None
        if request.validation_file is not None:
            validation = self._read(
                request.validation_file, "validation_file", max_length
            )
        device = choose_device()
        numbers = resolve_hyperparameters(
            request.numbers(), examples=training.count, device=device
        )
        model_id = new_model_id()
        name = tuned_model_name(self.base_model, request.suffix, model_id)
        hyperparameters = numbers.to_dict()
        job = self.jobs.create(
            {
                "model": self.base_model,
                "fine_tuned_model": None,
                "training_file": request.training_file,
                "validation_file": request.validation_file,
                "result_files": [],
                "hyperparameters": hyperparameters,
                "method": {
                    "type": "supervised",
                    "supervised": {"hyperparameters": hyperparameters},
                },
                "seed": _seed(request.seed),
                "user_provided_suffix": request.suffix,
                "organization_id": "local",
                "metadata": request.metadata,
                "integrations": [],
                "trained_tokens": None,
                "finished_at": None,
                "estimated_finish": None,
                "error": None,
            },
            private={
                "max_length": max_length,
                "dtype": choose_dtype(device),
                # Who orders a number of epochs gets just so many.
                "stops_early": request.numbers()["n_epochs"] == "auto",
                "model": {
                    "id": model_id,
                    "name": name,
                    "base": self._base,
                    "base_model": self.base_model,
                    "signature": self._signature,
                    "suffix": request.suffix,
                },
            },
            events=[
                *self._alias_warnings(request.model),
                *_warnings(training, "training", max_length),
                *(
                    _warnings(validation, "validation", max_length)
                    if validation
                    else ()
                ),
            ],
        )
        self.queue.wake()
        return job

    def checkpoints(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the checkpoints of a job, newest first; none before it succeeds."""
        name = job["fine_tuned_model"]
        record = self.models.get(name) if name else None
        if record is None:
            return []
        return [
            {
                "object": "fine_tuning.job.checkpoint",
                "id": f"ftckpt-{record['id']}-{kept['step']}",
                "created_at": kept["created_at"],
                "fine_tuned_model_checkpoint": f"{name}:ckpt-step-{kept['step']}",
                "fine_tuning_job_id": job["id"],
                "step_number": kept["step"],
                "metrics": kept["metrics"],
            }
            for kept in reversed(record.get("checkpoints", ()))
        ]

    def _warm_up(self) -> None:
        # A broken tokenizer is told to whom it concerns: the first request.
        with contextlib.suppress(Exception):
            self.engine.context  # noqa: B018 - asking for it loads it.
            choose_dtype(choose_device())

    def _check_template(self) -> int:
        try:
            self.engine.template.check_trainable()
        except (TemplateError, LocalServerError) as error:
            msg = f"{self.base_model} cannot be trained: {error}."
            raise ApiError(msg, code="model_not_available", param="model") from error
        return min(_MAX_EXAMPLE_TOKENS, self.engine.context)

    def _read(self, file_id: str, param: str, max_length: int) -> DatasetReport:
        if not FILE_ID.fullmatch(file_id) or self.files.get(file_id) is None:
            raise not_found(kind="file", param=param)
        fewest = _MIN_EXAMPLES if param == "training_file" else 1
        # One file at a time, and never the whole of it in memory.
        with self._reading_files:
            try:
                path = self.files.path(file_id)
                problems: list[str] = [
                    str(problem)
                    for problem in validate_examples(
                        read_examples(path),
                        minimum=fewest,
                        allow_trailing=True,
                        limit=_MAX_PROBLEMS,
                    )
                ]
                if problems:
                    raise _refused(problems, param)
                report = label_examples(
                    read_examples(path),
                    self.engine.template,
                    max_length=max_length,
                    keep=False,
                )
            except FileNotFoundError:
                raise not_found(kind="file", param=param) from None
            except JsonLinesError as error:
                raise ApiError(str(error), code="invalid_file", param=param) from error
        if report.problems:
            raise _refused(report.problems, param)
        if not report.count:
            nothing = f"no example has an answer within {max_length} tokens"
            raise _refused([nothing], param)
        return report

    def _alias_warnings(self, name: str) -> list[str]:
        if name == self.base_model:
            return []
        return [
            f"{name} is an alias here: the model that is tuned is {self.base_model}"
        ]


def _seed(asked: int | None) -> int:
    # Chance, not secrecy.
    return random.randrange(2**31) if asked is None else asked  # noqa: S311


def _refused(problems: list[str], param: str) -> ApiError:
    shown = "; ".join(problems[:_MAX_SHOWN_PROBLEMS])
    rest = len(problems) - _MAX_SHOWN_PROBLEMS
    or_more = " at least" if len(problems) >= _MAX_PROBLEMS else ""
    more = f"; and {rest} more{or_more}" if rest > 0 else ""
    what = param.replace("_", " ")
    msg = f"The {what} cannot be used: {shown}{more}."
    return ApiError(msg, code="invalid_training_file", param=param)


def _warnings(report: DatasetReport, what: str, max_length: int) -> list[str]:
    warnings = []
    if report.cut:
        warnings.append(
            f"{report.cut} {what} examples are longer than {max_length} tokens, and "
            "what they say after that is not learned; split long chats before"
        )
    if report.without_loss:
        warnings.append(
            f"{report.without_loss} {what} examples are left out: "
            "none of their answers can be learned"
        )
    if report.dropped_openers:
        warnings.append(
            f"{report.dropped_openers} assistant messages at the start of {what} "
            "dialogues are left out: the model's chat template lets the user begin"
        )
    if report.trailing:
        warnings.append(
            f"{report.trailing} {what} examples end with a message that is not the "
            "assistant's; it carries no loss"
        )
    if report.leading:
        warnings.append(
            f"{report.leading} {what} examples begin with the assistant, which is "
            "learned as an opening line"
        )
    return warnings
