"""Where a database is: a path or a URL, checked before anything connects to it."""

import importlib.util
from pathlib import Path
from urllib.parse import unquote, urlsplit

import attrs

from ihuyi_voice.errors import InvalidRequest


@attrs.frozen
class Address:
    """Where a database is.

    Attributes:
        dialect: `sqlite` or `postgresql`.
        target: The file, or the DSN; never shown, it may hold a password.
    """

    dialect: str
    target: str = attrs.field(repr=False)

    @classmethod
    def parse(cls, path_or_url: str | Path) -> "Address":
        """Return the address that a path, a `sqlite://` or a `postgresql://` URL means.

        Raises:
            InvalidRequest: It is none of them, or keeps its data in memory.
            ImportError: The extra that it needs is not installed.
        """
        if not isinstance(path_or_url, str | Path):  # pyright: ignore[reportUnnecessaryIsInstance]
            kind = type(path_or_url).__name__
            raise InvalidRequest(f"a path or URL must be text or a Path, not of type {kind}")
        given = str(path_or_url)
        scheme, mark, rest = given.partition("://")
        dialect = scheme.partition("+")[0]
        if not mark or isinstance(path_or_url, Path):
            address = cls("sqlite", given)
        elif dialect == "sqlite":
            address = cls("sqlite", _file(given))
        elif dialect in {"postgres", "postgresql"}:
            address = cls("postgresql", f"postgresql://{rest}")
        else:
            raise InvalidRequest(f"{scheme}:// is neither sqlite:// nor postgresql://")
        if address.target in {"", ":memory:"}:
            raise InvalidRequest("a database in memory would lose what it is to keep; name a file")
        _need_driver(address.dialect)
        return address


def _file(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc:
        raise InvalidRequest("not a URL of SQLite: sqlite:///relative, sqlite:////absolute")
    return unquote(parts.path.removeprefix("/"))


def _need_driver(dialect: str) -> None:
    if dialect == "postgresql" and importlib.util.find_spec("asyncpg") is None:
        raise ImportError("postgresql needs an extra: pip install 'ihuyi-voice[postgres]'")
