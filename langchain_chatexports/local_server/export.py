"""Export a tuned model for other programs: merged into its base, or as GGUF."""

import os
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_chatexports._extras import require_local
from langchain_chatexports._files import write_atomic, write_error
from langchain_chatexports._parts import part_folder
from langchain_chatexports._terminal import plural
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.base import find_base
from langchain_chatexports.local_server.bases.cache import read_json
from langchain_chatexports.local_server.bases.gguf import (
    find_gguf,
    has_current_adapter,
    write_adapter,
)
from langchain_chatexports.local_server.bases.gguf_adapter import (
    ADAPTER_FILE,
    GGUFNotSupportedError,
)
from langchain_chatexports.local_server.bases.gguf_header import read_header, rewrite
from langchain_chatexports.local_server.bases.preparation import (
    load_tokenizer,
    prepare_directory,
)
from langchain_chatexports.local_server.bases.template import Markup, read_template
from langchain_chatexports.local_server.bases.weights import config_and_class
from langchain_chatexports.local_server.processes import (
    ChildProcessFailedError,
    call_in_child,
    thread_count,
)
from langchain_chatexports.local_server.workspace import Model

if TYPE_CHECKING:
    import numpy as np

EVALUATION_FILE = "evaluation.json"
"""The figures of a model's last evaluation, in its folder."""

_SIGN = (
    "A model of a person wrote what this model answers, and not the person. Say so "
    "wherever you show it."
)
_MODEL_FILE = "model.gguf"
_QUANTIZATIONS = ("q8_0", "f16")
_Q8_0_BLOCK, _Q8_0_STEPS = 32, 127
_MARKS = re.compile(r"\{%- (?:end)?generation -%\}")


def export_model(
    model: Model,
    target: str | Path,
    *,
    gguf: bool = False,
    quantization: str = "q8_0",
    strength: float | None = None,
) -> Path:
    """Write a tuned model for other programs.

    Args:
        model: The tuned model, from `Workspace.models`.
        target: The directory to create, which must not exist.
        gguf: Whether to write `model.gguf` and a Modelfile, for llama.cpp and Ollama,
            instead of safetensors and the tokenizer, for transformers and vLLM.
        quantization: The type of the weights in `model.gguf`: `q8_0` or `f16`.
        strength: How much of the adapter to merge; `None` for the model's strength.

    Returns:
        The directory; files without `gguf` have the base's precision.

    Raises:
        LocalServerError: If the base is missing or has changed, the directory exists,
            or the format does not support the model.
        MissingExtraError: If the extra `local` is not installed.
    """
    require_local()
    target = Path(target).expanduser().absolute()
    if quantization not in _QUANTIZATIONS:
        msg = f"Unknown quantization {quantization!r}. Choose q8_0 or f16."
        raise LocalServerError(msg)
    if target.exists():
        msg = f"{target} already exists. Choose a new directory."
        raise LocalServerError(msg)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part_folder(target.parent) as part:
            # In a child process, to free its memory.
            call_in_child(
                _export,
                *(model.base, str(model.folder), model.prompt.system),
                *(str(part), quantization.upper() if gguf else None),
                model.strength if strength is None else strength,
                threads=thread_count(),
                offline=False,
            )
            write_atomic(part / "README.md", render_card(model).encode())
            part.replace(target)
    except ChildProcessFailedError as error:
        msg = f"{model.name} could not be exported: {error}"
        raise LocalServerError(msg) from error
    except OSError as error:
        raise write_error(target, error) from error
    return target


def _export(  # noqa: PLR0917 - the values of a model, which have JSON types.
    base_id: str,
    adapter: str,
    system: str | None,
    target: str,
    quantization: str | None,
    strength: float,
) -> None:
    """Write a model as GGUF; without `quantization`, merged into its base."""
    os.umask(0o077)
    base = find_base(base_id)
    directory = prepare_directory(base)
    if quantization is None:
        _merge(directory, Path(adapter), Path(target), strength)
        return
    try:
        file = find_gguf(base)
        if not has_current_adapter(Path(adapter), file):
            write_adapter(base, Path(adapter))
    except GGUFNotSupportedError as error:
        msg = f"it cannot be written as GGUF: {error}."
        raise LocalServerError(msg) from error
    source = _write_modelfile(directory, Path(target), system)
    _write_gguf(file.path, Path(adapter), Path(target), quantization, source, strength)


def render_card(model: Model) -> str:
    """Return the card of a model: no text, and no name except its label."""
    lines = [f"# {model.label or 'A model of a person'}", "", _SIGN, ""]
    lines.append(f"- Base: {model.base_model}")
    lines.append(f"- Trained: {datetime.fromtimestamp(model.created_at, UTC):%Y-%m-%d}")
    if model.replies:
        lines.append(f"- Learned from: {plural(model.replies, 'message')}")
    evaluation = read_json((model.folder or Path()) / EVALUATION_FILE) or {}
    rows = {row["kind"]: row for row in evaluation.get("figures", ())}
    for title, key in (
        ("Bits per byte of unseen messages", "bits_per_byte"),
        ("Told apart from the person by a detector (chance: 0.5)", "told_apart"),
    ):
        values = [
            f"{name} {row[key]['value']:.2f}"
            for name, row in (("model", rows.get("tuned")), ("base", rows.get("base")))
            if row and row[key]
        ]
        lines += [f"- {title}: {', '.join(values)}"] if values else []
    return "\n".join(lines) + "\n"


def usage_instructions(folder: Path) -> list[str]:
    """Return lines with the commands for Ollama and llama.cpp, for a GGUF export."""
    modelfile = shlex.quote(str(folder / "Modelfile"))
    path = shlex.quote(str(folder / _MODEL_FILE))
    return [
        f"For Ollama: ollama create NAME -f {modelfile}",
        f"For llama.cpp: llama-server -m {path}",
    ]


def render_modelfile(markup: Markup, *, begin: str, system: str | None) -> str:
    """Return Ollama's Modelfile for `model.gguf`, with the chat template in Go.

    The template omits the token `begin`, because llama.cpp adds it to each prompt. The
    format: https://docs.ollama.com/modelfile
    """
    start = markup.start.removeprefix(begin)
    before, after = markup.system_start.removeprefix(begin), markup.system_end
    user_header = markup.user_header
    if markup.system_is_in_user_turn:
        user_header = (
            '{{ if not (and (eq $index 1) (eq (index $.Messages 0).Role "system")) }}'
            f"{user_header}{{{{ end }}}}"
        )
    turns = (
        f'{{{{ range $index, $message := .Messages }}}}{{{{ if eq .Role "system" }}}}'
        f"{before}{{{{ .Content }}}}{after}{{{{ else }}}}"
        f"{{{{ if eq $index 0 }}}}{start}{{{{ end }}}}"
        f'{{{{ if eq .Role "assistant" }}}}{markup.reply_header}'
        f"{{{{ .Content }}}}{markup.reply_end}{markup.gap}"
        f"{{{{ else }}}}{user_header}{{{{ .Content }}}}{markup.user_end}"
        f"{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}{markup.reply_header}"
    )
    lines = [f"# {_SIGN}", f"FROM ./{_MODEL_FILE}"]
    # The publisher's template must not add instructions.
    pieces = "".join(piece for piece in markup if isinstance(piece, str))
    if "{{" not in pieces and '"""' not in pieces:
        lines.append(f'TEMPLATE """{turns}"""')
    if system and '"""' not in system and not system.endswith('"'):
        lines.append(f'SYSTEM """{system}"""')
    if markup.end_token.isprintable() and '"' not in markup.end_token:
        lines.append(f'PARAMETER stop "{markup.end_token}"')
    return "\n".join(lines) + "\n"


def _write_modelfile(directory: Path, target: Path, system: str | None) -> str:
    """Write the Modelfile; return the template in Jinja."""
    tokenizer, _ = load_tokenizer(directory)
    template = read_template(directory)

    first = tokenizer("a")["input_ids"][0]
    begin = tokenizer.bos_token if first == tokenizer.bos_token_id else ""
    text = render_modelfile(template.markup, begin=begin, system=system)
    (target / "Modelfile").touch(mode=0o600)
    (target / "Modelfile").write_text(text, "utf-8", newline="\n")
    # Other builds of llama.cpp may not know the marks of what is learned.
    return _MARKS.sub("", template.jinja_with_tools)


def _merge(base: Path, adapter: Path, target: Path, strength: float) -> None:
    from peft import PeftModel
    from peft.helpers import rescale_adapter_scale
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
    with rescale_adapter_scale(tuned, strength):
        merged = tuned.merge_and_unload()
    merged.save_pretrained(target)
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


def _write_gguf(  # noqa: PLR0917 - the values of an export.
    file: Path,
    adapter_folder: Path,
    target: Path,
    kind: str,
    template: str,
    strength: float,
) -> None:
    adapter = read_header(adapter_folder / ADAPTER_FILE)
    alpha = strength * float(adapter.fields["adapter.lora.alpha"])

    def merge(name: str, values: "np.ndarray") -> "np.ndarray":
        if f"{name}.lora_a" not in adapter.tensors:
            return values
        down, up = (
            adapter.read_tensor(f"{name}.lora_a"),
            adapter.read_tensor(f"{name}.lora_b"),
        )
        merged: np.ndarray = values + alpha / len(down) * (up @ down)
        return _dither(merged) if kind == "Q8_0" else merged

    path = target / _MODEL_FILE
    path.touch(mode=0o600)
    rewrite(read_header(file), path, kind=kind, template=template, change=merge)
