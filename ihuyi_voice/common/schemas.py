"""How pydantic takes and shows our values: as themselves, or as the dicts they make of themselves.

pydantic asks a class by a method of a given name, and only then is anything of pydantic imported.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Shape: TypeAlias = Mapping[str, Any]
"""The types of a dict's values, by key."""


def dict_schema(
    cls: type[Any],
    shape: Shape,
    read: Callable[[dict[str, Any]], Any],
    handler: Callable[[Any], Any],
) -> Any:  # noqa: ANN401 - pydantic's own
    """Return the schema of a class that makes dicts of itself by `to_dict`.

    Args:
        cls: The class.
        shape: What `to_dict` gives.
        read: Makes a value of such a dict, whose optional keys may be missing.
        handler: Makes the schema of another type.
    """
    from pydantic_core import core_schema  # noqa: PLC0415 - whoever asks has it

    def fields(*, required: bool) -> Any:  # noqa: ANN401 - pydantic's own
        return core_schema.typed_dict_schema(
            {
                name: core_schema.typed_dict_field(handler(kind), required=required)
                for name, kind in shape.items()
            },
            config=core_schema.CoreConfig(title=cls.__name__),
        )

    from_dict = core_schema.no_info_after_validator_function(_read(read), fields(required=False))
    return core_schema.json_or_python_schema(
        json_schema=from_dict,
        python_schema=core_schema.union_schema(
            [core_schema.is_instance_schema(cls), from_dict], mode="left_to_right"
        ),
        serialization=core_schema.plain_serializer_function_ser_schema(
            cls.to_dict, return_schema=fields(required=True)
        ),
    )


def _read(read: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def checked(given: dict[str, Any]) -> Any:  # noqa: ANN401 - of the class
        try:
            return read(given)
        except KeyError as exc:
            raise ValueError(f"{exc.args[0]} is missing") from exc

    return checked
