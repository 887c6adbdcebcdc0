"""Names that a file from anywhere may hold."""

HOSTILE_NAMES = {
    "a cleared screen": "a\x1b[2Jb",
    "a window's title": "\x1b]0;owned\x07",
    "a line of its own": "site\naef: nothing wrong",
    "reversed letters": "a\u202egnp.exe",
    "NUL": "a\x00b",
    "half a letter": "\ud800",
    "10 kB": "x" * 10_000,
}
MARKUP = '<script>alert("&")</script>[bold red]$\\frac$'
"""What a page, rich or Matplotlib would obey."""


def assert_harmless(output: str) -> None:
    """Assert that a text is safe to print: lines of printable characters, none of them endless."""
    for line in output.split("\n"):
        assert line.isprintable(), ascii(line[:200])
        assert len(line) < 3_000
