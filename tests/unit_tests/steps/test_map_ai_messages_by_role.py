"""MapAIMessages by role, for tables where a thousand agents are not one name."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from pydantic import ValidationError

from langchain_chatexports.standard_tests import SessionTransformUnitTests
from langchain_chatexports.steps import MapAIMessages


def _session() -> Any:
    rows = (
        ("Ann", "agent", True),
        ("Bea", "customer", False),
        ("Cem", "agent", False),
        ("Dan", None, True),
    )
    return {
        "messages": [
            HumanMessage(
                f"line {index}",
                additional_kwargs={
                    "sender": sender,
                    "is_from_me": mine,
                    **({} if role is None else {"role": role}),
                },
            )
            for index, (sender, role, mine) in enumerate(rows)
        ]
    }


def _kinds(**params: Any) -> list[str]:
    (output,) = MapAIMessages(**params).invoke(_session())
    return [message.type for message in output["messages"]]


class TestMapAIMessagesByRole(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[MapAIMessages]:
        return MapAIMessages

    @property
    def transform_params(self) -> dict[str, Any]:
        return {"role": "agent"}

    @pytest.fixture
    def sessions(self) -> list[dict[str, Any]]:
        return [_session(), _session()]


def test_every_sender_of_the_role_is_the_ai_and_the_owner_is_not() -> None:
    assert _kinds(role="agent") == ["ai", "human", "ai", "human"]


def test_with_a_sender_both_must_fit() -> None:
    assert _kinds(role="agent", sender="Cem") == ["human", "human", "ai", "human"]


def test_without_a_role_roles_do_not_matter() -> None:
    assert _kinds() == ["ai", "human", "human", "ai"]


def test_an_empty_role_is_refused() -> None:
    with pytest.raises(ValidationError):
        MapAIMessages(role="")
