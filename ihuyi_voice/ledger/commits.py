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
from typing import Any, Final

import attrs

from ihuyi_voice.errors import RunStopped
from ihuyi_voice.ledger.batch import FLOWN, NEW, Batch, Group, sorted_out
from ihuyi_voice.ledger.known import accepted_earlier, in_flight, stands_against
from ihuyi_voice.ledger.late import kept_apart
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.reopened import opened_again, passed_by
from ihuyi_voice.ledger.rows import Book, Intent, Put
from ihuyi_voice.ledger.schema import OPEN_RUN
from ihuyi_voice.ledger.states import Ending, State
from ihuyi_voice.models import Draft
from ihuyi_voice.storage import Many, Query, Row, Table, Work, arrays, unnested

_SETTLE: Final = (
    "UPDATE {entries} AS e{by_key} SET state = new.state, attempts = new.attempts, kind = new.kind,"
    " text = new.text, voice_id = new.voice_id, code = new.code, action = new.action,"
    " retry_at = new.retry_at, at = {now}, settled_at = NULL FROM new WHERE e.run = new.run"
    " AND e.key = new.key AND e.owner = new.owner AND e.epoch = new.epoch AND e.ticket = new.ticket"
    " AND (e.state IN ({INTENT}, {UNKNOWN}) OR new.state = {ACCEPTED}"
    " OR (new.state IN ({REFUSED}, {REJECTED}) AND e.also IS NULL))"
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
_INTEND: Final = (
    "INSERT INTO {entries} AS e (run, key, part, mobile, content, reference, state, epoch, owner,"
    " ticket, attempts, begun_at, at)"
    " SELECT CAST(:run AS BIGINT), key, CAST(:part AS INTEGER), mobile, content, reference,"
    " {INTENT}, CAST(:epoch AS BIGINT), CAST(:owner AS BIGINT), ticket, 1, {now}, {now}"
    " FROM new WHERE true"
    " ON CONFLICT (run, key) DO UPDATE SET mobile = excluded.mobile, content = excluded.content,"
    " reference = excluded.reference, state = {INTENT}, epoch = excluded.epoch,"
    " owner = excluded.owner, ticket = excluded.ticket, attempts = e.attempts + 1,"
    " begun_at = excluded.begun_at, at = excluded.at, retry_at = NULL, voice_id = NULL,"
    " code = NULL, kind = NULL, action = NULL, text = NULL, settled_at = NULL"
    " WHERE e.state <= CAST(:opens AS INTEGER) AND (e.ticket = 0 OR (e.mobile = excluded.mobile"
    " AND (e.content = excluded.content OR e.state = {REJECTED})))"
    "{returning_key}"
)
_FENCES: Final = {
    False: (
        "SELECT epoch FROM {parts} WHERE run = CAST(:run AS BIGINT)"
        " AND part = CAST(:part AS INTEGER) AND epoch = CAST(:epoch AS BIGINT)"
        " AND state = {OPEN_RUN}{share}"
    ),
    True: "SELECT id FROM {owners} WHERE id = CAST(:owner AS BIGINT){key_share}",
}
_AT_ONCE: Final = {
    keyed: (  # constants all
        f"WITH fence AS ({fence}), {unnested('new', NEW)}, {unnested('ended', FLOWN)},"  # noqa: S608
        f" granted AS ({_INTEND.replace('FROM new', 'FROM new, fence')}),"
        f" settled AS ({_SETTLE.replace('FROM new', 'FROM ended AS new')} RETURNING 1)"
        " SELECT key, NULL AS changes FROM granted UNION ALL SELECT NULL, count(*) FROM settled"
    )
    for keyed, fence in _FENCES.items()
}
_ROWS: Final = (
    "SELECT key, mobile, content, state, epoch, owner, ticket, attempts, retry_at, voice_id, code,"
    " kind, action, text FROM {entries}{by_key} WHERE run = :run AND {among_keys}"
)
_KNOWN: Final = (  # by place, and no more than what was accepted needs
    "SELECT key, mobile, content, state, attempts, voice_id, text FROM {entries}{by_key}"
    " WHERE run = :run AND {among_keys}"
)
_ACCEPTED: Final = (  # one row, for SQLite hands each over on its own, to a thread that waits
    "SELECT MAX(id), {joined}(reference || {end} || mobile || {end} || content || {end}, ''),"
    " {joined}(voice_id || {end}, ''), {joined}(CAST(attempts AS TEXT) || {end}, '')"
    " FROM (SELECT id, CASE WHEN reference IS NULL THEN '' ELSE key END AS reference, mobile,"
    " content, COALESCE(voice_id, '') AS voice_id, attempts FROM {entries}{by_state}"
    " WHERE run = :run AND state = {ACCEPTED} AND id > CAST(:after AS BIGINT)"
    " ORDER BY id LIMIT 8000) AS page"
)
_PLACE: Final = "SELECT id FROM {entries}{by_key} WHERE run = :run AND key = :key"
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
        yield from self.owners.pinned()
        batch, answers, missed = sorted_out(rows), dict[int, Answer](), False
        if self._is_postgresql and batch.is_plain:
            granted, missed = yield from self._at_once(batch.flown, batch.groups[0], owner)
            answers = {id(intent): owner for intent in granted}
            batch = batch.less(granted)
        # The fences first, in the order in which whoever opens or buries locks them: then entries.
        if any(group.book.keyed for group in batch.groups):
            owner = yield from self.owners.still(owner)
        passed = yield from passed_by(self.owners, batch.spared)
        refusals: dict[Book, RunStopped | None] = {}
        for book in dict.fromkeys(group.book for group in batch.groups if not group.book.keyed):
            refusals[book] = yield from self.fence(book)
        missed = (yield from self._outcomes(batch)) or missed
        warnings = (yield from kept_apart(self.owners, batch.outcomes)) if missed else []
        warnings += yield from opened_again(self.owners, passed)
        for group in batch.groups:
            refusal = refusals.get(group.book)
            if refusal is None:
                answers |= yield from self._granted(group, owner)
            else:
                answers |= {id(intent): _like(refusal) for intent in group.all}
        for run in sorted(used):
            yield Query(self.owners.say(USED), {"run": run, **self.owners.now()})
        return Committed(owner, [answers.get(id(row)) for row in rows], warnings)

    @property
    def _is_postgresql(self) -> bool:
        return self.owners.say.dialect.name == "postgresql"

    def look(self, book: Book, drafts: Sequence[Draft], opens: int) -> Work[list[Ending | None]]:
        """Return what stands against sending each of these; None if nothing does."""
        yield from self.owners.pinned()
        rows = yield self._asked(_KNOWN, book, [draft.key for draft in drafts], by_place=True)
        ends, others = accepted_earlier(drafts, rows)
        if others:
            found = yield from self._found(book, {drafts[place].key for place in others})
            for place in others:
                draft = drafts[place]
                ends[place] = stands_against(found.get(draft.key), draft, opens)
        return ends

    def accepted(self, book: Book, after: int | str) -> Work[Sequence[Any]]:
        """Return the next page of what was accepted; see `calls.journal`."""
        yield from self.owners.in_order()
        if isinstance(after, str):
            rows = yield Query(self.owners.say(_PLACE), {"run": book.run, "key": after})
            after = rows[0]["id"] if rows else 0
        said = {"run": book.run, "after": after}
        (row,) = yield Query(self.owners.say(_ACCEPTED), said, by_place=True)
        return () if row[0] is None else [row[place] for place in range(4)]

    def orphans(self, book: Book, keys: Collection[str], owner: int) -> Work[bool]:
        """Return whether any of these keyed calls is in flight, and its owner dead."""
        yield from self.owners.pinned()
        found = yield from self._found(book, keys)
        return (yield from self.owners.any_dead(_owners_of(found.values()) - {owner}))

    def bury(self, book: Book, keys: Collection[str], owner: int) -> Work[None]:
        """Make what dead owners have in flight of these keyed calls UNKNOWN."""
        yield from self.owners.pinned()
        found = yield from self._found(book, keys)
        yield from self.owners.bury(book.run, _owners_of(found.values()) - {owner}, keys)

    # --- outcomes

    def _outcomes(self, batch: Batch) -> Work[bool]:
        """Write outcomes; return whether an attempt was not found."""
        say, now, missed = self.owners.say, self.owners.now(), False
        if batch.flown:
            (touched,) = yield Table(say(_SETTLE), FLOWN, batch.flown, now)
            missed = touched["changes"] < len(batch.flown)
        if batch.noted:
            yield Many(say(_NOTE), [row | now for row in batch.noted])
        return missed

    # --- intents

    def _granted(self, group: Group, owner: int) -> Work[dict[int, Answer]]:
        granted = yield from self._written(group, owner)
        answers: dict[int, Answer] = {id(group.first[key]): owner for key in granted}
        if group.others or len(answers) < len(group.first):
            refused = [intent for intent in group.all if id(intent) not in answers]
            answers |= yield from self._refused(group.book, group.opens, refused, owner)
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
        return stopped(rows[0]["cause"])

    def _at_once(
        self, flown: Sequence[tuple[Any, ...]], group: Group, owner: int
    ) -> Work[tuple[list[Intent], bool]]:
        """Write outcomes and intents, under their fence, in one statement.

        That takes two trips to a server instead of six. The intents don't see the outcomes.

        Returns:
            The intents that are granted, and whether an attempt was not found.
        """
        given = arrays("ended", FLOWN, flown) | arrays("new", NEW, group.rows())
        sql = self.owners.say(_AT_ONCE[group.book.keyed])
        *granted, settled = yield Query(sql, self._where(group, owner) | given)
        intents = [group.first[row["key"]] for row in granted]
        return intents, settled["changes"] < len(flown)

    def _where(self, group: Group, owner: int) -> dict[str, Any]:
        book = group.book
        return {
            "run": book.run, "part": book.part, "epoch": book.epoch,
            "owner": owner, "opens": group.opens, **self.owners.now(),
        }  # fmt: skip

    def _written(self, group: Group, owner: int) -> Work[Iterable[str]]:
        """Write intents; return the keys of those that surely are, of SQLite's all or none."""
        intend = Table(self.owners.say(_INTEND), NEW, group.rows(), self._where(group, owner))
        if self._is_postgresql:
            rows = yield intend
            return [row["key"] for row in rows]
        (touched,) = yield intend
        return group.first if touched["changes"] == len(group.first) else ()

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
            if _is_this(row, intent, owner):  # by this commit, or one before that nobody knew of
                told[id(intent)] = owner
                continue
            end = stands_against(row, intent.draft, opens)
            # What opened in this very moment may be asked for again.
            told[id(intent)] = end or in_flight()
        return told

    def _found(self, book: Book, keys: Iterable[str]) -> Work[dict[str, Row]]:
        rows = yield self._asked(_ROWS, book, keys)
        return {row["key"]: row for row in rows}

    def _asked(
        self, template: str, book: Book, keys: Iterable[str], *, by_place: bool = False
    ) -> Query:
        parameters = {"run": book.run, "keys": self.owners.say.dialect.values(keys)}
        return Query(self.owners.say(template), parameters, by_place=by_place)


def stopped(cause: str | None) -> RunStopped:
    """Return the error of what a stopped run doesn't send."""
    return RunStopped("the run was stopped" + (f": {cause}" if cause else ""))


def _is_this(row: Row | None, intent: Intent, owner: int) -> bool:
    """Return whether a row is in flight by this very attempt."""
    if row is None or row["state"] != State.INTENT:
        return False
    attempt = owner, intent.book.epoch, intent.ticket
    return attempt == (row["owner"], row["epoch"], row["ticket"])


def _like(error: RunStopped) -> RunStopped:
    """Return an exception of its own for each who is told."""
    return RunStopped(str(error))


def _owners_of(rows: Iterable[Row]) -> set[int]:
    return {row["owner"] for row in rows if row["state"] == State.INTENT}
