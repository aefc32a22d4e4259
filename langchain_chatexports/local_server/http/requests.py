"""Models of the request bodies, with strict types, known names and ranges."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from langchain_chatexports.local_server.http.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

__all__ = [
    "ChatRequest",
    "JobRequest",
    "JsonSchemaFormat",
    "ScoreRequest",
    "TokenizeRequest",
    "ToolChoice",
    "invalid_parameter",
    "parse_body",
]

_MAX_MESSAGES = 4096
_MAX_SEED = 2**63 - 1
_MAX_CHOICES = 8
# OpenAI parameters that are accepted only with the value that requests nothing.
_UNSUPPORTED = frozenset({"functions", "integrations"})

Auto = Literal["auto"]
Model = TypeVar("Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class HyperparametersRequest(_Strict):
    """The hyperparameters of a job, each of which may be `"auto"`."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] = "auto"
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, le=100)] = "auto"


class SupervisedRequest(_Strict):
    """The supervised method's settings."""

    hyperparameters: HyperparametersRequest | None = None


class MethodRequest(_Strict):
    """The training method; only the supervised one is supported."""

    type: Literal["supervised"]
    supervised: SupervisedRequest | None = None


class JobRequest(_Strict):
    """Body of `POST /fine_tuning/jobs`."""

    model: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: HyperparametersRequest | None = None
    method: MethodRequest | None = None
    suffix: Annotated[str, Field(max_length=64)] | None = None
    seed: Annotated[int, Field(ge=0, le=_MAX_SEED)] | None = None
    metadata: dict[
        Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]
    ] = Field(default_factory=dict, max_length=16)
    integrations: Annotated[list[Any], Field(max_length=0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("metadata", 0) is None:
            return {name: given for name, given in value.items() if name != "metadata"}
        return value

    def requested_hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters; the method's replace those of the older form."""
        supervised = self.method.supervised if self.method else None
        newer = supervised.hyperparameters if supervised else None
        requested = (self.hyperparameters or HyperparametersRequest()).model_dump()
        if newer is not None:
            requested.update(newer.model_dump(exclude_unset=True))
        return requested


FunctionName = Annotated[str, Field(pattern="^[a-zA-Z0-9_-]{1,64}$")]


class _TextPart(_Strict):
    type: Literal["text"]
    text: str


class _CalledFunction(_Strict):
    name: FunctionName
    arguments: str


class _ToolCall(_Strict):
    id: Annotated[str, Field(min_length=1)]
    type: Literal["function"]
    function: _CalledFunction
    # Some clients send a stream's chunks back as they were.
    index: int | None = None


class _Message(_Strict):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_TextPart] | None = None
    name: str | None = None
    weight: Literal[0, 1] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: dict[str, Any] | None = None
    tool_call_id: str | None = None
    audio: None = None

    @model_validator(mode="after")
    def _calls_by_role(self) -> _Message:
        if self.tool_calls and self.role != "assistant":
            msg = "only the assistant calls tools"
            raise ValueError(msg)
        if self.role == "tool" and (self.tool_call_id is None or self.content is None):
            msg = "a tool's message needs 'content' and 'tool_call_id'"
            raise ValueError(msg)
        return self


class _StreamOptions(_Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class _TextFormat(_Strict):
    type: Literal["text"]


class _JsonFormat(_Strict):
    type: Literal["json_object"]


class _JsonSchema(_Strict):
    # OpenAI's name: clients send it.
    name: FunctionName
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class JsonSchemaFormat(_Strict):
    """An answer in JSON that a schema allows."""

    type: Literal["json_schema"]
    json_schema: _JsonSchema


class _Function(_Strict):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Tool(_Strict):
    type: Literal["function"]
    function: _Function


class _FunctionChoice(_Strict):
    name: FunctionName


class ToolChoice(_Strict):
    """The tool that must be called."""

    type: Literal["function"]
    function: _FunctionChoice


Penalty = Annotated[float, Field(ge=-2, le=2)]


class ChatRequest(_Strict):
    """Body of `POST /chat/completions`, with the parameters that are supported."""

    model: str
    messages: Annotated[list[_Message], Field(min_length=1, max_length=_MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-_MAX_SEED, le=_MAX_SEED)] | None = None

    # Sent by clients, but without effect on a local machine.
    user: str | None = None
    metadata: dict[str, str] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    store: Literal[False] | None = None
    service_tier: Literal["auto", "default"] | None = None

    # For llama.cpp only: other engines accept the values that request nothing.
    n: Annotated[int, Field(ge=1, le=_MAX_CHOICES)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: (
        Annotated[
            dict[
                Annotated[str, Field(pattern="^[0-9]{1,9}$")],
                Annotated[float, Field(ge=-100, le=100)],
            ],
            Field(max_length=300),
        ]
        | None
    ) = None
    tools: Annotated[list[_Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: (
        Annotated[
            _TextFormat | _JsonFormat | JsonSchemaFormat, Field(discriminator="type")
        ]
        | None
    ) = None

    # Not supported: accepted only with the value that requests nothing.
    functions: Annotated[list[Any], Field(max_length=0)] | None = None
    modalities: list[Literal["text"]] | None = None

    def stops(self) -> list[str]:
        """Return the stop sequences."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [text for text in given if text]

    def token_limit(self) -> int | None:
        """Return the maximum number of generated tokens."""
        return self.max_completion_tokens or self.max_tokens


class ScoreRequest(_Strict):
    """Body of `POST /score`, which OpenAI does not have."""

    model: str
    messages: Annotated[list[_Message], Field(min_length=1, max_length=_MAX_MESSAGES)]


class TokenizeRequest(_Strict):
    """Body of `POST /tokenize`, which OpenAI does not have, and vLLM has."""

    model: str
    prompt: str = ""
    messages: (
        Annotated[list[_Message], Field(min_length=1, max_length=_MAX_MESSAGES)] | None
    ) = None


_NAMES = frozenset(
    name for model in _Strict.__subclasses__() for name in model.model_fields
)


def parse_body(body: bytes, kind: type[Model]) -> Model:
    """Parse and validate the body of a request.

    Raises:
        ApiError: With status 400, naming the first parameter that is wrong.
    """
    try:
        value = json.loads(body, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise _invalid_json() from error
    if not isinstance(value, dict):
        msg = "The body must be a JSON object."
        raise ApiError(msg, code="invalid_type")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise _validation_error(error, kind) from None


def invalid_parameter(error: Mapping[str, Any]) -> ApiError:
    """Return the error for an invalid parameter in a query or a form.

    Args:
        error: FastAPI's validation error, in pydantic's shape.
    """
    # An empty body has no parameter name.
    if len(error["loc"]) == 1:
        return _invalid_json()
    name = str(error["loc"][1])
    param = name.partition("[")[0]
    if name == "file":
        msg = "'file' must be an uploaded file."
        return ApiError(msg, code="missing_required_parameter", param=param)
    if error["type"] == "missing":
        msg = f"Missing required parameter: '{name}'."
        return ApiError(msg, code="missing_required_parameter", param=param)
    msg = f"Invalid value for '{name}': {error['msg']}."
    return ApiError(msg, code="invalid_value", param=param)


def _invalid_json() -> ApiError:
    msg = "The body is not valid JSON, or nested too deeply."
    return ApiError(msg, code="invalid_json")


def _number(text: str) -> float:
    # Some languages write integers as 1.0.
    value = float(text)
    return int(value) if value.is_integer() else value


def _validation_error(error: ValidationError, kind: type[BaseModel]) -> ApiError:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    param = str(errors[0]["loc"][0]) if errors[0]["loc"] else None
    where = _path(errors[0])
    # Each member of a union reports its own errors: show the one that matched furthest.
    same = [each for each in errors if where and _path(each)[: len(where)] == where]
    best = max(same, key=_match_depth, default=errors[0])
    name = ".".join(map(str, _path(best)))
    if best["type"] == "extra_forbidden":
        msg = "Unrecognized request argument."
        if name:
            msg = f"Unrecognized key within '{name}'."
        return ApiError(msg, code="unknown_parameter", param=param)
    if best["type"] == "missing":
        msg = f"Missing required parameter: '{name}'."
        return ApiError(msg, code="missing_required_parameter", param=param)
    allowed = _allowed_numbers(kind, name.rpartition(".")[2])
    msg = f"Invalid value for '{name or param}': {best['msg']}{allowed}."
    if param in _UNSUPPORTED or name == "method.type":
        msg += " The local server does not support this."
    return ApiError(msg, code="invalid_value", param=param)


def _path(error: ErrorDetails) -> tuple[str | int, ...]:
    # Without the members of unions, and without keys that the user chose.
    is_unknown = error["type"] == "extra_forbidden"
    parts = error["loc"][:-1] if is_unknown else error["loc"]
    return tuple(part for part in parts if isinstance(part, int) or part in _NAMES)


def _match_depth(error: ErrorDetails) -> tuple[int, bool, bool]:
    kind = error["type"]
    is_of_content = kind not in {"literal_error", "missing"}
    return len(_path(error)), is_of_content, not kind.endswith("_type")


@cache
def _allowed_numbers(kind: type[BaseModel], name: str) -> str:
    """Return the allowed range of a numeric parameter, or an empty string."""
    schema = kind.model_json_schema()
    for model in (schema, *schema.get("$defs", {}).values()):
        given = model.get("properties", {}).get(name, {})
        forms = given.get("anyOf", [given])
        auto = ", or 'auto'" if {"const": "auto", "type": "string"} in forms else ""
        for form in forms:
            low = form.get("minimum", form.get("exclusiveMinimum"))
            high = form.get("maximum")
            if low is not None and high is not None and low < high:
                above = "above " if "exclusiveMinimum" in form else ""
                return f" (allowed: {above}{low} to {high}{auto})"
    return ""
