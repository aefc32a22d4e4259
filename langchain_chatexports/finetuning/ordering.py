"""From what the user gives to an order: read, check, agree. Nothing is sent here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from langchain_chatexports.exceptions import TrainingBudgetError, TrainingDataError
from langchain_chatexports.finetuning.clients import AZURE_HOSTS
from langchain_chatexports.finetuning.estimate import estimate_training
from langchain_chatexports.finetuning.inputs import read_examples
from langchain_chatexports.finetuning.orders import TrainingFile
from langchain_chatexports.finetuning.validation import validate_examples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langchain_chatexports.finetuning.estimate import TrainingEstimate
    from langchain_chatexports.finetuning.inputs import TrainingInput
    from langchain_chatexports.finetuning.orders import Order
    from langchain_chatexports.finetuning.validation import TrainingMethod

__all__ = [
    "checked_examples",
    "largest_upload",
    "require_agreement",
    "require_uploadable",
    "training_file",
]

_MIB = 2**20
# By the end of the host's name.
_LARGEST = (
    ("api.openai.com", 512 * _MIB),
    *((host, 100 * _MIB) for host in AZURE_HOSTS),
)


def checked_examples(
    given: TrainingInput,
    kind: str,
    *,
    minimum: int,
    method: TrainingMethod,
    allow_trailing: bool,
) -> list[Mapping[str, Any]]:
    """Read examples and check every rule of the format.

    Args:
        given: The examples, in any form.
        kind: What they are for, in the error.
        minimum: The least number of examples.
        method: As for `validate_examples`.
        allow_trailing: As for `validate_examples`.

    Returns:
        The examples.

    Raises:
        TrainingDataError: If they break a rule; it holds all problems.
    """
    examples = list(read_examples(given))
    problems = validate_examples(
        examples, minimum=minimum, method=method, allow_trailing=allow_trailing
    )
    if problems:
        rules = "a rule" if len(problems) == 1 else f"{len(problems)} rules"
        msg = (
            f"The {kind} examples break {rules} of the training format. Nothing was "
            "sent. Correct this and run again:"
        )
        raise TrainingDataError(msg, problems)
    return examples


def require_agreement(
    examples: list[Mapping[str, Any]],
    *,
    model: str,
    n_epochs: int | Literal["auto"],
    max_billed_tokens: int | None,
    confirm: Callable[[TrainingEstimate], bool] | None,
) -> None:
    """Make sure that an order is within its budget and agreed to.

    Args:
        examples: The examples.
        model: The base model.
        n_epochs: Passes over the examples.
        max_billed_tokens: The limit, compared with the upper bound of the estimate.
        confirm: Gets the estimate and says yes or no.

    Raises:
        TrainingBudgetError: If it is not.
    """
    if max_billed_tokens is None and confirm is None:
        return
    estimate = estimate_training(examples, model=model, n_epochs=n_epochs)
    bound = estimate.billed_tokens_at_most
    if max_billed_tokens is not None and bound > max_billed_tokens:
        kind = "" if estimate.exact else "up to "
        msg = (
            f"The order would be billed for {kind}{bound:,} tokens "
            f"({estimate.examples:,} examples, {estimate.epochs} epochs), over "
            f"max_billed_tokens={max_billed_tokens:,}. Nothing was sent. Use fewer "
            "examples or epochs, or raise the limit."
        )
        raise TrainingBudgetError(msg)
    # Truth is not enough: a text such as "n", or a coroutine, is no yes.
    if confirm is not None and confirm(estimate) != 1:
        msg = (
            f"The order was not confirmed ({estimate.examples:,} examples, about "
            f"{estimate.billed_tokens:,} billed tokens). Nothing was sent."
        )
        raise TrainingBudgetError(msg)


def largest_upload(server: str) -> int | None:
    """Give the bytes of the largest file that a server takes, where that is known.

    Args:
        server: The server's base URL.
    """
    host = urlsplit(server).hostname or ""
    return next((size for end, size in _LARGEST if host.endswith(end)), None)


def require_uploadable(order: Order, server: str) -> None:
    """Make sure that a server takes files as large as an order's.

    Args:
        order: The order.
        server: The server's base URL.

    Raises:
        TrainingDataError: If it is known not to.
    """
    largest = largest_upload(server)
    for file in (order.training, order.validation):
        if file is not None and largest is not None and len(file.data) > largest:
            msg = (
                f"The training file has {len(file.data) / _MIB:,.1f} MB, and {server} "
                f"takes {largest // _MIB} MB at most. Nothing was sent. Use fewer "
                "examples: leave out duplicates, or an older part."
            )
            raise TrainingDataError(msg)


def training_file(examples: list[Mapping[str, Any]]) -> TrainingFile:
    """Write examples as they will be uploaded.

    Args:
        examples: The examples.

    Returns:
        The file.

    Raises:
        TrainingDataError: If they are not of JSON types.
    """
    try:
        return TrainingFile(examples)
    except (TypeError, ValueError) as error:
        # The JSON encoder's errors can show a value.
        msg = (
            f"The examples are not of JSON types ({type(error).__name__}). "
            "Nothing was sent."
        )
        raise TrainingDataError(msg) from None
