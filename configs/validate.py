"""Checks that the config's dataclasses share. Each raises ValueError with the field, its value and the bound."""


def require(is_valid: bool, message: str) -> None:
    """Raise an error unless a condition holds.

    Args:
        is_valid: the condition.
        message: one sentence for the user.

    Raises:
        ValueError: the condition does not hold.
    """
    if not is_valid:
        raise ValueError(message)


def require_at_least(where: str, field: str, value: float, minimum: float) -> None:
    """Require `value >= minimum`.

    Args:
        where: part of the config that has the field.
        field: name of the field.
        value: its value.
        minimum: smallest valid value.

    Raises:
        ValueError: the value is smaller, or NaN.
    """
    require(value >= minimum, f"{where}: {field} is {value}, expected at least {minimum}")


def require_above(where: str, field: str, value: float, bound: float) -> None:
    """Require `value > bound`.

    Args:
        where: part of the config that has the field.
        field: name of the field.
        value: its value.
        bound: largest value that is not valid.

    Raises:
        ValueError: the value is not larger, or NaN.
    """
    require(value > bound, f"{where}: {field} is {value}, expected more than {bound}")


def require_fraction(where: str, field: str, value: float) -> None:
    """Require `0 <= value <= 1`.

    Args:
        where: part of the config that has the field.
        field: name of the field.
        value: its value.

    Raises:
        ValueError: the value is outside, or NaN.
    """
    require(0 <= value <= 1, f"{where}: {field} is {value}, expected between 0 and 1")


def require_multiple(where: str, field: str, value: int, of: int) -> None:
    """Require a positive multiple.

    Args:
        where: part of the config that has the field.
        field: name of the field.
        value: its value.
        of: number that divides it.

    Raises:
        ValueError: the value is not a positive multiple of `of`.
    """
    require(value > 0 and value % of == 0, f"{where}: {field} is {value}, expected a positive multiple of {of}")
