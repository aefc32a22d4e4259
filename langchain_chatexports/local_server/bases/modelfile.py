"""Modelfiles, by which Ollama loads a GGUF file.

The format: https://docs.ollama.com/modelfile. The chat template is in the GGUF file.
"""

from collections.abc import Sequence


def modelfile(
    *,
    model: str,
    adapter: str | None,
    system: str | None,
    stops: Sequence[str],
) -> str:
    """Return a Modelfile.

    Args:
        model: The path of the GGUF file.
        adapter: The path of an adapter's GGUF file.
        system: The system message of chats.
        stops: The texts that end an answer.
    """
    lines = [f"FROM {model}"]
    if adapter is not None:
        lines.append(f"ADAPTER {adapter}")
    # A triple quotation mark would end it, and nothing escapes one.
    if system and '"""' not in system and not system.endswith('"'):
        lines.append(f"SYSTEM {_quoted(system)}")
    # The base's publisher chose them: none may write lines of its own.
    lines += [
        f"PARAMETER stop {_quoted(text)}"
        for text in stops
        if text.isprintable() and not text.endswith('"') and '"""' not in text
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return f'"""{text}"""' if "\n" in text or '"' in text else f'"{text}"'
