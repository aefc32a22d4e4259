"""Export of a tuned model to other programs: merged into its base, or as GGUF."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import ChatExportError, LocalServerError
from langchain_chatexports.local_server.bases.chat_template import ChatTemplate
from langchain_chatexports.local_server.bases.conversion import write_gguf
from langchain_chatexports.local_server.bases.description import (
    BaseDescription,
    describe_base,
    signature_of,
)
from langchain_chatexports.local_server.bases.gguf_adapter import ADAPTER_FILE
from langchain_chatexports.local_server.bases.gguf_file import (
    DEFAULT_QUANTIZATION,
    NoGGUFError,
    check_quantization,
    gguf_of_adapter,
    gguf_of_base,
)
from langchain_chatexports.local_server.bases.modelfile import modelfile
from langchain_chatexports.local_server.bases.preparation import prepare_base
from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer
from langchain_chatexports.local_server.http.server import check_extra
from langchain_chatexports.local_server.processes import (
    child_command,
    child_environment,
    default_threads,
    json_object,
)
from langchain_chatexports.local_server.storage.data_directory import read_json
from langchain_chatexports.local_server.storage.models import TunedModel, list_models

if TYPE_CHECKING:
    from typing import Any

__all__ = ["export_in_child", "export_model", "how_to_run"]

_MODEL_FILE = "model.gguf"


def export_model(
    name: str,
    target: str | Path,
    *,
    data_dir: str | Path | None = None,
    gguf: bool = False,
    adapter_only: bool = False,
    quantization: str | None = None,
) -> Path:
    """Write a tuned model for other programs.

    Args:
        name: The tuned model's name, `ft:…`.
        target: The directory to write, which must not exist; nothing is left there if
            the export fails.
        data_dir: The data directory; the default one if `None`.
        gguf: Whether to write `model.gguf` and a Modelfile, for llama.cpp and Ollama,
            instead of safetensors and the tokenizer, for transformers and vLLM.
        adapter_only: Whether to write `adapter.gguf` and a Modelfile that names the
            base's GGUF file on this machine, instead of merging the two; needs `gguf`.
        quantization: What the weights of GGUF files are written in, such as `q8_0`,
            the default, or `none` for the base's own precision.

    Returns:
        The directory; files without `gguf` have the base's precision.

    Raises:
        LocalServerError: If there is no such model, its base is missing or has
            changed, the directory exists, or the model has no such form.
        MissingExtraError: If the extra `local` is not installed.
    """
    check_extra()
    target = Path(target).expanduser().absolute()
    if (adapter_only or quantization) and not gguf:
        msg = "adapter_only and quantization are for GGUF files: set gguf, too."
        raise LocalServerError(msg)
    if target.exists():
        msg = f"{target} exists already. Choose a directory that does not."
        raise LocalServerError(msg)
    kept = {model.name: model for model in list_models(data_dir)}
    if name not in kept:
        msg = f"There is no tuned model {name}. Models: {', '.join(kept) or 'none'}."
        raise LocalServerError(msg)
    model = kept[name]
    description = describe_base(model.base)
    base = prepare_base(description)
    record = read_json(model.path / "model.json") or {}
    if record.get("signature") != signature_of(base):
        msg = f"{name} was tuned from another base than the one at {base}."
        raise LocalServerError(msg)
    # A random name: other files there are not ours.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        if not gguf:
            _merge(base, model.path, temporary)
        elif adapter_only:
            _write_adapter(model, description, base, temporary, quantization)
        else:
            _write_merged(model, base, temporary, quantization)
        temporary.replace(target)
    except NoGGUFError as error:
        msg = f"{name} cannot be written as GGUF: {error}."
        raise LocalServerError(msg) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def export_in_child(
    name: str, target: Path, *, data_dir: str | Path | None, gguf: bool
) -> Path:
    """Write a tuned model as `export_model` does, in a process of its own.

    For programs that go on afterwards: the memory is free again at its end.

    Args:
        name: The tuned model's name, `ft:…`.
        target: The directory to write, which must not exist.
        data_dir: The data directory; the default one if `None`.
        gguf: As for `export_model`.

    Returns:
        The directory.

    Raises:
        LocalServerError: As for `export_model`.
        MissingExtraError: If the extra `local` is not installed.
    """
    check_extra()
    task = {
        "name": name,
        "target": str(target),
        "data_dir": None if data_dir is None else str(data_dir),
        "gguf": gguf,
    }
    finished = subprocess.run(  # noqa: S603 - our own interpreter and module.
        child_command(__name__),
        input=json.dumps(task).encode("ascii"),
        capture_output=True,
        check=False,
        env=child_environment(threads=default_threads(), offline=False),
    )
    # Libraries may print more lines.
    lines = map(json_object, reversed(finished.stdout.splitlines()))
    result = next(filter(None, lines), {})
    if "directory" in result:
        return Path(str(result["directory"]))
    msg = str(
        result.get("error")
        or f"The export ended with {finished.returncode}: memory may not be enough."
    )
    raise LocalServerError(msg)


def main() -> None:
    """Write the model that is named on standard input."""
    os.umask(0o077)
    task = json.loads(sys.stdin.buffer.read())
    name, target = task.pop("name"), task.pop("target")
    try:
        result = {"directory": str(export_model(name, target, **task))}
    except ChatExportError as error:
        result = {"error": str(error)}
    except OSError as error:
        reason = error.strerror or type(error).__name__
        result = {"error": f"{target} cannot be written: {reason}."}
    sys.stdout.write(f"\n{json.dumps(result)}\n")


def how_to_run(folder: Path, *, gguf: bool, adapter_only: bool = False) -> list[str]:
    """Return lines that say how Ollama and llama.cpp use what was written.

    Args:
        folder: The directory that was written.
        gguf: As for `export_model`.
        adapter_only: As for `export_model`.
    """
    if not gguf:
        return []
    modelfile = shlex.quote(str(folder / "Modelfile"))
    ollama = f"For Ollama: ollama create NAME -f {modelfile}"
    if not adapter_only:
        path = shlex.quote(str(folder / _MODEL_FILE))
        return [ollama, f"For llama.cpp: llama-server -m {path}"]
    path = shlex.quote(str(folder / ADAPTER_FILE))
    return [
        ollama,
        f"For llama.cpp: llama-server -m BASE --lora {path}",
        "BASE is the path after FROM in the Modelfile.",
    ]


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


def _write_merged(
    model: TunedModel, base: Path, target: Path, quantization: str | None
) -> None:
    check_quantization(None, quantization)
    target.mkdir(mode=0o700, parents=True)
    merged = target / "merged"
    _merge(base, model.path, merged)
    write_gguf(merged, target / _MODEL_FILE, quantization or DEFAULT_QUANTIZATION)
    _write_modelfile(target, merged, model, f"./{_MODEL_FILE}")
    shutil.rmtree(merged)


def _write_adapter(
    model: TunedModel,
    description: BaseDescription,
    base: Path,
    target: Path,
    quantization: str | None,
) -> None:
    base_file = gguf_of_base(description, base, quantization=quantization)
    adapter = gguf_of_adapter(model.path, base, base_file)
    target.mkdir(mode=0o700, parents=True)
    shutil.copyfile(adapter, target / ADAPTER_FILE)
    (target / ADAPTER_FILE).chmod(0o600)
    _write_modelfile(target, base, model, str(base_file), f"./{ADAPTER_FILE}")


def _write_modelfile(
    target: Path,
    directory: Path,
    model: TunedModel,
    model_file: str,
    adapter: str | None = None,
) -> None:
    tokenizer, _ = load_tokenizer(directory)
    text = modelfile(
        model=model_file,
        adapter=adapter,
        system=model.prompt.system,
        stops=_stops(tokenizer),
    )
    descriptor = os.open(
        target / "Modelfile", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600
    )
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _stops(tokenizer: Any) -> list[str]:
    ends = {ChatTemplate(tokenizer).end_of_turn, tokenizer.eos_token_id} - {None}
    return sorted(str(tokenizer.decode([end])) for end in ends)
