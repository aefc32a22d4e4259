"""Check before installation that this machine can run the demo and tests.

Works with any Python 3, so that an old version prints a message, not a syntax error.
"""

import os
import platform
import shutil
import sys

OLDEST = (3, 11)
FREE_GB = 3


def problem(folder):
    """Return a problem and its remedy in one line; None if there is no problem."""
    if sys.version_info < OLDEST:
        return (
            "Python %d.%d is too old: 3.11 or newer is needed. Install one (see "
            "python.org/downloads) and name it: make demo PYTHON=python3.12"
            % sys.version_info[:2]
        )
    system = platform.system()
    if system not in ("Linux", "Darwin", "Windows"):
        return (
            "The system %r is not supported: use Linux, macOS 14 or newer on Apple "
            "silicon, or Windows." % system
        )
    if system == "Darwin":
        major = int((platform.mac_ver()[0] or "0").split(".")[0])
        if platform.machine() != "arm64" or major < 14:
            return (
                "PyTorch needs macOS 14 or newer on Apple silicon. On this Mac the "
                "loaders work (pip install langchain-chatexports), training does not."
            )
    try:
        import ensurepip  # noqa: F401 - Debian splits it off
        import venv  # noqa: F401 - Debian splits it off
    except ImportError:
        return (
            "This Python has no venv module. On Debian or Ubuntu: "
            "sudo apt install python3-venv"
        )
    free = shutil.disk_usage(folder).free / 1e9
    if free < FREE_GB:
        return (
            "Only %.1f GB are free at %s, but %d GB are needed. Free some space, or "
            "put the environment elsewhere: make demo VENV=/other/disk/venv"
            % (free, folder, FREE_GB)
        )
    return None


def nearest_folder(path):
    """Return the path or its nearest existing parent."""
    path = os.path.abspath(path)
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


if __name__ == "__main__":
    found = problem(nearest_folder(sys.argv[1] if len(sys.argv) > 1 else "."))
    if found:
        sys.stderr.write("error: " + found + "\n")
        sys.exit(1)
