"""Import each given file on its own, and report failures."""

import importlib.util
import sys
import traceback


def main() -> None:
    """Import all files named on the command line."""
    failed = False
    for number, file in enumerate(sys.argv[1:]):
        if not can_import(file, f"checked_{number}"):
            failed = True
    sys.exit(failed)


def can_import(file: str, name: str) -> bool:
    """Import a file as a module; print the traceback if it fails."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        sys.exit(f"Not a Python file: {file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Needed by dataclasses.
    try:
        spec.loader.exec_module(module)
    except Exception:  # noqa: BLE001 - report any failure
        print(file)
        traceback.print_exc()
        return False
    return True


if __name__ == "__main__":
    main()
