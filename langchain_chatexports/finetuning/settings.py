"""The settings of the tuner: validated, and serialized without secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from inspect import Parameter, Signature, cleandoc
from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from urllib.parse import urlsplit

from langchain_core.runnables.base import RunnableSerializable
from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    PositiveInt,
    SecretStr,
    field_serializer,
    field_validator,
)

from langchain_chatexports.datasets.estimate import TrainingEstimate

logger = logging.getLogger(__name__)

KEY = "langchain_chatexports_key"
"""The job's metadata key that holds the hash of its files and settings."""

DATA_KEY = "langchain_chatexports_data"
"""The job's metadata key that holds the training file's hash."""

_Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FineTunerSettings(RunnableSerializable[Any, Any]):
    """The settings of `ChatFineTuner`: server, model, hyperparameters, limits.

    Serialization and `repr` omit keys, headers, callables, data, `extra_body` and
    `chat_model_kwargs`, as well as the password and the query of `base_url`.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    model: str
    """The base model."""

    base_url: str | None = None
    """The server's URL; by default `OPENAI_BASE_URL`, otherwise OpenAI's."""

    api_key: SecretStr | str | None = None
    """The API key; by default `OPENAI_API_KEY`."""

    organization: str | None = None
    """Sent as `OpenAI-Organization`."""

    project: str | None = None
    """Sent as `OpenAI-Project`."""

    default_headers: dict[str, str] | None = Field(
        default=None, exclude=True, repr=False
    )
    """Headers for all requests, including those of the chat model."""

    suffix: str | None = Field(default=None, max_length=64)
    """A suffix for the tuned model's name."""

    seed: int | None = None
    """Random seed, if the server supports one."""

    n_epochs: Literal["auto"] | PositiveInt = "auto"
    """Passes over the examples."""

    batch_size: Literal["auto"] | PositiveInt = "auto"
    """Examples per step."""

    learning_rate_multiplier: Literal["auto"] | _Positive = "auto"
    """Factor for the server's learning rate."""

    validation_examples: Any = Field(default=None, exclude=True, repr=False)
    """Examples for validation, in any format that `invoke` accepts."""

    metadata: dict[str, str] | None = Field(default=None, repr=False)
    """The job's metadata; the tuner adds two keys."""

    extra_body: dict[str, JsonValue] | None = Field(
        default=None, exclude=True, repr=False
    )
    """Additional fields for the request that creates the job."""

    poll_interval: _Positive = 2.0
    """Initial number of seconds between polls of the job."""

    max_poll_interval: _Positive = 60.0
    """Maximum number of seconds between polls."""

    timeout: _Positive | None = None
    """Maximum number of seconds for `invoke`; the job continues afterwards."""

    max_billed_tokens: PositiveInt | None = None
    """Before sending anything, raise an error if more tokens may be billed."""

    confirm: Callable[[TrainingEstimate], bool] | None = Field(
        default=None, exclude=True, repr=False
    )
    """A function that returns whether to continue, called before anything is sent."""

    delete_training_file: bool = False
    """Delete the uploaded files when `invoke` or `wait` sees that the job has ended."""

    file_expires_after: int | None = Field(default=None, ge=3600, le=2_592_000)
    """Seconds after which the server deletes the uploaded files."""

    run_again: bool = False
    """Create a new job even if there is one for the same examples and settings."""

    on_event: Callable[[Any], object] | None = Field(
        default=None, exclude=True, repr=False
    )
    """While waiting, called with each of the SDK's events, oldest first."""

    allow_trailing: bool = False
    """Accept examples that do not end with the assistant; OpenAI rejects them."""

    chat_model_kwargs: dict[str, Any] = Field(
        default_factory=lambda: {"temperature": 1}, exclude=True, repr=False
    )
    """Arguments of the returned chat model."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Let `help` begin with the settings instead of their validation."""
        super().__pydantic_init_subclass__(**kwargs)
        fields = cls.model_fields
        cls.__signature__ = Signature(
            [
                Parameter(
                    name,
                    Parameter.KEYWORD_ONLY,
                    default=Parameter.empty
                    if field.is_required()
                    else field.get_default(call_default_factory=True),
                )
                for name, field in fields.items()
            ]
        )
        lines = [
            f"    {name}: {field.description}"
            for name, field in fields.items()
            if field.description
        ]
        cls.__doc__ = "\n".join([f"{cleandoc(cls.__doc__ or '')}\n\nSettings:", *lines])

    # Validation and serialization

    @field_validator("api_key")
    @classmethod
    def _to_secret(cls, value: SecretStr | str | None) -> SecretStr | None:
        return SecretStr(value) if isinstance(value, str) else value

    @field_serializer("base_url")
    def _strip_password(self, value: str | None) -> str | None:
        return value and public_url(value)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show the server's URL without password and query."""
        for name, value in super().__repr_args__():
            yield name, public_url(value) if name == "base_url" else value

    @property
    def lc_secrets(self) -> dict[str, str]:
        """The environment variable that holds the key, to load a serialized tuner."""
        return {"api_key": "OPENAI_API_KEY"}

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """The settings serialized without secrets."""
        return self.model_dump(include={"base_url"})

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return whether the tuner can be serialized."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Return the public namespace for this package's tuner."""
        if cls.__module__.startswith("langchain_chatexports."):
            return ["langchain_chatexports", "finetuning"]
        return cls.__module__.split(".")

    def report_event(self, event: Any) -> None:
        """Call `on_event` with an event and log any exception."""
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except Exception as error:  # noqa: BLE001 - the user's code
            logger.warning("on_event raised a %s; continuing.", type(error).__name__)


def public_url(url: object) -> str:
    """Return a URL without its password and query, which may be secret."""
    parts = urlsplit(str(url))
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl().rstrip("/")
