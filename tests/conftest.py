"""Over the whole test run: no log line shows a secret or a whole number, and Ctrl-C is heard.

What is around the run is not the tests' affair: neither options, nor whom the machine trusts.
"""

import gc
import logging
import os
import re
import signal
import ssl
import sys
from collections.abc import Generator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import certifi
import pytest
from hypothesis import settings

from tests.support.long import LONG

pytest_plugins = [
    "ihuyi_voice.testing.plugin",  # an entry point's, too, once this is installed
    "tests.support.databases",
    "tests.support.ready",  # before those that import it
    "tests.support.ledgers",
    "tests.support.postgres",
    "tests.support.redis_servers",
]

# Hundreds of programs are started; let them find what was compiled once, and not compile it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Shells let what they start in the background ignore Ctrl-C, and its children with it; tests send
# it to programs of ours.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# As `nohup` does with SIGHUP.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

QUIET = ("httpx", "httpx2", "httpcore", "httpcore2")  # as in a program that configures no logging

_FORBIDDEN = re.compile(
    r"simulator-key|1q784322ba1d9bb88d50cf5cdfd89k7d"
    r"|(?<![0-9A-Fa-f])[0-9a-f]{32}(?![0-9A-Fa-f])"
    r"|(?<!\d)(?:86)?1[3-9]\d{9}(?!\d)"
)

# No example may fail because the machine is busy.
settings.register_profile("long", settings(), deadline=None)
settings.register_profile("short", settings(), deadline=None, max_examples=25)
settings.load_profile("long" if LONG else "short")


def pytest_configure(config: pytest.Config) -> None:
    """Hold the coverage against its bound only where all tests run."""
    coverage: Any = config.pluginmanager.getplugin("_cov")
    if coverage is not None and not LONG:
        coverage.options.cov_fail_under = 0


def pytest_report_header() -> str:
    """Say how to run what is left out."""
    return "slow tests, long proofs: " + (
        "on" if LONG else "left out; IHUYI_LONG_TESTS=1 runs them"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Let two tests share a core; of the long ones, which start many programs, three share two."""
    cores = os.cpu_count() or 1
    return max(2, 3 * cores // 2) if LONG else 2 * cores


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker files that lie together; who is done takes half of what another has left.

    Not in the long run, where a proof of minutes could be left over for the end.
    """
    if LONG or config.getoption("dist") != "load":  # as it is where nobody asks for another
        return None
    return import_module("xdist.scheduler").WorkStealingScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the garbage collector look at none of the many things that stay until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave long proofs and slow tests out, unless they are asked for; measure what others cover.

    To measure makes two and a half of each second, and those that do a thing a thousand times find
    no line that its short tests have not passed.
    """
    long = [item for item in items if item.get_closest_marker("long")]
    left_out = {*long, *(item for item in items if item.get_closest_marker("slow"))}
    if left_out and not LONG:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    if config.pluginmanager.hasplugin("_cov"):
        tests = ((item, getattr(item, "obj", None)) for item in items)
        examples = [item for item, test in tests if getattr(test, "is_hypothesis_test", False)]
        for item in {*long, *examples}:
            item.add_marker("no_cover")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let those tests alone have the lines of httpx, and of pytest, that ask for `caplog`.

    With its log at INFO a call takes a longer way, which few programs have; and to format every
    line for pytest takes long.
    """
    plugin: Any = item.config.pluginmanager.getplugin("logging-plugin")
    asks = "caplog" in getattr(item, "fixturenames", ())
    plugin.caplog_handler.setLevel(logging.NOTSET if asks else logging.WARNING)
    plugin.report_handler.setLevel(logging.WARNING)
    level = logging.NOTSET if asks else logging.WARNING
    for name in QUIET:
        logger = logging.getLogger(name)
        if logger.level != level:  # to set one makes each of the hundreds of loggers forget its own
            logger.setLevel(level)


class _Watch(logging.Handler):
    """Keeps the lines that show what they must not."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.offending: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one line."""
        line = record.getMessage()
        if _FORBIDDEN.search(line):
            self.offending.append(f"{record.name}: {line}")


@pytest.fixture(scope="session", autouse=True)
def options_of_the_outer_run_alone() -> Iterator[None]:
    """CI gives options by the environment, which are not for the pytest that a test starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_authority_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """To read all of the world's takes 40 ms a client, and every connection stays on loopback."""
    first, end, _ = Path(certifi.where()).read_text(encoding="utf-8").partition("END CERTIFICATE--")
    one = tmp_path_factory.mktemp("trust") / "one.pem"
    one.write_text(f"{first}{end}---\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.delenv("SSL_CERT_DIR", raising=False)
        patch.setattr(certifi, "where", lambda: str(one))
        system = ssl.get_default_verify_paths()._replace(openssl_cafile=str(one), openssl_capath="")
        patch.setattr(ssl, "get_default_verify_paths", lambda: system)  # httpx2 asks for these
        yield


@pytest.fixture(scope="session", autouse=True)
def no_secret_in_any_log_line() -> Iterator[None]:
    """Watch all loggers at DEBUG; those that are quiet, in tests that ask for `caplog`."""
    watch = _Watch()
    root = logging.getLogger()
    level = root.level
    root.addHandler(watch)
    root.setLevel(logging.DEBUG)
    yield
    root.removeHandler(watch)
    root.setLevel(level)
    assert not watch.offending
