"""The transaction of a group commit: earlier outcomes and new intents, under the fence.

Outcomes come first, so a key that ended and begins again in one commit is seen in that order. An
outcome is written to the very attempt that it is of (owner, epoch, ticket), whether it is still in
flight or was called UNKNOWN meanwhile; no fence stands before it, for it says what has happened.
The vendor's answer wins over what a person or a report said of that attempt meanwhile; `late` says
what becomes of it if the key was opened again by then.

Intents are written under the fence: the part has still the epoch that they were put under, and the
run is not stopped; for keyed calls, their owner's row is still there. PostgreSQL locks those rows
against change until the commit, SQLite has one writer at a time.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any, Final

import attrs

from ihuyi_voice.errors import CallInFlight, InvalidRequest, RunStopped
from ihuyi_voice.ledger.late import kept_apart
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.rows import Book, Flight, Intent, Outcome, Put
from ihuyi_voice.ledger.schema import OPEN_RUN
from ihuyi_voice.ledger.states import Ending, State, columns_of, ending_of, kept
from ihuyi_voice.models import Draft
from ihuyi_voice.storage import Many, Query, Row, Work

_SETTLE: Final = (
    "UPDATE {entries}{by_key} SET state = :state, attempts = :attempts, kind = :kind, text = :text,"
    " voice_id = :voice_id, code = :code, action = :action, retry_at = :retry_at, at = {now},"
    " settled_at = NULL WHERE run = :run AND key = :key AND owner = :owner AND epoch = :epoch"
    " AND ticket = :ticket"
    " AND (state IN ({INTENT}, {UNKNOWN}) OR CAST(:state AS INTEGER) = {ACCEPTED}"
    " OR (CAST(:state AS INTEGER) IN ({REFUSED}, {REJECTED}) AND also IS NULL))"
)
_NOTE: Final = (
    "INSERT INTO {entries} AS e (run, key, part, mobile, content, reference, state, epoch, ticket,"
    " attempts, at, retry_at, voice_id, code, kind, action, text)"
    " VALUES (:run, :key, :part, :mobile, :content, :reference, :state, 0, 0,"
    " :attempts, {now}, :retry_at, :voice_id, :code, :kind, :action, :text)"
    " ON CONFLICT (run, key) DO UPDATE SET mobile = excluded.mobile, content = excluded.content,"
    " reference = excluded.reference, state = excluded.state, attempts = excluded.attempts,"
    " at = excluded.at, retry_at = excluded.retry_at, voice_id = excluded.voice_id,"
    " code = excluded.code, kind = excluded.kind, action = excluded.action, text = excluded.text"
    " WHERE e.state <= {REFUSED}"
    " AND (e.ticket = 0 OR (e.mobile = excluded.mobile AND e.content = excluded.content))"
)
_AGAIN: Final = (
    " ON CONFLICT (run, key) DO UPDATE SET mobile = excluded.mobile, content = excluded.content,"
    " reference = excluded.reference, state = {INTENT}, epoch = excluded.epoch,"
    " owner = excluded.owner, ticket = excluded.ticket, attempts = e.attempts + 1,"
    " begun_at = excluded.begun_at, at = excluded.at, retry_at = NULL, voice_id = NULL,"
    " code = NULL, kind = NULL, action = NULL, text = NULL, settled_at = NULL"
    " WHERE e.state <= CAST(:opens AS INTEGER) AND (e.ticket = 0 OR (e.mobile = excluded.mobile"
    " AND (e.content = excluded.content OR e.state = {REJECTED})))"
)
_INTO: Final = (
    "INSERT INTO {entries} AS e (run, key, part, mobile, content, reference, state, epoch, owner,"
    " ticket, attempts, begun_at, at)"
)
_INTEND_EACH: Final = (
    _INTO + " VALUES (:run, :key, :part, :mobile, :content, :reference, {INTENT}, :epoch,"
    " :owner, :ticket, 1, {now}, {now})" + _AGAIN
)
_INTEND_ALL: Final = (
    _INTO  # noqa: S608 - constants
    + " SELECT CAST(:run AS BIGINT), key, CAST(:part AS INTEGER), mobile, content, reference,"
    " {INTENT}, CAST(:epoch AS BIGINT), CAST(:owner AS BIGINT), ticket, 1, {now}, {now}"
    " FROM unnest(CAST(:keys AS TEXT[]), CAST(:mobiles AS TEXT[]), CAST(:contents AS TEXT[]),"
    " CAST(:references AS TEXT[]), CAST(:tickets AS BIGINT[]))"
    " AS new (key, mobile, content, reference, ticket)" + _AGAIN + " RETURNING key"
)
_CHANGES: Final = "SELECT total_changes() AS changes"
_GRANTED: Final = (
    "SELECT key, ticket FROM {entries}{by_key} WHERE run = :run AND {among_keys} AND owner = :owner"
    " AND state = {INTENT}"
)
_ROWS: Final = "SELECT * FROM {entries}{by_key} WHERE run = :run AND {among_keys}"
_PART: Final = "SELECT epoch, state FROM {parts} WHERE run = :run AND part = :part{share}"
USED: Final = (  # unless somebody has it locked, who may be asleep
    "UPDATE {runs} SET used_at = {now} WHERE id IN"
    " (SELECT id FROM {runs} WHERE id = :run{unlocked})"
)
_CAUSE: Final = "SELECT cause FROM {runs} WHERE id = :run"

Answer = Ending | int | None
"""Of an intent: its owner if it is granted, else what stands against it; None of an outcome."""


@attrs.frozen
class Committed:
    """What a commit came to.

    Attributes:
        owner: Who this process is now.
        answers: An answer for each row, in their order.
        warnings: What people should know of.
    """

    owner: int
    answers: Sequence[Answer]
    warnings: Sequence[str] = ()


@attrs.frozen
class Commits:
    """Makes the transactions of one ledger.

    Attributes:
        owners: Who lives.
    """

    owners: Owners

    def commit(self, rows: Sequence[Put], owner: int, used: Collection[int]) -> Work[Committed]:
        """Write rows.

        Args:
            rows: Outcomes and intents, in any order.
            owner: Who this process is.
            used: The runs of which to say that they are in use.
        """
        intents = sorted(
            (row for row in rows if isinstance(row, Intent) and not row.withdrawn), key=_place
        )
        # The fences first, in the order in which whoever opens or buries locks them: then entries.
        if any(intent.book.keyed for intent in intents):
            owner = yield from self.owners.still(owner)
        refusals: dict[Book, RunStopped | None] = {}
        for book in dict.fromkeys(intent.book for intent in intents if not intent.book.keyed):
            refusals[book] = yield from self.fence(book)
        outcomes = [row for row in rows if isinstance(row, Outcome)]
        missed = yield from self._outcomes(outcomes)
        warnings = (yield from kept_apart(self.owners, outcomes)) if missed else []
        answers: dict[int, Answer] = {}
        for (book, opens), group in groupby(intents, _book_and_opens):
            refusal = refusals.get(book)
            if refusal is None:
                answers |= yield from self._granted(book, opens, list(group), owner)
            else:
                answers |= {id(intent): _like(refusal) for intent in group}
        for run in sorted(used):
            yield Query(self.owners.say(USED), {"run": run, **self.owners.now()})
        return Committed(owner, [answers.get(id(row)) for row in rows], warnings)

    def look(self, book: Book, drafts: Sequence[Draft], opens: int) -> Work[list[Ending | None]]:
        """Return what stands against sending each of these; None if nothing does."""
        found = yield from self._found(book, [draft.key for draft in drafts])
        return [_told(found.get(draft.key), draft, opens) for draft in drafts]

    def orphans(self, book: Book, keys: Collection[str], owner: int) -> Work[bool]:
        """Return whether any of these keyed calls is in flight, and its owner dead."""
        found = yield from self._found(book, keys)
        return (yield from self.owners.any_dead(_owners_of(found.values()) - {owner}))

    def bury(self, book: Book, keys: Collection[str], owner: int) -> Work[None]:
        """Make what dead owners have in flight of these keyed calls UNKNOWN."""
        found = yield from self._found(book, keys)
        yield from self.owners.bury(book.run, _owners_of(found.values()) - {owner}, keys)

    # --- outcomes

    def _outcomes(self, outcomes: Sequence[Outcome]) -> Work[bool]:
        """Write outcomes; return whether an attempt was not found."""
        say, now = self.owners.say, self.owners.now()
        flown = [
            columns_of(row.end) | _whose(row) | _attempt(row.flight) | now
            for row in outcomes
            if row.flight is not None
        ]
        missed = False
        if flown:
            missed = yield from self._settled(flown)
        noted = [
            columns_of(row.end) | _whose(row) | _message(row.draft) | now
            for row in outcomes
            if row.flight is None
        ]
        if noted:
            yield Many(say(_NOTE), noted)
        return missed

    def _settled(self, flown: Sequence[dict[str, Any]]) -> Work[bool]:
        if self.owners.say.dialect.name == "postgresql":
            yield Many(self.owners.say(_SETTLE), flown)
            return True
        before = yield Query(_CHANGES)
        yield Many(self.owners.say(_SETTLE), flown)
        after = yield Query(_CHANGES)
        return bool(after[0]["changes"] - before[0]["changes"] < len(flown))

    # --- intents

    def _granted(
        self, book: Book, opens: int, intents: list[Intent], owner: int
    ) -> Work[dict[int, Answer]]:
        first: dict[str, Intent] = {}
        for intent in intents:
            first.setdefault(intent.draft.key, intent)
        granted = yield from self._written(book, opens, list(first.values()), owner)
        answers: dict[int, Answer] = {id(first[key]): owner for key in granted}
        refused = [intent for intent in intents if id(intent) not in answers]
        if refused:
            answers |= yield from self._refused(book, opens, refused, owner)
        return answers

    def fence(self, book: Book) -> Work[RunStopped | None]:
        """Return why nothing of this part may be sent any more; None if it may."""
        say = self.owners.say
        rows = yield Query(say(_PART), {"run": book.run, "part": book.part})
        if not rows or rows[0]["epoch"] != book.epoch:
            return RunStopped("another process has taken the run over")
        if rows[0]["state"] == OPEN_RUN:
            return None
        rows = yield Query(say(_CAUSE), {"run": book.run})
        return stopped(rows[0]["cause"] if rows else None)

    def _written(
        self, book: Book, opens: int, intents: list[Intent], owner: int
    ) -> Work[Iterable[str]]:
        where: dict[str, Any] = {
            "run": book.run, "part": book.part, "epoch": book.epoch,
            "owner": owner, "opens": opens, **self.owners.now(),
        }  # fmt: skip
        if self.owners.say.dialect.name == "postgresql":
            rows = yield Query(self.owners.say(_INTEND_ALL), where | _arrays(intents))
            return [row["key"] for row in rows]
        before = yield Query(_CHANGES)
        each = [where | _message(row.draft) | {"ticket": row.ticket} for row in intents]
        yield Many(self.owners.say(_INTEND_EACH), each)
        after = yield Query(_CHANGES)
        keys = [intent.draft.key for intent in intents]
        if after[0]["changes"] - before[0]["changes"] == len(intents):
            return keys
        tickets = {intent.draft.key: intent.ticket for intent in intents}
        rows = yield Query(
            self._among_keys(_GRANTED),
            {"run": book.run, "owner": owner, "keys": self.owners.say.dialect.values(keys)},
        )
        return [row["key"] for row in rows if row["ticket"] == tickets[row["key"]]]

    def _refused(
        self, book: Book, opens: int, intents: list[Intent], owner: int
    ) -> Work[dict[int, Answer]]:
        keys = {intent.draft.key for intent in intents}
        found = yield from self._found(book, keys)
        if book.keyed:
            dead = _owners_of(found.values()) - {owner}
            if (yield from self.owners.bury(book.run, dead, keys)):
                found = yield from self._found(book, keys)
        told: dict[int, Answer] = {}
        for intent in intents:
            row = found.get(intent.draft.key)
            if _is_this(row, intent, owner):  # the commit before, of which nobody knew, was made
                told[id(intent)] = owner
                continue
            end = _told(row, intent.draft, opens)
            # What opened in this very moment may be asked for again.
            told[id(intent)] = end or _in_flight()
        return told

    def _found(self, book: Book, keys: Iterable[str]) -> Work[dict[str, Row]]:
        yield from self.owners.pinned()
        parameters = {"run": book.run, "keys": self.owners.say.dialect.values(keys)}
        rows = yield Query(self._among_keys(_ROWS), parameters)
        return {row["key"]: row for row in rows}

    def _among_keys(self, template: str) -> str:
        say = self.owners.say
        return say(template.replace("{among_keys}", say.dialect.among("key", "keys")))


def stopped(cause: str | None) -> RunStopped:
    """Return the error of what a stopped run doesn't send."""
    return RunStopped("the run was stopped" + (f": {cause}" if cause else ""))


def _told(row: Row | None, draft: Draft, opens: int) -> Ending | None:
    """Return what stands against sending a draft; None if nothing does."""
    if row is None:
        return None
    if row["ticket"] != 0 and (error := _other(row, draft, opens)):  # else it was never intended
        return error
    if row["state"] == State.INTENT:
        return _in_flight()
    return None if row["state"] <= opens else ending_of(row)


def _is_this(row: Row | None, intent: Intent, owner: int) -> bool:
    """Return whether a row is in flight by this very attempt."""
    if row is None or row["state"] != State.INTENT:
        return False
    attempt = owner, intent.book.epoch, intent.ticket
    return attempt == (row["owner"], row["epoch"], row["ticket"])


def _other(row: Row, draft: Draft, opens: int) -> InvalidRequest | None:
    """Return why a draft is another message than its key's; a refused text may be put right."""
    same_number, same_text = row["mobile"] == draft.mobile, row["content"] == draft.content
    rejected = row["state"] == State.REJECTED
    if same_number and (same_text or (rejected and opens >= State.REJECTED)):
        return None
    text = "the key was used with another number or content"
    if same_number and rejected:
        text += ", which was refused: retry_rejected=True sends one that was put right"
    return InvalidRequest(text, field="key")


def _in_flight() -> CallInFlight:
    return CallInFlight("a call with this key is in flight")


def _like(error: RunStopped) -> RunStopped:
    """Return an exception of its own for each who is told."""
    return RunStopped(str(error))


def _owners_of(rows: Iterable[Row]) -> set[int]:
    return {row["owner"] for row in rows if row["state"] == State.INTENT}


def _place(intent: Intent) -> tuple[int, int, int, int, str]:
    # By key at last: processes that want the same keys lock them in the same order.
    book = intent.book
    return book.run, book.part, book.epoch, intent.opens, intent.draft.key


def _book_and_opens(intent: Intent) -> tuple[Book, int]:
    return intent.book, intent.opens


def _whose(row: Outcome) -> dict[str, Any]:
    return {"run": row.book.run, "key": row.draft.key, "part": row.book.part}


def _attempt(flight: Flight) -> dict[str, int]:
    return {"owner": flight.owner, "epoch": flight.epoch, "ticket": flight.ticket}


def _message(draft: Draft) -> dict[str, Any]:
    return {
        "key": draft.key,
        "mobile": draft.mobile,
        "content": draft.content,
        "reference": kept(draft.reference),
    }


def _arrays(intents: Sequence[Intent]) -> dict[str, Any]:
    drafts = [intent.draft for intent in intents]
    return {
        "keys": [draft.key for draft in drafts],
        "mobiles": [draft.mobile for draft in drafts],
        "contents": [draft.content for draft in drafts],
        "references": [kept(draft.reference) for draft in drafts],
        "tickets": [intent.ticket for intent in intents],
    }
