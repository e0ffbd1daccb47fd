"""Runs the command for `tests.support.quick`: all of it is loaded once, and forked for each."""

import gc
import marshal
import os
import pkgutil
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from rich.console import Console

import ihuyi_voice
from ihuyi_voice import cli
from ihuyi_voice.cli import streams
from tests.support.quick import NUMBER, SIGNALS


def load() -> None:
    """Import what commands import."""
    for name in ihuyi_voice.__all__:
        getattr(ihuyi_voice, name)
    for module in pkgutil.iter_modules(cli.__path__, "ihuyi_voice.cli."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for name in ("ledger", "pushes", "simulator.server", "workers"):
        import_module(f"ihuyi_voice.{name}")
    gc.collect()
    gc.freeze()


def read(connection: socket.socket) -> tuple[list[int], bytes]:
    """Return the standard streams that somebody hands over, and what is told with them."""
    length, descriptors, _, _ = socket.recv_fds(connection, NUMBER, 3)
    told, wanted = b"", int.from_bytes(length, "big")
    while len(told) < wanted:
        told += connection.recv(wanted - len(told))
    return descriptors, told


def become(descriptors: list[int], told: bytes) -> None:
    """Let this process be the one that somebody wanted."""
    for place, each in enumerate(descriptors):
        os.dup2(each, place)
    os.closerange(3, 64)
    folder, args, environ, ignored = marshal.loads(told)  # noqa: S302 - our own
    for each in SIGNALS:
        usual = signal.default_int_handler if each is signal.SIGINT else signal.SIG_DFL
        signal.signal(each, signal.SIG_IGN if each in ignored else usual)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as Python opens them at its start
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, closefd=False)  # noqa: SIM115
    # They look at the terminal, and at the environment, when they are made.
    vars(streams.console).update(vars(Console(file=streams.output)))
    vars(streams.errors).update(vars(Console(file=streams.complaints, stderr=True)))
    sys.modules["__main__"].__package__ = cli.__name__  # by which it calls itself
    sys.argv = [str(Path(cli.__file__).with_name("__main__.py")), *args]


def watch(connection: socket.socket, process: int) -> None:
    """Tell who runs and how it ended; if nobody wants to know any more, end it."""
    connection.sendall(process.to_bytes(NUMBER, "big"))
    ended = os.pidfd_open(process)
    ready, _, _ = select.select([ended, connection.fileno()], [], [])
    if ended not in ready:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if ended in ready:
        code = os.waitstatus_to_exitcode(status)
        connection.sendall(code.to_bytes(NUMBER, "big", signed=True))
    os._exit(0)


def serve(address: str) -> None:
    """Return in the process of each command; end when stdin does."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen(64)
    print(flush=True)  # noqa: T201 - it is ready
    while listening.fileno() in select.select([0, listening.fileno()], [], [])[0]:
        connection, _ = listening.accept()
        if os.fork():
            connection.close()
            reap()
            continue
        descriptors, told = read(connection)
        process = os.fork()
        if process == 0:
            become(descriptors, told)
            return
        os.closerange(0, 3)
        for each in descriptors:
            os.close(each)
        watch(connection, process)
    reap()
    os._exit(0)


def reap() -> None:
    """Forget who has ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    load()
    serve(sys.argv[1])
    cli.main()
