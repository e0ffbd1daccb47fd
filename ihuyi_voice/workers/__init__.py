"""A run worked on by as many processes and machines as there are, with machines dying on the way.

Theory of operation. `distribute` loads the list into the ledger (PostgreSQL) and divides it into
*parts* of about a thousand messages, by a hash of the number. A *job* of the engine carries the
name of a run and the number of a part, and nothing else. `run_part` works one part to its end;
`work` takes jobs, and works on a few parts at a time. All processes of an account share one guard,
a RedisGuard, or else the vendor's limits are broken.

The engine says who works, the ledger says what may ring. Every engine gives a job out twice at
times, so none can prevent a double ring: the fence does, by the epoch under which a part was opened
(see `ihuyi_voice.ledger`). So any engine will do, and `run_part` is the seam. It

- returns when the part is done, was stopped, or is given back;
- raises RunInUse when a living process holds the part, or has taken it over: the job must fail;
- raises GuardUnavailable or LedgerUnavailable when what is left must be tried again later.

Ours is procrastinate, in a schema of its own beside the ledger's tables. Every worker looks once a
second

- after the *dead*: it beats for itself, and jobs whose worker has not beaten for 9 s fail;
- after what *fell between*: a part that is not done, that no living process holds and that has no
  job gets one. That alone makes the run whole: jobs may be lost in whatever way.

A part whose worker was killed is taken over as soon as the ledger, too, thinks it dead, 10 s after
its last beat. What was in flight then is UNKNOWN.

Stopping a run, by `ledger.stop`, a code whose action is STOP, or the breaker in any worker: the
fence refuses new intents at once, in all processes, and those that only wait look once a second.
The cause stands on the run. `ledger.resume` lets it go on: parts get their jobs within a second.

Stopping a worker, by its `stop` or a cancellation: what is in flight ends, the rest of its parts is
given back, and others take it. Cancelled after that, it lets go of what is in flight, too.
"""

from ihuyi_voice.workers.crew import work
from ihuyi_voice.workers.distributing import Distributed, distribute
from ihuyi_voice.workers.parts import PartEnd, run_part

__all__ = ["Distributed", "PartEnd", "distribute", "run_part", "work"]
