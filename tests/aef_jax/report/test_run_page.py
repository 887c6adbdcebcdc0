"""Tests of the page that describes a run."""

import base64
import json
import re

import pytest

from aef_jax.cli.main import main

pytestmark = pytest.mark.usefixtures("quick_compiles")


@pytest.mark.slow
def test_the_page_shows_a_run_without_other_files(training, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["report", str(training.run.path), "-o", str(page)]) == 0
    assert capsys.readouterr().out.strip() == f"wrote {page}"
    text = page.read_text()
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["Training", "Validation", "Embedding fields", "Reconstructions"]
    assert re.findall(r"<h3>(.*?)</h3>", text) == ["sentinel2"]
    assert re.findall(r'alt="(.*?)"', text) == ["losses by step", "embedding fields", "reconstructions of sentinel2"]
    addresses = re.findall(r'(?:src|href)="(.*?)"', text)
    assert len(addresses) == 3
    for address in addresses:
        kind, _, data = address.partition(";base64,")
        assert kind == "data:image/svg+xml"
        assert not re.search(rb'(?:src|href)="(?!data:|#)', base64.b64decode(data)), "a picture with a link"
    scores = [json.loads(line) for line in training.run.metrics_path.read_text().splitlines()]
    (score,) = [row for row in scores if row["kind"] == "validation"]
    assert f"<td>l1/sentinel2</td><td>{score['l1/sentinel2']:.3f}</td>" in text


def test_a_folder_without_a_run_is_told(mistake, tmp_path):
    assert "nothing is not the folder of a run" in mistake("report", "nothing")
    (tmp_path / "page").mkdir()
    assert "page is a folder" in mistake("report", "nothing", "-o", "page")
