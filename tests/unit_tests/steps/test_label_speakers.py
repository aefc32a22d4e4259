from typing import Any

from langchain_core.messages import SystemMessage

from langchain_chatexports.steps import LabelSpeakers, MapAIMessages
from tests.unit_tests.builders.sessions import said, talk, texts

GROUP = talk("Tortoise: Slow.", "Hare: Fast!", "Fox: Who won?")


def _labeled(session: Any = GROUP, **params: Any) -> Any:
    (output,) = (MapAIMessages(sender="Hare") | LabelSpeakers(**params)).invoke(session)
    return output


def test_texts_are_labeled_except_the_ais() -> None:
    assert texts(_labeled()) == ["Tortoise: Slow.", "Fast!", "Fox: Who won?"]


def test_conversation_of_two_has_no_labels() -> None:
    duel = talk("Tortoise: Slow.", "Hare: Fast!")
    assert texts(_labeled(duel)) == ["Slow.", "Fast!"]
    assert texts(_labeled(duel, only_groups=False)) == ["Tortoise: Slow.", "Fast!"]


def test_group_of_two_has_no_labels() -> None:
    about: dict[str, Any] = {"is_group": True, "participants": ["Tortoise", "Hare"]}
    duel = talk("Tortoise: Slow.", "Hare: Fast!", metadata=about)
    assert texts(_labeled(duel)) == ["Slow.", "Fast!"]
    three = {**about, "participants": [*about["participants"], "Fox"]}
    duel = talk("Tortoise: Slow.", "Hare: Fast!", metadata=three)
    assert texts(_labeled(duel)) == ["Tortoise: Slow.", "Fast!"]


def test_braces_in_a_name_are_kept() -> None:
    group = talk("{0}: Hi.", "Hare: Fast!", "Fox: Yes.")
    assert texts(_labeled(group))[0] == "{0}: Hi."


def test_system_and_anonymous_messages_have_no_label() -> None:
    messages = [said(None, "?"), SystemMessage("s", additional_kwargs={"sender": "x"})]
    assert texts(_labeled({"messages": messages}, only_groups=False)) == ["?", "s"]
