"""Connection pooling for one origin: an httpx transport on asyncio.Protocol and httptools."""

from ihuyi_voice.http.pool.connection import Bounds
from ihuyi_voice.http.pool.transport import PoolTransport, Statistics

__all__ = ["Bounds", "PoolTransport", "Statistics"]
