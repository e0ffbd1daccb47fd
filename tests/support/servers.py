"""Servers that we did not write, as processes of their own, with the echo app behind them."""

import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import attrs
import trustme

APP = "tests.support.echo:app"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")

_NGINX_CONFIG = """
daemon off; worker_processes 1; pid {room}/nginx.pid; error_log {room}/error.log;
events {{ }}
http {{
    access_log off; client_max_body_size 8m; client_body_buffer_size 8m; proxy_buffering off;
    client_body_temp_path {room}/body; proxy_temp_path {room}/proxy;
    fastcgi_temp_path {room}/fastcgi; uwsgi_temp_path {room}/uwsgi; scgi_temp_path {room}/scgi;
    server {{
        listen 127.0.0.1:{port} {tls};
        location / {{ proxy_pass http://127.0.0.1:{behind}; proxy_http_version 1.1; }}
    }}
}}
"""


@attrs.frozen
class Certificate:
    """A certificate for 127.0.0.1 that only `trust` trusts."""

    chain: Path
    key: Path
    trust: ssl.SSLContext


def make_certificate(room: Path) -> Certificate:
    """Issue a certificate and write it to `room`."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
    chain, key = room / "chain.pem", room / "key.pem"
    chain.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    trust = ssl.create_default_context()
    authority.configure_trust(trust)  # pyright: ignore[reportUnknownMemberType] - half typed
    return Certificate(chain, key, trust)


def server_side(certificate: Certificate) -> ssl.SSLContext:
    """Return the context of a server in this process."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    return context


@contextmanager
def uvicorn(http: str, port: int, room: Path, tls: Certificate | None) -> Generator[None]:
    """Run uvicorn with one of its two parsers."""
    options = ["--http", http, "--lifespan", "off", "--port", str(port), "--log-level", "warning"]
    if tls is not None:
        options += ["--ssl-certfile", str(tls.chain), "--ssl-keyfile", str(tls.key)]
    with _running([sys.executable, "-m", "uvicorn", APP, *options], port, room):
        yield


@contextmanager
def granian(port: int, room: Path, tls: Certificate | None) -> Generator[None]:
    """Run granian, whose HTTP is hyper's."""
    options = ["--interface", "asginl", "--port", str(port), "--log-level", "warning"]
    if tls is not None:
        options += ["--ssl-certificate", str(tls.chain), "--ssl-keyfile", str(tls.key)]
    with _running([sys.executable, "-m", "granian", *options, APP], port, room):
        yield


@contextmanager
def nginx(port: int, room: Path, tls: Certificate | None) -> Generator[None]:
    """Run nginx before uvicorn."""
    assert NGINX is not None
    behind = free_port()
    config = room / "nginx.conf"
    option = (
        "" if tls is None else f"ssl; ssl_certificate {tls.chain}; ssl_certificate_key {tls.key}"
    )
    config.write_text(_NGINX_CONFIG.format(room=room, port=port, tls=option, behind=behind))
    with uvicorn("h11", behind, room, None), _running([NGINX, "-c", str(config)], port, room):
        yield


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _running(command: list[str], port: int, room: Path) -> Generator[None]:
    """Run a process from when it listens until the block ends."""
    with (
        (room / f"{port}.log").open("wb") as log,
        subprocess.Popen(  # noqa: S603 - the commands above
            command, cwd=Path(__file__).parents[2], stdout=log, stderr=log
        ) as process,
    ):
        try:
            while not _listens(port):
                assert process.poll() is None, (room / f"{port}.log").read_text()
                time.sleep(0.02)  # a process can't be awaited in any other way
            yield
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True
