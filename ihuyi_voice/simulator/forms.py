"""The fields of a request, in every form that real clients were seen to use (vendor, observed)."""

from email.parser import BytesParser
from email.policy import HTTP
from typing import Final
from urllib.parse import parse_qsl

_MOST_FIELDS: Final = 100
_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"


def read_fields(query: bytes, content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of query and body; those of the body win.

    With a body of a type that the vendor doesn't recognise the request has no fields, not even
    those of its query; the method remains, being part of the address.
    """
    kind = content_type.partition(";")[0].strip().lower()
    fields = _urlencoded(query)
    if kind == _FORM:
        fields |= _urlencoded(body)
    elif kind == _MULTIPART:
        fields |= _multipart(content_type, body)
    elif body:
        return {name: value for name, value in fields.items() if name == "method"}
    return fields


def _urlencoded(text: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            text.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:  # too many fields
        return {}
    return dict(pairs)


def _multipart(content_type: str, body: bytes) -> dict[str, str]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    fields: dict[str, str] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            fields[name] = payload.decode("utf-8", "replace")
    return fields
