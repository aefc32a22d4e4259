"""Export a tuned model for other programs: merged into its base, or as GGUF."""

import os
import secrets
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.chat_template import (
    ChatTemplate,
    load_tokenizer,
)
from langchain_chatexports.local_server.bases.derived_template import DerivedTemplate
from langchain_chatexports.local_server.bases.description import describe_base
from langchain_chatexports.local_server.bases.gguf_adapter import GGUFNotSupportedError
from langchain_chatexports.local_server.bases.gguf_file import BaseGGUF, find_gguf
from langchain_chatexports.local_server.bases.gguf_header import read_header, rewrite
from langchain_chatexports.local_server.bases.preparation import prepare_base
from langchain_chatexports.local_server.bases.weights import config_and_class
from langchain_chatexports.local_server.old_http.server import check_extra
from langchain_chatexports.local_server.processes import (
    ChildProcessFailedError,
    call_in_child,
    default_threads,
)
from langchain_chatexports.local_server.storage.models import TunedModel, list_models

if TYPE_CHECKING:
    import numpy as np

_MODEL_FILE = "model.gguf"
_QUANTIZATIONS = ("q8_0", "f16")
_Q8_0_BLOCK, _Q8_0_STEPS = 32, 127


def export_model(
    name: str,
    target: str | Path,
    *,
    data_dir: str | Path | None = None,
    gguf: bool = False,
    quantization: str = "q8_0",
) -> Path:
    """Write a tuned model for other programs.

    Args:
        name: The tuned model's name, `ft:…`.
        target: The directory to create; it must not exist, and is removed if the
            export fails.
        data_dir: The data directory; the default one if `None`.
        gguf: Whether to write `model.gguf` and a Modelfile, for llama.cpp and Ollama,
            instead of safetensors and the tokenizer, for transformers and vLLM.
        quantization: The type of the weights in `model.gguf`: `q8_0` or `f16`.

    Returns:
        The directory; files without `gguf` have the base's precision.

    Raises:
        LocalServerError: If there is no such model, its base is missing or has changed,
            the directory exists, or the format does not support the model.
        MissingExtraError: If the extra `local` is not installed.
    """
    check_extra()
    target = Path(target).expanduser().absolute()
    if quantization not in _QUANTIZATIONS:
        msg = f"Unknown quantization {quantization!r}. Choose q8_0 or f16."
        raise LocalServerError(msg)
    if target.exists():
        msg = f"{target} already exists. Choose a new directory."
        raise LocalServerError(msg)
    models = {model.name: model for model in list_models(data_dir)}
    if name not in models:
        msg = f"No tuned model named {name}. Models: {', '.join(models) or 'none'}."
        raise LocalServerError(msg)
    # A random name, so that no other file is overwritten.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    task = (name, str(models[name].path.parent.parent), str(temporary))
    try:
        # In a child process, to free its memory.
        call_in_child(
            _export,
            *task,
            quantization.upper() if gguf else None,
            threads=default_threads(),
            offline=False,
        )
        temporary.replace(target)
    except ChildProcessFailedError as error:
        raise LocalServerError(str(error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _export(name: str, data_dir: str, target: str, quantization: str | None) -> None:
    """Write a model as GGUF; without `quantization`, merged into its base."""
    os.umask(0o077)
    model = next(model for model in list_models(data_dir) if model.name == name)
    description = describe_base(model.base)
    base = prepare_base(description)
    if quantization is None:
        _merge(base, model.path, Path(target))
        return
    try:
        gguf = find_gguf(description, base)
        _write_gguf(model, base, gguf, Path(target), quantization)
    except GGUFNotSupportedError as error:
        msg = f"{name} cannot be written as GGUF: {error}."
        raise LocalServerError(msg) from error


def usage_instructions(folder: Path, *, gguf: bool) -> list[str]:
    """Return lines with the commands for Ollama and llama.cpp."""
    if not gguf:
        return []
    modelfile = shlex.quote(str(folder / "Modelfile"))
    path = shlex.quote(str(folder / _MODEL_FILE))
    return [
        f"For Ollama: ollama create NAME -f {modelfile}",
        f"For llama.cpp: llama-server -m {path}",
    ]


def render_modelfile(
    template: DerivedTemplate, *, begin: str, system: str | None
) -> str:
    """Return Ollama's Modelfile for `model.gguf`, with the chat template in Go.

    The template omits the token `begin`, because llama.cpp adds it to each prompt. The
    format: https://docs.ollama.com/modelfile
    """
    start = template.start.removeprefix(begin)
    before, after = template.system_start.removeprefix(begin), template.system_end
    user_header = template.user_header
    if template.system_is_in_user_turn:
        user_header = (
            '{{ if not (and (eq $index 1) (eq (index $.Messages 0).Role "system")) }}'
            f"{user_header}{{{{ end }}}}"
        )
    turns = (
        f'{{{{ range $index, $message := .Messages }}}}{{{{ if eq .Role "system" }}}}'
        f"{before}{{{{ .Content }}}}{after}{{{{ else }}}}"
        f"{{{{ if eq $index 0 }}}}{start}{{{{ end }}}}"
        f'{{{{ if eq .Role "assistant" }}}}{template.assistant_header}'
        f"{{{{ .Content }}}}{template.assistant_end}"
        f"{{{{ else }}}}{user_header}{{{{ .Content }}}}{template.user_end}"
        f"{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}{template.assistant_header}"
    )
    lines = [f"FROM ./{_MODEL_FILE}"]
    # The publisher's template must not add instructions.
    pieces = "".join(
        value for value in vars(template).values() if isinstance(value, str)
    )
    if "{{" not in pieces and '"""' not in pieces:
        lines.append(f'TEMPLATE """{turns}"""')
    if system and '"""' not in system and not system.endswith('"'):
        lines.append(f'SYSTEM """{system}"""')
    if template.end_token.isprintable() and '"' not in template.end_token:
        lines.append(f'PARAMETER stop "{template.end_token}"')
    return "\n".join(lines) + "\n"


def _merge(base: Path, adapter: Path, target: Path) -> None:
    from peft import PeftModel
    from transformers import AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    _, model_class = config_and_class(base)
    base_model = model_class.from_pretrained(
        base,
        dtype="auto",
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    tuned = PeftModel.from_pretrained(base_model, adapter, torch_device="cpu")
    target.mkdir(mode=0o700, parents=True)
    tuned.merge_and_unload().save_pretrained(target)
    tokenizer = AutoTokenizer.from_pretrained(
        adapter, local_files_only=True, trust_remote_code=False
    )
    tokenizer.save_pretrained(target)


def _dither(values: "np.ndarray") -> "np.ndarray":
    """Add noise to weights, so that small changes survive rounding to 8 bits.

    The base's weights are multiples of a block's step. Rounding to the nearest one
    would undo changes of less than half a step: most changes of a short training run.
    With noise as wide as a step, they remain on average.
    """
    import numpy as np

    if values.shape[-1] % _Q8_0_BLOCK:
        return values  # These are written as 16-bit floats.
    blocks = values.reshape(-1, _Q8_0_BLOCK)
    steps = np.abs(blocks).max(axis=1, keepdims=True) / _Q8_0_STEPS
    noise = np.random.default_rng(0).random(blocks.shape, np.float32) - 0.5
    dithered: np.ndarray = (blocks + steps * noise).reshape(values.shape)
    return dithered


def _write_gguf(
    model: TunedModel, base: Path, gguf: BaseGGUF, target: Path, kind: str
) -> None:
    adapter = read_header(gguf.write_adapter(model.path))
    alpha = float(adapter.fields["adapter.lora.alpha"])

    def merge(name: str, values: "np.ndarray") -> "np.ndarray":
        if f"{name}.lora_a" not in adapter.tensors:
            return values
        down, up = (
            adapter.read_tensor(f"{name}.lora_a"),
            adapter.read_tensor(f"{name}.lora_b"),
        )
        merged: np.ndarray = values + alpha / len(down) * (up @ down)
        return _dither(merged) if kind == "Q8_0" else merged

    tokenizer, _ = load_tokenizer(base)
    template = ChatTemplate(tokenizer)
    target.mkdir(mode=0o700, parents=True)
    for name in (_MODEL_FILE, "Modelfile"):
        (target / name).touch(mode=0o600)
    first = tokenizer("a")["input_ids"][0]
    begin = tokenizer.bos_token if first == tokenizer.bos_token_id else ""
    text = render_modelfile(template.derived, begin=begin, system=model.prompt.system)
    (target / "Modelfile").write_text(text, "utf-8", newline="\n")
    rewrite(
        read_header(gguf.file),
        target / _MODEL_FILE,
        kind=kind,
        template=template.source,
        change=merge,
    )
