"""A real browser, headless, driven by WebDriver: how a page looks on a screen of some size."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PROGRAMS = ("chromium", "chromedriver")


def need_browser() -> None:
    """Skip the test where there is no browser; with CI set, fail."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"{missing} must be there")
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} here")


class Browser:
    """One session of a browser."""

    def __init__(self, port: int, options: dict[str, Any]) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        self._path = "/session"
        wanted = {"alwaysMatch": options}
        self._path += "/" + self._ask("POST", "", {"capabilities": wanted})["sessionId"]

    def close(self) -> None:
        """End the browser."""
        self._ask("DELETE", "", {})
        self._connection.close()

    def show(self, page: Path, width: int, *, dark: bool = False) -> None:
        """Open a page on a screen of this width."""
        mode = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._command("Emulation.setEmulatedMedia", features=[mode])
        self._command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=844, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        self._post("url", url=page.as_uri())

    def run(self, script: str) -> Any:
        """Return what a script of the test's own returns; the page's policy doesn't bind it."""
        return self._post("execute/sync", script=script, args=[])

    def picture(self, path: Path) -> None:
        """Save the whole page as PNG."""
        got = self._command("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(got["data"]))

    def complaints(self) -> list[str]:
        """Return what the browser has logged since it was asked last."""
        return [entry["message"] for entry in self._post("se/log", type="browser")]

    def _command(self, name: str, **params: Any) -> Any:
        return self._post("goog/cdp/execute", cmd=name, params=params)

    def _post(self, path: str, **body: Any) -> Any:
        return self._ask("POST", f"/{path}", body)

    def _ask(self, method: str, path: str, body: dict[str, Any]) -> Any:
        self._connection.request(method, self._path + path, json.dumps(body))
        reply = self._connection.getresponse()
        value = json.loads(reply.read())["value"]
        assert reply.status == 200, value
        return value


@contextmanager
def browsing(profile: Path) -> Generator[Browser]:
    """Run a browser with a fresh profile, and end it."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"],  # noqa: S607 - wherever it is installed
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    try:
        ready = next(line for line in driver.stdout if "started successfully on port" in line)
        port = int(ready.strip().rstrip(".").rpartition(" ")[2])
        options = {"args": [*_ARGUMENTS, f"--user-data-dir={profile}"]}
        browser = Browser(
            port, {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        )
        try:
            yield browser
        finally:
            browser.close()
    finally:
        driver.terminate()
        driver.wait()
        driver.stdout.close()
