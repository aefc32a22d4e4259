"""The package's version; it must match `pyproject.toml` (`make check_version`)."""

__version__ = "0.1.0"
