"""Models for request bodies, with strict types and ranges."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Annotated, Any, Literal

from openai.types.chat import (
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionNamedToolChoiceParam,
    ChatCompletionStreamOptionsParam,
)
from pydantic import BaseModel, ConfigDict, Field

from langchain_chatexports.local_server.old_engines.transformers import Sampling
from langchain_chatexports.local_server.old_http.errors import ApiError

_MAX_SEED = 2**63 - 1
_MAX_TOKENS = 10_000_000

Auto = Literal["auto"]


class _StrictModel(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class HyperparametersRequest(_StrictModel):
    """The hyperparameters of a job; each may be `"auto"`."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] = "auto"
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, le=100)] = "auto"


class _Supervised(_StrictModel):
    hyperparameters: HyperparametersRequest | None = None


class _Method(_StrictModel):
    type: Literal["supervised"]
    supervised: _Supervised | None = None


class JobRequest(_StrictModel):
    """Body of `POST /fine_tuning/jobs`."""

    model: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: HyperparametersRequest | None = None
    method: _Method | None = None
    suffix: Annotated[str, Field(max_length=64)] | None = None
    seed: Annotated[int, Field(ge=0, le=_MAX_SEED)] | None = None
    metadata: (
        Annotated[
            dict[
                Annotated[str, Field(max_length=64)],
                Annotated[str, Field(max_length=512)],
            ],
            Field(max_length=16),
        ]
        | None
    ) = None
    integrations: Annotated[list[Any], Field(max_length=0)] | None = None

    def requested_hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters; those in `method` take precedence."""
        supervised = self.method.supervised if self.method else None
        overrides = supervised.hyperparameters if supervised else None
        requested = (self.hyperparameters or HyperparametersRequest()).model_dump()
        if overrides is not None:
            requested.update(overrides.model_dump(exclude_unset=True))
        return requested


class _TextPart(_StrictModel):
    type: Literal["text"]
    text: str


class _Message(_StrictModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_TextPart] | None = None
    name: str | None = None
    weight: Literal[0, 1] | None = None
    refusal: str | None = None
    tool_calls: list[ChatCompletionMessageFunctionToolCall] | None = None
    function_call: dict[str, Any] | None = None
    tool_call_id: str | None = None
    audio: None = None


Messages = Annotated[list[_Message], Field(min_length=1, max_length=4096)]


class ChatRequest(_StrictModel):
    """Body of `POST /chat/completions`, with extra fields for llama.cpp."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: Messages
    stream: bool | None = None
    stream_options: ChatCompletionStreamOptionsParam | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=_MAX_TOKENS)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=_MAX_TOKENS)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-_MAX_SEED, le=_MAX_SEED)] | None = None

    # llama.cpp's parameters; the defaults are those of `Sampling`.
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    dry_multiplier: Annotated[float, Field(ge=0, le=10)] | None = None
    dry_base: Annotated[float, Field(ge=1, le=10)] | None = None
    dry_allowed_length: Annotated[int, Field(ge=1, le=1000)] | None = None
    dry_penalty_last_n: Annotated[int, Field(ge=-1, le=65_536)] | None = None

    tools: list[ChatCompletionFunctionToolParam] | None = None
    tool_choice: (
        Literal["none", "auto", "required"] | ChatCompletionNamedToolChoiceParam | None
    ) = None
    response_format: dict[str, Any] | None = None

    @property
    def extras(self) -> dict[str, Any]:
        """The extra fields with a value other than the default."""
        extras = {"n": 1, **(self.model_extra or {})}
        if extras["n"] == 1:
            del extras["n"]
        return {name: value for name, value in extras.items() if value}

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with the token counts."""
        return bool(self.stream_options and self.stream_options.get("include_usage"))

    @property
    def is_structured(self) -> bool:
        """Whether the response is structured: JSON or a tool call."""
        response_format = self.response_format or {"type": "text"}
        return response_format.get("type") != "text" or bool(self.tools)

    def sampling(self) -> Sampling:
        """Return the sampling settings."""
        default = Sampling()
        if self.is_structured:
            default = default.for_structured_output()
        names = {field.name for field in fields(Sampling)}
        return replace(default, **self.model_dump(exclude_none=True, include=names))

    def stop_sequences(self) -> list[str]:
        """Return the stop sequences."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [text for text in stops if text]


class ScoreRequest(_StrictModel):
    """Body of `POST /score`, a route that OpenAI does not have."""

    model: str
    messages: Messages


class TokenizeRequest(_StrictModel):
    """Body of `POST /tokenize`, a vLLM route that OpenAI does not have."""

    model: str
    prompt: str = ""
    messages: Messages | None = None


def create_invalid_parameter(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """Create the error for an invalid parameter in a body, query or form.

    Names inside a parameter are omitted, because they can be a client's text.
    """
    param = next((str(part) for part in errors[0]["loc"][1:]), None)
    if param is None or errors[0]["type"] == "json_invalid":
        msg = "The body is not a JSON object, or not sent as application/json."
        return ApiError(msg, code="invalid_json")
    # Each member of a union reports its errors, the most general member first.
    last_error = [
        error for error in errors if error["loc"][1:2] == errors[0]["loc"][1:2]
    ][-1]
    msg = f"Invalid value for '{param}': {last_error['msg']}."
    if last_error["type"] == "extra_forbidden" and len(last_error["loc"]) == 2:  # noqa: PLR2004
        msg = "Unrecognized request argument."
    return ApiError(msg, code="invalid_value", param=param)
