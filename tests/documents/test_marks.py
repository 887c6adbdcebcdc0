"""Every command and snippet of a page is run: by a test that names its mark, or by CI."""

import re

from tests.support.documents import DOCUMENTS, blocks
from tests.support.paths import REPOSITORY


def test_every_block_is_marked_once():
    assert [block.text for block in blocks() if not block.runner] == []
    names = [block.name for block in blocks()]
    assert sorted(set(names)) == sorted(names)


def test_marked_blocks_are_run():
    gate = (REPOSITORY / ".ci" / "run").read_text()
    tests = "".join(file.read_text() for file in (REPOSITORY / "tests" / "documents").glob("test_*.py"))
    for block in blocks():
        runs = rf"\b{block.name}\b" if block.runner == "ci" else rf'"{block.name}"'
        assert re.search(runs, gate if block.runner == "ci" else tests), block.name


def test_links_lead_to_files():
    for page in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_promises_name_their_tests():
    page = (REPOSITORY / "aef_jax" / "README.md").read_text()
    promised = set(re.findall(r"`(test_\w+)`", page.partition("## What is promised")[2].partition("\n## ")[0]))
    written = "".join(file.read_text() for file in (REPOSITORY / "tests").rglob("test_*.py"))
    assert len(promised) > 20
    assert {name for name in promised if f"def {name}(" not in written} == set()


def test_the_front_page_is_short():
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 150
