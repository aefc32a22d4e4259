"""Run llama.cpp's own server in this process, on a private address."""

import ctypes
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# A socket path has at most 104 bytes on macOS, and 108 on Linux.
_MAX_SOCKET_PATH = 100


@contextmanager
def open_server(parameters: Any) -> Iterator[str]:
    """Start an `xllamacpp` server that requires the key in `parameters.api_keys`.

    It runs until the process ends, and listens on a Unix socket in a private folder.
    Without Unix sockets (Windows), or if the path is too long, it listens on a free
    port of 127.0.0.1. Its address is `unix://PATH` or `http://HOST:PORT`.
    Raises a `RuntimeError` if llama.cpp cannot load the model.
    """
    import xllamacpp

    path = create_socket_path("llama-")
    if path is not None:
        parameters.hostnames = [path]
    parameters.api_keys = parameters.api_keys or [secrets.token_urlsafe(32)]
    parameters.ui = parameters.endpoint_slots = parameters.endpoint_props = False
    parameters.offline = True
    try:
        server = xllamacpp.Server(parameters)
        keep_until_exit(server)
        yield str(server.listening_address)
    finally:
        if path is not None:
            remove_socket(f"unix://{path}")


def create_socket_path(prefix: str) -> str | None:
    """Return a path for a socket in a new private folder; `None` if none can be used.

    Windows has none in Python.
    """
    if not hasattr(socket, "AF_UNIX"):
        return None
    # llama.cpp recognizes a socket by the end of its name.
    path = str(Path(tempfile.mkdtemp(prefix=prefix)) / "s.sock")
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        return path
    remove_socket(f"unix://{path}")
    return None


def keep_until_exit(server: Any) -> None:
    """Keep a server alive: its destructor sometimes waits for its thread forever."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(server))


def remove_socket(address: str) -> None:
    """Remove the folder of a server's socket, if it has one."""
    if address.startswith("unix://"):
        shutil.rmtree(Path(urlsplit(address).path).parent, ignore_errors=True)


def client_options(transport: type[Any], address: str, key: str) -> dict[str, Any]:
    """Return the arguments of an `httpx` client with this transport class."""
    path = urlsplit(address).path if address.startswith("unix://") else None
    return {
        "transport": transport(uds=path, verify=False),
        "base_url": "http://127.0.0.1" if path else address,
        "headers": {
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
        },
        "timeout": None,
        "trust_env": False,
    }
