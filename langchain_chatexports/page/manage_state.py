"""Change models, jobs and sets on this machine in the background."""

from collections.abc import Callable, Sequence
from pathlib import Path

from langchain_chatexports.page.errors import PageError
from langchain_chatexports.page.languages import Sentence, Size, later, nlater
from langchain_chatexports.page.talk_state import Talk
from langchain_chatexports.page.work import Work
from langchain_chatexports.workflows import models, removal
from langchain_chatexports.workflows.models import TunedModel
from langchain_chatexports.workflows.removal import Forgotten, KnownBy

_WRITING = later("Writing the model, which takes a few minutes")


class Manage:
    """Renames, exports, forgets and deletes, one operation at a time."""

    def __init__(
        self,
        data_dir: Path | None,
        index_dir: Path | None,
        *,
        talk: Talk,
        stop_server: Callable[[], None],
        clear: Callable[[], None],
    ) -> None:
        self.working = Work()
        self.done: list[Sentence | str] = []
        self.forgotten: Forgotten | None = None
        self.deleted: list[KnownBy] = []
        self._data_dir = data_dir
        self._index_dir = index_dir
        self._talk = talk
        self._stop_server = stop_server
        self._clear = clear

    def rename(self, model: TunedModel, label: str) -> bool:
        """Start to label a model, and return whether it was possible."""

        def rename() -> list[Sentence | str]:
            models.rename(model.name, label, data_dir=self._data_dir)
            return []

        return self._start(later("Renaming"), rename)

    def export(self, model: TunedModel, folder: str, *, gguf: bool) -> bool:
        """Start to export a model, and return whether it was possible."""

        def export() -> list[Sentence | str]:
            target = _path(folder)
            if target is None:
                raise PageError(later("Name the folder to write."))
            if target.exists():
                there = later(
                    "{folder} is there already: name a new folder.", folder=target
                )
                raise PageError(there)
            written, lines = models.export_model(
                model.name, target, data_dir=self._data_dir, gguf=gguf
            )
            return [later("Written to {folder}", folder=written), *lines]

        return self._start(_WRITING, export)

    def delete(self, name: str) -> bool:
        """Start to delete a model, a job or examples; return if it was possible."""

        def delete() -> list[Sentence | str]:
            self._leave_talk_with(name)
            models.delete(name, data_dir=self._data_dir)
            return [later("Deleted.")]

        return self._start(later("Deleting"), delete)

    def delete_everything(self) -> bool:
        """Start to delete all data of this machine and of the page.

        These are models, jobs, examples and search indexes, and the page's list of
        exports with copies of dropped files. The exports themselves are not deleted.
        """

        def delete() -> list[Sentence | str]:
            self._leave_talk_with(None)
            self._stop_server()
            deleted = models.delete_everything(self._data_dir, self._index_dir)
            self._clear()
            return [later("Deleted: {kept}.", kept=data_text(deleted))]

        return self._start(later("Deleting everything"), delete)

    def forget(self, person: str) -> bool:
        """Start to delete the indexes with a person, and to find what knows them."""

        def forget() -> list[Sentence | str]:
            if not person.strip():
                raise PageError(later("Name the person to forget."))
            self.forgotten = removal.forget(
                None,
                people=[person.strip()],
                data_dir=self._data_dir,
                index_dir=self._index_dir,
            )
            return []

        return self._start(later("Forgetting"), forget)

    def delete_known(self, known_by: Sequence[KnownBy]) -> bool:
        """Start to delete models, trainings and examples that know the person."""

        def delete() -> list[Sentence | str]:
            for one in known_by:
                self._leave_talk_with(one.id)
            self.deleted = removal.delete_known(known_by, self._data_dir)
            return []

        return self._start(later("Deleting"), delete)

    def _start(
        self, what: Sentence, change: Callable[[], list[Sentence | str]]
    ) -> bool:
        def work() -> None:
            self.done, self.forgotten, self.deleted = [], None, []
            self.done = change()

        return self.working.start(what, work)

    def _leave_talk_with(self, name: str | None) -> None:
        talk = self._talk
        if name is None or (talk.model is not None and talk.model.name == name):
            talk.leave()


def data_text(data: models.LocalData) -> Sentence:
    """Return the amount of data as a sentence."""
    return later(
        "{models}, {trainings}, {sets}, {indexes}: {size}",
        models=nlater("{count} model", "{count} models", len(data.models)),
        trainings=nlater("{count} training", "{count} trainings", len(data.jobs)),
        sets=nlater(
            "{count} file of examples", "{count} files of examples", len(data.sets)
        ),
        indexes=nlater(
            "{count} search index", "{count} search indexes", len(data.indexes)
        ),
        size=Size(data.size_bytes),
    )


def _path(typed: str) -> Path | None:
    plain = typed.strip().strip("\"'")
    return Path(plain).expanduser() if plain else None
