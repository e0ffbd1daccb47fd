"""Connection pooling for one origin: an httpx transport on asyncio.Protocol and httptools."""

from ihuyi_voice.http.pool.messages import Bounds
from ihuyi_voice.http.pool.proxies import Proxy, proxy_for
from ihuyi_voice.http.pool.transport import PoolTransport, Statistics

__all__ = ["Bounds", "PoolTransport", "Proxy", "Statistics", "proxy_for"]
