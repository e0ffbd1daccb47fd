"""The vendor in a box, for the demo, for our tests and for yours; it never imports the client."""

from ihuyi_voice.simulator.app import Simulator
from ihuyi_voice.simulator.clock import ManualClock, RunningClock
from ihuyi_voice.simulator.faults import Fault, FaultKind, PushFault, PushFaultKind
from ihuyi_voice.simulator.followups import Arrival
from ihuyi_voice.simulator.http import Disconnected
from ihuyi_voice.simulator.pushing import PushTry
from ihuyi_voice.simulator.replies import Quirk
from ihuyi_voice.simulator.told import operation_of, told_reply

__all__ = [
    "Arrival",
    "Disconnected",
    "Fault",
    "FaultKind",
    "ManualClock",
    "PushFault",
    "PushFaultKind",
    "PushTry",
    "Quirk",
    "RunningClock",
    "Simulator",
    "operation_of",
    "told_reply",
]
