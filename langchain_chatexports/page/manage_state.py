"""Changes to what is kept on this machine, in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.page.talk_state import Talk
from langchain_chatexports.page.work import Work
from langchain_chatexports.workflows import models, removal
from langchain_chatexports.workflows.models import TunedModel
from langchain_chatexports.workflows.removal import Forgotten, KnownBy


class Manage:
    """Renames, exports, forgets and deletes; one after the other.

    Attributes:
        working: Does it.
        done: What the last one did, for people, line by line.
        forgotten: What was taken out for a person, and what still knows them.
        deleted: What of that was deleted.
    """

    def __init__(
        self,
        data_dir: Path | None,
        index_dir: Path | None,
        *,
        talk: Talk,
        stop_server: Callable[[], None],
        clear: Callable[[], None],
    ) -> None:
        """Initialize with nothing done."""
        self.working = Work()
        self.done: list[str] = []
        self.forgotten: Forgotten | None = None
        self.deleted: list[KnownBy] = []
        self._data_dir = data_dir
        self._index_dir = index_dir
        self._talk = talk
        self._stop_server = stop_server
        self._clear = clear

    def rename(self, model: TunedModel, label: str) -> bool:
        """Label a model, and return whether that was started."""

        def rename() -> list[str]:
            models.rename(model.name, label, data_dir=self._data_dir)
            return []

        return self._start("Renaming", rename)

    def export(self, model: TunedModel, folder: str, *, gguf: bool) -> bool:
        """Write a model for other programs, and return whether that was started."""

        def export() -> list[str]:
            target = _path(folder)
            if target is None:
                msg = "Name the folder to write."
                raise ChatExportError(msg)
            written, lines = models.export_model(
                model.name, target, data_dir=self._data_dir, gguf=gguf
            )
            return [f"Written to {written}", *lines]

        return self._start("Writing the model, which takes some minutes", export)

    def delete(self, name: str) -> bool:
        """Delete a model, a job or unused examples; return whether that was started."""

        def delete() -> list[str]:
            self._leave_talk_with(name)
            models.delete(name, self._data_dir)
            return ["Deleted."]

        return self._start("Deleting", delete)

    def delete_everything(self) -> bool:
        """Delete all that is kept here and held by the page.

        These are models, jobs, examples and search indexes, and the list of exports; of
        the exports themselves only copies that were dropped on the page.
        """

        def delete() -> list[str]:
            self._leave_talk_with(None)
            self._stop_server()
            deleted = models.delete_everything(self._data_dir, self._index_dir)
            self._clear()
            return [f"Deleted: {deleted}."]

        return self._start("Deleting everything", delete)

    def forget(
        self, person: str, *, path: str = "", key: str = "", mentions: bool = False
    ) -> bool:
        """Take a person out of a set, and find what still knows them."""

        def forget() -> list[str]:
            if not person.strip():
                msg = "Say whom to forget."
                raise ChatExportError(msg)
            self.forgotten = removal.forget(
                _path(path),
                people=[person.strip()],
                mentions=mentions,
                key=_path(key),
                data_dir=self._data_dir,
                index_dir=self._index_dir,
            )
            return []

        return self._start("Forgetting", forget)

    def delete_known(self, known_by: Sequence[KnownBy]) -> bool:
        """Delete models, trainings and examples that know the person."""

        def delete() -> list[str]:
            for one in known_by:
                self._leave_talk_with(one.id)
            self.deleted = removal.delete_known(known_by, self._data_dir)
            return []

        return self._start("Deleting", delete)

    def _start(self, what: str, change: Callable[[], list[str]]) -> bool:
        def work() -> None:
            self.done, self.forgotten, self.deleted = [], None, []
            self.done = change()

        return self.working.start(what, work)

    def _leave_talk_with(self, name: str | None) -> None:
        talk = self._talk
        if name is None or (talk.model is not None and talk.model.name == name):
            talk.leave()


def _path(typed: str) -> Path | None:
    plain = typed.strip().strip("\"'")
    return Path(plain).expanduser() if plain else None
