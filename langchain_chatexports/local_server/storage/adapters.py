"""Adapters on disk: safetensors and JSON files, which cannot run code."""

from pathlib import Path


def is_adapter(folder: Path) -> bool:
    """Return whether a folder contains an adapter in safetensors."""
    return all(
        (folder / name).is_file()
        for name in ("adapter_config.json", "adapter_model.safetensors")
    )
