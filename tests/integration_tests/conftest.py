"""Tests marked `release` run where they are asked for: `-m release`."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.unit_tests.builders.gguf import write_gguf
from tests.unit_tests.builders.tiny_base import write_tiny_base

_OURS = "langchain-chatexports"
_LONGEST = ("test_keyboard.py", "test_real_model.py", "test_training.py")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tiny bases are not converted into the developer's cache.

    The default base is there, if it has been converted before; otherwise one worker
    converts it for all.
    """
    if sys.platform == "win32" or find_spec("platformdirs") is None:
        yield
        return
    from platformdirs import user_cache_path

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    theirs, ours = user_cache_path(), folder / "cache"
    (ours / _OURS / "bases").mkdir(parents=True, exist_ok=True)
    _link(theirs, ours, leave_out=_OURS)
    _link(theirs / _OURS / "bases", ours / _OURS / "bases", leave_out="tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(ours))
        yield


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One base of random weights: comparing its GGUF file takes a server seconds."""
    base = write_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")
    write_gguf(base, base / "tiny.gguf")
    return base


def _link(source: Path, target: Path, *, leave_out: str) -> None:
    for path in source.iterdir() if source.exists() else ():
        if not path.name.startswith(leave_out) and path.suffix != ".lock":
            with suppress(FileExistsError):  # Another worker's.
                (target / path.name).symlink_to(path)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    # The workers take file after file: the longest ones first, so that none is alone
    # with one in the end.
    items.sort(key=lambda item: item.path.name not in _LONGEST)
    if config.option.markexpr:
        return
    skipped = [item for item in items if item.get_closest_marker("release")]
    if skipped:
        config.hook.pytest_deselected(items=skipped)
        items[:] = [item for item in items if item not in skipped]
