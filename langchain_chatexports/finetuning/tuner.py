"""`ChatFineTuner`: from training examples to a tuned chat model in one call."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, cast

from langchain_core.callbacks import (
    AsyncCallbackManagerForChainRun,
    CallbackManagerForChainRun,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.runnables import RunnableConfig, RunnableSequence
from langchain_core.runnables.base import RunnableSerializable
from langchain_core.runnables.config import run_in_executor
from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    PositiveInt,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_serializer,
    field_validator,
)

from langchain_chatexports._tracing import traces_outputs
from langchain_chatexports.datasets.estimate import TrainingEstimate
from langchain_chatexports.datasets.inputs import TrainingInput
from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningTimeoutError,
    FineTuningUnavailableError,
)
from langchain_chatexports.finetuning.connection import Clock, Connection, public_url
from langchain_chatexports.finetuning.jobs import NewJob
from langchain_chatexports.finetuning.run import FineTuningRun
from langchain_chatexports.finetuning.training_file import (
    DATA_KEY,
    KEY,
    training_files,
)

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

logger = logging.getLogger(__name__)

_EVENT = "fine_tuning_event"
# Traces can leave the machine: they hold counts and ids, never the examples.
_TRACED_INPUT = {"input": ""}
_MAX_METADATA = 14  # 16, and two are ours.

_Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Label: TypeAlias = Annotated[str, Field(max_length=64)]
_LabelText: TypeAlias = Annotated[str, Field(max_length=512)]


class ChatFineTuner(RunnableSerializable[Any, Any]):
    """Fine-tune a chat model on any server that speaks OpenAI's protocol.

    A Runnable from examples, sessions, a loader or a JSONL path to a chat model. Where
    the server keeps the metadata of jobs, there is exactly one job for the same data
    and settings: after a lost answer, a killed process, or a second call it is found.

    Compose the tuner itself, `(steps | tuner).invoke(loader)`, never inside a function:
    LangChain invokes a Runnable that a function returns, so a lambda or `@chain` around
    `tuner.invoke` would send the sessions to the tuned model as a prompt. In functions
    use `submit`.

    Keys, headers, callables, data, `extra_body` and `chat_model_kwargs` are
    neither serialized nor shown, and `base_url` without its password and query.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    model: str
    """The base model."""

    base_url: str | None = None
    """The server; without it `OPENAI_BASE_URL`, else OpenAI."""

    api_key: SecretStr | str | None = None
    """The server's key; without it `OPENAI_API_KEY`."""

    organization: str | None = None
    """Sent as `OpenAI-Organization`."""

    project: str | None = None
    """Sent as `OpenAI-Project`."""

    default_headers: dict[str, str] | None = Field(None, exclude=True, repr=False)
    """Headers of every request, chats included."""

    suffix: str | None = Field(None, max_length=64)
    """A part of the tuned model's name."""

    seed: int | None = None
    """Random seed, where the server supports one."""

    n_epochs: Literal["auto"] | PositiveInt = "auto"
    """Passes over the examples."""

    batch_size: Literal["auto"] | PositiveInt = "auto"
    """Examples a step."""

    learning_rate_multiplier: Literal["auto"] | _Positive = "auto"
    """Factor on the server's learning rate."""

    validation_examples: Any = Field(None, exclude=True, repr=False)
    """Examples to measure with, in any of the input's forms."""

    metadata: dict[_Label, _LabelText] | None = Field(
        None, max_length=_MAX_METADATA, repr=False
    )
    """Up to 14 labels on the job."""

    extra_body: dict[str, JsonValue] | None = Field(None, exclude=True, repr=False)
    """Further fields of the job that this server understands."""

    poll_interval: _Positive = 2.0
    """Seconds between the first looks at the job."""

    max_poll_interval: _Positive = 60.0
    """Seconds between looks after a while."""

    timeout: _Positive | None = None
    """Seconds for all of `invoke`; the job itself continues after that."""

    max_billed_tokens: PositiveInt | None = None
    """Refuse, before anything is sent, what may be billed for more."""

    confirm: Callable[[TrainingEstimate], bool] | None = Field(
        None, exclude=True, repr=False
    )
    """Called before anything is sent; returns whether to create the job."""

    delete_training_file: bool = False
    """Delete the uploaded files once `invoke` or `wait` sees the job's end."""

    file_expires_after: int | None = Field(None, ge=3600, le=2_592_000)
    """Seconds after which the server deletes the uploaded files by itself."""

    run_again: bool = False
    """Create a new job each time, even if the same examples and settings have one."""

    on_event: Callable[[Any], object] | None = Field(None, exclude=True, repr=False)
    """Gets the SDK's events while waiting, oldest first, each once."""

    allow_trailing: bool = False
    """Accept examples that do not end with the assistant; OpenAI refuses them."""

    chat_model_kwargs: dict[str, Any] = Field(
        default_factory=lambda: {"temperature": 1}, exclude=True, repr=False
    )
    """Arguments of the returned chat model."""

    _clock: Clock = PrivateAttr(default_factory=Clock)
    _retry: Any = PrivateAttr(default=None)

    # Checks and serialization of settings

    @field_validator("api_key")
    @classmethod
    def _is_secret(cls, value: SecretStr | str | None) -> SecretStr | None:
        return SecretStr(value) if isinstance(value, str) else value

    @field_validator("metadata")
    @classmethod
    def _has_no_label_of_ours(cls, value: dict[str, str] | None) -> Any:
        # With another key in its metadata, the job would not be found again.
        if taken := sorted({KEY, DATA_KEY} & (value or {}).keys()):
            msg = f"{', '.join(taken)}: the tuner sets this itself."
            raise ValueError(msg)
        return value

    @field_validator("extra_body")
    @classmethod
    def _has_no_field_of_ours(cls, value: dict[str, Any] | None) -> Any:
        own = {"metadata", "model", "seed", "suffix", "training_file"}
        if taken := sorted((own | {"validation_file"}) & (value or {}).keys()):
            msg = f"{', '.join(taken)}: the tuner sets this itself."
            raise ValueError(msg)
        return value

    @field_validator("confirm", "on_event")
    @classmethod
    def _is_a_plain_function(cls, value: Any) -> Any:
        # A coroutine that nobody awaits would be taken for a yes.
        if inspect.iscoroutinefunction(value):
            msg = "it must be a plain function, not an async one."
            raise ValueError(msg)
        return value

    @field_serializer("base_url")
    def _without_password(self, value: str | None) -> str | None:
        return value and public_url(value)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show the server without a password or a query in its URL."""
        for name, value in super().__repr_args__():
            yield name, public_url(value) if name == "base_url" else value

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Where the key comes from when a serialized tuner is loaded."""
        return {"api_key": "OPENAI_API_KEY"}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """The settings that `dumps` shows only in part."""
        return self.model_dump(include={"base_url"})

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Settings are serialized; what may hold a secret is not."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Return one stable namespace for our tuner, whatever module it is in."""
        if cls.__module__ == __name__:
            return ["langchain_chatexports", "finetuning"]
        return cls.__module__.split(".")

    # One job

    def invoke(
        self, input: TrainingInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> ChatOpenAI:
        """Fine-tune and wait.

        Args:
            input: Training examples, a chat loader, sessions, lists of messages or of
                role dicts, or the path of a JSONL file.
            config: LangChain's config.
            **kwargs: None are known; settings belong to the tuner.

        Returns:
            A `ChatOpenAI` bound to the tuned model, the server and the key.

        Raises:
            TrainingDataError: If the examples break the format's rules.
            TrainingBudgetError: If the job is over the limit, or not confirmed.
            FineTuningError: If the job produces no model; its subclasses say why.
        """
        _refuse_arguments(kwargs)
        models: list[ChatOpenAI] = []

        def fine_tune(_: Any, run_manager: CallbackManagerForChainRun) -> Any:
            callbacks: RunnableConfig = {"callbacks": run_manager.get_child()}
            job = self._new_job(input)
            for item in job.connection.paced(job.fine_tune()):
                if isinstance(item, FineTuningRun):
                    run = item
                else:
                    dispatch_custom_event(_EVENT, _jsonable(item), config=callbacks)
            models.append(run.chat_model())
            return models[0] if traces_outputs(config) else job.counts(run)

        call = partial(self._call_with_config, fine_tune, _TRACED_INPUT, config)
        # Inside of the tuner's run: LangChain's own retry records its input in traces.
        (self._retry._sync_retrying(reraise=True)(call) if self._retry else call())  # noqa: SLF001
        return models[0]

    async def ainvoke(
        self, input: TrainingInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> ChatOpenAI:
        """Fine-tune and wait, without blocking the event loop; see `invoke`."""
        _refuse_arguments(kwargs)
        models: list[ChatOpenAI] = []

        async def fine_tune(
            _: Any, run_manager: AsyncCallbackManagerForChainRun
        ) -> Any:
            callbacks: RunnableConfig = {"callbacks": run_manager.get_child()}
            job = await run_in_executor(None, self._new_job, input)
            async for item in job.connection.apaced(job.fine_tune()):
                if isinstance(item, FineTuningRun):
                    run = item
                else:
                    event = _jsonable(item)
                    await adispatch_custom_event(_EVENT, event, config=callbacks)
            models.append(run.chat_model())
            return models[0] if traces_outputs(config) else job.counts(run)

        call = partial(self._acall_with_config, fine_tune, _TRACED_INPUT, config)
        retry = self._retry
        await (retry._async_retrying(reraise=True)(call) if retry else call())  # noqa: SLF001
        return models[0]

    def submit(self, input: TrainingInput) -> FineTuningRun:
        """Create the job, or find it, and do not wait for its end.

        Args:
            input: As for `invoke`.

        Returns:
            The run; the job exists.
        """
        job = self._new_job(input)
        (run,) = job.connection.paced(job.submit())
        return run  # type: ignore[no-any-return] # a run

    async def asubmit(self, input: TrainingInput) -> FineTuningRun:
        """Create the job, or find it, and do not wait for its end."""
        job = await run_in_executor(None, self._new_job, input)
        (run,) = [run async for run in job.connection.apaced(job.submit())]
        return run  # type: ignore[no-any-return] # a run

    def get(self, job_id: str) -> FineTuningRun:
        """Return the run of a job, for example after a restart.

        Args:
            job_id: The job's id, from `FineTuningRun.id`.

        Returns:
            The run, as the server has it now.
        """
        connection = self._connection()
        connection.job_id = job_id
        connection.consequence = f"Is {job_id!r} a job of this account?"
        with connection.opened():
            job = connection.job(job_id)
        return FineTuningRun(self, job, connection)

    async def aget(self, job_id: str) -> FineTuningRun:
        """Return the run of a job, for example after a restart."""
        return await run_in_executor(None, self.get, job_id)

    def _connection(self) -> Connection:
        """Return a connection to the server for one call."""
        names = ("base_url", "organization", "project", "default_headers")
        settings = {name: getattr(self, name) for name in names}
        if isinstance(key := self.api_key, SecretStr):
            settings["api_key"] = key.get_secret_value()
        given = {name: value for name, value in settings.items() if value is not None}
        return Connection(given, self._clock, self.timeout)

    def _new_job(self, given: TrainingInput) -> NewJob:
        """Do all that can fail before the first request."""
        # The time of reading the examples is a part of the timeout.
        connection = self._connection()
        files = training_files(self, given)
        try:
            connection.chat_model(self.model, self.model, **self.chat_model_kwargs)
        except ValidationError as error:
            fields = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
            names = ", ".join(sorted(fields))
            msg = (
                f"The chat model refuses chat_model_kwargs ({names}). Nothing was sent."
            )
            raise FineTuningError(msg) from None
        return NewJob(self, connection, files)

    def report_event(self, event: Any) -> None:
        """Pass an event to `on_event`; its errors do not stop the waiting."""
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except Exception as error:  # noqa: BLE001 - the user's code
            logger.warning("on_event raised a %s; continuing.", type(error).__name__)

    # LangChain

    def with_retry(self, **options: Any) -> ChatFineTuner:
        """Repeat calls that could not be made or waited for; they find their job.

        Other errors are repeated only if they are named: after a job that failed or was
        cancelled the same call creates a new one.

        Args:
            **options: As for any Runnable; `retry_if_exception_type` is
                `FineTuningUnavailableError` and `FineTuningTimeoutError`.

        Returns:
            A tuner with the same settings.
        """
        temporary = (FineTuningUnavailableError, FineTuningTimeoutError)
        options = {"retry_if_exception_type": temporary, **options}
        tuner = self.model_copy()
        tuner._retry = super().with_retry(**options)  # noqa: SLF001 - our own
        return tuner

    def __ror__(self, other: Any) -> RunnableSequence[Any, Any]:
        """Put something before the tuner; a loader is its input instead."""
        if isinstance(other, BaseChatLoader):
            msg = (
                "A chat loader is not a Runnable: write tuner.invoke(loader), or "
                "(steps | tuner).invoke(loader)."
            )
            raise TypeError(msg)
        return cast("RunnableSequence[Any, Any]", super().__ror__(other))


def _refuse_arguments(kwargs: dict[str, Any]) -> None:
    # `bind(n_epochs=3)` must not be ignored in silence.
    if kwargs:
        msg = (
            f"Unknown arguments: {', '.join(sorted(kwargs))}. Settings belong to the "
            "tuner: ChatFineTuner(...)."
        )
        raise TypeError(msg)


def _jsonable(event: Any) -> Any:
    # A warning about a field of another type would show what is in it.
    return event.model_dump(mode="json", warnings=False)
