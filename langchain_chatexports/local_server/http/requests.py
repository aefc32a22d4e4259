"""Models for request bodies, with strict types and ranges."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from langchain_chatexports.local_server.engines.sampling import (
    LLAMA_CPP_ONLY,
    offered_tools,
)
from langchain_chatexports.local_server.errors import RequestError

_MAX_SEED = 2**63 - 1
_MAX_TOKENS = 10_000_000
_MAX_SCHEMA_BYTES = 65_536
# Accepted but ignored.
_IGNORED = frozenset(
    {"metadata", "prompt_cache_key", "safety_identifier", "service_tier", "user"}
)

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
        """Return the hyperparameters with a value; those in `method` come first."""
        supervised = self.method.supervised if self.method else None
        overrides = supervised.hyperparameters if supervised else None
        requested = (self.hyperparameters or HyperparametersRequest()).model_dump()
        if overrides is not None:
            requested.update(overrides.model_dump(exclude_unset=True))
        return {name: value for name, value in requested.items() if value != "auto"}


class _LaxModel(_StrictModel):
    model_config = ConfigDict(extra="ignore")


class _FunctionCall(_LaxModel):
    name: str
    arguments: str


class _ToolCall(_LaxModel):
    id: str
    type: Literal["function"]
    function: _FunctionCall


class _Function(_LaxModel):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Tool(_LaxModel):
    type: Literal["function"]
    function: _Function


class _StreamOptions(_LaxModel):
    include_usage: bool | None = None


class _TextPart(_StrictModel):
    type: Literal["text"]
    text: str


class _Message(_StrictModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_TextPart] | None = None
    name: str | None = None
    weight: Literal[0, 1] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: dict[str, Any] | None = None
    tool_call_id: str | None = None
    audio: None = None


Strength = Annotated[float, Field(ge=0, le=1)]
Messages = Annotated[list[_Message], Field(min_length=1, max_length=4096)]


class ChatRequest(_StrictModel):
    """Body of `POST /chat/completions`, with extra fields for llama.cpp."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: Messages
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
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

    strength: Strength | None = None
    tools: list[_Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | _Tool | None = None
    response_format: dict[str, Any] | None = None

    def to_body(self) -> dict[str, Any]:
        """Return the body for an engine: what has a value, and no unknown parameter.

        Raises:
            RequestError: If a parameter is unknown, too large or has no meaning.
        """
        unknown = {name for name, value in (self.model_extra or {}).items() if value}
        for name in sorted(unknown - LLAMA_CPP_ONLY - _IGNORED):
            msg = "Unrecognized request argument."
            raise RequestError(msg, code="unknown_parameter", param=name)
        body = self.model_dump(exclude_none=True, exclude={*_IGNORED, "strength"})
        for name in ("response_format", "tools"):
            if len(json.dumps(body.get(name))) > _MAX_SCHEMA_BYTES:
                msg = f"'{name}' is larger than {_MAX_SCHEMA_BYTES} bytes."
                raise RequestError(msg, code="invalid_value", param=name)
        is_required = self.tool_choice not in (None, "auto", "none")
        if is_required and not offered_tools(body):
            msg = "'tool_choice' must name a function in 'tools'."
            raise RequestError(msg, code="invalid_value", param="tool_choice")
        return body


class ScoreRequest(_StrictModel):
    """Body of `POST /score`, a route that OpenAI does not have."""

    model: str
    messages: Messages
    strength: Strength | None = None


class TokenizeRequest(_StrictModel):
    """Body of `POST /tokenize`, a vLLM route that OpenAI does not have."""

    model: str
    prompt: str = ""
    messages: Messages | None = None
