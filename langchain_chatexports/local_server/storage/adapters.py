"""Adapters on disk: safetensors and JSON files, which cannot run code."""

import shutil
from pathlib import Path
from typing import Any


def save_adapter(model: Any, folder: Path) -> None:
    """Save a PEFT adapter as safetensors, without the model card that PEFT adds."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)


def is_adapter(folder: Path) -> bool:
    """Return whether a folder contains an adapter in safetensors."""
    return all(
        (folder / name).is_file()
        for name in ("adapter_config.json", "adapter_model.safetensors")
    )
