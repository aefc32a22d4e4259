"""Examples in, tuned chat model out: the order, from data to model, in one call."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

from langchain_core.chat_loaders import BaseChatLoader
from pydantic import ValidationError

from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningTimeoutError,
    FineTuningUnavailableError,
)
from langchain_chatexports.finetuning.clients import public_url, secrets_of
from langchain_chatexports.finetuning.drivers import adrive, ahold, drive, hold
from langchain_chatexports.finetuning.ordering import (
    checked_examples,
    require_agreement,
    require_uploadable,
    training_file,
)
from langchain_chatexports.finetuning.orders import Order
from langchain_chatexports.finetuning.protocol import Deadline, ask
from langchain_chatexports.finetuning.run import FineTuningRun
from langchain_chatexports.finetuning.server_errors import Situation
from langchain_chatexports.finetuning.settings import FineTunerSettings
from langchain_chatexports.finetuning.submission import Submission
from langchain_chatexports.finetuning.tracing import atraced, traced
from langchain_chatexports.finetuning.waiting import name_job_on_interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_core.runnables import RunnableConfig, RunnableSequence
    from langchain_core.runnables.retry import ExponentialJitterParams
    from langchain_openai import ChatOpenAI
    from openai.types.fine_tuning import FineTuningJobEvent

    from langchain_chatexports.finetuning.inputs import TrainingInput
    from langchain_chatexports.finetuning.protocol import Protocol
    from langchain_chatexports.finetuning.retrying import TunerRetry

__all__ = ["ChatFineTuner"]

logger = logging.getLogger(__name__)

_MINIMUM = 10


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
            FineTuningError: If no model comes of it; its subclasses say why.
        """
        _refuse_arguments(kwargs)
        with traced(self.get_name(), config) as call:

            def tell(event: FineTuningJobEvent) -> None:
                self.tell(event)
                call.dispatch(event)

            deadline = Deadline(self.clock, self.timeout)
            order = self._order(input)
            with self.access().client(deadline) as client:
                self._try_chat_model(client)
                run = self._submit(order, client, deadline)
                run.follow(client, deadline, tell)
            call.outputs.update(_public(run, order))
            return run.chat_model()  # type: ignore[return-value] # as documented

    async def ainvoke(
        self,
        input: TrainingInput,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> ChatOpenAI:
        """Fine-tune and wait, without blocking the event loop; see `invoke`."""
        _refuse_arguments(kwargs)
        async with atraced(self.get_name(), config) as call:

            async def tell(event: FineTuningJobEvent) -> None:
                self.tell(event)
                await call.adispatch(event)

            deadline = Deadline(self.clock, self.timeout)
            order = await asyncio.to_thread(self._order, input)
            async with self.access().async_client(deadline) as client:
                await asyncio.to_thread(self._try_chat_model, client)
                run = await self._asubmit(order, client, deadline)
                await run.afollow(client, deadline, tell)
            call.outputs.update(_public(run, order))
            return run.chat_model()  # type: ignore[return-value] # as documented

    def submit(self, input: TrainingInput) -> FineTuningRun:
        """Order the job, or find it, and do not wait for its end.

        Args:
            input: As for `invoke`.

        Returns:
            The run; the job exists.
        """
        deadline = Deadline(self.clock, self.timeout)
        order = self._order(input)
        with self.access().client(deadline) as client:
            return self._submit(order, client, deadline)

    async def asubmit(self, input: TrainingInput) -> FineTuningRun:
        """Order the job, or find it, and do not wait for its end."""
        deadline = Deadline(self.clock, self.timeout)
        order = await asyncio.to_thread(self._order, input)
        async with self.access().async_client(deadline) as client:
            return await self._asubmit(order, client, deadline)

    def get(self, job_id: str) -> FineTuningRun:
        """Take up a job by its id, for example after a restart.

        Args:
            job_id: The job's id, from `FineTuningRun.id`.

        Returns:
            The run, as the server has it now.
        """
        with self.access().client(Deadline(self.clock, self.timeout)) as client:
            job = drive(self._retrieve(job_id, client), client, self.clock)
            return self._run_of(job, client)

    async def aget(self, job_id: str) -> FineTuningRun:
        """Take up a job by its id, for example after a restart."""
        deadline = Deadline(self.clock, self.timeout)
        async with self.access().async_client(deadline) as client:
            job = await adrive(self._retrieve(job_id, client), client, self.clock)
            return self._run_of(job, client)

    def tell(self, event: FineTuningJobEvent) -> None:
        """Hand an event to `on_event`; its errors do not stop the waiting."""
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except Exception as error:  # noqa: BLE001 - the user's code
            logger.warning("on_event raised a %s; going on.", type(error).__name__)

    # The order, before the first request

    def _order(self, given: TrainingInput) -> Order:
        examples = self._checked(given, "training", _MINIMUM)
        validation = None
        if self.validation_examples is not None:
            validation = self._checked(self.validation_examples, "validation", 1)
        require_agreement(
            examples,
            model=self.model,
            n_epochs=self.n_epochs,
            max_billed_tokens=self.max_billed_tokens,
            confirm=self.confirm,
        )
        return Order(
            model=self.model,
            training=training_file(examples),
            validation=None if validation is None else training_file(validation),
            method=self.method,
            hyperparameters=self.hyperparameters(),
            suffix=self.suffix,
            seed=self.seed,
            metadata=self.metadata or {},
            extra_body=self.extra_body,
            nonce=Order.new_nonce() if self.run_again else "",
        )

    def _checked(
        self, given: TrainingInput, kind: str, minimum: int
    ) -> list[Mapping[str, Any]]:
        return checked_examples(
            given,
            kind,
            minimum=minimum,
            method=self.method,
            allow_trailing=self.allow_trailing,
        )

    def _try_chat_model(self, client: Any) -> None:
        # A wrong argument, or a missing deployment, must not show after the bill.
        try:
            self.access().chat_access(client).chat_model(
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

    # The job

    def _submit(self, order: Order, client: Any, deadline: Deadline) -> FineTuningRun:
        submission = self._submission(order, client, deadline)
        with name_job_on_interrupt(None), hold(f"{submission.server} {order.key}"):
            job = drive(submission.run(), client, self.clock)
        return self._run_of(job, client, submission.hides)

    async def _asubmit(
        self, order: Order, client: Any, deadline: Deadline
    ) -> FineTuningRun:
        submission = self._submission(order, client, deadline)
        with name_job_on_interrupt(None):
            async with ahold(f"{submission.server} {order.key}"):
                job = await adrive(submission.run(), client, self.clock)
        return self._run_of(job, client, submission.hides)

    def _submission(self, order: Order, client: Any, deadline: Deadline) -> Submission:
        server = public_url(client.base_url)
        require_uploadable(order, server)
        return Submission(
            order,
            server,
            deadline,
            poll_interval=self.poll_interval,
            delete_training_file=self.delete_training_file,
            file_expires_after=self.file_expires_after,
            hides=_without_key(client, order.hides),
        )

    def _run_of(
        self, job: Any, client: Any, hides: Callable[[str], str] = str
    ) -> FineTuningRun:
        access = self.access().pinned(client)
        return FineTuningRun(
            self,
            job,
            server=public_url(client.base_url),
            access=access,
            chats=access.chat_access(client),
            hides=_without_key(client, hides),
        )

    def _retrieve(self, job_id: str, client: Any) -> Protocol[Any]:
        situation = Situation(
            server=public_url(client.base_url),
            doing="reading the job",
            consequence=f"Nothing was changed; is {job_id!r} a job of this account?",
            job_id=job_id,
            hides=_without_key(client),
        )
        return ask(
            "fine_tuning.jobs.retrieve",
            situation,
            Deadline(self.clock, self.timeout),
            fine_tuning_job_id=job_id,
        )

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
    ) -> TunerRetry:
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
        from langchain_chatexports.finetuning.retrying import TunerRetry

        return TunerRetry(
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


def _without_key(
    client: Any, hides: Callable[[str], str] = str
) -> Callable[[str], str]:
    def hidden(said: str) -> str:
        # Asked for late: a key can be fetched with the first request.
        for secret in secrets_of(client):
            said = said.replace(secret, "…")
        return hides(said)

    return hidden


def _public(run: FineTuningRun, order: Order) -> dict[str, Any]:
    return {
        "job_id": run.id,
        "base_model": run.job.model,
        "model": run.job.fine_tuned_model,
        "examples": order.training.examples,
    }
