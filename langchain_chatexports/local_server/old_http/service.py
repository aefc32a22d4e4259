"""The service used by the routes: files, jobs, models and engines."""

import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from langchain_chatexports._terminal import plural
from langchain_chatexports.datasets.validation import validate_examples
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.finetuning.settings import KEY
from langchain_chatexports.local_server.bases.chat_template import (
    MAX_PROBLEMS,
    ChatTokenizer,
    LabeledDataset,
    label_examples,
)
from langchain_chatexports.local_server.bases.devices import predict_device
from langchain_chatexports.local_server.bases.weights import check_trainable
from langchain_chatexports.local_server.old_engines.choice import EngineChoice
from langchain_chatexports.local_server.old_engines.llama_cpp import LlamaCppEngine
from langchain_chatexports.local_server.old_engines.transformers import TransformersEngine
from langchain_chatexports.local_server.old_http.errors import (
    ApiError,
    create_disk_full,
    create_not_found,
)
from langchain_chatexports.local_server.old_http.requests import JobRequest
from langchain_chatexports.local_server.processes import default_threads
from langchain_chatexports.local_server.settings import ServerSettings
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
)
from langchain_chatexports.local_server.storage.deletion import delete_data
from langchain_chatexports.local_server.storage.files import (
    FileStore,
    read_examples,
)
from langchain_chatexports.local_server.storage.jobs import (
    UNFINISHED,
    JobStore,
    last_checkpoint,
)
from langchain_chatexports.local_server.storage.models import (
    EXPORTS_KEY,
    PERSON_KEY,
    SOURCE_KEY,
    TunedModel,
    list_models,
    new_model_id,
    tuned_model_name,
)
from langchain_chatexports.local_server.training.hyperparameters import (
    resolve_hyperparameters,
)
from langchain_chatexports.local_server.training.old_queue import TrainingQueue

_MAX_EXAMPLE_TOKENS = 1024
_MIN_EXAMPLES = 10


@dataclass(frozen=True)
class ServedModel:
    """A model that requests can use; the base has no adapter.

    `reply_tokens` is the default token limit of its replies.
    """

    name: str
    adapter: Path | None
    reply_tokens: int | None = None


class LocalService:
    """The files, jobs, models and engines of a server."""

    def __init__(
        self,
        settings: ServerSettings,
        data: DataDirectory,
        *,
        base_model: str,
        directory: Path,
        choice: EngineChoice,
    ) -> None:
        """Open a data directory; `start` starts the queue."""
        self._settings = settings
        self._directory = directory
        self.data = data
        self.base_model = base_model
        self.aliases = sorted(settings.aliases)
        self.choice = choice
        self.files = FileStore(data)
        self.jobs = JobStore(data)
        self.tokenizer = ChatTokenizer(directory)
        threads = settings.threads or default_threads()
        self.scorer = TransformersEngine(directory, self.tokenizer, threads=threads)
        self.queue = TrainingQueue(
            data,
            base_model=base_model,
            base_directory=directory,
            threads=threads,
            resume_jobs=settings.resume_jobs,
        )
        self.llama_cpp: LlamaCppEngine | None = None
        if choice.gguf is not None:
            self.llama_cpp = LlamaCppEngine(
                choice.gguf.file,
                self.tokenizer,
                name=base_model,
                write_adapter=choice.gguf.write_adapter,
                threads=threads,
                batch_threads=settings.threads or os.cpu_count(),
                max_context=choice.max_context,
                is_training=lambda: self.queue.is_training,
            )
        self._create_lock = threading.Lock()
        self.checked_examples = 0
        """The number of examples checked since the start, for progress."""

        self.users = 0
        """The number of clients that keep the server running."""

    def start(self) -> None:
        """Start the queue."""
        self.queue.start()

    def stop(self) -> None:
        """Cancel requests and stop training; unfinished jobs are queued or paused."""
        for engine in (self.llama_cpp, self.scorer):
            if engine is not None:
                engine.close()
        self.queue.stop()

    def find_model(self, name: str) -> ServedModel:
        """Return a model by name; it is never used as a path or hub id."""
        if name == self.base_model or name in self.aliases:
            return ServedModel(self.base_model, None)
        model = self._find_tuned_model(name)
        if model is not None and model.base_model == self.base_model:
            return ServedModel(name, model.path, model.reply_tokens)
        msg = "The model does not exist on this server."
        if model is not None:
            msg = (
                f"This model was tuned from {model.base_model}, but the server runs "
                f"{self.base_model}. Restart the server with the model's base."
            )
        raise ApiError(msg, status=404, code="model_not_found", param="model")

    def tuned_models(self) -> list[TunedModel]:
        """Return the tuned models of the server's base, newest first."""
        models = list_models(self.data.root)
        return [model for model in models if model.base_model == self.base_model]

    def _find_tuned_model(self, name: str) -> TunedModel | None:
        models = list_models(self.data.root)
        return next((model for model in models if model.name == name), None)

    def delete_model(self, name: str) -> None:
        """Delete a tuned model with its job and the uploads that only it used."""
        if name == self.base_model or name in self.aliases:
            msg = "Only tuned models can be deleted."
            raise ApiError(msg, status=403, code="cannot_delete", param="model")
        model = self._find_tuned_model(name)
        if model is None:
            raise create_not_found(kind="model", param="model")
        delete_data(name, data_dir=self.data.root)
        for engine in (self.llama_cpp, self.scorer):
            if engine is not None:
                engine.unload(model.path)

    def create_job(self, request: JobRequest) -> dict[str, Any]:
        """Validate a job and its files, and queue it."""
        if self.find_model(request.model).adapter is not None:
            msg = f"Tuned models cannot be tuned again. Use {self.base_model}."
            raise ApiError(msg, code="model_not_available", param="model")
        metadata = request.metadata or {}
        # One at a time, because clients repeat a request after a timeout.
        with self._create_lock:
            existing = self._find_unfinished_job(metadata.get(KEY))
            if existing is not None:
                return existing
            try:
                self.data.require_space()
            except LocalServerError as error:
                raise create_disk_full(str(error)) from error
            max_length = self._max_example_length()
            training = self._validate(request.training_file, max_length)
            warnings = _describe_warnings(training, "training", max_length)
            if request.validation_file is not None:
                held_out = self._validate(
                    request.validation_file, max_length, is_training=False
                )
                warnings += _describe_warnings(held_out, "validation", max_length)
            if request.model != self.base_model:
                warnings.insert(0, f"{request.model} is an alias of {self.base_model}")
            resolved = resolve_hyperparameters(
                request.requested_hyperparameters(),
                examples=training.count,
                device=predict_device(),
            )
            private = {
                "max_length": max_length,
                "model": self._build_model_record(request.suffix, metadata),
            }
            record = self._build_job_record(request, asdict(resolved))
            job = self.jobs.create(record, private=private, warnings=warnings)
        self.queue.enqueue(job["id"])
        return job

    def _build_job_record(
        self, request: JobRequest, hyperparameters: dict[str, Any]
    ) -> dict[str, Any]:
        """Create a job record in OpenAI's format."""
        seed = request.seed
        method = {"hyperparameters": hyperparameters}
        return {
            "model": self.base_model,
            "training_file": request.training_file,
            "validation_file": request.validation_file,
            "result_files": [],
            "hyperparameters": hyperparameters,
            "method": {"type": "supervised", "supervised": method},
            "seed": secrets.randbelow(2**31) if seed is None else seed,
            "user_provided_suffix": request.suffix,
            "organization_id": "local",
            "metadata": request.metadata or {},
            "profile": self.profile(),
        }

    def _build_model_record(
        self, suffix: str | None, metadata: dict[str, str]
    ) -> dict[str, Any]:
        """Create the initial fields of the model's `model.json`."""
        model_id = new_model_id()
        return {
            "id": model_id,
            "name": tuned_model_name(self.base_model, suffix, model_id),
            "base": self._settings.base,
            "base_model": self.base_model,
            "person": metadata.get(PERSON_KEY),
            "source": metadata.get(SOURCE_KEY),
            "exports": metadata.get(EXPORTS_KEY),
        }

    def _find_unfinished_job(self, key: str | None) -> dict[str, Any] | None:
        """Return the unfinished job of an earlier request, and resume it if needed."""
        for job in self.jobs.list_all() if key else ():
            if job["metadata"].get(KEY) != key:
                continue
            has_failed = job["status"] == "failed"
            if job["status"] == "paused" or (
                has_failed and last_checkpoint(self.jobs.folder(job["id"])) is not None
            ):
                self.jobs.resume(job["id"])
                self.queue.enqueue(job["id"])
                return self.jobs.get(job["id"])
            if job["status"] in UNFINISHED:
                return job
        return None

    def profile(self) -> dict[str, Any]:
        """Return LangChain's profile of the models: their limits and features."""
        has_llama_cpp = self.llama_cpp is not None
        can_call = has_llama_cpp and self.tokenizer.template.has_tools
        context = (self.llama_cpp or self.tokenizer).context
        return {
            "max_input_tokens": context,
            "max_output_tokens": context,
            "text_inputs": True,
            "text_outputs": True,
            "image_inputs": False,
            "audio_inputs": False,
            "reasoning_output": False,
            "tool_calling": can_call,
            "tool_choice": can_call,
            "structured_output": has_llama_cpp,
        }

    def _max_example_length(self) -> int:
        try:
            check_trainable(self._directory)
        except LocalServerError as error:
            msg = f"{self.base_model} cannot be trained: {error}."
            raise ApiError(msg, code="model_not_available", param="model") from error
        return min(_MAX_EXAMPLE_TOKENS, self.tokenizer.context)

    def _validate(
        self, file_id: str, max_length: int, *, is_training: bool = True
    ) -> LabeledDataset:
        """Check and count the examples of a file, without keeping them in memory."""
        param = "training_file" if is_training else "validation_file"
        if self.files.get(file_id) is None:
            raise create_not_found(kind="file", param=param)
        path = self.files.path(file_id)
        try:
            invalid = validate_examples(
                read_examples(path),
                minimum=_MIN_EXAMPLES if is_training else 1,
                allow_trailing=True,
                limit=MAX_PROBLEMS,
            )
            if invalid:
                raise _invalid_file_error(list(map(str, invalid)), param)
            dataset = label_examples(
                self._count_checked(read_examples(path)),
                self.tokenizer.template,
                max_length=max_length,
                keep_examples=False,
            )
        except FileNotFoundError:
            raise create_not_found(kind="file", param=param) from None
        if not dataset.count and not dataset.problems:
            dataset.problems.append(
                f"no example has a reply within {max_length} tokens"
            )
        if dataset.problems:
            raise _invalid_file_error(dataset.problems, param)
        return dataset

    def _count_checked(self, examples: Iterable[Any]) -> Iterator[Any]:
        for example in examples:
            yield example
            self.checked_examples += 1


def _invalid_file_error(problems: list[str], param: str) -> ApiError:
    more = "; there may be more" if len(problems) >= MAX_PROBLEMS else ""
    file = param.replace("_", " ")
    msg = f"The {file} is invalid: {'; '.join(problems)}{more}."
    return ApiError(msg, code="invalid_training_file", param=param)


def _describe_warnings(
    dataset: LabeledDataset, split: str, max_length: int
) -> list[str]:
    warnings = (
        (
            dataset.truncated,
            f"truncated to {max_length} tokens",
        ),
        (dataset.without_loss, "skipped: no assistant message to train on"),
        (
            dataset.trailing,
            "not ending with an assistant message: later messages are ignored",
        ),
        (
            dataset.leading,
            "starting with an assistant message: it is trained as an opener",
        ),
    )
    example = f"{split} example"
    return [f"{plural(count, example)} {text}" for count, text in warnings if count]
