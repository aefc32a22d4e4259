"""Examples in, tuned chat model out: the order, from data to model, in one call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from langchain_core.chat_loaders import BaseChatLoader
from pydantic import ValidationError

from langchain_chatexports.datasets.estimate import estimate_training
from langchain_chatexports.datasets.validation import validate_examples
from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningTimeoutError,
    FineTuningUnavailableError,
    TrainingBudgetError,
    TrainingDataError,
)
from langchain_chatexports.finetuning.clients import public_url, scrub_secrets
from langchain_chatexports.finetuning.clock import Deadline
from langchain_chatexports.finetuning.errors import Situation
from langchain_chatexports.finetuning.inputs import read_examples
from langchain_chatexports.finetuning.jobs import Submission
from langchain_chatexports.finetuning.orders import (
    TrainingFile,
    TuningOrder,
    require_uploadable,
)
from langchain_chatexports.finetuning.requests import alock, arun, ask, lock, run
from langchain_chatexports.finetuning.run import FineTuningRun
from langchain_chatexports.finetuning.settings import FineTunerSettings
from langchain_chatexports.finetuning.tracing import TunerRetry, atraced, traced
from langchain_chatexports.finetuning.watch import name_job_on_interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_core.runnables import RunnableConfig, RunnableSequence
    from langchain_core.runnables.retry import ExponentialJitterParams
    from langchain_openai import ChatOpenAI
    from openai.types.fine_tuning import FineTuningJobEvent

    from langchain_chatexports.finetuning.inputs import TrainingInput
    from langchain_chatexports.finetuning.requests import Requests

__all__ = ["ChatFineTuner"]

_MIN_EXAMPLES = 10


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

            def report(event: FineTuningJobEvent) -> None:
                self.report_event(event)
                call.dispatch(event)

            deadline = Deadline(self.clock, self.timeout)
            order = self._order(input)
            with self.access().client(deadline) as client:
                self._try_chat_model(client)
                job = self._submit(order, client, deadline)
                job.follow(client, deadline, report)
            call.outputs.update(_public(job, order))
            return job.chat_model()  # type: ignore[return-value] # as documented

    async def ainvoke(
        self,
        input: TrainingInput,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> ChatOpenAI:
        """Fine-tune and wait, without blocking the event loop; see `invoke`."""
        _refuse_arguments(kwargs)
        async with atraced(self.get_name(), config) as call:

            async def report(event: FineTuningJobEvent) -> None:
                self.report_event(event)
                await call.adispatch(event)

            deadline = Deadline(self.clock, self.timeout)
            order = await asyncio.to_thread(self._order, input)
            async with self.access().async_client(deadline) as client:
                await asyncio.to_thread(self._try_chat_model, client)
                job = await self._asubmit(order, client, deadline)
                await job.afollow(client, deadline, report)
            call.outputs.update(_public(job, order))
            return job.chat_model()  # type: ignore[return-value] # as documented

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
        deadline = Deadline(self.clock, self.timeout)
        with self.access().client(deadline) as client:
            base = self._base(client, deadline)
            job = run(_retrieve(job_id, base), client, self.clock)
            return self._run_of(job, client, base)

    async def aget(self, job_id: str) -> FineTuningRun:
        """Take up a job by its id, for example after a restart."""
        deadline = Deadline(self.clock, self.timeout)
        async with self.access().async_client(deadline) as client:
            base = self._base(client, deadline)
            job = await arun(_retrieve(job_id, base), client, self.clock)
            return self._run_of(job, client, base)

    # The order, before the first request

    def _order(self, given: TrainingInput) -> TuningOrder:
        examples = self._checked(given, "training", _MIN_EXAMPLES)
        validation = None
        if self.validation_examples is not None:
            validation = self._checked(self.validation_examples, "validation", 1)
        self._require_agreement(examples)
        return TuningOrder(
            model=self.model,
            training=TrainingFile(examples),
            validation=None if validation is None else TrainingFile(validation),
            method=self.method,
            hyperparameters=self.hyperparameters(),
            suffix=self.suffix,
            seed=self.seed,
            metadata=self.metadata or {},
            extra_body=self.extra_body,
            nonce=TuningOrder.new_nonce() if self.run_again else "",
        )

    def _checked(
        self, given: TrainingInput, kind: str, minimum: int
    ) -> list[Mapping[str, Any]]:
        examples = list(read_examples(given))
        problems = validate_examples(
            examples,
            minimum=minimum,
            method=self.method,
            allow_trailing=self.allow_trailing,
        )
        if problems:
            rules = "a rule" if len(problems) == 1 else f"{len(problems)} rules"
            msg = (
                f"The {kind} examples break {rules} of the training format. Nothing "
                "was sent. Correct this and run again:"
            )
            raise TrainingDataError(msg, problems)
        return examples

    def _require_agreement(self, examples: list[Mapping[str, Any]]) -> None:
        limit = self.max_billed_tokens
        if limit is None and self.confirm is None:
            return
        estimate = estimate_training(examples, model=self.model, n_epochs=self.n_epochs)
        bound = estimate.billed_tokens_at_most
        if limit is not None and bound > limit:
            kind = "" if estimate.exact else "up to "
            msg = (
                f"The order would be billed for {kind}{bound:,} tokens "
                f"({estimate.examples:,} examples, {estimate.epochs} epochs), over "
                f"max_billed_tokens={limit:,}. Nothing was sent. Use fewer examples "
                "or epochs, or raise the limit."
            )
            raise TrainingBudgetError(msg)
        # Truth is not enough: a text such as "n", or a coroutine, is no yes.
        if self.confirm is not None and self.confirm(estimate) != 1:
            msg = (
                f"The order was not confirmed ({estimate.examples:,} examples, about "
                f"{estimate.billed_tokens:,} billed tokens). Nothing was sent."
            )
            raise TrainingBudgetError(msg)

    def _try_chat_model(self, client: Any) -> None:
        # A wrong argument, or a missing deployment, must not show after the bill.
        try:
            self.access().pinned(client).chat_model(
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

    def _submit(
        self, order: TuningOrder, client: Any, deadline: Deadline
    ) -> FineTuningRun:
        submission = self._submission(order, client, deadline)
        base = submission.situation
        with name_job_on_interrupt(None), lock(f"{base.server} {order.key}"):
            job = run(submission.place(), client, self.clock)
        return self._run_of(job, client, base)

    async def _asubmit(
        self, order: TuningOrder, client: Any, deadline: Deadline
    ) -> FineTuningRun:
        submission = self._submission(order, client, deadline)
        base = submission.situation
        with name_job_on_interrupt(None):
            async with alock(f"{base.server} {order.key}"):
                job = await arun(submission.place(), client, self.clock)
        return self._run_of(job, client, base)

    def _submission(
        self, order: TuningOrder, client: Any, deadline: Deadline
    ) -> Submission:
        base = self._base(client, deadline, order.scrub)
        require_uploadable(order, base.server)
        return Submission(
            order,
            base,
            poll_interval=self.poll_interval,
            delete_training_file=self.delete_training_file,
            file_expires_after=self.file_expires_after,
        )

    def _base(
        self, client: Any, deadline: Deadline, scrub: Callable[[str], str] = str
    ) -> Situation:
        return Situation(
            server=public_url(client.base_url),
            deadline=deadline,
            scrub=lambda said: scrub(scrub_secrets(said, client)),
        )

    def _run_of(self, job: Any, client: Any, base: Situation) -> FineTuningRun:
        access = self.access().pinned(client)
        return FineTuningRun(self, job, base=base, access=access)

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


def _retrieve(job_id: str, base: Situation) -> Requests[Any]:
    situation = base.with_(
        doing="reading the job",
        consequence=f"Nothing was changed; is {job_id!r} a job of this account?",
        job_id=job_id,
    )
    return ask("fine_tuning.jobs.retrieve", situation, fine_tuning_job_id=job_id)


def _public(run: FineTuningRun, order: TuningOrder) -> dict[str, Any]:
    return {
        "job_id": run.id,
        "base_model": run.job.model,
        "model": run.job.fine_tuned_model,
        "examples": order.training.examples,
    }
