from typing import Any

import pytest

from langchain_chatexports.datasets.estimate import automatic_epochs, estimate_training

# Three epochs, more for fewer than 100 examples in all, fewer for more than 25,000.
EPOCHS = {0: 3, 1: 25, 4: 25, 5: 20, 10: 10, 33: 3, 34: 3, 100: 3, 8333: 3}
FEWER_EPOCHS = {8334: 2, 12501: 1, 30000: 1}


@pytest.mark.parametrize(("examples", "epochs"), (EPOCHS | FEWER_EPOCHS).items())
def test_epochs_follow_openais_rule(examples: int, epochs: int) -> None:
    assert automatic_epochs(examples) == epochs


def test_tokens_are_estimated_by_bytes() -> None:
    example = {"messages": [{"role": "user", "content": "x" * 40}]}
    counted = estimate_training([example], n_epochs=2)
    # 3 for the example, 3 for the message, 1 for `user`, 10 for 40 bytes.
    assert (counted.tokens, counted.billed_tokens) == (17, 34)
    assert counted.billed_tokens_at_most == 2 * (3 + 3 + 2 + 15)


def test_long_examples_are_truncated() -> None:
    example = {"messages": [{"role": "user", "content": "x" * 1_000_000}]}
    assert estimate_training([example], n_epochs=1).tokens == 65_536


def test_names_count_and_weights_do_not() -> None:
    def tokens(example: dict[str, Any]) -> int:
        return estimate_training([example]).tokens

    plain = {"role": "user", "content": "Ready?"}
    base = tokens({"messages": [plain]})
    assert tokens({"messages": [{**plain, "name": "Hare"}]}) == base + 2
    assert tokens({"messages": [{**plain, "weight": 0}]}) == base
    assert tokens({"messages": [{**plain, "content": None}]}) < base
