"""A PostgreSQL that gives its place to another one, and stays as a standby."""

from collections.abc import AsyncGenerator
from pathlib import Path

import attrs
import pytest

from ihuyi_voice.errors import StorageUnavailable
from ihuyi_voice.storage import Address, Database
from tests.storage.rows import SCHEMA, adding, listed
from tests.support.moving import Moving, moving
from tests.support.postgres import Server, server_of

pytestmark = pytest.mark.long


@attrs.frozen
class Pair:
    """Two servers, the first of which gives its place to the second."""

    first: Server
    second: Server
    address: Moving
    database: Database

    async def fail_over(self) -> None:
        """Demote the first, which is connected to meanwhile, and then let the address move."""
        await self.first.demote()
        with pytest.raises(StorageUnavailable, match="during recovery"):
            await self.database.write(adding(2))
        assert await self.database.read(listed) == [1]
        self.address.to = self.second.port


@pytest.fixture
async def pair(cluster: Path) -> AsyncGenerator[Pair]:
    """Yield two servers with one row each: 1 in the first, and 100 in the second."""
    async with server_of(cluster) as first, server_of(cluster) as second, moving(0) as address:
        url = f"postgresql://postgres@127.0.0.1:{address.port}/postgres"
        for server, number in ((second, 100), (first, 1)):
            address.to = server.port
            database = Database(Address.parse(url), None)
            await database.open(SCHEMA)
            await database.write(adding(number))
            if server is second:
                await database.close()
        yield Pair(first, second, address, database)
        await database.close()


async def test_who_writes_finds_the_new_server_at_once(pair: Pair) -> None:
    """The connection to the standby is whole, and is given up all the same."""
    await pair.fail_over()
    await pair.database.write(adding(3))
    assert await pair.second.execute("SELECT n FROM t ORDER BY n") == [(3,), (100,)]


async def test_who_only_reads_finds_it_after_a_while(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standby answers, and for ever what it was left with: nobody stays there for long."""
    await pair.fail_over()
    assert await pair.database.read(listed) == [1]
    monkeypatch.setattr("ihuyi_voice.storage.postgres._STANDBY", 0.0)
    assert await pair.database.read(listed) == [100]
    made = pair.address.connections
    assert await pair.database.read(listed) == [100]
    assert pair.address.connections == made


async def test_a_standby_that_takes_over_itself_is_kept(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections are as good as any other server's as soon as it has."""
    monkeypatch.setattr("ihuyi_voice.storage.postgres._STANDBY", 0.0)
    await pair.first.demote()
    assert await pair.database.read(listed) == [1]
    await pair.first.execute("SELECT pg_promote()")
    await pair.database.write(adding(2))
    assert await pair.database.read(listed) == [1, 2]
    made = pair.address.connections
    assert await pair.database.read(listed) == [1, 2]
    assert pair.address.connections == made
