"""A run worked on by as many processes and machines as there are, with machines dying on the way.

Theory of operation. `distribute` loads the list into the ledger (PostgreSQL) and divides it into
*parts* of about a thousand messages, by a hash of the number. A *job* of the engine carries the
name of a run and the number of a part, and nothing else. `run_part` works one part to its end;
`work` takes jobs, and works on a few parts at a time. All processes of an account share one guard,
a RedisGuard, or else the vendor's limits are broken.

The engine says who works, the ledger says what may ring. Every engine gives a job out twice at
times, so none can prevent a double ring: the fence does, by the epoch under which a part was opened
(see `ihuyi_voice.ledger`). So any engine will do, and `run_part` is the seam. It

- returns when the part is done; or the run was stopped, with its cause; or the part was given back,
  not done, since it was told to end: then it must be given out again;
- raises RunInUse when a living process holds the part, or has taken it over: the job must fail;
- raises GuardUnavailable or LedgerUnavailable when what is left must be tried again later.

States of a part. *Undone*, and held by nobody: it gets a job. *Held*, by a process that lives: it
has what it needs, whatever jobs there are. Held by one that is dead, for its owner has not beaten
for 10 s: as if held by nobody; opening it fences that one off, and what was in flight is UNKNOWN.
*Done*: each message got its chance. What was held back for longer than `max_wait`, not sent, or
refused by STOP, WAIT or RETRY is left so; `ledger.resume`, or distributing the list again, opens
the part once more. Durable are the list when `distribute` returns, each intent before its first
byte, each end before it is counted, and that a part is done. Jobs need not be.

Ours is procrastinate, in a schema of its own beside the ledger's tables (see `schema`). Each worker
looks once a second after

- itself: it beats; thought dead by others, it begins anew;
- the dead: jobs of workers that have not beaten for 9 s fail;
- what *fell between*: a part that is undone, that nobody alive holds and that has no job gets one.
  That alone makes the run whole: a crash between the list and its jobs, jobs that were lost, or
  acknowledged though their part is not done. Nothing is left undone when the queue is empty.

The two ways to find the dead run side by side, so a part changes hands 10 to 13 s after the last
beat of a worker that was killed, or sleeps. Numbers that it had in flight stay locked by a
RedisGuard for its `lease` (30 s), for their calls may have been made.

Stopping a run, by `ledger.stop`, a code whose action is STOP, or the breaker in any worker: the
fence refuses new intents at once, in all processes, and those that only wait look twice a second.
The cause stands on the run. `ledger.resume` lets it go on: parts get their jobs within a second.
An error of the program stops its run, too, for it would come again in every process.

Stopping a worker, by its `stop` or a cancellation: what is in flight ends, the rest of its parts is
given back, and others take it. Cancelled after that, it lets go of what is in flight, too, which is
UNKNOWN then. By itself it ends only if `until_done` says so, when nothing of its account is left to
do; a database or guard that goes away meanwhile is waited for.
"""

from ihuyi_voice.workers.crew import work
from ihuyi_voice.workers.distributing import Distributed, distribute
from ihuyi_voice.workers.parts import PartEnd, run_part

__all__ = ["Distributed", "PartEnd", "distribute", "run_part", "work"]
