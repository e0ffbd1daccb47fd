"""Outcomes, submissions and reports in other people's hands: JSON, pydantic, pickle, a database."""

import json
import pickle
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter, ValidationError

from ihuyi_voice import (
    DeliveryReport,
    GuardUnavailable,
    InvalidRequest,
    Message,
    NotSent,
    Outcome,
    OutcomeStatus,
    OutcomeUnknown,
    RateLimited,
    Submission,
    TemplateMismatch,
    UnreadableReply,
    VendorError,
    VoiceError,
    errors,
)
from ihuyi_voice.bulk.outcomes import accepted, ended
from ihuyi_voice.models import Action, Operation, RawReply

WHEN = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
MESSAGE = Message("13900000000", "您的订单号是：9633。", reference="9633")
SUBMISSION = Submission("16842079209571524017", "13900000000", "提交成功", 2)
REPORT = DeliveryReport(
    "16842079209571524017",
    -6,
    "13900000000",
    0,
    datetime(2026, 11, 25, 20, 30, tzinfo=timezone(timedelta(hours=8))),
    "无人接听",
    {"code": "-6", "msg": "无人接听"},
    7,
)


def rate_limited(source: Any) -> RateLimited:
    """Return a refusal by the vendor, or by the guard."""
    error = RateLimited(4081, "超过3条", Operation.SUBMIT, Action.WAIT)
    error.source, error.retry_at = source, WHEN
    return error


ERRORS: list[VoiceError] = [
    rate_limited("vendor"),
    rate_limited("guard"),
    TemplateMismatch(4072, "必须 [匹配]: 模板", Operation.SUBMIT, Action.FIX_REQUEST),
    VendorError(9999, "", Operation.SUBMIT, Action.STOP),
    InvalidRequest("13 is no number", field="mobile"),
    NotSent("no connection"),
    GuardUnavailable("gone"),
    OutcomeUnknown("no reply"),
    UnreadableReply("a page"),
]


def outcomes() -> list[Outcome]:
    """Return one of each kind, and one that was settled earlier."""
    for error in ERRORS:
        error.attempts = 2
    return [
        accepted(MESSAGE, SUBMISSION),
        Outcome(MESSAGE, OutcomeStatus.ACCEPTED, "7", replayed=True),
        *[ended(MESSAGE, error) for error in ERRORS],
    ]


OUTCOMES = outcomes()
VALUES: list[Any] = [SUBMISSION, REPORT, *OUTCOMES]


def name_of(value: Any) -> str:
    """Return what a test of a value is called."""
    error = getattr(value, "error", None)
    return type(error).__name__ if error is not None else type(value).__name__


def kind_of(value: Any) -> Any:
    """Return the class of a value."""
    made: Any = value.__class__
    return made


every_value = pytest.mark.parametrize("value", VALUES, ids=name_of)


@every_value
def test_what_json_keeps_can_be_made_anew(value: Any) -> None:
    """The dict is plain JSON, and what is made of it makes the same dict."""
    given = json.loads(json.dumps(value.to_dict(), allow_nan=False))
    assert given == value.to_dict()
    again = kind_of(value).from_dict(given)
    assert again.to_dict() == value.to_dict()
    if getattr(value, "error", None) is None:
        assert again == value


@pytest.mark.parametrize("outcome", OUTCOMES, ids=name_of)
def test_an_error_is_made_anew_with_what_programs_ask_of_it(outcome: Outcome) -> None:
    """Its class, and of a refusal the code, the vendor's text and what to do."""
    again = Outcome.from_dict(outcome.to_dict()).error
    assert type(again) is type(outcome.error)
    if again is not None and outcome.error is not None:
        assert again.to_dict() == outcome.error.to_dict()
        assert (again.status, again.attempts) == (outcome.error.status, outcome.error.attempts)


@pytest.mark.parametrize("status", ["REJECTED", "HELD", "NOT_SENT", "UNKNOWN"])
def test_an_error_of_another_version_is_one_of_its_family(status: str) -> None:
    """Its class isn't known here, and what it means is."""
    given = {"mobile": "1", "content": "x", "status": status, "error": "Unheard", "text": "so"}
    error = Outcome.from_dict(given).error
    assert error is not None
    assert error.status.value == status
    assert "so" in str(error)


@every_value
def test_pydantic_takes_them_as_they_are_and_as_dicts(value: Any) -> None:
    """In Python and from JSON; what it shows is what `to_dict` gives."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind_of(value))
    assert adapter.validate_python(value) is value
    assert adapter.dump_python(value) == value.to_dict()
    shown = adapter.dump_json(value)
    assert json.loads(shown) == value.to_dict()
    assert adapter.validate_json(shown).to_dict() == value.to_dict()
    assert adapter.validate_python(value.to_dict()).to_dict() == value.to_dict()


@pytest.mark.parametrize("cls", [Submission, DeliveryReport, Outcome])
def test_pydantic_says_what_is_wrong_with_a_dict(cls: type[Any]) -> None:
    """A missing key, a value of another type, and what is no dict at all."""
    for wrong in ({}, {"voice_id": 5}, 7):
        with pytest.raises(ValidationError):
            TypeAdapter(cls).validate_python(wrong)


@pytest.mark.parametrize("cls", [Submission, DeliveryReport, Outcome])
def test_their_json_schema_has_the_keys_of_their_dicts(cls: type[Any]) -> None:
    """So that an API that returns them is documented."""
    schema = TypeAdapter(cls).json_schema(mode="serialization")
    value = next(value for value in VALUES if type(value) is cls)
    assert list(schema["properties"]) == list(value.to_dict())
    assert schema["required"] == list(value.to_dict())
    assert TypeAdapter(cls).json_schema()["properties"].keys() == schema["properties"].keys()


class Record(BaseModel):
    """A model of a user's."""

    outcome: Outcome
    report: DeliveryReport | None = None


def test_a_model_may_hold_them() -> None:
    """As fields, and nested in JSON."""
    record = Record(outcome=OUTCOMES[2], report=REPORT)
    again = Record.model_validate_json(record.model_dump_json())
    assert again.outcome.to_dict() == OUTCOMES[2].to_dict()
    assert again.report == REPORT


def test_fastapi_returns_and_documents_them() -> None:
    """As the type of an endpoint's answer."""
    app = FastAPI()

    @app.get("/calls/{voice_id}")
    async def how_it_ended(voice_id: str) -> DeliveryReport:  # pyright: ignore[reportUnusedFunction]
        return REPORT

    answer = app.openapi()["paths"]["/calls/{voice_id}"]["get"]["responses"]["200"]
    assert "$ref" in str(answer) or "voice_id" in str(answer)


@every_value
def test_pickles_are_what_they_were(value: Any) -> None:
    """Errors included, with all that programs ask of them."""
    again = pickle.loads(pickle.dumps(value))  # noqa: S301 - our own
    assert again.to_dict() == value.to_dict()
    if isinstance(value, Outcome) and value.error is not None:
        assert again.error.to_dict() == value.error.to_dict()
        assert getattr(again.error, "field", None) == getattr(value.error, "field", None)


def test_a_pickle_keeps_the_reply() -> None:
    """Which is sealed, and holds no secret."""
    error = OutcomeUnknown("x")
    error.raw = RawReply(502, [(b"server", b"nginx")], b"bad gateway")
    again = pickle.loads(pickle.dumps(ended(MESSAGE, error)))  # noqa: S301 - our own
    assert again.error.raw.body == "bad gateway"


@every_value
def test_a_database_row_takes_them(value: Any) -> None:
    """Each key is a column of text or a number; a report's raw fields are JSON."""
    row = {
        key: json.dumps(each) if isinstance(each, dict) else each
        for key, each in value.to_dict().items()
    }
    columns, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    with sqlite3.connect(":memory:") as database:
        database.row_factory = sqlite3.Row
        database.execute(f"CREATE TABLE kept ({columns})")
        database.execute(f"INSERT INTO kept VALUES ({marks})", row)  # noqa: S608 - our own names
        stored: dict[str, Any] = dict(database.execute("SELECT * FROM kept").fetchone())
    database.close()
    if "raw" in stored:
        stored["raw"] = json.loads(stored["raw"])
    assert kind_of(value).from_dict(stored).to_dict() == value.to_dict()


def test_every_error_that_an_outcome_may_have_can_be_made_anew() -> None:
    """Whoever adds one whose making needs more is told here."""
    made: list[VoiceError] = []
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, VoiceError):
            outcome = ended(MESSAGE, _made(kind))
            again = Outcome.from_dict(outcome.to_dict()).error
            assert again is not None
            assert type(again) is kind
            made.append(again)
    assert len(made) > 25


def _made(kind: type[VoiceError]) -> VoiceError:
    if issubclass(kind, VendorError):
        return kind(4072, "text", Operation.SUBMIT, Action.WAIT)
    return kind("text")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest("13 is no number"), 422),
        (VendorError(406, "", Operation.SUBMIT, Action.FIX_REQUEST), 422),
        (VendorError(4051, "", Operation.SUBMIT, Action.STOP), 503),
        (VendorError(0, "", Operation.SUBMIT, Action.RETRY), 503),
        (rate_limited("vendor"), 503),
        (rate_limited("guard"), 503),
        (NotSent("x"), 503),
        (GuardUnavailable("x"), 503),
        (OutcomeUnknown("x"), 202),
        (UnreadableReply("x"), 202),
    ],
)
def test_an_error_knows_what_a_web_app_may_answer(error: VoiceError, status: int) -> None:
    """422 to mend the request, 503 for later, 202 while a report may come; never 500."""
    assert error.http_status == status


@pytest.mark.slow
def test_pydantic_is_not_imported_for_it() -> None:
    """Only who uses it has it."""
    program = "import sys, ihuyi_voice.client, ihuyi_voice.pushes; print('pydantic' in sys.modules)"
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "False\n"
