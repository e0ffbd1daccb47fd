"""multipart/form-data as PHP reads it: by lines, undecoded, and without its files."""

import pytest

from ihuyi_voice.simulator.http import read_form

TYPE = b"multipart/form-data; boundary=xyz"


def part(value: str, *, disposition: str = 'form-data; name="a"', more: str = "") -> str:
    """Return one part of a body."""
    return f"--xyz\r\nContent-Disposition: {disposition}\r\n{more}\r\n{value}\r\n"


def read(body: str, kind: bytes = TYPE) -> dict[str, str]:
    """Return the fields of a body, to which its end is added."""
    return read_form(b"", kind, f"{body}--xyz--".encode()).text


@pytest.mark.parametrize("end", ["--xyz--\r\nan epilogue", "", "--xyz\r\n", "--xyz--\r\n"])
def test_each_part_is_a_field(end: str) -> None:
    """Whatever stands behind the last one, and before the first."""
    body = part("1") + part("2", disposition='form-data; name="b"') + end
    assert read(body) == read(f"a preamble\r\n{body}") == {"a": "1", "b": "2"}


def test_a_last_part_without_an_end_is_a_field_too() -> None:
    """Of everything that came."""
    assert read_form(b"", TYPE, part("1").encode()).text == {"a": "1\r\n"}


@pytest.mark.parametrize(
    "disposition",
    [
        'form-data; name="a"',
        "form-data; name='a'",
        "form-data; name=a",
        "form-data;name=a",
        'form-data ; NAME = "a" ; x=y',
        'form-data; x="; name=b"; name="a"',
        'form-data;\r\n\tname="a"',
        'name="a"',
    ],
)
def test_a_name_may_be_quoted_or_not(disposition: str) -> None:
    """In either kind of quotes, and on a line that is continued."""
    assert read(part("1", disposition=disposition)) == {"a": "1"}


def test_a_quoted_name_may_hold_escapes_and_semicolons() -> None:
    """A quote and a backslash behind a backslash are themselves."""
    assert read(part("1", disposition=r'form-data; name="a;\"b\\"')) == {'a;"b\\': "1"}


@pytest.mark.parametrize(
    "disposition",
    [
        "form-data",
        'form-data; filename="a.txt"',
        'form-data; name="a"; filename="a.txt"',
        'form-data; filename=""; name="a"',
        "form-data; name=a; FILENAME=a.txt",
    ],
)
def test_neither_a_file_nor_a_part_without_a_name_is_a_field(disposition: str) -> None:
    """The part behind it is."""
    assert read(part("1", disposition=disposition) + part("2")) == {"a": "2"}


@pytest.mark.parametrize(
    "body",
    [
        "--xyz\r\nContent-Type: text/plain\r\n\r\n1\r\n",
        "--xyz\r\n\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n",
        "--xyz\r\nContent-Disposition: form-data; name=a\r\n",
        "--xyzz\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n",
        "Content-Disposition: form-data; name=a\r\n\r\n1",
        "",
    ],
)
def test_what_is_no_part_has_no_fields(body: str) -> None:
    """No disposition, a head that is empty or never ends, a boundary that isn't whole, or none."""
    assert read(body) == {}


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_nothing_is_decoded(encoding: str) -> None:
    """A Content-Transfer-Encoding changes nothing, nor does a charset."""
    more = f"Content-Type: text/plain; charset=gbk\r\nContent-Transfer-Encoding: {encoding}\r\n"
    assert read(part("5LqS=E4=BA=92互", more=more)) == {"a": "5LqS=E4=BA=92互"}


@pytest.mark.parametrize("value", ["", "1\r\n", "\r\n1", "1\n\r\n2", "--xy", "1--xyz", "a=1&b=2"])
def test_a_value_is_everything_before_the_boundarys_line(value: str) -> None:
    """Ends of lines and what looks like a boundary included; escapes mean nothing."""
    assert read(part(value)) == {"a": value}


def test_lines_may_end_in_a_bare_lf() -> None:
    """All of them, in a body that isn't of CR LF."""
    body = (part("1\n2") + part("3", disposition="form-data; name=b")).replace("\r\n", "\n")
    assert read(body) == {"a": "1\n2", "b": "3"}


@pytest.mark.parametrize(
    "kind",
    [
        b'Multipart/Form-Data; boundary="xyz"',
        b"multipart/form-data; charset=utf-8; boundary=xyz",
        b"multipart/form-data, boundary=xyz, charset=utf-8",
        b"multipart/form-data boundary=xyz; charset=utf-8",
        b"multipart/form-data; BOUNDARY=xyz",
    ],
)
def test_the_boundary_is_found_wherever_it_stands(kind: bytes) -> None:
    """Quoted or not, behind a semicolon, a comma or a blank."""
    assert read(part("1"), kind) == {"a": "1"}


@pytest.mark.parametrize("kind", [b"multipart/form-data", b"multipart/form-data; boundary="])
def test_without_a_boundary_there_are_no_fields(kind: bytes) -> None:
    """Those of the query stay."""
    assert read_form(b"b=1", kind, part("1").encode()).text == {"b": "1"}


def test_a_flood_of_parts_is_cut_off() -> None:
    """After a hundred of them."""
    flood = "".join(part("1", disposition=f"form-data; name={place}") for place in range(300))
    assert len(read(flood)) <= 100
