"""Export of a tuned model, merged into its base, as a plain model directory."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.description import (
    describe_base,
    signature_of,
)
from langchain_chatexports.local_server.bases.preparation import prepare_base
from langchain_chatexports.local_server.http.startup import check_extra
from langchain_chatexports.local_server.storage.data_directory import read_json
from langchain_chatexports.local_server.storage.models import list_models

__all__ = ["export_model"]


def export_model(
    name: str, target: str | Path, *, data_dir: str | Path | None = None
) -> Path:
    """Merge a tuned model into its base, for transformers, vLLM or conversion to GGUF.

    Args:
        name: The tuned model's name, `ft:…`.
        target: The directory to write, which must not exist; nothing is left there if
            the export fails.
        data_dir: The data directory; the default one if `None`.

    Returns:
        The directory, with safetensors in the base's precision and the tokenizer.

    Raises:
        LocalServerError: If there is no such model, its base is missing or has
            changed, or the directory exists.
        MissingExtraError: If the extra `local` is not installed.
    """
    check_extra()
    target = Path(target).expanduser().absolute()
    if target.exists():
        msg = f"{target} exists already. Choose a directory that does not."
        raise LocalServerError(msg)
    kept = {model.name: model for model in list_models(data_dir)}
    if name not in kept:
        msg = f"There is no tuned model {name}. Models: {', '.join(kept) or 'none'}."
        raise LocalServerError(msg)
    model = kept[name]
    base = prepare_base(describe_base(model.base))
    record = read_json(model.path / "model.json") or {}
    if record.get("signature") != signature_of(base):
        msg = f"{name} was tuned from another base than the one at {base}."
        raise LocalServerError(msg)
    # A random name: other files there are not ours.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        _merge(base, model.path, temporary)
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
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
