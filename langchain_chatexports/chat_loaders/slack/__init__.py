"""Slack: exports of a workspace, and what slackdump writes."""

from langchain_chatexports.chat_loaders.slack.export import is_slack_export
from langchain_chatexports.chat_loaders.slack.loader import SlackChatLoader

__all__ = ["SlackChatLoader", "is_slack_export"]
