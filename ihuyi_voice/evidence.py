"""What came over the wire, kept with every result and error in a form that is safe to show."""

from collections.abc import Iterable, Mapping

import attrs

from ihuyi_voice.redaction import Redactor

_SHOWN = 200
_UNSAFE_HEADERS = frozenset({"set-cookie", "location"})


@attrs.frozen(eq=False)
class RawReply:
    """One HTTP reply as it came; the body is masked whenever it is shown.

    Attributes:
        status: The HTTP status.
    """

    status: int
    _headers: Iterable[tuple[bytes, bytes]] = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)
    _redact: Redactor = attrs.field(repr=False, factory=Redactor)

    @property
    def headers(self) -> Mapping[str, str]:
        """The reply's headers by lower-case name, without cookies and redirect targets."""
        pairs = ((k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in self._headers)
        return {name: self._redact(value) for name, value in pairs if name not in _UNSAFE_HEADERS}

    @property
    def body(self) -> str:
        """The whole body as text, without secrets and with masked numbers."""
        return self._redact(self.content.decode("utf-8", "replace"))

    @property
    def excerpt(self) -> str:
        """The first 200 characters of `body`, on one line."""
        # Redact first, cut afterwards: a secret cut in two would no longer be recognised.
        start = self._redact(self.content[: 8 * _SHOWN].decode("utf-8", "replace"))
        return " ".join(start[:_SHOWN].split())
