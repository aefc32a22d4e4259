"""`ChatFineTuner`: from training examples to a tuned chat model in one call."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import (
    AsyncCallbackManager,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.runnables import Runnable
from langchain_core.runnables.retry import RunnableRetry
from pydantic import ValidationError

from langchain_chatexports._tracing import traces_outputs
from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningTimeoutError,
    FineTuningUnavailableError,
)
from langchain_chatexports.finetuning.connection import (
    Deadline,
    connect,
    one_at_a_time,
    run_blocking,
    run_unblocked,
)
from langchain_chatexports.finetuning.errors import Situation
from langchain_chatexports.finetuning.jobs import Submission
from langchain_chatexports.finetuning.orders import prepare_order, require_uploadable
from langchain_chatexports.finetuning.run import FineTuningRun
from langchain_chatexports.finetuning.settings import FineTunerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from langchain_core.callbacks import (
        AsyncCallbackManagerForChainRun,
        CallbackManager,
        CallbackManagerForChainRun,
    )
    from langchain_core.runnables import RunnableConfig, RunnableSequence
    from langchain_core.runnables.retry import ExponentialJitterParams
    from langchain_openai import ChatOpenAI
    from openai.types.fine_tuning import FineTuningJobEvent

    from langchain_chatexports.datasets.inputs import TrainingInput
    from langchain_chatexports.finetuning.clients import ServerAccess
    from langchain_chatexports.finetuning.connection import Connection
    from langchain_chatexports.finetuning.orders import TuningOrder

__all__ = ["ChatFineTuner"]

_EVENT = "fine_tuning_event"

# Traces can leave the machine: they hold counts and ids, never the examples.
_TRACED_INPUT = {"input": ""}

_INTERRUPTED = (
    "Interrupted while ordering: if the job was created, it goes on and may cost. The "
    "same call finds it; get(job_id).cancel() stops it. A file that was uploaded stays "
    "on the server."
)


class ChatFineTuner(FineTunerSettings):
    """Fine-tune a chat model on any server that speaks OpenAI's protocol.

    A Runnable from examples, sessions, a loader or a JSONL path to a chat model. It
    places exactly one job per order: the same data and settings find their job again,
    after a lost answer, a killed process, or a second call.

    Compose the tuner itself, `(steps | tuner).invoke(loader)`, never inside a function:
    LangChain invokes a Runnable that a function returns, so a lambda or `@chain` around
    `tuner.invoke` would send the sessions to the tuned model as a prompt. In functions
    use `submit`.
    """

    def invoke(
        self,
        input: TrainingInput,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> ChatOpenAI:
        """Fine-tune and wait.

        Args:
            input: Training examples, a chat loader, sessions, lists of messages or of
                role dicts, or the path of a JSONL file.
            config: LangChain's config.
            **kwargs: None are known; settings belong to the tuner.

        Returns:
            A `ChatOpenAI` bound to the tuned model, the server and the key; for Azure's
            client an `AzureChatOpenAI`.

        Raises:
            TrainingDataError: If the examples break the format's rules.
            TrainingBudgetError: If the order is over the limit, or not agreed to.
            FineTuningError: If the job produces no model; its subclasses say why.
        """
        _refuse_arguments(kwargs)
        models: list[ChatOpenAI] = []

        def fine_tune(_: Any, run_manager: CallbackManagerForChainRun) -> Any:
            run, counts = run_blocking(self._fine_tune(input, run_manager.get_child()))
            models.append(run.chat_model())  # type: ignore[arg-type] # as documented
            return models[0] if traces_outputs(config) else counts

        self._call_with_config(fine_tune, _TRACED_INPUT, config)
        return models[0]

    async def ainvoke(
        self,
        input: TrainingInput,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> ChatOpenAI:
        """Fine-tune and wait, without blocking the event loop; see `invoke`."""
        _refuse_arguments(kwargs)
        models: list[ChatOpenAI] = []

        async def fine_tune(
            _: Any, run_manager: AsyncCallbackManagerForChainRun
        ) -> Any:
            run, counts = await self._fine_tune(input, run_manager.get_child())
            models.append(run.chat_model())  # type: ignore[arg-type] # as documented
            return models[0] if traces_outputs(config) else counts

        await self._acall_with_config(fine_tune, _TRACED_INPUT, config)
        return models[0]

    def submit(self, input: TrainingInput) -> FineTuningRun:
        """Order the job, or find it, and do not wait for its end.

        Args:
            input: As for `invoke`.

        Returns:
            The run; the job exists.
        """
        return run_blocking(self._submit(input, is_async=False))

    async def asubmit(self, input: TrainingInput) -> FineTuningRun:
        """Order the job, or find it, and do not wait for its end."""
        return await self._submit(input, is_async=True)

    def get(self, job_id: str) -> FineTuningRun:
        """Take up a job by its id, for example after a restart.

        Args:
            job_id: The job's id, from `FineTuningRun.id`.

        Returns:
            The run, as the server has it now.
        """
        return run_blocking(self._get(job_id, is_async=False))

    async def aget(self, job_id: str) -> FineTuningRun:
        """Take up a job by its id, for example after a restart."""
        return await self._get(job_id, is_async=True)

    # The same for both worlds

    async def _fine_tune(
        self,
        given: TrainingInput,
        callbacks: CallbackManager | AsyncCallbackManager,
    ) -> tuple[FineTuningRun, dict[str, Any]]:
        is_async = isinstance(callbacks, AsyncCallbackManager)
        config: RunnableConfig = {"callbacks": callbacks}

        async def report(event: FineTuningJobEvent) -> None:
            # A warning about a field of another type would show what is in it.
            data = event.model_dump(mode="json", warnings=False)
            if is_async:
                await adispatch_custom_event(_EVENT, data, config=config)
            else:
                dispatch_custom_event(_EVENT, data, config=config)

        async with self._ordering(given, is_async=is_async) as (order, connection):
            await run_unblocked(
                lambda: self._try_chat_model(connection.access), is_async=is_async
            )
            run = await self._place(order, connection)
            await run.follow(connection, report)
        counts = {
            "job_id": run.id,
            "base_model": run.job.model,
            "model": run.job.fine_tuned_model,
            "examples": order.training.examples,
        }
        return run, counts

    async def _submit(self, given: TrainingInput, *, is_async: bool) -> FineTuningRun:
        async with self._ordering(given, is_async=is_async) as (order, connection):
            return await self._place(order, connection)

    @asynccontextmanager
    async def _ordering(
        self, given: TrainingInput, *, is_async: bool
    ) -> AsyncIterator[tuple[TuningOrder, Connection]]:
        # The time of reading the examples is a part of the timeout.
        deadline = Deadline(self.clock, self.timeout)
        order = await run_unblocked(
            lambda: prepare_order(self, given), is_async=is_async
        )
        async with connect(
            self.access(), deadline, is_async=is_async, scrub=order.scrub
        ) as connection:
            yield order, connection

    def _try_chat_model(self, access: ServerAccess) -> None:
        # A wrong argument, or a missing deployment, must not show after the bill.
        try:
            access.chat_model(
                self.model, base_model=self.model, **self.chat_model_kwargs
            )
        except ValidationError as error:
            fields = sorted(
                {str(item["loc"][0]) for item in error.errors() if item["loc"]}
            )
            msg = (
                f"chat_model_kwargs does not fit the chat model ({', '.join(fields)}). "
                "Nothing was sent."
            )
            raise FineTuningError(msg) from None

    async def _place(self, order: TuningOrder, connection: Connection) -> FineTuningRun:
        require_uploadable(order, connection.server)
        key = f"{connection.server} {order.key}"
        with connection.explaining_interrupts(_INTERRUPTED):
            async with one_at_a_time(key, is_async=connection.is_async):
                job = await Submission(order, connection).place()
        return FineTuningRun(self, job, connection)

    async def _get(self, job_id: str, *, is_async: bool) -> FineTuningRun:
        consequence = f"Nothing was changed; is {job_id!r} a job of this account?"
        deadline = Deadline(self.clock, self.timeout)
        async with connect(self.access(), deadline, is_async=is_async) as connection:
            connection.situation = Situation(consequence, job_id)
            job = await connection.ask(
                "fine_tuning.jobs.retrieve", fine_tuning_job_id=job_id
            )
            return FineTuningRun(self, job, connection)

    # LangChain

    def with_retry(
        self,
        *,
        retry_if_exception_type: tuple[type[BaseException], ...]
        | Callable[[BaseException], bool] = (
            FineTuningUnavailableError,
            FineTuningTimeoutError,
        ),
        wait_exponential_jitter: bool = True,
        exponential_jitter_params: ExponentialJitterParams | None = None,
        stop_after_attempt: int = 3,
    ) -> _TunerRetry:
        """Repeat calls that could not be made or waited for; they find their job.

        Other errors are repeated only if they are named: after a job that failed or was
        cancelled the same call is a new order.

        Args:
            retry_if_exception_type: The errors that are worth another call.
            wait_exponential_jitter: Whether to wait longer and longer.
            exponential_jitter_params: How long, as LangChain has it.
            stop_after_attempt: The number of calls.

        Returns:
            A Runnable like the tuner.
        """
        return _TunerRetry(
            bound=self,
            kwargs={},
            config={},
            retry_exception_types=retry_if_exception_type,
            wait_exponential_jitter=wait_exponential_jitter,
            max_attempt_number=stop_after_attempt,
            exponential_jitter_params=exponential_jitter_params,
        )

    def __ror__(self, other: Any) -> RunnableSequence[Any, Any]:
        """Put something before the tuner; a loader is its input instead."""
        if isinstance(other, BaseChatLoader):
            msg = (
                "A chat loader is not a Runnable: write tuner.invoke(loader), or "
                "(steps | tuner).invoke(loader)."
            )
            raise TypeError(msg)
        return cast("RunnableSequence[Any, Any]", super().__ror__(other))


def _refuse_arguments(kwargs: Mapping[str, Any]) -> None:
    # `bind(n_epochs=3)` must not be ignored in silence.
    if kwargs:
        msg = (
            f"Unknown arguments: {', '.join(sorted(kwargs))}. Settings belong to the "
            "tuner: ChatFineTuner(...)."
        )
        raise TypeError(msg)


class _TunerRetry(RunnableRetry[Any, Any]):  # type: ignore[no-redef] # a field `kwargs`
    """Repeats a tuner; the attempts are in the trace, the examples are not.

    LangChain's own makes a run around the attempts that records its input.
    """

    def invoke(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Fine-tune, and again if need be."""
        retrying = self._sync_retrying(reraise=True)
        return retrying(super(RunnableRetry, self).invoke, input, config, **kwargs)

    async def ainvoke(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Fine-tune, and again if need be."""
        retrying = self._async_retrying(reraise=True)
        call = super(RunnableRetry, self).ainvoke
        return await retrying(call, input, config, **kwargs)

    def batch(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Do each input by itself; LangChain's own would record them."""
        return Runnable.batch(self, *args, **kwargs)

    async def abatch(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Do each input by itself; LangChain's own would record them."""
        return await Runnable.abatch(self, *args, **kwargs)
