"""What the tuned model can do, as LangChain's chat models say it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import SecretStr, TypeAdapter, ValidationError

if TYPE_CHECKING:
    from langchain_core.language_models import ModelProfile

__all__ = ["model_profile"]

# langchain-openai knows `gpt-4.1-mini`, and jobs name `gpt-4.1-mini-2025-04-14`.
_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4})$")


def model_profile(given: object, base_model: str) -> ModelProfile | None:
    """Return the profile of a tuned model.

    Args:
        given: What the server says of it beside the job; any JSON value.
        base_model: The model it was tuned from.

    Returns:
        The server's profile, without what LangChain does not know; otherwise the one
        that langchain-openai has of the base, if any.
    """
    return _checked(given) or _known(base_model)


def _checked(given: object) -> ModelProfile | None:
    from langchain_core.language_models import ModelProfile

    if not isinstance(given, dict):
        return None
    known = {k: v for k, v in given.items() if k in ModelProfile.__annotations__}
    try:
        return TypeAdapter(ModelProfile).validate_python(known)
    except ValidationError:
        return None


def _known(base_model: str) -> ModelProfile | None:
    from langchain_openai import ChatOpenAI

    # Only this class knows the profiles; it is asked nothing else.
    name = _SNAPSHOT.sub("", base_model)
    return ChatOpenAI(model=name, api_key=SecretStr("-"), openai_proxy=None).profile
