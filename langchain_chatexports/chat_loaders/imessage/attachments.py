"""Names and types of attachments; their bytes are never read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langchain_chatexports.chat_loaders.imessage.rows import AttachmentRow

__all__ = ["describe_attachments", "media_placeholder"]

# Images of link previews and app messages are the system's, not the sender's.
_PREVIEW_SUFFIX = ".pluginPayloadAttachment"
_MIME_OF_UTI = {
    "com.adobe.pdf": "application/pdf",
    "com.apple.coreaudio-format": "audio/x-caf",  # An audio message.
    "com.apple.quicktime-movie": "video/quicktime",
    "com.compuserve.gif": "image/gif",
    "public.heic": "image/heic",
    "public.jpeg": "image/jpeg",
    "public.mpeg-4": "video/mp4",
    "public.png": "image/png",
    "public.vcard": "text/vcard",
}
# Not `mimetypes`: what that knows depends on the machine.
_MIME_OF_SUFFIX = {
    ".aac": "audio/aac",
    ".amr": "audio/amr",
    ".caf": "audio/x-caf",
    ".gif": "image/gif",
    ".heic": "image/heic",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".m4a": "audio/mp4",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".vcf": "text/vcard",
    ".webp": "image/webp",
}
_TYPE_OF_MIME = {"image": "photo", "video": "video", "audio": "audio"}


def describe_attachments(
    rows: Iterable[AttachmentRow], *, is_audio: bool = False
) -> list[dict[str, str]]:
    """Return each attachment that a person would see.

    Args:
        rows: The rows of `attachment`.
        is_audio: Whether the message is an audio message: then so is an attachment of
            which nothing else is known.

    Returns:
        Dictionaries with `type` (`photo`, `video`, `audio`, `gif`, `sticker`, `file`)
        and, where known, `name` and `mime_type`.
    """
    described = []
    for row in rows:
        path = (row.filename or "").replace("\\", "/")
        name = row.transfer_name or path.rpartition("/")[2]
        if row.is_hidden == 1 or _PREVIEW_SUFFIX in f"{name} {path}":
            continue
        mime_type = (
            row.mime_type or _MIME_OF_UTI.get(row.uti or "") or _by_suffix(name) or ""
        )
        kind = "audio" if is_audio and not mime_type else _type_of(mime_type)
        if row.is_sticker == 1:
            kind = "sticker"
        shown = {"type": kind, "name": name, "mime_type": mime_type}
        described.append({key: value for key, value in shown.items() if value})
    return described


def media_placeholder(
    attachments: Iterable[Mapping[str, str]], *, is_audio: bool = False
) -> str:
    """Return one line that stands for attachments without a text."""
    shown = [f"[{attachment['type']}]" for attachment in attachments]
    return " ".join(shown) or ("[audio]" if is_audio else "[attachment]")


def _type_of(mime_type: str) -> str:
    if mime_type.lower() == "image/gif":
        return "gif"
    return _TYPE_OF_MIME.get(mime_type.partition("/")[0].lower(), "file")


def _by_suffix(name: str) -> str | None:
    dot = name.rfind(".")
    return _MIME_OF_SUFFIX.get(name[dot:].lower()) if dot >= 0 else None
