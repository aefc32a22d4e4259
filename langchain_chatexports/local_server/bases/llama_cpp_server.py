"""llama.cpp's own server in this process, on a private address."""

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
    """Start a server of `xllamacpp`, which requires the key in `parameters.api_keys`.

    It listens on a Unix socket in a folder of this user, or on a free port of 127.0.0.1
    if Python has no Unix sockets (Windows) or the path would be too long, until the
    process ends. Its address is `unix://` and a path, or `http://`, a host and a port.
    A `RuntimeError` means that llama.cpp cannot load the model.
    """
    import xllamacpp

    folder = tempfile.mkdtemp(prefix="llama-")
    # llama.cpp recognizes a socket by the end of its name.
    path = str(Path(folder) / "s.sock")
    if hasattr(socket, "AF_UNIX") and len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        parameters.hostnames = [path]
    parameters.api_keys = parameters.api_keys or [secrets.token_urlsafe(32)]
    parameters.ui = parameters.endpoint_slots = parameters.endpoint_props = False
    parameters.offline = True
    try:
        server = xllamacpp.Server(parameters)
        keep_until_exit(server)
        yield str(server.listening_address)
    finally:
        remove_socket(f"unix://{path}")


def keep_until_exit(server: Any) -> None:
    """Never destroy a server: its destructor sometimes waits for its thread forever."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(server))


def remove_socket(address: str) -> None:
    """Remove the folder of a server's socket; a port needs nothing."""
    if address.startswith("unix://"):
        shutil.rmtree(Path(urlsplit(address).path).parent, ignore_errors=True)


def client_options(transport: type[Any], address: str, key: str) -> dict[str, Any]:
    """Return the arguments of an `httpx` client; `transport` is a class of `httpx`."""
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
