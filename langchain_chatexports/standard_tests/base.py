"""The base class of the suites, which finds standard tests that are overridden."""

from __future__ import annotations

from typing import Any

from langchain_tests.base import BaseStandardTests

_SUITES = "langchain_chatexports.standard_tests."


class ChatExportStandardTests(BaseStandardTests):
    """Base class of the suites of this package.

    langchain-tests' own guard looks at classes of langchain-tests only, so for these
    suites it would guard nothing.
    """

    def test_no_overrides_DO_NOT_OVERRIDE(self) -> None:  # noqa: N802 - langchain-tests' name
        """Test that no standard test is replaced or removed.

        ??? note "Troubleshooting"

            A standard test that cannot pass yet is overridden with its reason, and
            calls the original, so that a repair is noticed (with `strict=True`):

            ```python
            @pytest.mark.xfail(strict=True, reason="why it fails")
            def test_repr_shows_no_content(self, loader):
                super().test_repr_shows_no_content(loader)
            ```

            Fixtures and properties may be overridden freely.
        """
        standard: set[str] = set()
        replaced: dict[str, Any] = {}
        for cls in reversed(type(self).__mro__):
            tests = {name for name in vars(cls) if name.startswith("test_")}
            if f"{cls.__module__}.".startswith(_SUITES):
                standard |= tests
            else:
                replaced |= {name: vars(cls)[name] for name in tests & standard}
        silent = sorted(name for name, test in replaced.items() if not _is_xfail(test))
        assert standard > {"test_no_overrides_DO_NOT_OVERRIDE"}, (
            "There is no standard test suite among the base classes."
        )
        assert not silent, (
            f"Standard tests overridden without "
            f'@pytest.mark.xfail(reason="..."): {silent}. '
            "The reason says why the standard test is expected to fail."
        )


def _is_xfail(test: Any) -> bool:
    marks = getattr(test, "pytestmark", ())
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
