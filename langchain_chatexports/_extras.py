"""The optional dependencies of the local server and of the page."""

from importlib.util import find_spec

from langchain_chatexports.exceptions import MissingExtraError

_LOCAL = (
    "fastapi",
    "uvicorn",
    "multipart",
    "torch",
    "transformers",
    "peft",
    "gguf",
    "httpx",
    "platformdirs",
    "psutil",
)


def require_local() -> None:
    """Raise `MissingExtraError` if a package of the extra `local` is missing."""
    if any(find_spec(name) is None for name in _LOCAL):
        feature = "The local server"
        raise MissingExtraError(feature, "local")
