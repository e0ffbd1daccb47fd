"""Checks of options that are numbers, as attrs validators: a wrong one is named."""

from typing import TYPE_CHECKING, Any

from ihuyi_voice.errors import InvalidRequest

if TYPE_CHECKING:
    import attrs


def above_zero(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    """Refuse 0 and less; None stands for an option that is not used."""
    if value is not None and not value > 0:
        raise InvalidRequest(
            f"{attribute.name} is {value}; it must be above 0", field=attribute.name
        )


def not_negative(_: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    """Refuse less than 0."""
    if not value >= 0:
        raise InvalidRequest(
            f"{attribute.name} is {value}; it can't be negative", field=attribute.name
        )
