"""pytest collects every folder of tests: by default it skips those that are called build or dist."""

from fnmatch import fnmatch

from tests.support.paths import REPOSITORY


def test_no_folder_of_tests_is_skipped(pytestconfig):
    skipped = pytestconfig.getini("norecursedirs")
    folders = {path.parent.relative_to(REPOSITORY) for path in (REPOSITORY / "tests").rglob("test_*.py")}
    assert folders
    assert {
        f"{folder}" for folder in folders for part in folder.parts if any(fnmatch(part, each) for each in skipped)
    } == set()
