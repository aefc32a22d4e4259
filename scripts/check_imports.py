"""Import each file given, alone, and report those that fail."""

import importlib.util
import sys
import traceback


def main() -> None:
    """Import all files named on the command line."""
    failed = False
    for number, file in enumerate(sys.argv[1:]):
        try:
            spec = importlib.util.spec_from_file_location(f"checked_{number}", file)
            if spec is None or spec.loader is None:
                sys.exit(f"Not a Python file: {file}")
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        except Exception:  # noqa: BLE001 - any failure of an import is the finding
            failed = True
            print(file)
            traceback.print_exc()
    sys.exit(failed)


if __name__ == "__main__":
    main()
