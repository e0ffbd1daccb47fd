"""What travels between a guard and Redis: one script, operations in, packed answers out.

A number's record is a field of a hash, one hash for each of 16,381 buckets of an account. Small
hashes are lists of bytes in Redis (listpacks): so a number costs about as much as is written here.

    record  = head [lease] [block] time*
    head    = 1 byte: 1 if there is a lease, plus 2 if there is a block
    lease   = token (8 bytes), when it lapses (4)     a call in flight, or one whose process died
    block   = until when (4), for how long it was (4) the vendor's 408x
    time    = 4 bytes, in order                       calls that count

Times are units of 10 ms, rounded up, of the server's clock, without their upper bits: what is kept
is never older than half of the 497 days after which they come round again, for a bucket that is
not written to expires, and one that is written to is swept, by whoever writes, eight times in the
longest window. What lies in the future was written before the server's clock was set back: a call
is taken to be made now, and a block or a lease to begin now, or no number would be free until then.

All keys of an account have one hash tag, so in a cluster they lie on one node. An operation may be
repeated: a reservation finds its own token and is granted again, a settlement finds no token and
does nothing. The exception is a commit of which there is no trace, neither its lease nor a call
counted since: Redis has lost it, and it is counted now.
"""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final, TypeAlias
from urllib.parse import quote
from zlib import crc32

import attrs

from ihuyi_voice.guards.limits import Limits

LONGEST_WINDOW: Final = 120 * 86_400.0
"""Half of the days after which a packed time would be ambiguous, in seconds."""

SERVER_TIME: Final = "local clock = redis.call('TIME')"

SCRIPT: Final = (
    SERVER_TIME
    + """
local now = clock[1] * 1000000 + clock[2]
local UNIT, ROUND = 10000, 4294967296
local units = math.floor(now / UNIT)
local call, sub, pack, unpack_ = redis.call, string.sub, struct.pack, struct.unpack
local deadline, lease, look, gap, slack, keep, most, day = unpack_('>dddddddd', ARGV[2])
local windows = {}
for at = 65, #ARGV[2], 16 do
  local count, length = unpack_('>dd', ARGV[2], at)
  windows[#windows + 1] = {count, length}
end

-- What is known of the account. Guards with other limits keep what the most thorough needs.
local known = call('HMGET', KEYS[1], 'born', 'most', 'keep', 'next', 'last', 'wanted')
local born, next_turn = known[1] or ARGV[1], tonumber(known[4] or 0)
local last_guard, wanted = known[5], known[6] == '1'
most = math.max(most, tonumber(known[2] or 0))
keep = math.max(keep, tonumber(known[3] or 0))
call('HSET', KEYS[1], 'born', born, 'most', most, 'keep', keep)

local function packed(time)
  return pack('>I4', math.ceil(time / UNIT) % ROUND)
end

local function unpacked(bytes, at)
  local ago = (units - unpack_('>I4', bytes, at)) % ROUND
  if ago >= ROUND / 2 then ago = ago - ROUND end
  return (units - ago) * UNIT
end

local function not_after(latest, time, record)  -- what is later: the clock was set back since
  if time <= latest + UNIT then return time end
  record.mended = true
  return latest
end

local function read(raw)
  local record = {times = {}}
  if not raw then return record end
  local head, at = string.byte(raw, 1), 2
  if head % 2 == 1 then
    record.token = sub(raw, 2, 9)
    record.lapses = not_after(now + lease + keep, unpacked(raw, 10), record)  -- others last longer
    at = 14
  end
  if head >= 2 then
    record.length = unpack_('>I4', raw, at + 4) * UNIT
    record.blocked = not_after(now + record.length, unpacked(raw, at), record)
    at = at + 8
  end
  for place = at, #raw, 4 do
    record.times[#record.times + 1] = not_after(now, unpacked(raw, place), record)
  end
  return record
end

local function written(record)
  local head, parts = 0, {''}
  if record.token then
    head = 1
    parts[2] = record.token .. packed(record.lapses)
  end
  if record.blocked and record.blocked > now then
    head = head + 2
    parts[#parts + 1] = packed(record.blocked) .. pack('>I4', math.ceil(record.length / UNIT))
  end
  for place = math.max(1, #record.times - most + 1), #record.times do
    if record.times[place] > now - keep then parts[#parts + 1] = packed(record.times[place]) end
  end
  if #parts == 1 then return nil end
  parts[1] = string.char(head)
  return table.concat(parts)
end

local function count_call(record, time)
  local place = #record.times + 1
  while place > 1 and record.times[place - 1] > time do place = place - 1 end
  table.insert(record.times, place, time)
end

local function is_over(raw)
  local record = read(raw)
  if record.blocked and record.blocked > now then return false end
  if record.token and record.lapses > now - keep then return false end
  local last = record.times[#record.times]
  return not last or last <= now - keep
end

local function last_for(key, time)
  if call('PTTL', key) * 1000 < time then call('PEXPIRE', key, math.ceil(time / 1000)) end
end

local function sweep(key, mark)
  local all = mark and call('HGETALL', key) or {}
  for place = 1, #all, 2 do
    if all[place] ~= '!' and is_over(all[place + 1]) then call('HDEL', key, all[place]) end
  end
  call('HSET', key, '!', packed(now))
  last_for(key, keep * 1.25 + lease)
end

local function save(key, field, record, mark)
  local text = written(record)
  if text then call('HSET', key, field, text) else call('HDEL', key, field) end
  if not mark or now - unpacked(mark, 1) >= keep / 8 then sweep(key, mark) end
end

local function answer(status, wait, window)
  return pack('>c1dd', status, wait or 0, window or 0)
end

local function closed(record)
  local open, window = now, 0
  if record.blocked and record.blocked > open then open, window = record.blocked, record.length end
  for _, limit in ipairs(windows) do
    local time = record.times[#record.times - limit[1] + 1]
    if time and time + limit[2] > open then open, window = time + limit[2], limit[2] end
  end
  return open > now and answer('W', open - now, window)
end

local function lapse(record)  -- its process died: the call counts, and not before it lapsed
  if record.token then count_call(record, record.lapses) end
  record.token = nil
end

local function take_turn(guard)  -- whoever had the last one lets others go first, if there are any
  if next_turn > now + gap + 60000000 then next_turn = now end  -- set back: nobody is so slow
  local open = next_turn
  if guard == last_guard and wanted then open = open + math.min(gap / 2, 5000) end
  wanted = open > now and (wanted or guard ~= last_guard)
  if open > now then return open - now end
  next_turn, last_guard = math.max(next_turn, now - slack) + gap, guard
  return 0
end

local DO = {}

function DO.R(record, token)
  if record.token and record.lapses > now then
    if record.token == token then return 'G' end
    return answer('W', math.min(look, record.lapses - now))
  end
  lapse(record)
  local refused = closed(record)
  if refused then return refused end
  local wait = gap > 0 and take_turn(sub(token, 1, 5)) or 0
  if wait > 0 then return answer('A', wait) end
  record.token, record.lapses = token, now + lease
  return 'G', true
end

function DO.X(record, token)
  if record.token ~= token then return 'N' end
  record.lapses = now + lease
  return 'G', true
end

function DO.C(record, token, since)
  local last = record.times[#record.times]
  if record.token == token then
    record.token = nil
  elseif last and last >= since then
    return 'N'
  end
  count_call(record, now)
  return 'G', true
end

function DO.F(record, token)
  if record.token ~= token then return 'N' end
  record.token = nil
  if gap > 0 then next_turn = next_turn - gap end
  return 'G', true
end

function DO.B(record, token, length)
  if record.token == token then record.token = nil end
  if not record.blocked or record.blocked < now + length then
    record.blocked, record.length = now + length, length
  end
  return 'G', true, length * 1.25 + lease
end

local late = deadline > 0 and now > deadline
local answers = {pack('>d', now) .. born}
for place = 3, #ARGV do
  local key, kind, field = KEYS[place - 1], sub(ARGV[place], 1, 1), sub(ARGV[place], 18)
  local found = redis.pcall('HMGET', key, field, '!')
  local told, changed, life = 'E', false, 0
  if found.err == nil and late and kind == 'R' then
    told = 'L'
  elseif found.err == nil then
    local record = read(found[1])
    local token, number = sub(ARGV[place], 2, 9), unpack_('>d', ARGV[place], 10)
    told, changed, life = DO[kind](record, token, number)
    if changed or record.mended then save(key, field, record, found[2]) end
    if life then last_for(key, life) end
  end
  answers[#answers + 1] = #told > 1 and told or answer(told)
end
if gap > 0 then
  local turn = string.format('%.0f', next_turn)
  call('HSET', KEYS[1], 'next', turn, 'last', last_guard or '', 'wanted', wanted and '1' or '0')
end
call('PEXPIRE', KEYS[1], math.ceil((2 * keep + day) / 1000))
return table.concat(answers)
"""
)

_DAY: Final = 86_400.0
_SHORTEST_KEPT: Final = 60.0
_BUCKETS: Final = (
    16_381  # prime: numbers in steps of a power of ten would leave most of 2**14 empty
)
_LONGEST_INTEGER: Final = 18  # digits, a leading 1 included: what Redis packs as an integer
_OPERATION: Final = Struct(">c8sd")
_SETTINGS: Final = Struct(">dddddddd")
_PAIR: Final = Struct(">dd")
_HEAD: Final = Struct(">d8s")
_ANSWER: Final = Struct(">cdd")
_MICRO: Final = 1e6

RESERVE, EXTEND, COMMIT, RELEASE, BLOCK = (bytes([letter]) for letter in b"RXCFB")
GRANTED, NOTHING, WAIT, ACCOUNT, LATE, BROKEN = (bytes([letter]) for letter in b"GNWALE")


Told: TypeAlias = tuple[bytes, float, float]
"""A status, seconds to wait, and the length of the window."""


@attrs.frozen
class Answer:
    """What the script returned.

    Attributes:
        now: The server's time, in seconds.
        born: What was put down when the account was first seen; another one later means loss.
        each: What became of each operation.
    """

    now: float
    born: bytes
    each: Sequence[Told]


class Settings:
    """What the script is told beside the operations.

    Args:
        limits: The windows.
        lease: Seconds until a lease lapses that nobody extends.
        look: Seconds after which to look again at a number in flight.
        gap: Seconds between two calls of the account; 0 for any.
        slack: How late a call may be for the next not to be delayed by it, in seconds.
    """

    def __init__(self, limits: Limits, lease: float, look: float, gap: float, slack: float) -> None:
        windows = limits.windows
        keep = max([_SHORTEST_KEPT, *(window.seconds for window in windows)])
        most = max((window.count for window in windows), default=0)
        times = (seconds * _MICRO for seconds in (lease, look, gap, slack, keep))
        self._middle = (*times, float(most), _DAY * _MICRO)
        self._windows = b"".join(_PAIR.pack(w.count, w.seconds * _MICRO) for w in windows)
        self.forgotten_after = 2 * keep + _DAY
        """Seconds after which Redis itself forgets an account that nobody calls for."""

    def packed(self, deadline: float) -> bytes:
        """Return them; after `deadline`, in the server's seconds, nothing is reserved any more."""
        return _SETTINGS.pack(deadline * _MICRO, *self._middle) + self._windows


def key_of_account(prefix: str, account: str) -> bytes:
    """Return what the keys of an account begin with; it is their hash tag in a cluster."""
    return f"{{{prefix}:{quote(account, safe='')}}}:".encode()


def place_of(mobile: str) -> tuple[bytes, bytes]:
    """Return the bucket of a number and its field in it; no two numbers share both."""
    if mobile.isascii() and mobile.isdigit() and len(mobile) < _LONGEST_INTEGER:
        # Below 0 and led by a 1 if leading zeros would be lost.
        number = -int(f"1{mobile}") if mobile[0] == "0" else int(mobile)
        field, bucket = divmod(number, _BUCKETS)
        return b"%d" % bucket, b"%d" % field
    text = mobile.encode("utf-8", "surrogatepass")
    return b"%d" % (crc32(text) % _BUCKETS), b"=" + text


def operation(kind: bytes, token: bytes, field: bytes, seconds: float = 0.0) -> bytes:
    """Return an operation as the script reads it."""
    return _OPERATION.pack(kind, token, seconds * _MICRO) + field


def read_answer(raw: object, count: int) -> Answer:
    """Read what the script returned for so many operations.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(raw, bytes) or len(raw) != _HEAD.size + count * _ANSWER.size:
        raise ValueError("it gave no answer of the guard's script")
    now, born = _HEAD.unpack_from(raw)
    return Answer(now / _MICRO, born, tuple(_answers(raw[_HEAD.size :])))


def _answers(raw: bytes) -> Iterator[Told]:
    for status, wait, window in _ANSWER.iter_unpack(raw):
        yield status, wait / _MICRO, window / _MICRO
