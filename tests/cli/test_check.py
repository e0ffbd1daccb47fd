"""`check`: what it finds, and what it says to do, over real sockets; nobody is ever called."""

import json
import re
import socket
import ssl
import tomllib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from ihuyi_voice.cli import probing
from ihuyi_voice.simulator import Fault, FaultKind, Simulator
from tests.support.command import KEY, Answering, ServedVendor, run
from tests.support.servers import make_certificate


def checked(code: int, *args: str) -> dict[str, dict[str, Any]]:
    """Run it as a program does; return what was found, by name."""
    result = run("check", "--json", *args)
    told = json.loads(result.stdout)
    assert (result.exit_code, told["exit_code"], told["ok"]) == (code, code, not code)
    return {each["name"]: each for each in told["checks"]}


def balance(_: str) -> dict[str, object]:
    """Say that there are some."""
    return {"code": 2, "msg": "查询成功", "num": "5"}


def test_all_is_well(vendor: Simulator) -> None:
    """Each thing has its line, and what can't be known of plain http changes nothing."""
    found = checked(0)
    by_state = {
        state: [name for name, each in found.items() if each["state"] == state]
        for state in probing.State
    }
    assert by_state == {
        "ok": ["settings", "address", "key", "balance", "clock"],
        "bad": [],
        "unknown": ["tls"],
        "info": ["version", "proxy", "limits", "extras"],
    }
    assert found["balance"]["left"] == 856
    assert found["limits"]["minute"] == 3
    assert {each.operation for each in vendor.arrivals} == {"GetNum"}
    shown = run("check").stdout
    assert "ok    key: the vendor takes it" in shown
    assert shown.endswith("Everything is ready to send.\n")


def test_it_speaks_chinese(vendor: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what to do about a wrong key."""
    assert "一切就绪，可以发送。" in run("--lang", "zh", "check").stdout
    monkeypatch.setenv("IHUYI_API_KEY", "wrong")
    told = run("--lang", "zh", "check")
    assert told.exit_code == 3
    assert "异常  密钥：平台返回 405：用户名或密码不正确" in told.stdout
    assert "→ 检查 IHUYI_ACCOUNT 和 IHUYI_API_KEY" in told.stdout


def test_a_wrong_key_is_told(vendor: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused: 3; the way there was right."""
    monkeypatch.setenv("IHUYI_API_KEY", "wrong")
    found = checked(3)
    assert (found["key"]["state"], found["key"]["code"]) == ("bad", 405)
    assert "IHUYI_API_KEY" in found["key"]["todo"]
    assert found["address"]["state"] == "ok"
    assert "balance" not in found
    assert "NOT" in run("check").stdout.upper().splitlines()[-1]


def test_an_account_that_has_nothing_left_is_not_ready(vendor: Simulator) -> None:
    """Each call would be refused with 4051."""
    vendor.vendor.balance = 0
    found = checked(3)
    assert found["key"]["state"] == "ok"
    assert (found["balance"]["state"], found["balance"]["left"]) == ("bad", 0)
    assert found["balance"]["todo"] == "buy more notifications at the vendor"


@pytest.mark.parametrize("missing", ["IHUYI_ACCOUNT", "IHUYI_API_KEY"])
def test_a_setting_that_is_missing_is_named(
    vendor: Simulator, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Wrong usage: 2; what needs no vendor is looked at all the same."""
    monkeypatch.delenv(missing)
    found = checked(2)
    assert missing in found["settings"]["reason"]
    assert set(found) == {"version", "settings", "limits", "extras"}
    assert not vendor.arrivals


def test_a_dead_address_is_told(monkeypatch: pytest.MonkeyPatch, vendor: Simulator) -> None:
    """Not reached: 4; what nobody could say is no further trouble."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = checked(4, "--base-url", f"http://127.0.0.1:{port}/voice.php")
    assert found["address"]["state"] == "bad"
    assert found["address"]["host"] == f"127.0.0.1:{port}"
    assert "firewall" in found["address"]["todo"]
    assert [found[name]["state"] for name in ("key", "clock", "tls")] == ["unknown"] * 3


def test_a_page_of_somebody_else_is_told(vendor: Simulator) -> None:
    """A hotel's portal, for example, or an address that isn't voice.php's."""
    vendor.add_fault(Fault(FaultKind.UNREADABLE))
    found = checked(4)
    assert (found["address"]["state"], found["address"]["found"]) == ("bad", "strange")
    assert "full address" in found["address"]["todo"]


def test_tls_that_works_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And one that nobody trusts: 4, with what to do."""
    certificate = make_certificate(tmp_path)
    with ServedVendor(certificate) as served:
        monkeypatch.setenv("IHUYI_ACCOUNT", served.simulator.account)
        monkeypatch.setenv("IHUYI_API_KEY", KEY)
        monkeypatch.setenv("IHUYI_BASE_URL", served.url)
        found = checked(4)
        assert (found["tls"]["state"], found["key"]["state"]) == ("bad", "unknown")
        assert "SSL_CERT_FILE" in found["tls"]["todo"]
        assert "address" not in found
        trusted = tmp_path / "trusted.pem"
        authorities = certificate.trust.get_ca_certs(binary_form=True)
        trusted.write_text("".join(map(ssl.DER_cert_to_PEM_cert, authorities)), "ascii")
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert checked(0)["tls"]["state"] == "ok"
        dead = served.url.replace("https://127.0.0.1", "https://127.0.0.9")
        assert checked(4, "--base-url", dead)["tls"]["found"] == "unknown"


@pytest.mark.parametrize(
    ("offset", "code", "found"),
    [
        (-3_600, 6, "ahead"),
        (3_600, 6, "behind"),
        (20, 0, "behind"),
        (-20, 0, "ahead"),
        (0, 0, "right"),
    ],
)
def test_a_clock_that_is_off_is_told(
    monkeypatch: pytest.MonkeyPatch, offset: int, code: int, found: str
) -> None:
    """By the reply's Date, which names whole seconds; more than a minute needs mending."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=offset), usegmt=True)
    with Answering(balance, date) as vendor:
        vendor.point(monkeypatch)
        clock = checked(code)["clock"]
    assert clock["found"] == found
    assert clock["seconds"] == pytest.approx(abs(offset), abs=5)
    assert ("todo" in clock) == bool(code)


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_what_no_reply_says_can_not_be_known(monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    """A reply without a Date, or with one that is none, is no trouble."""
    with Answering(balance, date) as vendor:
        vendor.point(monkeypatch)
        assert checked(0)["clock"]["state"] == "unknown"


def test_the_proxy_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the environment's; and one that is dead is what to look at."""
    for name in ("no_proxy", "NO_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    url = "http://vendor.test/voice.php"
    with Answering(balance) as proxy:
        proxy.point(monkeypatch)
        monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@127.0.0.1:{proxy.port}")
        found = checked(0, "--base-url", url)
        assert found["proxy"]["proxy"] == f"http://127.0.0.1:{proxy.port}"
        assert proxy.asked == [f"{url}?method=GetNum"]
        assert "secret" not in run("check", "--base-url", url).output
    found = checked(4, "--base-url", url)
    assert "NO_PROXY" in found["address"]["todo"]
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:1")
    assert "SOCKS" in checked(2, "--base-url", url)["settings"]["reason"]


def test_the_extras_are_those_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that install something for us to use; what is missing is named."""
    file = Path(__file__).parent.parent.parent / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    groups: dict[str, list[str]] = project["optional-dependencies"]
    ours = {"bench", "dev", "docs", "pushes", "test"}
    assert set(probing.EXTRAS) == set(groups) - ours
    listed = {re.split(r"[^\w-]", line)[0] for name in probing.EXTRAS for line in groups[name]}
    needed = {name for names in probing.EXTRAS.values() for name in names}
    assert needed - {"opentelemetry"} <= listed

    def there(name: str) -> bool:
        return name != "openpyxl"

    monkeypatch.setattr(probing, "find_spec", there)
    monkeypatch.delenv("IHUYI_ACCOUNT", raising=False)
    extras = checked(2)["extras"]
    assert extras["missing"] == ["excel"]
    assert "pip install" in extras["todo"]
