"""The package's version; `pyproject.toml` has the same (`make check_version`)."""

__version__ = "0.1.0"
