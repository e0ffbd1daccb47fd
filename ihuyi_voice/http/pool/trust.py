"""Whom TLS trusts: what the caller says, or SSL_CERT_FILE and SSL_CERT_DIR, or httpx's own store.

The same for every version of httpx, which differ in what they read and when they tell.
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias, TypedDict

import httpx

Verify: TypeAlias = ssl.SSLContext | str | bool

_FILE: Final = "SSL_CERT_FILE"
_DIRECTORY: Final = "SSL_CERT_DIR"


class NothingThereError(FileNotFoundError, ValueError):
    """A file or directory of certificates isn't where somebody says that it is."""


class _Location(TypedDict, total=False):
    cafile: str
    capath: str


def tls_context(verify: Verify, environ: Mapping[str, str] | None = None) -> ssl.SSLContext:
    """Return the context for connections over TLS.

    Args:
        verify: True for the environment's or httpx's authorities, False to check nothing, the
            path of a file or directory of certificates, or a context, which is taken as it is.
        environ: The environment; None for the process's.

    Raises:
        NothingThereError: A file or directory that was named isn't there.
        ValueError: There is no certificate in it.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify is False:  # an empty text is no such word
        return _trusting_everybody()
    if isinstance(verify, str):
        return _trusting([("verify", Path(verify))])
    environ = os.environ if environ is None else environ
    named = [(_FILE, Path(environ[_FILE]))] if environ.get(_FILE) else []
    if listed := environ.get(_DIRECTORY):  # as OpenSSL has it: several are possible
        named += [(_DIRECTORY, Path(each)) for each in listed.split(os.pathsep) if each]
    if named:
        return _trusting(named)
    return httpx.create_ssl_context(verify=True)  # by name: before 0.28 the first is another one


def _trusting_everybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _trusting(named: list[tuple[str, Path]]) -> ssl.SSLContext:
    """Return a context for the authorities in these files and directories, by who named them."""
    for name, path in named:
        _check(name, path)
    try:
        context = ssl.create_default_context(**_location(named[0][1]))
        for _, path in named[1:]:
            context.load_verify_locations(**_location(path))
    except OSError as exc:  # which ssl's own is as well
        names = " or ".join(dict.fromkeys(name for name, _ in named))
        raise ValueError(f"{names} names no certificates that can be read: {exc}") from exc
    return context


def _check(name: str, path: Path) -> None:
    wanted = {_FILE: path.is_file, _DIRECTORY: path.is_dir}.get(name, path.exists)
    if not wanted():
        raise NothingThereError(f"{name} names nothing that is there: {path}")


def _location(path: Path) -> _Location:
    return {"capath": str(path)} if path.is_dir() else {"cafile": str(path)}
