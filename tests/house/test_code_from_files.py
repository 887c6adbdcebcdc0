"""Files are data: nothing that reads them runs code that they hold, and no module fetches anything from the network.

`python -m tests.house.test_code_from_files aef_jax/run` lists what could, in a folder.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY

PACKAGES = ("configs", "aef_torch", "aef_jax", "parity", "aef_packages.py", "aef_parity_plugin.py")
RUN_CODE = "pickle cPickle _pickle cloudpickle dill joblib shelve marshal yaml ruamel jsonpickle"
USE_THE_NETWORK = "urllib http requests httpx aiohttp ftplib smtplib huggingface_hub datasets"
MODULES = frozenset(f"{RUN_CODE} {USE_THE_NETWORK}".split())
BUILTINS = frozenset(["eval", "exec", "compile", "__import__"])
SAFE_WITH = {
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "torch.load": ("weights_only", True),
    "SentenceTransformer": ("local_files_only", True),
    "from_pretrained": ("local_files_only", True),
}
"""Functions that load files, and the argument without which they run code or download."""
BANNED_CALLS = frozenset(
    ["os.system", "os.popen", "subprocess.getoutput", "socket.create_connection", "socket.socket", "torch.hub.load"]
)
ALLOWED = {
    # they compile this project's own source, with a fault put in
    "parity/comparison/mutation.py: exec",
    "parity/comparison/mutation.py: compile",
    # `aef serve` answers requests, and makes none: http is its server, urllib parses addresses
    "aef_jax/serve/server.py: import http",
    "aef_jax/serve/server.py: import http.server",
    "aef_jax/serve/server.py: import urllib.parse",
}


def code_from_files(path: Path) -> list[str]:
    """List the imports and calls in a file, or below a folder, that may run what a file holds, or fetch something."""
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [f"{file}: {line}" for file in files for line in _suspects(ast.parse(file.read_text()))]


def _suspects(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                yield from (f"import {alias.name}" for alias in names if alias.name.partition(".")[0] in MODULES)
            case ast.ImportFrom(module=str(name)) if name.partition(".")[0] in MODULES:
                yield f"import {name}"
            case ast.Call(func=function, keywords=keywords):
                yield from _suspect_call(ast.unparse(function), {k.arg: ast.unparse(k.value) for k in keywords})


def _suspect_call(name: str, keywords: dict[str | None, str]) -> Iterator[str]:
    if name in BUILTINS or name in BANNED_CALLS:
        yield name
    for function, (argument, value) in SAFE_WITH.items():
        if (name == function or name.endswith(f".{function}")) and keywords.get(argument) != str(value):
            yield f"{name} without {argument}={value}"
    if keywords.get("allow_pickle", "False") != "False" or keywords.get("trust_remote_code", "False") != "False":
        yield f"{name} that runs code"
    if keywords.get("shell", "False") != "False":
        yield f"{name} in a shell"


def test_no_file_is_run_and_nothing_is_fetched():
    listed = [line for package in PACKAGES for line in code_from_files(REPOSITORY / package)]
    assert {line.removeprefix(f"{REPOSITORY}/") for line in listed} == ALLOWED


@pytest.mark.parametrize(
    ("source", "suspect"),
    [
        ("import pickle", "import pickle"),
        ("def f():\n    from urllib.request import urlopen", "import urllib.request"),
        ("eval(text)", "eval"),
        ("np.load(path)", "np.load without allow_pickle=False"),
        ("np.load(path, allow_pickle=True)", "np.load without allow_pickle=False"),
        ("torch.load(path)", "torch.load without weights_only=True"),
        ("AutoModel.from_pretrained(name)", "AutoModel.from_pretrained without local_files_only=True"),
        ("subprocess.run(line, shell=True)", "subprocess.run in a shell"),
        ("np.save(path, x, allow_pickle=True)", "np.save that runs code"),
        ("np.load(path, allow_pickle=False)", None),
        ("model.eval()\nre.compile(text)\njit(f).lower(x).compile()", None),
    ],
)
def test_code_from_files_is_found(source, suspect, tmp_path):
    (tmp_path / "bad.py").write_text(source)
    listed = [line.partition(": ")[2] for line in code_from_files(tmp_path)]
    assert (listed[:1] == [suspect]) if suspect else listed == []


if __name__ == "__main__":
    print("\n".join(line for folder in sys.argv[1:] for line in code_from_files(Path(folder))))
