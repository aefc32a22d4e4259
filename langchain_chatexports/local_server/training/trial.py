"""Whether a base can be trained, tried without its weights before a job is created."""

import hashlib
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.preparation import complete_base
from langchain_chatexports.local_server.bases.weights import (
    adapted_layers,
    model_outline,
)
from langchain_chatexports.local_server.processes import (
    child_command,
    child_environment,
    json_object,
)
from langchain_chatexports.local_server.storage.data_directory import (
    read_json,
    user_cache_dir,
    write_json,
)


def check_trainable(directory: Path, cache_dir: Path | None = None) -> None:
    """Refuse a base that an adapter cannot be trained for.

    Its model is built without weights, and an adapter for it, in a child process: this
    takes four CPU seconds, once for each base and release of the libraries.
    """
    complete_base(directory)
    config = (directory / "config.json").read_bytes()
    versions = [version(name) for name in ("transformers", "peft")]
    key = hashlib.sha256(config + repr(versions).encode("ascii")).hexdigest()[:16]
    folder = (cache_dir or user_cache_dir()) / "trials"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = folder / f"{key}.json"
    result = read_json(kept)
    if result is None:
        result = _try_in_child(directory)
        if "error" in result:
            raise LocalServerError(str(result["error"]))
        write_json(kept, result)


def _try_in_child(directory: Path) -> dict[str, object]:
    finished = subprocess.run(  # noqa: S603 - our own interpreter, our own module.
        child_command("langchain_chatexports.local_server.training.trial"),
        input=json.dumps(str(directory)).encode("ascii"),
        capture_output=True,
        check=False,
        env=child_environment(threads=1, offline=True),
    )
    # Libraries may print more lines.
    lines = map(json_object, reversed(finished.stdout.splitlines()))
    result = next(filter(None, lines), {})
    if result.keys() & {"layers", "error"}:
        return result
    return {"error": f"its trial ended with status {finished.returncode}"}


def main() -> None:
    """Try the base on standard input, and print what an adapter changes."""
    directory = Path(json.loads(sys.stdin.buffer.read()))
    # Models with their own code, or of a later transformers, fail here in any way.
    try:
        result: dict[str, object] = {"layers": adapted_layers(model_outline(directory))}
    except LocalServerError as error:
        result = {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - reported to the parent process.
        kind = type(error).__name__
        result = {"error": f"transformers or PEFT cannot build its model ({kind})"}
    sys.stdout.write(f"\n{json.dumps(result)}\n")
