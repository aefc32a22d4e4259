"""Fixtures for all tests: no tracing, and no keys or data of the developer."""

import gc
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import certifi
import pytest
from hypothesis import HealthCheck, settings

# Fewer examples for developers than in CI, where they are the same in each run: what
# chance finds should not stop a change that has nothing to do with it. There are no
# deadlines, because tests are slow on busy machines.
settings.register_profile(
    "quick",
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "ci", settings.get_profile("quick"), max_examples=50, derandomize=True
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "quick")
)

# Processes that a shell starts in the background ignore Ctrl-C, and those that `nohup`
# starts ignore SIGHUP. So would the commands that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

NEEDS_SIGKILL = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")

_REMOVED_VARIABLES = (
    "LANGSMITH_TRACING",
    "LANGSMITH_API_KEY",
    "LANGCHAIN_TRACING_V2",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE",
)
for _name in _REMOVED_VARIABLES:
    os.environ.pop(_name, None)
os.environ.pop("LC_ALL", None)
os.environ["LC_MESSAGES"] = "C"  # The terminal speaks English.


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exclude modules and tests from garbage collection, since they are never freed."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _single_certificate(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Trust one certificate authority; loading all takes 0.1 s for each HTTP client."""
    bundle = Path(certifi.where()).read_text(encoding="utf-8")
    end = "-----END CERTIFICATE-----\n"
    first = tmp_path_factory.mktemp("authorities") / "one.pem"
    first.write_text(bundle.partition(end)[0] + end, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(first))
        yield


@pytest.fixture(scope="session", autouse=True)
def _temporary_data_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the developer's models from tests and their child processes (on Linux)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data-home")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _temporary_index_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the developer's search indexes, which `forget` would delete."""
    folder = tmp_path_factory.mktemp("search-indexes")
    module = "langchain_chatexports.retrieval.index_files"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{module}.default_index_dir", lambda: folder)
        yield
