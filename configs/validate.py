"""Checks that configs share: each raises ValueError with one sentence that names the field, the value and the bound."""


def require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def require_at_least(where: str, field: str, value: float, least: float) -> None:
    require(value >= least, f"{where}: {field} is {value}, expected at least {least}")


def require_above(where: str, field: str, value: float, bound: float) -> None:
    require(value > bound, f"{where}: {field} is {value}, expected more than {bound}")


def require_fraction(where: str, field: str, value: float) -> None:
    require(0 <= value <= 1, f"{where}: {field} is {value}, expected between 0 and 1")


def require_multiple(where: str, field: str, value: int, of: int) -> None:
    require(value > 0 and value % of == 0, f"{where}: {field} is {value}, expected a positive multiple of {of}")
