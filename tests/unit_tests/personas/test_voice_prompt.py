"""The prompt that adds a person's voice to a chat."""

from typing import Any

from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate

from langchain_chatexports.datasets.replies import (
    EarlierReply,
    ReplyIndex,
    append_replies,
)
from langchain_chatexports.personas import VoicePrompt
from langchain_chatexports.steps import MapAIMessages
from tests.unit_tests.builders.sessions import talk

EXAMPLES: list[dict[str, Any]] = [
    {
        "messages": [
            {"role": "system", "content": "You are Ann. You are chatting with Ben."},
            {"role": "user", "content": f"Ben: {question}"},
            {"role": "assistant", "content": reply},
            {"role": "user", "content": "Ben: right, thank you"},
        ]
    }
    for question, reply in (("more tea?", "always tea"), ("who won?", "the tortoise"))
]


def test_prompt_has_persona_replies_and_labeled_chat() -> None:
    voice = VoicePrompt.from_examples(EXAMPLES, k=1)
    chat = [HumanMessage("hi"), AIMessage("hello"), HumanMessage("tea?", name="Cleo")]
    system, *rest = voice.invoke(chat)
    assert isinstance(system, SystemMessage)
    assert str(system.text).startswith("You are Ann. You are chatting with Ben.\n\n")
    assert str(system.text).endswith("> Ben: more tea?\nalways tea")
    assert [str(message.text) for message in rest] == ["Ben: hi", "hello", "Cleo: tea?"]
    assert [message.content for message in chat] == ["hi", "hello", "tea?"]


def test_system_message_follows_persona() -> None:
    voice = VoicePrompt(persona="You are Ann.", style="You are brief.")
    system, human = voice.invoke([SystemMessage("It is late."), HumanMessage("hi")])
    assert system.text == "You are Ann.\n\nIt is late.\n\nYou are brief."
    assert human.text == "hi"


def test_input_may_be_text_prompt_or_messages() -> None:
    voice = VoicePrompt.from_examples(EXAMPLES)
    prompt = ChatPromptTemplate.from_messages([("human", "{input}")])
    messages = (prompt | voice).invoke({"input": "more tea?"})
    assert messages == voice.invoke([("human", "more tea?")])
    assert messages[0] == voice.invoke("more tea?")[0]


def test_voice_can_be_created_from_sessions() -> None:
    duel = talk("Hare: Ready?", "Tortoise: Always.", "Hare: Now?", "Tortoise: Soon.")
    sessions = MapAIMessages(sender="Tortoise").invoke(duel)
    system = VoicePrompt.from_sessions(sessions, k=1).invoke("Ready?")[0]
    assert str(system.text).startswith("You are Tortoise. You are chatting with Hare.")
    assert str(system.text).endswith("> Ready?\nAlways.")


def test_replies_are_searched_with_labels() -> None:
    pairs = [("Ben: tea?", "always tea"), ("Cleo: teapot", "the blue one")]
    voice = VoicePrompt(
        persona="You are Ann.",
        label="Ben",
        k=1,
        replies=ReplyIndex(EarlierReply(*pair) for pair in pairs),
    )
    # By the text alone, Ben's message is the nearest.
    system, line = voice.invoke([HumanMessage("tea?", name="Cleo")])
    assert line.text == "Cleo: tea?"
    shown = voice.replies.search("Cleo: tea?", 1)
    assert shown[0].reply == "the blue one"
    assert system.text == append_replies("You are Ann.", shown)


def test_repr_and_serialization_have_no_text() -> None:
    voice = VoicePrompt.from_examples(EXAMPLES * 10)
    for text in (repr(voice), dumps(voice)):
        assert "tea" not in text
        assert "Ben" not in text
