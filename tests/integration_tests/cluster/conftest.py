"""A local Ray cluster with two workers."""

import importlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    root = Path(__file__).parents[3]
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=200 * 2**20,
        runtime_env={"env_vars": {"PYTHONPATH": str(root)}},
        configure_logging=False,
        log_to_driver=False,
    )
    logging.getLogger("ray").setLevel(logging.ERROR)
    data = importlib.import_module("ray.data")
    data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()
