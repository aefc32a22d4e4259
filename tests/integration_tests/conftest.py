"""Tests marked `release` only run with `-m release`."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.unit_tests.builders.gguf import write_gguf
from tests.unit_tests.builders.tiny_base import write_tiny_base

_NAME = "langchain-chatexports"
_LONGEST = ("test_keyboard.py", "test_real_model.py", "test_training.py")


@pytest.fixture(scope="session", autouse=True)
def _temporary_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tiny bases out of the developer's cache.

    The default base is linked if the developer's cache has it. Otherwise one worker
    converts it for all.
    """
    if sys.platform == "win32" or find_spec("platformdirs") is None:
        yield
        return
    from platformdirs import user_cache_path

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    user_cache, cache = user_cache_path(), folder / "cache"
    (cache / _NAME / "bases").mkdir(parents=True, exist_ok=True)
    _link(user_cache, cache, leave_out=_NAME)
    _link(user_cache / _NAME / "bases", cache / _NAME / "bases", leave_out="tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single tiny base, since a server takes seconds to check a new GGUF file."""
    base = write_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")
    write_gguf(base, base / "tiny.gguf")
    return base


def _link(source: Path, target: Path, *, leave_out: str) -> None:
    for path in source.iterdir() if source.exists() else ():
        if not path.name.startswith(leave_out) and path.suffix != ".lock":
            with suppress(FileExistsError):  # Created by another worker.
                (target / path.name).symlink_to(path)


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    # Workers take the files in order. Start with the longest ones, so that no worker
    # waits for them at the end.
    items.sort(key=lambda item: item.path.name not in _LONGEST)
    if config.option.markexpr:
        return
    skipped = [item for item in items if item.get_closest_marker("release")]
    if skipped:
        config.hook.pytest_deselected(items=skipped)
        items[:] = [item for item in items if item not in skipped]
