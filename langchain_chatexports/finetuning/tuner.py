"""`ChatFineTuner`: from training examples to a tuned chat model in one call."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import (
    AsyncCallbackManagerForChainRun,
    CallbackManagerForChainRun,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.runnables import RunnableConfig, RunnableSequence
from langchain_core.runnables.config import run_in_executor
from pydantic import PrivateAttr, ValidationError

from langchain_chatexports.datasets.inputs import TrainingInput
from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningTimeoutError,
    FineTuningUnavailableError,
)
from langchain_chatexports.finetuning.jobs import NewJob
from langchain_chatexports.finetuning.run import FineTuningRun
from langchain_chatexports.finetuning.settings import FineTunerSettings
from langchain_chatexports.finetuning.training_file import create_training_files

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

_EVENT = "fine_tuning_event"
# Traces may leave the machine, so they contain counts and ids, but no examples.
_TRACED_INPUT = {"input": ""}


class ChatFineTuner(FineTunerSettings):
    """Fine-tune a chat model on any OpenAI-compatible server.

    A Runnable from examples, sessions, a loader or a JSONL path to a chat model. If the
    server stores job metadata, repeated calls with the same data and settings reuse one
    job, even after a lost response or a killed process.

    Compose the tuner itself, as in `(steps | tuner).invoke(loader)`, not in a function:
    LangChain invokes a Runnable that a function returns, so a lambda or `@chain` around
    `tuner.invoke` would send the sessions to the tuned model as a prompt. In functions,
    use `submit`.
    """

    _retry: Any = PrivateAttr(default=None)

    def invoke(
        self, input: TrainingInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> ChatOpenAI:
        """Fine-tune and wait.

        Args:
            input: Training examples, a chat loader, sessions, lists of messages or of
                role dicts, or the path to a JSONL file.
            config: LangChain's config.
            **kwargs: Not supported; pass settings to the tuner.

        Returns:
            A `ChatOpenAI` with the tuned model, the server and the key.

        Raises:
            TrainingDataError: If the examples break the format's rules.
            TrainingBudgetError: If the job exceeds the limit or is not confirmed.
            FineTuningError: If there is no model; the subclass says why.
        """
        _reject_arguments(kwargs)
        models: list[ChatOpenAI] = []

        def fine_tune(_: Any, run_manager: CallbackManagerForChainRun) -> Any:
            callbacks: RunnableConfig = {"callbacks": run_manager.get_child()}
            job = self._new_job(input)
            for item in job.connection.run(job.fine_tune()):
                if isinstance(item, FineTuningRun):
                    run = item
                else:
                    dispatch_custom_event(_EVENT, _jsonable(item), config=callbacks)
            models.append(run.chat_model())
            return job.summarize_trace(run)

        call = partial(self._call_with_config, fine_tune, _TRACED_INPUT, config)
        # Retry within the run: LangChain's own retry would trace its input.
        (self._retry._sync_retrying(reraise=True)(call) if self._retry else call())  # noqa: SLF001
        return models[0]

    async def ainvoke(
        self, input: TrainingInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> ChatOpenAI:
        """Fine-tune and wait, without blocking the event loop; see `invoke`."""
        _reject_arguments(kwargs)
        models: list[ChatOpenAI] = []

        async def fine_tune(
            _: Any, run_manager: AsyncCallbackManagerForChainRun
        ) -> Any:
            callbacks: RunnableConfig = {"callbacks": run_manager.get_child()}
            job = await run_in_executor(None, self._new_job, input)
            async for item in job.connection.arun(job.fine_tune()):
                if isinstance(item, FineTuningRun):
                    run = item
                else:
                    event = _jsonable(item)
                    await adispatch_custom_event(_EVENT, event, config=callbacks)
            models.append(run.chat_model())
            return job.summarize_trace(run)

        call = partial(self._acall_with_config, fine_tune, _TRACED_INPUT, config)
        retry = self._retry
        await (retry._async_retrying(reraise=True)(call) if retry else call())  # noqa: SLF001
        return models[0]

    def submit(self, input: TrainingInput) -> FineTuningRun:
        """Create or find the job, without waiting for it to finish.

        Args:
            input: As for `invoke`.

        Returns:
            The run of the job.
        """
        job = self._new_job(input)
        (run,) = job.connection.run(job.submit())
        return run  # type: ignore[no-any-return] # a run

    async def asubmit(self, input: TrainingInput) -> FineTuningRun:
        """Create or find the job, without waiting for it to finish."""
        job = await run_in_executor(None, self._new_job, input)
        (run,) = [run async for run in job.connection.arun(job.submit())]
        return run  # type: ignore[no-any-return] # a run

    def get(self, job_id: str) -> FineTuningRun:
        """Return the run of a job, for example after a restart.

        Args:
            job_id: The job's id, from `FineTuningRun.id`.

        Returns:
            The run, with its current state.
        """
        connection = self._create_connection()
        connection.job_id = job_id
        connection.error_hint = f"Check that job {job_id!r} belongs to this account."
        with connection.open():
            job = connection.retrieve_job(job_id)
        return FineTuningRun(self, job, connection)

    async def aget(self, job_id: str) -> FineTuningRun:
        """Return the run of a job, for example after a restart."""
        return await run_in_executor(None, self.get, job_id)

    def _new_job(self, data: TrainingInput) -> NewJob:
        """Before the first request, check everything that can fail."""
        from langchain_chatexports.finetuning.chat_model import chat_model

        # The timeout includes reading the examples.
        connection = self._create_connection()
        files = create_training_files(self, data)
        try:
            chat_model(connection, self.model, self.model, **self.chat_model_kwargs)
        except ValidationError as error:
            fields = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
            names = ", ".join(sorted(fields))
            msg = (
                f"The chat model rejects chat_model_kwargs ({names}). Nothing was sent."
            )
            raise FineTuningError(msg) from None
        return NewJob(self, connection, files)

    # LangChain

    def with_retry(self, **options: Any) -> ChatFineTuner:
        """Retry if the server is unavailable, or after a timeout.

        Be careful with other errors: after a failed or cancelled job, a retry creates a
        new job.

        Args:
            **options: As for any Runnable. `retry_if_exception_type` defaults to
                `FineTuningUnavailableError` and `FineTuningTimeoutError`.

        Returns:
            A tuner with the same settings.
        """
        temporary = (FineTuningUnavailableError, FineTuningTimeoutError)
        options = {"retry_if_exception_type": temporary, **options}
        tuner = self.model_copy()
        tuner._retry = super().with_retry(**options)  # noqa: SLF001 - same class
        return tuner

    def __ror__(self, other: Any) -> RunnableSequence[Any, Any]:
        """Compose with a Runnable; raise an error for a loader, which is an input."""
        if isinstance(other, BaseChatLoader):
            msg = (
                "A chat loader is not a Runnable. Write tuner.invoke(loader), or "
                "(steps | tuner).invoke(loader)."
            )
            raise TypeError(msg)
        return cast("RunnableSequence[Any, Any]", super().__ror__(other))


def _reject_arguments(kwargs: dict[str, Any]) -> None:
    # `bind(n_epochs=3)` must not be ignored silently.
    if kwargs:
        msg = (
            f"Unknown arguments: {', '.join(sorted(kwargs))}. Pass settings to "
            "ChatFineTuner(...)."
        )
        raise TypeError(msg)


def _jsonable(event: Any) -> Any:
    # A warning about a field with an unexpected type would quote its value.
    return event.model_dump(mode="json", warnings=False)
