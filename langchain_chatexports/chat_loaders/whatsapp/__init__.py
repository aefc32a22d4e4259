"""WhatsApp exports."""

from __future__ import annotations

from langchain_chatexports.chat_loaders.whatsapp.files import is_whatsapp_export
from langchain_chatexports.chat_loaders.whatsapp.loader import WhatsAppChatLoader

__all__ = ["WhatsAppChatLoader", "is_whatsapp_export"]
