"""The body of a push to its fields, in whatever form it comes.

The document knows one form, `application/x-www-form-urlencoded` (section 6.1). PHP's array form is
multipart, others post JSON, and some say nothing of what they post, or the wrong thing. So a body
is read as what it is declared to be, and if no push is found in it, as what it looks like.
"""

import codecs
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

import attrs

from ihuyi_voice.protocol.fields import once

IDS: Final = ("voiceid", "templateid")
"""The fields of which a push has one: a report the first, an audit the second."""

_MOST_FIELDS: Final = 1000
_LARGEST: Final = 1 << 20  # of a body that came compressed, in bytes
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([\w.:-]{1,32})", re.ASCII | re.IGNORECASE)
_CHARSETS: Final = {  # GB18030 reads its two forerunners too
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "gb18030": "gb18030",
}
_FALLBACKS: Final = ("utf-8", "gb18030")
_BOM: Final = "\ufeff"
_BOM_BYTES: Final = codecs.BOM_UTF8.decode("latin-1")
_BOUNDARY: Final = re.compile(
    r'[;,\s]boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE
)
_FIRST_LINE: Final = re.compile(rb"\s*--([^\r\n]{1,70})\r?\n")
_PART: Final = re.compile(rb"(.*?)\r?\n\r?\n(.*)", re.DOTALL)
_DISPOSITION: Final = re.compile(rb"content-disposition:[^\r\n]*", re.IGNORECASE)
_NAME: Final = re.compile(rb'[;\s]name\s*=\s*(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_FILE: Final = re.compile(rb"[;\s]filename\*?\s*=", re.IGNORECASE)


class PushUnreadable(ValueError):
    """The body is no push of the vendor; the text says what is wrong with it."""


@attrs.frozen
class _Body:
    """A body, and what its Content-Type says of it."""

    content: bytes
    declared: str
    encodings: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The media type in lower case, empty if none is declared."""
        return self.declared.partition(";")[0].strip().lower()

    def text(self, raw: bytes) -> str:
        """Decode a piece of it in the first encoding that fits."""
        for encoding in self.encodings:
            try:
                return raw.decode(encoding)
            except UnicodeDecodeError:
                continue
        return raw.decode("utf-8", "replace")


Pairs: TypeAlias = Iterable[tuple[str, str]]
_Reader: TypeAlias = Callable[[_Body], Pairs]


def read_fields(content: bytes, content_type: str) -> dict[str, str]:
    """Return the fields of a push by their names in lower case, stripped of blanks.

    Args:
        content: The body.
        content_type: The whole header, empty if there is none.

    Raises:
        PushUnreadable: It can't be read as anything, or a field comes twice with two values.
    """
    body = _body(content, content_type)
    failures: list[PushUnreadable] = []
    for reader in _readers(body):
        try:
            fields = _fields(reader, body)
        except PushUnreadable as exc:
            failures.append(exc)
            continue
        if _has_an_id(fields):
            return fields
        failures.append(PushUnreadable("neither a voiceid nor a templateid"))
    raise failures[0]


def _readers(body: _Body) -> Iterable[_Reader]:
    """Return what may read a body, first what it is declared to be, each once."""
    declared = _DECLARED.get(body.kind)
    looks = _by_its_looks(body.content)
    return dict.fromkeys([declared, looks, _form] if declared else [looks, _form])


def _body(content: bytes, content_type: str) -> _Body:
    if ";" not in content_type:  # some put a comma or a blank before a parameter
        content_type = re.sub(r"[,\s]+", ";", content_type.strip())
    charset = _CHARSET.search(content_type)
    encoding = _CHARSETS.get(charset[1].lower()) if charset else None
    return _Body(content, content_type, (encoding, *_FALLBACKS) if encoding else _FALLBACKS)


def _by_its_looks(content: bytes) -> _Reader:
    if content.startswith(b"\x1f\x8b"):
        return _gzip
    start = content[:100].removeprefix(codecs.BOM_UTF8).lstrip()[:2]
    if start[:1] in {b"{", b"["}:
        return _json
    return _multipart if start == b"--" else _form


def _fields(reader: _Reader, body: _Body) -> dict[str, str]:
    """Return the fields, each once; a byte order mark hides neither the id nor the code."""
    fields = once((_pair(*pair) for pair in reader(body)), PushUnreadable)
    return {_without_mark(name): text for name, text in fields.items()} | fields


def _pair(name: str, value: str) -> tuple[str, str]:
    name, text = name.strip().lower(), value.strip()
    return name, text if name == "msg" else text.removeprefix(_BOM).strip()


def _without_mark(name: str) -> str:
    return name.removeprefix(_BOM_BYTES).removeprefix(_BOM).strip()


def _has_an_id(fields: dict[str, str]) -> bool:
    return any(fields.get(name) for name in IDS)


def _form(body: _Body) -> Pairs:
    # Latin-1 there and back keeps every byte, percent-encoded or raw.
    try:
        pairs = parse_qsl(
            body.content.decode("latin-1"),
            keep_blank_values=True,
            max_num_fields=_MOST_FIELDS,
            encoding="latin-1",
        )
    except ValueError as exc:
        raise PushUnreadable(f"more than {_MOST_FIELDS} fields") from exc
    return [(name, body.text(value.encode("latin-1"))) for name, value in pairs]


def _multipart(body: _Body) -> Pairs:
    """Read the parts that are no files (RFC 7578); a bare LF ends a line, too."""
    content = b"\n" + body.content.removeprefix(codecs.BOM_UTF8)
    _, *parts = re.split(rb"\r?\n--" + re.escape(_boundary(body)), content)
    if not parts or not parts[-1].startswith(b"--"):
        raise PushUnreadable("a multipart form without its end")
    return list(_parts(body, parts[:-1]))


def _boundary(body: _Body) -> bytes:
    declared = _BOUNDARY.search(body.declared)
    boundary = (declared[1] or declared[2]).encode("latin-1", "replace") if declared else b""
    if boundary and b"--" + boundary in body.content:
        return boundary
    line = _FIRST_LINE.match(body.content.removeprefix(codecs.BOM_UTF8))
    if line is None:
        raise PushUnreadable("a multipart form without its boundary")
    return line[1].rstrip()


def _parts(body: _Body, parts: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    for part in parts:
        split = _PART.fullmatch(part)
        disposition = _DISPOSITION.search(split[1]) if split else None
        name = _NAME.search(disposition[0]) if disposition else None
        if split is None or disposition is None or name is None:
            raise PushUnreadable("a part of a multipart form without its name")
        if not _FILE.search(disposition[0]):
            yield (name[1] or name[2] or b"").decode("latin-1"), body.text(split[2])


def _json(body: _Body) -> Pairs:
    """Read one flat object; only texts and whole numbers can be ids."""
    text = body.text(body.content.removeprefix(codecs.BOM_UTF8))
    try:
        found: Any = json.loads(text, strict=False, object_pairs_hook=_Object)
        pairs = found.pairs if isinstance(found, _Object) else []
        said = [(name, json.dumps(value, ensure_ascii=False), value) for name, value in pairs]
    except (ValueError, RecursionError) as exc:
        raise PushUnreadable("no JSON that can be read") from exc
    if not isinstance(found, _Object):
        raise PushUnreadable("JSON that is no object")
    return [_json_field(*each) for each in said]


class _Object(dict[str, Any]):
    """A JSON object that remembers fields that come twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def _json_field(name: str, words: str, value: Any) -> tuple[str, str]:  # noqa: ANN401 - any JSON
    """Return a field as a form would have it; what no form can have as JSON writes it."""
    if isinstance(value, str):
        return name, value
    if value is None:
        return name, ""
    if name.strip().lower() in IDS and type(value) is not int:
        raise PushUnreadable(f"a {name.strip().lower()} that is neither a text nor a whole number")
    return name, words


def _gzip(body: _Body) -> Pairs:
    """Read what a sender compressed; whoever is in between may have forgotten to say so."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        content = unpacking.decompress(body.content, _LARGEST)
    except zlib.error as exc:
        raise PushUnreadable("no gzip that can be read") from exc
    if not unpacking.eof:
        raise PushUnreadable("a gzip that is cut off, or too large")
    inside = _by_its_looks(content)
    if inside is _gzip:
        raise PushUnreadable("a gzip in a gzip")
    return inside(attrs.evolve(body, content=content))


_DECLARED: Final[dict[str, _Reader]] = {
    "application/x-www-form-urlencoded": _form,
    "multipart/form-data": _multipart,
    "application/json": _json,
    "text/json": _json,
}
