"""A way out: a tuned model as a directory that needs neither PEFT nor this package."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.sources import (
    describe_base,
    prepare_base,
    signature_of,
)
from langchain_chatexports.local_server.http.startup import check_extra
from langchain_chatexports.local_server.storage.data_directory import read_json
from langchain_chatexports.local_server.storage.models import list_models

__all__ = ["export_model"]


def export_model(
    name: str, target: str | Path, *, data_dir: str | Path | None = None
) -> Path:
    """Merge a tuned model into its base, and write it for transformers, vLLM or GGUF.

    Args:
        name: The tuned model's name, `ft:…`.
        target: The directory to write, which must not exist; it appears whole or not
            at all.
        data_dir: Where the model is kept; the default data directory if `None`.

    Returns:
        The directory: safetensors in the base's precision, tokenizer and chat template.

    Raises:
        LocalServerError: If there is no such model, its base is missing or another one
            now, or the directory exists.
        MissingExtraError: If the extra `local` is not installed.
    """
    check_extra()
    target = Path(target).expanduser().absolute()
    if target.exists():
        msg = f"{target} exists already. Give a directory that does not."
        raise LocalServerError(msg)
    kept = {model.name: model for model in list_models(data_dir)}
    if name not in kept:
        msg = f"There is no tuned model {name}. Kept are: {', '.join(kept) or 'none'}."
        raise LocalServerError(msg)
    model = kept[name]
    base = prepare_base(describe_base(model.base))
    record = read_json(model.path / "model.json") or {}
    if record.get("signature") != signature_of(base):
        msg = f"{name} was tuned from another base than the one at {base}."
        raise LocalServerError(msg)
    # A name of its own: what lies beside the target is somebody else's.
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        _merge(base, model.path, beside)
        beside.replace(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def _merge(base: Path, adapter: Path, target: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    plain = AutoModelForCausalLM.from_pretrained(
        base,
        dtype="auto",
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    tuned = PeftModel.from_pretrained(plain, adapter, torch_device="cpu")
    target.mkdir(mode=0o700, parents=True)
    tuned.merge_and_unload().save_pretrained(target)
    tokenizer = AutoTokenizer.from_pretrained(
        adapter, local_files_only=True, trust_remote_code=False
    )
    tokenizer.save_pretrained(target)
