"""The prompt that gives any chat model a person's voice."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import (
    BaseMessage,
    HumanMessage,
    SystemMessage,
    convert_to_messages,
)
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict, Field

from langchain_chatexports._terminal import one_line
from langchain_chatexports.chat_loaders.session_source import SessionSource
from langchain_chatexports.datasets.chat_prompts import (
    PERSONA_REPLIES,
    most_common_prompt,
)
from langchain_chatexports.datasets.examples import to_training_examples
from langchain_chatexports.datasets.replies import (
    ReplyIndex,
    append_replies,
    extract_replies,
    reply_query,
)
from langchain_chatexports.datasets.system_prompts import persona_prompt
from langchain_chatexports.personas.corrections import Correction, Corrections
from langchain_chatexports.personas.reply_limits import ReplyLimits
from langchain_chatexports.personas.style import style_card
from langchain_chatexports.steps import LabelSpeakers


class VoicePrompt(RunnableSerializable[LanguageModelInput, list[BaseMessage]]):
    """Prepends a persona prompt to a chat: persona, style, and earlier replies.

    It is a Runnable from messages (or a string) to messages, so that `voice | model`
    answers as the person. The model can be untuned, or tuned on prompts with earlier
    replies. The prompt has the replies whose questions are most similar to the end of
    the chat.

    The output contains messages from the person's chats. This call is not traced, but
    the model's run is, including them: traces and requests to a hosted model leave the
    machine.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    persona: str | None = Field(default=None, repr=False)
    """The beginning of the system message, which names the person and chat partners."""

    label: str | None = Field(default=None, repr=False)
    """The name before the user's messages, if the person's examples have such names."""

    style: str | None = Field(default=None, repr=False)
    """The description of the person's style; see `style_card`."""

    k: int = Field(default=PERSONA_REPLIES, ge=0)
    """Maximum number of earlier replies in the prompt."""

    replies: ReplyIndex = Field(default_factory=ReplyIndex, repr=False, exclude=True)
    """The person's replies."""

    corrections: Corrections = Field(
        default_factory=Corrections, repr=False, exclude=True
    )
    """What the person would have said. Those of similar messages come first in rank:
    they are turns before the chat. What the person would not say is left out."""

    limits: ReplyLimits | None = Field(default=None, repr=False, exclude=True)
    """The limits of the person's replies, at which `PersonaChatModel` cuts an answer;
    `None` for no limits."""

    @classmethod
    def from_examples(
        cls,
        examples: Iterable[Mapping[str, Any]],
        *,
        k: int = PERSONA_REPLIES,
        style: bool = True,
    ) -> Self:
        """Return the voice of the assistant in training examples.

        Args:
            examples: The examples, such as from `read_jsonl`.
            k: Maximum number of earlier replies in the prompt.
            style: Whether the prompt describes the person's style.
        """
        example_list = list(examples)
        prompt = most_common_prompt(example_list)
        replies = [
            reply for example in example_list for reply in extract_replies(example)
        ]
        return cls(
            persona=prompt.system,
            label=prompt.label,
            style=style_card(reply.reply for reply in replies) if style else None,
            k=k,
            replies=ReplyIndex(replies),
            limits=ReplyLimits.from_replies(
                (reply.reply for reply in replies), label=prompt.label
            ),
        )

    @classmethod
    def from_sessions(
        cls, sessions: SessionSource, *, k: int = PERSONA_REPLIES, style: bool = True
    ) -> Self:
        """Return the voice of the AI in sessions.

        Args:
            sessions: A chat loader, a session, or an iterable of sessions, with the
                person's messages mapped to the AI (see `MapAIMessages`).
            k: Maximum number of earlier replies in the prompt.
            style: Whether the prompt describes the person's style.

        Raises:
            SenderNotFoundError: If no session has a message by the AI.
        """
        labeled = LabelSpeakers().lazy_transform(sessions)
        examples = to_training_examples(labeled, system=persona_prompt)
        return cls.from_examples(examples, k=k, style=style)

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> list[BaseMessage]:
        """Return the messages of a chat with the voice before them.

        Args:
            input: A string, a prompt, or messages. A system message at the beginning
                follows the persona.
            config: Not used, because the call is not a run.
            kwargs: Not used.
        """
        del config, kwargs
        chat = to_messages(input)
        system_texts = []
        while chat and isinstance(chat[0], SystemMessage):
            system_texts.append(str(chat.pop(0).text))
        # As in training, similar replies are searched with the labeled messages.
        labeled = [self._labeled(message) for message in chat]
        asked = (str(m.text) for m in reversed(chat) if isinstance(m, HumanMessage))
        near = self.corrections.nearest(next(asked, ""))
        turns = [self._labeled(turn) for each in near for turn in each.to_turns()]
        system = self._system(system_texts, labeled, near)
        return [*([SystemMessage(system)] if system else []), *turns, *labeled]

    def _system(
        self, texts: list[str], chat: list[BaseMessage], near: list[Correction]
    ) -> str | None:
        parts = [self.persona, *texts, self.style]
        question = reply_query(
            {"role": "user", "content": str(message.text)}
            for message in chat
            if isinstance(message, HumanMessage)
        )
        system = "\n\n".join(filter(None, parts)) or None
        found = self.replies.search(question, self.k)
        right = [r for r in found if not any(c.rejects(r.reply) for c in near)]
        return append_replies(system, right)

    def _labeled(self, message: BaseMessage) -> BaseMessage:
        if not (self.label and isinstance(message, HumanMessage)):
            return message
        name = one_line(message.name or self.label)
        content: Any = message.content
        if isinstance(content, str):
            return message.model_copy(update={"content": f"{name}: {content}"})
        return message.model_copy(update={"content": [f"{name}: ", *content]})


def to_messages(source: LanguageModelInput) -> list[BaseMessage]:
    """Convert a string, a prompt or messages to messages."""
    if isinstance(source, str):
        return [HumanMessage(source)]
    if isinstance(source, PromptValue):
        return source.to_messages()
    return convert_to_messages(source)
