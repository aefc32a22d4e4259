"""WhatsApp exports."""

from langchain_chatexports.chat_loaders.whatsapp.loader import WhatsAppChatLoader

__all__ = ["WhatsAppChatLoader"]
