"""People and apps of a workspace: who an id is, and which name to show."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.base import UNKNOWN_SENDER
from langchain_chatexports.chat_loaders.json_data import (
    clean_text,
    without_lone_surrogates,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["People", "first_text"]

SLACKBOT = "USLACKBOT"
"""Slack's own bot, which no list of users has."""


class People:
    """The users of an export, by id."""

    def __init__(self, users: Iterable[Mapping[str, Any]] = ()) -> None:
        self._users = {
            user["id"]: user for user in users if isinstance(user.get("id"), str)
        }
        self._names = self._told_apart()
        self._taken = frozenset(self._names.values())
        self._bots = {key for key, user in self._users.items() if user.get("is_bot")}
        self._bots.add(SLACKBOT)
        self.humans = {
            key: name for key, name in self._names.items() if key not in self._bots
        }
        """The name to show for each listed person who has one, by id."""

    def _told_apart(self) -> dict[str, str]:
        # Two people of one name: by their handles, which are unique in a workspace, or
        # by their ids, where they are of several.
        users = self._users
        names = {key: name for key, user in users.items() if (name := _name_of(user))}
        for sign in ("name", "id"):
            counts = Counter(names.values())
            names |= {
                key: f"{_name_of(users[key])} ({first_text(users[key].get(sign), key)})"
                for key, name in names.items()
                if counts[name] > 1
            }
        return names

    def name(self, user_id: object, profile: object = None) -> str:
        """Return the name to show for a user.

        Args:
            user_id: The id, or whatever stands in its place.
            profile: What the message itself says of its author (`user_profile`): it is
                there for people of other workspaces, who are in no list.

        Returns:
            The display name, else the real name, else the handle, else the id.
        """
        if not isinstance(user_id, str) or not user_id:
            return UNKNOWN_SENDER
        if name := self._names.get(user_id):
            return name
        name = _name_of({"profile": profile}) if isinstance(profile, dict) else ""
        user_id = without_lone_surrogates(user_id)
        return f"{name} ({user_id})" if name in self._taken else name or user_id

    def knows(self, user_id: object) -> bool:
        """Return whether the export lists a user."""
        return isinstance(user_id, str) and user_id in self._users

    def is_bot(self, user_id: object) -> bool:
        """Return whether a user is an app or a bot."""
        return isinstance(user_id, str) and user_id in self._bots

    def ids_of(self, person: str) -> list[str]:
        """Return the users whose id, handle, name or e-mail address is this.

        Args:
            person: Any of them, without regard to case; a handle also with its `@`.
        """
        wanted = person.casefold().strip()
        handle = wanted.removeprefix("@")
        return [
            key
            for key, user in self._users.items()
            if wanted in map(str.casefold, _labels(user))
            or handle == clean_text(user.get("name")).casefold()
        ]

    def handles(self) -> dict[str, set[str]]:
        """Return the id, handle, names and e-mail address behind each shown name."""
        return {
            name: {*_labels(self._users[key]), clean_text(self._users[key].get("name"))}
            - {""}
            for key, name in self._names.items()
        }


def first_text(*values: object) -> str:
    """Return the first value that is a text with something in it, else an empty one."""
    return next((text for value in values if (text := clean_text(value))), "")


def _profile(user: Mapping[str, Any]) -> Mapping[str, Any]:
    profile = user.get("profile")
    return profile if isinstance(profile, dict) else {}


def _name_of(user: Mapping[str, Any]) -> str:
    profile = _profile(user)
    return first_text(
        profile.get("display_name"),
        profile.get("real_name"),
        user.get("real_name"),
        user.get("name"),
        profile.get("name"),
    )


def _labels(user: Mapping[str, Any]) -> set[str]:
    """Return what a user is called, as written."""
    profile = _profile(user)
    values = (
        user.get("id"),
        user.get("real_name"),
        profile.get("display_name"),
        profile.get("real_name"),
        profile.get("email"),
    )
    return {text for value in values if (text := clean_text(value))}
