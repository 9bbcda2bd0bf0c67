"""Tables that commands put into pages."""

from pathlib import Path

import pytest
from exotwin.scenarios.pages import fill, table


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n<!-- a:begin -->\nold\n<!-- a:end -->\n<!-- b:begin -->\nkept\n<!-- b:end -->\n")
    fill(page, "a", "new")
    assert page.read_text() == (
        "# Title\n<!-- a:begin -->\n\nnew\n\n<!-- a:end -->\n<!-- b:begin -->\nkept\n<!-- b:end -->\n"
    )


@pytest.mark.parametrize("text", ["nothing", "<!-- a:begin -->\n", "<!-- a:end --> <!-- a:begin -->"])
def test_a_page_without_both_markers_is_named_and_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match=r"page\.md: <!-- a:begin --> and <!-- a:end --> are not both there"):
        fill(page, "a", "new")
    assert page.read_text() == text


def test_numbers_stand_to_the_right() -> None:
    assert table(("joint", "sign", "deg"), [["hip", "falls", "3"]], texts=2).splitlines() == [
        "| joint | sign | deg |",
        "| --- | --- | ---: |",
        "| hip | falls | 3 |",
    ]
