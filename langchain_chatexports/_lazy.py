"""Import the public names of a package on first use."""

import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, tuple[str, ...]], rooms: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Create `__getattr__` and `__dir__` for a package, given names by module.

    An import of a public name of `rooms`, subpackages, fails with an error that says
    where it is.
    """
    modules_by_name = {name: mod for mod, names in modules.items() for name in names}

    def get_attribute(name: str) -> Any:
        if name not in modules_by_name:
            if room := _find_room(package, name, rooms):
                # Python would replace the message of an `AttributeError`.
                msg = f"{name} is in {room}: from {room} import {name}"
                raise ImportError(msg, name=package)
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = getattr(import_module(f"{package}.{modules_by_name[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return get_attribute, list_names


def _find_room(package: str, name: str, rooms: Collection[str]) -> str | None:
    """Return the subpackage that offers a name."""
    if name.startswith("_") or find_spec(f"{package}.{name}") is not None:
        return None
    for room in rooms:
        with suppress(ImportError):  # Its extra is not installed.
            module = import_module(f"{package}.{room}")
            if name in getattr(module, "__all__", ()):
                return module.__name__
    return None
