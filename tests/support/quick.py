"""The command as a process of its own, whose modules were loaded once: pipes, signals, exit codes.

To load them takes most of what a short command takes. So a server loads them, and forks for each
command. What a test starts is a small program that hands its environment and its standard streams
over, passes signals on, and ends as the command does. Start-up, terminals, limits and encodings are
tested with the program itself: `tests.support.command.PROGRAM`.
"""

import marshal
import os
import signal
import socket
import sys

NUMBER = 8  # bytes of a number between the two
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def pass_on(process: int, number: int) -> None:
    """Send the command a signal, if it is still there."""
    try:  # noqa: SIM105 - contextlib takes longer to load than all the rest
        os.kill(process, number)
    except ProcessLookupError:
        pass


def start(address: str, args: list[str]) -> None:
    """Have the server at this address run the command, and end as it does."""
    ignored = [each for each in SIGNALS if signal.getsignal(each) is signal.SIG_IGN]
    passed_on = [each for each in SIGNALS if each not in ignored]
    signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)  # until it is known whom they are for
    server = socket.socket(socket.AF_UNIX)
    server.connect(address)
    folder = os.getcwd()  # noqa: PTH109 - and so does pathlib
    told = marshal.dumps((folder, args, dict(os.environ), [int(each) for each in ignored]))
    socket.send_fds(server, [len(told).to_bytes(NUMBER, "big")], [0, 1, 2])
    server.sendall(told)
    os.closerange(0, 3)  # they are the command's
    process = int.from_bytes(server.recv(NUMBER), "big")
    for each in passed_on:
        signal.signal(each, lambda number, _: pass_on(process, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
    code = int.from_bytes(server.recv(NUMBER), "big", signed=True)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    start(sys.argv[1], sys.argv[2:])
