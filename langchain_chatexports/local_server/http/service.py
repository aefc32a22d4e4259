"""The service behind the routes: files, jobs, models and the engine of a server."""

import contextlib
import random
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from langchain_chatexports._terminal import plural
from langchain_chatexports.datasets.validation import validate_examples
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.finetuning.settings import KEY
from langchain_chatexports.local_server.bases.derived_template import TemplateError
from langchain_chatexports.local_server.bases.devices import expected_device
from langchain_chatexports.local_server.bases.tokenizer import ChatTokenizer
from langchain_chatexports.local_server.engines.choice import EngineChoice
from langchain_chatexports.local_server.engines.llama_cpp import LlamaCppEngine
from langchain_chatexports.local_server.engines.transformers import (
    TransformersEngine,
)
from langchain_chatexports.local_server.http.errors import ApiError, not_found
from langchain_chatexports.local_server.http.requests import JobRequest
from langchain_chatexports.local_server.storage.data_directory import (
    FILE_ID,
    DataDirectory,
)
from langchain_chatexports.local_server.storage.deletion import (
    delete_kept,
    uploads_of,
)
from langchain_chatexports.local_server.storage.files import FileStore
from langchain_chatexports.local_server.storage.jobs import (
    UNFINISHED,
    JobStore,
    last_saved,
)
from langchain_chatexports.local_server.storage.json_lines import (
    JsonLinesError,
    read_examples,
)
from langchain_chatexports.local_server.storage.models import (
    PERSON_KEY,
    SOURCE_KEY,
    ModelStore,
    new_model_id,
    tuned_model_name,
)
from langchain_chatexports.local_server.training.hyperparameters import (
    resolve_hyperparameters,
)
from langchain_chatexports.local_server.training.labels import (
    LabeledDataset,
    label_examples,
)
from langchain_chatexports.local_server.training.queue import TrainingQueue
from langchain_chatexports.local_server.training.trial import check_trainable

_MAX_EXAMPLE_TOKENS = 1024
_WARM_UP_SECONDS = 30.0
_MIN_EXAMPLES = 10
_MAX_SHOWN_PROBLEMS = 10
_MAX_PROBLEMS = 1000


@dataclass(frozen=True)
class ServedModel:
    """A model that a request may name."""

    name: str
    """Its own name, if the request used an alias."""

    adapter: Path | None
    """The folder of its adapter; `None` for the base."""

    reply_tokens: int | None = None
    """The limit of its answers where a request has none."""


class LocalService:
    """The files, jobs, models and engine of one server."""

    def __init__(
        self,
        data: DataDirectory,
        *,
        base: str | None,
        base_model: str,
        base_directory: Path,
        signature: str,
        engine: EngineChoice | None = None,
        aliases: dict[str, str] | None = None,
        threads: int = 1,
        batch_threads: int | None = None,
        resume_jobs: bool = True,
    ) -> None:
        """Open a data directory; `start` starts the queued jobs."""
        self.base_model = base_model
        self.aliases = sorted(aliases or {})
        self.data = data
        self.files = FileStore(data)
        self.jobs = JobStore(data)
        self.models = ModelStore(data, base_model=base_model, signature=signature)
        self._base_directory = base_directory
        self.tokenizer = ChatTokenizer(base_directory)
        self.scorer = TransformersEngine(
            base_directory, self.tokenizer, threads=threads
        )
        self.queue = TrainingQueue(
            self.jobs,
            self.files,
            self.models,
            data_dir=data.root,
            base_directory=base_directory,
            threads=threads,
            resumes=resume_jobs,
        )
        self.llama_cpp: LlamaCppEngine | None = None
        self.choice = engine or EngineChoice(None, reason="as asked for")
        gguf = self.choice.gguf
        if gguf is not None:
            self.llama_cpp = LlamaCppEngine(
                gguf.file,
                self.tokenizer,
                name=base_model,
                adapter_file=gguf.adapter_file,
                threads=threads,
                batch_threads=batch_threads,
                max_context=self.choice.max_context,
                is_training=lambda: self.queue.is_training,
            )
        # Parsing and tokenizing take many times the memory of a text: one at a time.
        self.parsing_lock = threading.Lock()
        self._validation_lock = threading.Lock()
        self._creation_lock = threading.Lock()
        self._warming: threading.Thread | None = None
        self._resume_jobs = resume_jobs
        self._created_at = int(time.time())
        self.checked_examples = 0
        """Examples that were checked for jobs since the start."""

        self.users = 0
        """Other programs that keep the server running."""

        self._base = base
        self._signature = signature

    def start(self) -> None:
        """Start the queue, and load in the background what the first job needs."""
        self.queue.start()
        self._warming = threading.Thread(
            target=self._warm_up, name="warm-up", daemon=True
        )
        self._warming.start()

    def stop(self) -> None:
        """Cancel answers and stop training; unfinished jobs are queued or paused."""
        for engine in (self.llama_cpp, self.scorer):
            if engine is not None:
                engine.close()
        self.queue.stop()
        if self._warming is not None:
            # A thread that is importing torch while Python ends aborts the process.
            self._warming.join(_WARM_UP_SECONDS)
        if not self._resume_jobs:
            self._delete_new_uploads_without_job()

    def _delete_new_uploads_without_job(self) -> None:
        # A command that was interrupted while it ordered a job leaves its examples.
        used = set().union(*map(uploads_of, self.jobs.newest_first()))
        for file in self.files.newest_first():
            if file["created_at"] >= self._created_at and file["id"] not in used:
                self.files.delete(file["id"])

    def find_model(self, name: str) -> ServedModel:
        """Return a model by its name, which is never a path or hub id."""
        if name == self.base_model or name in self.aliases:
            return ServedModel(self.base_model, None)
        record = self.models.get(name)
        if record is not None:
            folder = self.models.folder(record["id"])
            return ServedModel(name, folder, record.get("reply_tokens"))
        msg = "The model does not exist on this server."
        other = self.models.other_base(name)
        if other is not None:
            msg = (
                f"This model was tuned from {other}, and the server runs "
                f"{self.base_model}. Start it with the other base."
            )
        raise ApiError(msg, status=404, code="model_not_found", param="model")

    def delete_model(self, name: str) -> None:
        """Delete a tuned model with its job, and the uploads that only it used."""
        if name == self.base_model or name in self.aliases:
            msg = "Only tuned models can be deleted."
            raise ApiError(msg, status=403, code="cannot_delete", param="model")
        record = self.models.get(name)
        if record is None:
            raise not_found(kind="model", param="model")
        delete_kept(name, data_dir=self.data.root)
        for engine in (self.llama_cpp, self.scorer):
            if engine is not None:
                engine.forget(self.models.folder(record["id"]))

    def create_job(self, request: JobRequest) -> dict[str, Any]:
        """Validate a job and its files, and queue it."""
        if self.find_model(request.model).adapter is not None:
            msg = f"Tuned models cannot be tuned again here; use {self.base_model}."
            raise ApiError(msg, code="model_not_available", param="model")
        max_length = self._max_example_length()
        training = self._validate_file(
            request.training_file, "training_file", max_length
        )
        validation = None
        if request.validation_file is not None:
            validation = self._validate_file(
                request.validation_file, "validation_file", max_length
            )
        requested = request.requested_hyperparameters()
        metadata = request.metadata or {}
        resolved = resolve_hyperparameters(
            requested, examples=training.count, device=expected_device()
        )
        model_id = new_model_id()
        name = tuned_model_name(self.base_model, request.suffix, model_id)
        hyperparameters = asdict(resolved)
        record: dict[str, Any] = {
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
            "metadata": metadata,
            "integrations": [],
            "trained_tokens": None,
            "finished_at": None,
            "estimated_finish": None,
            "error": None,
            "profile": self.profile(),
        }
        private = {
            "max_length": max_length,
            # An explicit number of epochs is trained completely.
            "stops_early": requested["n_epochs"] == "auto",
            "model": {
                "id": model_id,
                "name": name,
                "base": self._base,
                "base_model": self.base_model,
                "signature": self._signature,
                "suffix": request.suffix,
                "person": metadata.get(PERSON_KEY),
                "source": metadata.get(SOURCE_KEY),
            },
        }
        events = [
            *self._alias_warnings(request.model),
            *_warnings(training, "training", max_length),
            *(_warnings(validation, "validation", max_length) if validation else ()),
        ]
        with self._creation_lock:
            known = self._unfinished_job(metadata.get(KEY))
            if known is not None:
                return known
            job = self.jobs.create(record, private=private, events=events)
        self.queue.enqueue(job["id"])
        return job

    def _unfinished_job(self, order: str | None) -> dict[str, Any] | None:
        """Return the unfinished job of an order; one that was stopped continues."""
        for job in self.jobs.newest_first():
            if order is None or job["metadata"].get(KEY) != order:
                continue
            has_failed = job["status"] == "failed"
            if job["status"] == "paused" or (
                has_failed and last_saved(self.jobs.folder(job["id"])) is not None
            ):
                self.jobs.resume(job["id"])
                self.queue.enqueue(job["id"])
                return self.jobs.get(job["id"])
            if job["status"] in UNFINISHED:
                return job
        return None

    def checkpoints(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the epoch that became the model of a job; none before it succeeds."""
        name = job["fine_tuned_model"]
        record = self.models.get(name) if name else None
        if record is None:
            return []
        return [
            {
                "object": "fine_tuning.job.checkpoint",
                "id": f"ftckpt-{record['id']}",
                "created_at": record["created_at"],
                "fine_tuned_model_checkpoint": name,
                "fine_tuning_job_id": job["id"],
                "step_number": record["step"],
                "metrics": {"step": record["step"], **record["metrics"]},
            }
        ]

    def profile(self) -> dict[str, Any]:
        """Return the limits and abilities of its models, as LangChain names them."""
        has_llama_cpp = self.llama_cpp is not None
        can_call = has_llama_cpp and self.tokenizer.template.has_tools
        return {
            "max_input_tokens": self.tokenizer.context,
            "max_output_tokens": self.tokenizer.context,
            "text_inputs": True,
            "text_outputs": True,
            "image_inputs": False,
            "image_outputs": False,
            "audio_inputs": False,
            "audio_outputs": False,
            "reasoning_output": False,
            "tool_calling": can_call,
            "tool_choice": can_call,
            "structured_output": has_llama_cpp,
        }

    def _warm_up(self) -> None:
        # If this fails, the first request reports the error.
        with contextlib.suppress(Exception):
            self.tokenizer.context  # noqa: B018 - loads the tokenizer.

    def _max_example_length(self) -> int:
        try:
            self.tokenizer.template  # noqa: B018 - derives it.
            check_trainable(self._base_directory)
        except (TemplateError, LocalServerError) as error:
            msg = f"{self.base_model} cannot be trained: {error}."
            raise ApiError(msg, code="model_not_available", param="model") from error
        return min(_MAX_EXAMPLE_TOKENS, self.tokenizer.context)

    def _validate_file(
        self, file_id: str, param: str, max_length: int
    ) -> LabeledDataset:
        if not FILE_ID.fullmatch(file_id) or self.files.get(file_id) is None:
            raise not_found(kind="file", param=param)
        minimum = _MIN_EXAMPLES if param == "training_file" else 1
        # One file at a time, and never a whole file in memory.
        with self._validation_lock:
            try:
                path = self.files.path(file_id)
                problems: list[str] = [
                    str(problem)
                    for problem in validate_examples(
                        read_examples(path),
                        minimum=minimum,
                        allow_trailing=True,
                        limit=_MAX_PROBLEMS,
                    )
                ]
                if problems:
                    raise _invalid_file(problems, param)
                dataset = label_examples(
                    self._counted(read_examples(path)),
                    self.tokenizer.template,
                    max_length=max_length,
                    keep=False,
                )
            except FileNotFoundError:
                raise not_found(kind="file", param=param) from None
            except JsonLinesError as error:
                raise ApiError(str(error), code="invalid_file", param=param) from error
        if dataset.problems:
            raise _invalid_file(dataset.problems, param)
        if not dataset.count:
            nothing = f"no example has an answer within {max_length} tokens"
            raise _invalid_file([nothing], param)
        return dataset

    def _counted(self, examples: Iterable[Any]) -> Iterator[Any]:
        for example in examples:
            yield example
            self.checked_examples += 1

    def _alias_warnings(self, name: str) -> list[str]:
        if name == self.base_model:
            return []
        return [f"{name} is an alias here: the job tunes {self.base_model}"]


def _seed(requested: int | None) -> int:
    if requested is not None:
        return requested
    return random.randrange(2**31)  # noqa: S311 - not a secret.


def _invalid_file(problems: list[str], param: str) -> ApiError:
    shown = "; ".join(problems[:_MAX_SHOWN_PROBLEMS])
    rest = len(problems) - _MAX_SHOWN_PROBLEMS
    or_more = " at least" if len(problems) >= _MAX_PROBLEMS else ""
    more = f"; and {rest} more{or_more}" if rest > 0 else ""
    what = param.replace("_", " ")
    msg = f"The {what} cannot be used: {shown}{more}."
    return ApiError(msg, code="invalid_training_file", param=param)


def _warnings(dataset: LabeledDataset, what: str, max_length: int) -> list[str]:
    example = f"{what} example"
    warnings = []
    if dataset.cut:
        warnings.append(
            f"{plural(dataset.cut, example)} longer than {max_length} tokens: the rest "
            "is not learned; split long chats first"
        )
    if dataset.without_loss:
        warnings.append(
            f"{plural(dataset.without_loss, example)} left out: no answer can be "
            "learned"
        )
    if dataset.trailing:
        warnings.append(
            f"{plural(dataset.trailing, example)} without an assistant message at the "
            "end: what follows the last one is not learned"
        )
    if dataset.leading:
        warnings.append(
            f"{plural(dataset.leading, example)} with an assistant message at the "
            "beginning: it is learned as an opening line"
        )
    return warnings
