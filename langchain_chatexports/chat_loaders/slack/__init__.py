"""Slack: exports of a workspace, and what slackdump writes."""

from langchain_chatexports.chat_loaders.slack.loader import SlackChatLoader, matches

__all__ = ["SlackChatLoader", "matches"]
