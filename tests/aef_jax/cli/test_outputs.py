"""An output that cannot be written is told before the work, of whatever kind it is."""

import pytest

from parity import cli as parity_cli

PERIOD = ("--period", "2018")
COMMANDS = {
    "embed": ("embed", "no-run", *PERIOD, "-o", "file/field.tif"),
    "compile": ("compile", "debug", "--topology", "v4:2x2x1", "-o", "file/report.json"),
    "make-planet": ("data", "make-planet", "file/planet", "--sites", "2", "--side", "16"),
    "info": ("data", "info", "no-data", "-o", "file/values.png"),
    "show": ("data", "show", "no-data", "0", "-o", "file/example.png"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_below_a_file_is_told_first(command, tmp_path, mistake):
    (tmp_path / "file").write_text("")
    assert f"cannot be written: {tmp_path / 'file'} is no folder" in mistake(*COMMANDS[command])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_parity_tells_an_output_below_a_file_first(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    output = str(tmp_path / "file" / "field.tif")
    assert parity_cli.main(["embed", "no-run", "no.safetensors", *PERIOD, "-o", output]) == 2
    assert capsys.readouterr().err == (f"aef-parity: {output} cannot be written: {tmp_path / 'file'} is no folder\n")
