"""The pictures of the report's page."""

from tests.unit_tests.builders.pages import DOCS


def test_its_pictures_are_there_and_small() -> None:
    pictures = list((DOCS / "images").glob("*.webp"))
    assert pictures
    assert all(picture.stat().st_size < 150_000 for picture in pictures)
