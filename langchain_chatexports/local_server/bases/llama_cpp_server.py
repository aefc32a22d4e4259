"""llama.cpp's server without a port that other programs could ask."""

from __future__ import annotations

import ctypes
import os
import secrets
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["OpenPortError", "keep_until_exit", "open_server"]

_SOCKET = "http.sock"


class OpenPortError(Exception):
    """llama.cpp's server listens on a port instead of a Unix socket."""


def keep_until_exit(server: Any) -> None:
    """Never destroy a server: seldom, its destructor waits for its thread forever.

    Args:
        server: The `xllamacpp.Server`.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(server))


@contextmanager
def open_server(parameters: Any) -> Iterator[Any]:
    """Open a server of `xllamacpp`, which cannot do without an HTTP server.

    This one has a socket in a folder of ours, and a random key, which is set in the
    parameters. The process is in that folder until the context ends, because paths of
    sockets must be short. Then the folder is deleted, so that nobody can connect; the
    server still takes calls of its methods, and lasts as long as the process.

    Args:
        parameters: `CommonParams` of `xllamacpp`; paths in it are absolute.

    Yields:
        The `xllamacpp.Server`.

    Raises:
        OpenPortError: If it has opened a port: the process must end.
        RuntimeError: If llama.cpp cannot load the model.
    """
    import xllamacpp

    parameters.hostnames = [_SOCKET]
    parameters.api_keys = [secrets.token_urlsafe(32)]
    parameters.n_threads_http = 1
    parameters.ui = parameters.endpoint_slots = parameters.endpoint_props = False
    parameters.offline = True
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="llama-") as folder:
        os.chdir(folder)
        try:
            server = xllamacpp.Server(parameters)
            keep_until_exit(server)
            if not server.listening_address.startswith("unix:"):
                raise OpenPortError
            yield server
        finally:
            # Windows deletes no folder that a process is in.
            os.chdir(before)
