"""`ChatFineTuner`: from training examples to a tuned chat model in one call."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import (
    CallbackManagerForChainRun,
    dispatch_custom_event,
)
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.runnables import RunnableConfig, RunnableSequence
from pydantic import PrivateAttr

from langchain_chatexports.datasets.inputs import TrainingInput
from langchain_chatexports.exceptions import (
    FineTuningTimeoutError,
    FineTuningUnavailableError,
)
from langchain_chatexports.finetuning.settings import FineTunerSettings
from langchain_chatexports.finetuning.waiting import run_in_thread

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

    from langchain_chatexports.finetuning.run import FineTuningRun

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
        from langchain_chatexports.finetuning.jobs import Order

        _reject_arguments(kwargs)
        models: list[ChatOpenAI] = []

        def fine_tune(_: Any, run_manager: CallbackManagerForChainRun) -> Any:
            callbacks: RunnableConfig = {"callbacks": run_manager.get_child()}
            order = Order(self, input)
            for event in order.fine_tune():
                # A warning about a field with an unexpected type would quote its value.
                data = event.model_dump(mode="json", warnings=False)
                dispatch_custom_event("fine_tuning_event", data, config=callbacks)
            models.append(order.run.chat_model())
            return order.summarize()

        call = partial(self._call_with_config, fine_tune, _TRACED_INPUT, config)
        # Retry within the run: LangChain's own retry would trace its input.
        (self._retry._sync_retrying(reraise=True)(call) if self._retry else call())  # noqa: SLF001
        return models[0]

    async def ainvoke(
        self, input: TrainingInput, config: RunnableConfig | None = None, **kwargs: Any
    ) -> ChatOpenAI:
        """Fine-tune and wait in a thread; see `invoke`."""
        return await run_in_thread(partial(self.invoke, input, config, **kwargs))

    def submit(self, input: TrainingInput) -> FineTuningRun:
        """Create or find the job, without waiting for it to finish.

        Args:
            input: As for `invoke`.

        Returns:
            The run of the job.
        """
        from langchain_chatexports.finetuning.jobs import Order

        return Order(self, input).submit()

    async def asubmit(self, input: TrainingInput) -> FineTuningRun:
        """Create or find the job, without waiting for it to finish."""
        return await run_in_thread(self.submit, input)

    def get(self, job_id: str) -> FineTuningRun:
        """Return the run of a job, for example after a restart.

        Args:
            job_id: The job's id, from `FineTuningRun.id`.

        Returns:
            The run, with its current state.
        """
        from langchain_chatexports.finetuning.connection import Connection
        from langchain_chatexports.finetuning.run import FineTuningRun

        with Connection(self).open() as connection:
            connection.job_id = job_id
            connection.hint = f"Check that job {job_id!r} belongs to this account."
            job = connection.client.fine_tuning.jobs.retrieve(job_id)
        return FineTuningRun(self, job, connection)

    async def aget(self, job_id: str) -> FineTuningRun:
        """Return the run of a job, for example after a restart."""
        return await run_in_thread(self.get, job_id)

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
