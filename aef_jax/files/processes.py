"""Whether a process of this host lives."""

import os


def is_alive(pid: object) -> bool:
    """Look a process of this host up.

    Args:
        pid: its number, perhaps read from a file.

    Returns:
        Whether a process has this number. False if it is no positive integer.
    """
    if type(pid) is not int or not 0 < pid < 2**31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True
