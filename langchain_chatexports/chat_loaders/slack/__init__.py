"""Exports of a Slack workspace, and files from slackdump."""

from langchain_chatexports.chat_loaders.slack.loader import SlackChatLoader

__all__ = ["SlackChatLoader"]
