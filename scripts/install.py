"""Install packages into this environment: with uv, or with pip where uv fails.

Usage: python scripts/install.py [pip's options] REQUIREMENT... [-- ...]

Requirements after `--` are installed next, with options of their own.
"""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

# Bytecode is compiled when a module is first imported, which most never are.
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
PIP_INSTALL = [*PIP, "install", "--quiet", "--no-compile"]


def main(arguments: list[str]) -> int:
    """Install the requirements, and return the exit code of what installed them."""
    remaining = [*_split(arguments)]
    if uv := _find_uv():
        uv_install = [uv, "pip", "install", "--quiet", "--python", sys.executable]
        environment = {**_pip_settings_for_uv(), **os.environ}
        while remaining and _run([*uv_install, *remaining[0]], environment) == 0:
            del remaining[0]
        if not remaining:
            return 0
        print("uv could not install the packages; trying pip ...", file=sys.stderr)
    # Older versions of pip do not know dependency groups.
    _run([*PIP_INSTALL, "pip>=25.1"])
    return max(_run([*PIP_INSTALL, *requirements]) for requirements in remaining)


def _split(arguments: list[str]) -> Iterator[list[str]]:
    for is_separator, group in groupby(arguments, key="--".__eq__):
        if not is_separator:
            yield [*group]


def _find_uv() -> str | None:
    """Return the path of uv, which is installed here if the machine has none."""
    scripts = sysconfig.get_path("scripts")
    if found := shutil.which("uv") or shutil.which("uv", path=scripts):
        return found
    command = [*PIP_INSTALL, "--only-binary=:all:", "uv>=0.9"]
    subprocess.run(command, check=False, capture_output=True)  # noqa: S603
    return shutil.which("uv", path=scripts)


def _pip_settings_for_uv() -> dict[str, str]:
    """Return pip's indexes and certificate as uv's variables: uv does not read them."""
    command = [*PIP, "config", "list"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    pip = {}
    # "global.index-url='https://host/simple'"; later lines override earlier ones.
    for line in result.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in {"global", "install", ":env:"}:
            pip[option] = ast.literal_eval(value)
    # As pip, uv is to choose the best version of all indexes.
    settings = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    if "index-url" in pip:
        settings["UV_DEFAULT_INDEX"] = pip["index-url"]
    if "extra-index-url" in pip:
        settings["UV_INDEX"] = " ".join(pip["extra-index-url"].split())
    if "find-links" in pip:
        settings["UV_FIND_LINKS"] = ",".join(pip["find-links"].split())
    if "no-index" in pip:
        settings["UV_NO_INDEX"] = "1"
    if "cert" in pip:
        settings["SSL_CERT_FILE"] = pip["cert"]
    return settings


def _run(command: list[str], environment: dict[str, str] | None = None) -> int:
    return subprocess.run(command, check=False, env=environment).returncode  # noqa: S603


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[1])
    sys.exit(main(sys.argv[1:]))
