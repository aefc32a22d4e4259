"""The session of a chat: its messages, and what is left out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from langchain_chatexports.chat_loaders.base import (
    UNKNOWN_SENDER,
    export_message,
    message_time,
)
from langchain_chatexports.chat_loaders.local_times import HOUR, LocalClock
from langchain_chatexports.chat_loaders.whatsapp.content import REASONS
from langchain_chatexports.chat_loaders.whatsapp.phrases import YOU
from langchain_chatexports.chat_loaders.whatsapp.senders import ShownNames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from langchain_core.messages import HumanMessage

    from langchain_chatexports.chat_loaders.base import (
        ChatExportLoader,
        ExportSession,
    )
    from langchain_chatexports.chat_loaders.whatsapp.chats import Chat

__all__ = ["SessionBuilder"]

_DAY = 86_400
_MICROSECONDS = 1_000_000


class SessionBuilder:
    """Turns one chat into a session, and counts."""

    def __init__(self, loader: ChatExportLoader, zone: tzinfo | None) -> None:
        """Initialize the builder.

        Args:
            loader: Whose options say what to keep.
            zone: The zone of the phone's clock; `None` for this machine's.
        """
        self.left_out: Counter[str] = Counter()
        """Entries that became no message, by reason."""

        self.kinds: Counter[str] = Counter()
        """Entries that nobody typed, by kind."""

        self._loader = loader
        self._zone = zone
        switches = {
            "system": loader.include_system,
            "media": loader.include_media,
        }
        self._kept_reasons = {name for name, is_kept in switches.items() if is_kept}

    def session(
        self, chat: Chat, days: Sequence[int | None], *, chat_id: str, owner: str | None
    ) -> ExportSession | None:
        """Return a chat as a session.

        Args:
            chat: The chat; its entries are used up.
            days: The day of each date, since 1970-01-01.
            chat_id: The session's id.
            owner: Who exported, if known.

        Returns:
            The session, or `None` if nothing of it is kept.
        """
        loader = self._loader
        if chat.form == "web" and owner:
            _name_owner(chat, owner)
        if not loader.keeps_conversation(chat_id, chat.title, chat.people):
            self.left_out["excluded"] += len(chat.entries)
            return None
        messages = list(self._messages(chat, days, owner))
        if not messages:
            return None
        return {
            "messages": messages,
            "metadata": {
                "id": chat_id,
                "title": chat.title,
                "platform": loader.platform,
                "participants": list(chat.people),
                "owner": owner,
                "is_group": chat.is_group,
            },
        }

    def _messages(
        self, chat: Chat, days: Sequence[int | None], owner: str | None
    ) -> Iterator[HumanMessage]:
        loader, entries = self._loader, chat.entries
        clock = LocalClock(self._zone)
        to_utc, offset_of = clock.utc, clock.offsets.get
        has_bounds = loader.start is not None or loader.end is not None
        senders, is_own = _people(chat.names, owner)
        # In the order of the file, which is that of the chat. Late messages have
        # an older time than those before them.
        entries.reverse()
        while entries:
            place, seconds, name, text, kind, extra = entries.pop()
            if kind is not None:
                text, extra = self._not_typed(kind, text, extra)
                if not text:
                    continue
            day = days[place]
            moment = None
            if day is not None:
                local = day * _DAY + seconds
                offset = offset_of(local // HOUR)
                utc = to_utc(local) if offset is None else local - offset
                if utc is not None:
                    moment = message_time(utc * _MICROSECONDS)
            if has_bounds and not loader.keeps_time(moment):
                self.left_out["excluded"] += 1
                continue
            yield export_message(
                text,
                sender=senders[name],
                moment=moment,
                is_from_me=is_own[name],
                extra=extra,
            )

    def _not_typed(
        self, kind: str, text: str, extra: dict[str, Any] | None
    ) -> tuple[str, dict[str, Any] | None]:
        """Return the text of what nobody typed, empty if it is left out."""
        self.kinds[kind] += 1
        reason = REASONS.get(kind, "system")
        if reason == "media":
            text = _media_text(extra)
        if not text or reason not in self._kept_reasons:
            self.left_out[reason] += 1
            return "", None
        if reason == "system":
            extra = {**(extra or {}), "system": kind}
        return text, extra


def _people(
    names: ShownNames, owner: str | None
) -> tuple[dict[str | None, str], dict[str | None, bool | None]]:
    """Return who is shown as the sender of a line, and whether that is the owner.

    Both by the name as it stands in the line; `None` stands for lines of the app.
    """
    senders: dict[str | None, str] = {None: UNKNOWN_SENDER}
    senders |= {name: shown or UNKNOWN_SENDER for name, shown in names.items()}
    own = ShownNames([owner])[owner].casefold() if owner else None
    is_own: dict[str | None, bool | None] = {None: False if own else None}
    for name, shown in names.items():
        is_own[name] = shown.casefold() == own if own else None
    return senders, is_own


def _name_owner(chat: Chat, owner: str) -> None:
    """Show the owner's name where WhatsApp Web says "You"."""
    for raw, shown in chat.names.items():
        if shown in YOU:
            chat.names[raw] = owner
    chat.people[:] = dict.fromkeys(
        owner if name in YOU else name for name in chat.people
    )


def _media_text(extra: dict[str, Any] | None) -> str:
    attachments = (extra or {}).get("attachments", ())
    return " ".join(f"[{item['type']}]" for item in attachments) or "[attachment]"
