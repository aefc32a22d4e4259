"""The prompt for chats with a tuned model, with replies that it was trained on."""

from langchain_chatexports.datasets.chat_prompts import SHOWN_REPLIES
from langchain_chatexports.datasets.replies import ReplyIndex, replies_of
from langchain_chatexports.local_server.storage.files import training_examples
from langchain_chatexports.local_server.storage.models import TunedModel
from langchain_chatexports.personas.reply_limits import ReplyLimits
from langchain_chatexports.personas.voice_prompt import VoicePrompt


def voice_of(model: TunedModel, *, replies: int | None = None) -> VoicePrompt:
    """Return the prompt that `chatexports chat` puts before a chat with a tuned model.

    Earlier replies, and how long they are, are read from what the model was trained on,
    and kept nowhere else.
    """
    k = SHOWN_REPLIES if replies is None else replies
    found = [one for example in training_examples(model) for one in replies_of(example)]
    return VoicePrompt(
        persona=model.prompt.system,
        label=model.prompt.label,
        k=k if found else 0,
        replies=ReplyIndex(found if k else ()),
        limits=ReplyLimits.of(one.reply for one in found),
    )
