"""A person's voice for any chat model: persona, style card and earlier replies.

```python
from langchain_chatexports.personas import PersonaChatModel, VoicePrompt

voice = VoicePrompt.from_sessions(sessions)
chain = voice | model
persona = PersonaChatModel(model=model, voice=voice)
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports._lazy import lazy_names

if TYPE_CHECKING:
    from langchain_chatexports.personas.chat_model import PersonaChatModel
    from langchain_chatexports.personas.corrections import Correction, Corrections
    from langchain_chatexports.personas.middleware import (
        RecallMiddleware,
        RhythmMiddleware,
        VoiceMiddleware,
    )
    from langchain_chatexports.personas.rhythm import ReplyDecision, ReplyRhythm
    from langchain_chatexports.personas.style import style_card
    from langchain_chatexports.personas.voice_prompt import VoicePrompt

__all__ = [
    "Correction",
    "Corrections",
    "PersonaChatModel",
    "RecallMiddleware",
    "ReplyDecision",
    "ReplyRhythm",
    "RhythmMiddleware",
    "VoiceMiddleware",
    "VoicePrompt",
    "style_card",
]

_MODULES = {
    "chat_model": ("PersonaChatModel",),
    "corrections": ("Correction", "Corrections"),
    "middleware": ("RecallMiddleware", "RhythmMiddleware", "VoiceMiddleware"),
    "rhythm": ("ReplyDecision", "ReplyRhythm"),
    "style": ("style_card",),
    "voice_prompt": ("VoicePrompt",),
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
