"""The page of the documentation."""

from __future__ import annotations

import re

from langchain_chatexports.evaluation import Evaluation
from langchain_chatexports.evaluation.style_measures import MEASURES
from tests.unit_tests.builders.pages import DOCS


def test_every_field_of_the_output_is_explained() -> None:
    text = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"\| Field \|.*?\n\n", text, re.DOTALL)
    cells = "".join(row.split("|")[1] for row in table.splitlines()[2:-1])
    assert set(re.findall(r"`(\w+)`", cells)) == set(Evaluation.model_fields)


def test_the_schema_says_what_is_in_the_output() -> None:
    schema = Evaluation.model_json_schema(mode="serialization")
    assert schema["properties"]["format"]["const"] == 1
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) <= set(schema["properties"])


def test_every_measure_is_explained() -> None:
    text = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    for measure in MEASURES:
        assert f"| {measure.name} |" in text
