"""The four operations, through the client, over a real socket to the simulator."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from enum import Enum
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import trustme

from ihuyi_voice import (
    InvalidRequest,
    NotSent,
    TemplateExists,
    TemplateNotFound,
    VendorError,
    VoiceClient,
)
from ihuyi_voice.simulator import Simulator
from tests.support.odd import kind_of
from tests.support.vendor import CONTENT, MOBILE, ONCE

ADDED = "您的订单号是：【变量】。已由顺风快递发出，请注意查收。"


@pytest.fixture
async def simulator() -> Simulator:
    """A vendor without templates, so that every content passes."""
    return Simulator(balance=856)


@pytest.fixture
async def url(simulator: Simulator) -> AsyncIterator[str]:
    """Its address."""
    async with simulator.serve() as address:
        yield address


FORMS = [
    {"method": method, "auth": auth, "reply_format": reply_format}
    for method, auth, reply_format in product(("POST", "GET"), ("signed", "plain"), ("xml", "json"))
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(form.values()))
async def test_all_four_operations_work_in_every_form(
    simulator: Simulator, url: str, form: dict[str, Any]
) -> None:
    """POST and GET, signed and plain, XML and JSON."""
    async with VoiceClient(simulator.account, simulator.api_key, base_url=url, **form) as client:
        submission = await client.submit("139 0000 0000", CONTENT)
        assert (submission.mobile, submission.attempts, submission.msg) == (MOBILE, 1, "提交成功")
        assert await client.balance() == 855
        template = await client.add_template(ADDED)
        assert simulator.vendor.templates[template.template_id].content == ADDED
        await client.delete_template(template.template_id)
    assert not simulator.vendor.templates
    arrival = simulator.arrivals[0]
    assert (arrival.mobile, arrival.content, arrival.code) == (MOBILE, CONTENT, 2)
    assert submission.voice_id.isdigit()
    assert submission.raw is not None
    assert submission.raw.status == 200


async def test_templates_are_added_once_and_deleted_once(simulator: Simulator, url: str) -> None:
    """408 of AddTemplate and 404 of DelTemplate are errors of their own."""
    async with VoiceClient(simulator.account, simulator.api_key, base_url=url) as client:
        template = await client.add_template(ADDED)
        with pytest.raises(TemplateExists):
            await client.add_template(ADDED)
        await client.delete_template(template.template_id)
        with pytest.raises(TemplateNotFound):
            await client.delete_template(template.template_id)
        nothing: Any
        for nothing in (" ", None):
            with pytest.raises(InvalidRequest, match="template_id is empty"):
                await client.delete_template(nothing)


@pytest.mark.parametrize("odd", [True, "\ud800", "a b", "a\0", object(), object], ids=kind_of)
async def test_what_is_no_templates_id_is_refused(simulator: Simulator, url: str, odd: Any) -> None:
    """Before it is sent; at the command a byte that is no text becomes such a character."""
    async with VoiceClient(simulator.account, simulator.api_key, base_url=url) as client:
        with pytest.raises(InvalidRequest) as caught:
            await client.delete_template(odd)
    assert (caught.value.field, len(simulator.arrivals)) == ("template_id", 0)


class Texts(str, Enum):  # noqa: UP042 - a StrEnum writes itself otherwise
    """Texts with names, which write themselves by their names."""

    NUMBER = MOBILE
    CONTENT = "9633"
    TEMPLATE = "7"


class Loud(str):
    """A text that writes itself in a way of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()

    def __format__(self, spec: str) -> str:
        return self.upper()


@pytest.mark.parametrize("form", [{}, {"method": "GET"}, {"auth": "plain"}])
async def test_a_text_is_sent_by_its_characters_whatever_its_class(
    simulator: Simulator, url: str, form: dict[str, Any]
) -> None:
    """Nobody is told "Texts.CONTENT", nor called by it."""
    address = Loud(url)
    async with VoiceClient(simulator.account, simulator.api_key, base_url=address, **form) as web:
        await web.submit(Texts.NUMBER, Texts.CONTENT)
        await web.submit("13911111111", Loud("abc"))
        with pytest.raises(TemplateNotFound):
            await web.delete_template(Texts.TEMPLATE)
    said = [(each.mobile, each.content) for each in list(simulator.arrivals)[:2]]
    assert said == [(MOBILE, "9633"), ("13911111111", "abc")]
    assert simulator.arrivals[-1].fields["templateid"] == "7"


async def test_invalid_input_costs_no_request(simulator: Simulator, url: str) -> None:
    """Number, content and its settable length are checked first."""
    options: dict[str, Any] = {"base_url": url, "max_content_length": 10}
    async with VoiceClient(simulator.account, simulator.api_key, **options) as client:
        for mobile, content, reason in (
            ("1390000", "x", "11 digits"),
            (MOBILE, " ", "empty"),
            (MOBILE, "x" * 11, "at most 10"),
            (MOBILE, "a\0b", r"U\+0000 at place 2"),
            (MOBILE, "\ud800", r"U\+D800"),
            (MOBILE, None, "type NoneType"),
        ):
            with pytest.raises(InvalidRequest, match=reason) as caught:
                await client.submit(mobile, content)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - wrong on purpose
            assert caught.value.attempts == 0
        with pytest.raises(InvalidRequest, match="empty"):
            await client.add_template("")
    assert not simulator.arrivals


async def test_many_calls_share_the_connections(simulator: Simulator, url: str) -> None:
    """A hundred submissions at once through two connections all arrive."""
    async with VoiceClient(
        simulator.account, simulator.api_key, base_url=url, max_connections=2
    ) as client:
        numbers = [f"139{place:08d}" for place in range(100)]
        done = await asyncio.gather(*(client.submit(number, CONTENT) for number in numbers))
    assert sorted(each.mobile for each in done) == numbers


async def test_tls_is_checked_by_default_and_can_be_told_whom_to_trust(
    simulator: Simulator, tmp_path: Path
) -> None:
    """A certificate of an unknown authority is no connection, so nothing was sent."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    cert = tmp_path / "cert.pem"
    key = tmp_path / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)  # pyright: ignore[reportUnknownMemberType] - half typed
    account, api_key = simulator.account, simulator.api_key
    async with simulator.serve(ssl_certfile=str(cert), ssl_keyfile=str(key)) as url:
        options: dict[str, Any] = {"base_url": url, "retry": ONCE}
        async with VoiceClient(account, api_key, verify=trusting, **options) as client:
            assert await client.balance() == 856
        async with VoiceClient(account, api_key, **options) as client:
            with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"):
                await client.balance()


async def test_a_wrong_key_is_told_by_the_vendor(simulator: Simulator, url: str) -> None:
    """405 comes back with its text, operation and action, and the reply is at hand."""
    async with VoiceClient(simulator.account, "wrong", base_url=url) as client:
        with pytest.raises(VendorError, match="GetNum 405: 用户名或密码不正确") as caught:
            await client.balance()
    assert caught.value.raw is not None
    assert "<code>405</code>" in caught.value.raw.body
    assert caught.value.raw.headers["content-type"].startswith("text/xml")
    assert caught.value.attempts == 1
