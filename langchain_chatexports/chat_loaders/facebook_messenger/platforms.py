"""Facebook or Instagram: which platform a file of an export is from."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection

    from langchain_chatexports.chat_loaders.export_files import (
        ExportFile,
    )

__all__ = [
    "FACEBOOK",
    "FACEBOOK_FOLDERS",
    "INSTAGRAM",
    "INSTAGRAM_FOLDER",
    "InstagramRoot",
    "instagram_root",
    "is_instagram_file",
]

FACEBOOK = "facebook_messenger"
INSTAGRAM = "instagram"

InstagramRoot: TypeAlias = tuple[int, tuple[str, ...]]
"""A part, and the folders that lead to an Instagram export in it."""

FACEBOOK_FOLDERS = frozenset(
    {"your_facebook_activity", "your_activity_across_facebook"}
)
INSTAGRAM_FOLDER = "your_instagram_activity"
_INSTAGRAM_PREFIX = "instagram-"  # Of what Meta calls a part.
# Only Instagram has a profile of this name; Facebook's is profile_information.json.
_PROFILE = "personal_information.json"
_PROFILE_FOLDERS = frozenset({"personal_information", "account_information"})


def instagram_root(file: ExportFile) -> InstagramRoot | None:
    """Return where an Instagram export lies, if a file is the profile in it."""
    if file.name.lower() != _PROFILE:
        return None
    for index, folder in enumerate(file.folders):
        if folder.lower() in _PROFILE_FOLDERS:
            return file.part, file.folders[:index]
    return None


def is_instagram_file(file: ExportFile, roots: Collection[InstagramRoot] = ()) -> bool:
    """Return whether a thread file is of an Instagram export.

    Args:
        file: The file. The folders around it say so, or the name of its zip.
        roots: Where Instagram exports lie, for those of old whose folders do not say.
    """
    names = [name.lower() for name in (file.part_name, *file.folders)]
    if not FACEBOOK_FOLDERS.isdisjoint(names):
        return False
    return any(
        name == INSTAGRAM_FOLDER or name.startswith(_INSTAGRAM_PREFIX) for name in names
    ) or any(
        file.part == part and file.folders[: len(folders)] == folders
        for part, folders in roots
    )
