"""Values of many kinds, for options that take one."""


def kind_of(odd: object) -> str:
    """Return what a test is named by: the same in each process."""
    return type(odd).__name__
