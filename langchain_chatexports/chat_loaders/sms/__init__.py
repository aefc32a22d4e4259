"""Backups of Android's SMS, MMS and RCS messages."""

from langchain_chatexports.chat_loaders.sms.loader import SmsChatLoader

__all__ = ["SmsChatLoader"]
