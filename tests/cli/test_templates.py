"""`template add`, `delete` and `check`."""

import json
import re
from hashlib import md5
from typing import get_args

import pytest

from ihuyi_voice.cli.options import TemplateAuth
from ihuyi_voice.protocol import signing
from ihuyi_voice.simulator import Simulator
from tests.support.command import CONTENT, KEY, TEMPLATE, run


def test_a_template_is_handed_in(vendor: Simulator) -> None:
    """Its id is printed, and the vendor has it under that id."""
    told = run("template", "add", "a【变量】")
    assert told.exit_code == 0
    found = re.fullmatch(r"handed in, template_id (\d+)\n", told.stdout)
    assert found is not None
    added = json.loads(run("template", "add", "b【变量】", "--json").stdout)
    assert vendor.vendor.templates[found[1]].content == "a【变量】"
    assert vendor.vendor.templates[added["template_id"]].content == "b【变量】"


def test_a_template_that_exists_is_refused_by_its_code(vendor: Simulator) -> None:
    """408 means that in AddTemplate, and something else in Submit."""
    result = run("template", "add", TEMPLATE, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["error"], told["code"]) == (3, "TemplateExists", 408)


@pytest.mark.parametrize("name", ["1", "[/x]"])
def test_a_template_is_deleted_once(vendor: Simulator, name: str) -> None:
    """The second time there is none; an id is printed as it is, brackets included."""
    stored = vendor.vendor.templates
    stored[name] = next(iter(stored.values()))
    assert run("template", "delete", name).stdout == f"deleted {name}\n"
    assert name not in stored
    again = run("template", "delete", name)
    assert (again.exit_code, "TemplateNotFound" in again.stderr) == (3, True)


def test_an_id_that_is_no_text_is_refused_in_words(vendor: Simulator) -> None:
    """A byte that the shell passes on, of another encoding for example."""
    result = run("template", "delete", "\udcff")
    assert (result.exit_code, "template_id is" in result.stderr) == (2, True)
    assert not vendor.arrivals


def test_a_deletion_can_be_told_to_programs(vendor: Simulator) -> None:
    """As an object with the id."""
    name = next(iter(vendor.vendor.templates))
    told = run("template", "delete", name, "--json").stdout
    assert json.loads(told) == {"deleted": name}


@pytest.mark.parametrize(
    ("content", "options", "shown"),
    [
        (CONTENT, (), "it follows; values: 9633\n"),
        (CONTENT, ("--json",), '{"values": ["9633"]}\n'),
        ("您的订单号是：9 33。", (), "InvalidRequest: the content doesn't follow"),
        ("别的", (), "4072"),
        (CONTENT, ("--max-value-length", "3"), "40722"),
    ],
)
def test_checking_a_template_asks_nobody(
    vendor: Simulator, content: str, options: tuple[str, ...], shown: str
) -> None:
    """A wrong content is found before it costs a call."""
    result = run("template", "check", TEMPLATE, content, *options)
    assert shown in result.output
    assert result.exit_code == (2 if "follows" not in shown and "values" not in shown else 0)
    assert not vendor.arrivals


def test_a_template_of_no_values_says_none(vendor: Simulator) -> None:
    """Rather than an empty list."""
    assert run("template", "check", "今天停水", "今天停水").stdout == "it follows; values: none\n"


@pytest.mark.parametrize("args", [("add", "a【变量】"), ("delete", "1")], ids=" ".join)
def test_the_way_of_authentication_can_be_chosen(vendor: Simulator, args: tuple[str, str]) -> None:
    """The vendor's document gives no formula for templates, so accounts differ."""
    for options in ((), ("--template-auth", "plain")):
        run("template", *args, *options)
        assert vendor.arrivals[-1].fields["password"] == KEY
    run("template", *args, "--template-auth", "md5")
    assert vendor.arrivals[-1].fields["password"] == md5(KEY.encode()).hexdigest()  # noqa: S324 - the vendor's choice
    run("template", *args, "--template-auth", "signed")
    sent = vendor.arrivals[-1].fields
    assert re.fullmatch("[0-9a-f]{32}", sent["password"])
    assert sent["time"].isdigit()
    wrong = run("template", *args, "--template-auth", "oauth")
    assert (wrong.exit_code, len(vendor.arrivals)) == (2, 4)
    assert "'plain', 'md5', 'signed'" in wrong.stderr


def test_the_command_offers_every_way_that_the_client_knows() -> None:
    """No more and no fewer."""
    assert tuple(TemplateAuth) == get_args(signing.TemplateAuth)
