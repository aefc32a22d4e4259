"""`chatexports status`: what runs, how far, and what uses the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from langchain_chatexports._progress import time_left
from langchain_chatexports._translation import _, ngettext, number
from langchain_chatexports.cli._console import (
    command_line,
    print_json,
    show,
    show_rows,
)
from langchain_chatexports.cli._options import AsJson, DataDir, IndexDir, command
from langchain_chatexports.cli._training import (
    data_dir_options,
    megabytes,
    print_wait,
    state_name,
)
from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import Job, State, Workspace
from langchain_chatexports.retrieval import ChatIndex
from langchain_chatexports.workflows.models import LocalData, list_data
from langchain_chatexports.workflows.train import (
    find_seconds_left,
    format_progress,
)

_UNFINISHED = (State.QUEUED, State.RUNNING, State.PAUSED, State.FAILED)


@command
def status(
    *, data_dir: DataDir = None, index_dir: IndexDir = None, as_json: AsJson = False
) -> None:
    """Show what runs, how far it is, and what uses the disk.

    For example:
        chatexports status
    """
    workspace = Workspace(data_dir)
    data = list_data(workspace, index_dir)
    jobs = [job for job in data.jobs_without_model if job.state in _UNFINISHED]
    parts = [*_disk(data, workspace)]
    free = workspace.free_bytes
    if as_json:
        print_json(
            {
                "jobs": [
                    {"id": job.id, "state": job.state, "step": job.step} for job in jobs
                ],
                "disk": [{"what": what, "size_bytes": size} for what, size, _ in parts],
                "free_bytes": free,
            }
        )
        return
    for job in jobs:
        show(_describe(workspace, job))
    if not jobs:
        show(_("Nothing is being trained."))
    print_wait(data.snapshot)
    stored = [part for part in parts if part[1]]
    if stored:
        header = (_("on this disk, and how to delete it"), _("size"))
        rows = [(what, megabytes(size)) for what, size, _how in stored]
        show_rows([header, *rows], [how for *_size, how in stored])
    show(_("Free: {size} GB", size=number(free / 1e9, 1)))


def _describe(workspace: Workspace, job: Job) -> str:
    text = f"{job.id}: {state_name(job.state)}, {format_progress(job)}"
    left = find_seconds_left(workspace, job)
    if left is not None:
        return f"{text}, {time_left(left)}"
    if job.is_active:
        return text
    return _("{job}. To resume it, run its finetune command again.", job=text)


def _disk(data: LocalData, workspace: Workspace) -> Iterator[tuple[str, int, str]]:
    """Yield what is stored, its size in bytes, and how to delete it."""
    options = data_dir_options(workspace)
    for model in data.models:
        name = model.short_name
        deletion = command_line("models", "--delete", name, *options)
        yield _("model {name}", name=name), model.size_bytes, deletion
    for job in data.jobs_without_model:
        saves = sum(_sizes(workspace.job_folder(job.id)))
        deletion = command_line("models", "--delete", job.id, *options)
        yield _("job {name}", name=job.id), saves, deletion
    examples = sum(file.size_bytes for file in data.snapshot.files)
    yield _("training examples"), examples, _("deleted with the models")
    for path in data.indexes:
        deletion = command_line("search", "--delete-indexes")
        title = _("search index of {name}", name=_name(path))
        yield title, path.stat().st_size, deletion
    for base in data.bases:
        deletion = _("{command} (others may use it)", command="hf cache rm")
        yield _("base {name}", name=base.id), base.size_bytes or 0, deletion
    note = _("may be deleted; made again if needed")
    yield _("converted bases"), data.cache_bytes, note


def _name(index: Path) -> str:
    """Return the first title of an index's chats, and the number of the others."""
    titles: list[str] = []
    with suppress(ChatExportError, OSError), ChatIndex(index) as opened:
        titles = [chat.title or _("untitled") for chat in opened.chats()]
    if not titles:
        return index.name
    if len(titles) == 1:
        return titles[0]
    more = "{name} and {count} more"
    return ngettext(more, more, len(titles) - 1, name=titles[0])


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*") if folder.exists() else ():
        with suppress(OSError):  # It may be deleted meanwhile.
            yield path.stat().st_size if path.is_file() else 0
