"""The tests' servers speak plain HTTP, so the clients need no list of authorities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _one_authority_is_enough(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Reading all of them costs a tenth of a second for each client."""
    certifi = pytest.importorskip("certifi")
    bundle = Path(certifi.where()).read_text(encoding="utf-8")
    end = "-----END CERTIFICATE-----\n"
    first = tmp_path_factory.mktemp("authorities") / "one.pem"
    first.write_text(bundle.partition(end)[0] + end, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(first))
        yield
