"""The tuner's settings: checked when given, serialized without secrets."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from langchain_core.runnables.base import RunnableSerializable
from pydantic import (
    ConfigDict,
    Field,
    JsonValue,
    PositiveInt,
    PrivateAttr,
    SecretStr,
    field_serializer,
    field_validator,
)

from langchain_chatexports.datasets.estimate import TrainingEstimate
from langchain_chatexports.finetuning.connection import Clock, Connection, public_url

logger = logging.getLogger(__name__)

KEY = "langchain_chatexports_key"
"""The job's metadata key that holds the hash of its files and settings."""

DATA_KEY = "langchain_chatexports_data"
"""The job's metadata key that holds the training file's hash."""

_MAX_METADATA = 14  # 16, and two are ours.

_Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Label: TypeAlias = Annotated[str, Field(max_length=64)]
_LabelText: TypeAlias = Annotated[str, Field(max_length=512)]


class FineTunerSettings(RunnableSerializable[Any, Any]):
    """The settings of `ChatFineTuner`: server, model, hyperparameters, limits.

    Keys, headers, callables, data, `extra_body` and `chat_model_kwargs` are neither
    serialized nor shown, and `base_url` without its password and query.
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

    default_headers: dict[str, str] | None = Field(
        default=None, exclude=True, repr=False
    )
    """Headers of every request, chats included."""

    suffix: str | None = Field(default=None, max_length=64)
    """A part of the tuned model's name."""

    seed: int | None = None
    """Random seed, where the server supports one."""

    n_epochs: Literal["auto"] | PositiveInt = "auto"
    """Passes over the examples."""

    batch_size: Literal["auto"] | PositiveInt = "auto"
    """Examples a step."""

    learning_rate_multiplier: Literal["auto"] | _Positive = "auto"
    """Factor on the server's learning rate."""

    validation_examples: Any = Field(default=None, exclude=True, repr=False)
    """Examples to measure with, in any of the input's forms."""

    metadata: dict[_Label, _LabelText] | None = Field(
        default=None, max_length=_MAX_METADATA, repr=False
    )
    """Up to 14 labels on the job."""

    extra_body: dict[str, JsonValue] | None = Field(
        default=None, exclude=True, repr=False
    )
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
        default=None, exclude=True, repr=False
    )
    """Called before anything is sent; returns whether to create the job."""

    delete_training_file: bool = False
    """Delete the uploaded files once `invoke` or `wait` sees the job's end."""

    file_expires_after: int | None = Field(default=None, ge=3600, le=2_592_000)
    """Seconds after which the server deletes the uploaded files by itself."""

    run_again: bool = False
    """Create a new job each time, even if the same examples and settings have one."""

    on_event: Callable[[Any], object] | None = Field(
        default=None, exclude=True, repr=False
    )
    """Gets the SDK's events while waiting, oldest first, each once."""

    allow_trailing: bool = False
    """Accept examples that do not end with the assistant; OpenAI refuses them."""

    chat_model_kwargs: dict[str, Any] = Field(
        default_factory=lambda: {"temperature": 1}, exclude=True, repr=False
    )
    """Arguments of the returned chat model."""

    _clock: Clock = PrivateAttr(default_factory=Clock)

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
        if cls.__module__.startswith("langchain_chatexports."):
            return ["langchain_chatexports", "finetuning"]
        return cls.__module__.split(".")

    def _connection(self) -> Connection:
        """Return a connection to the server for one call."""
        names = ("base_url", "organization", "project", "default_headers")
        settings = {name: getattr(self, name) for name in names}
        if isinstance(key := self.api_key, SecretStr):
            settings["api_key"] = key.get_secret_value()
        given = {name: value for name, value in settings.items() if value is not None}
        return Connection(given, self._clock, self.timeout)

    def report_event(self, event: Any) -> None:
        """Pass an event to `on_event`; its errors do not stop the waiting."""
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except Exception as error:  # noqa: BLE001 - the user's code
            logger.warning("on_event raised a %s; continuing.", type(error).__name__)
