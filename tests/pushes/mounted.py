"""A receiver in an application, to be run by any server: `tests.pushes.mounted:app`."""

from starlette.applications import Starlette
from starlette.routing import Mount

from tests.pushes.doubles import MemoryInbox, before

app = Starlette(routes=[Mount("/ihuyi", before(MemoryInbox()))])
