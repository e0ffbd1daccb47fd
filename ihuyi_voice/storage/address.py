"""Where a database is: a path or a URL, checked before anything connects to it."""

import importlib.util
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import attrs

from ihuyi_voice.errors import InvalidRequest

_PLACE: Final = re.compile(r"(?:\[[^\[\]]*\]|[^:\[\]]*)(?::\d{0,5})?")
"""A host and its port; there may be several."""


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
            raise _wrong(f"a path or URL must be text or a Path, not of type {kind}")
        given = str(path_or_url)
        if "://" in given:
            given = given.strip()  # of a secret's line end; no URL has such ends
        scheme, mark, rest = given.partition("://")
        dialect = scheme.partition("+")[0]
        if not mark or isinstance(path_or_url, Path):
            address = cls("sqlite", given)
        elif dialect == "sqlite":
            address = cls("sqlite", _file(given))
        elif dialect in {"postgres", "postgresql"}:
            address = cls("postgresql", _server(rest))
        else:
            raise _wrong(f"{scheme}:// is neither sqlite:// nor postgresql://")
        if address.target in {"", ":memory:"}:
            raise _wrong("a database in memory would lose what it is to keep; name a file")
        _check_ends(address.target)
        _need_driver(address.dialect)
        return address


def _file(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc:
        raise _wrong("not a URL of SQLite: sqlite:///relative, sqlite:////absolute")
    return unquote(parts.path.removeprefix("/"))


def _check_ends(target: str) -> None:
    """Refuse what nobody sees in a name: it would be another database, which is empty."""
    if target != target.strip(" ") or not target.isprintable():
        raise _wrong(
            "the database's name has a blank, a line end or an invisible character too many: "
            f"{Path(target).name!a}"
        )


def _server(rest: str) -> str:
    """Return the URL of a server, whose hosts and ports can be read.

    Raises:
        InvalidRequest: They can't; the error shows nothing of it, for it may be a password.
    """
    places = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    if not all(_PLACE.fullmatch(place) for place in places.split(",")):
        raise _wrong(
            "the address of the database has no port from 1 to 65535, or can't be read; in a "
            "password, characters like @ : / ? # are written as %40 %3A %2F %3F %23"
        )
    return f"postgresql://{rest}"


def _wrong(reason: str) -> InvalidRequest:
    return InvalidRequest(reason, field="path_or_url")


def _need_driver(dialect: str) -> None:
    if dialect == "postgresql" and importlib.util.find_spec("asyncpg") is None:
        raise ImportError("postgresql needs an extra: pip install 'ihuyi-voice[postgres]'")
