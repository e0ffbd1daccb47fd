"""What the shop is told by its environment, by pydantic-settings."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from ihuyi_voice import VoiceClient
from ihuyi_voice.ledger import Ledger


class VoiceSettings(BaseSettings):
    """IHUYI_ACCOUNT, IHUYI_API_KEY, IHUYI_PUSH_TOKEN, and IHUYI_BASE_URL if it is set."""

    model_config = SettingsConfigDict(env_prefix="IHUYI_")

    account: str
    api_key: SecretStr
    push_token: SecretStr
    base_url: str | None = None
    timeout: float = 10.0

    def client(self, ledger: Ledger) -> VoiceClient:
        """Return a client, to be entered."""
        return VoiceClient(
            self.account,
            self.api_key.get_secret_value(),
            base_url=self.base_url,
            timeout=self.timeout,
            ledger=ledger,
        )


class ShopSettings(BaseSettings):
    """SHOP_FOLDER: where the shop keeps its files."""

    model_config = SettingsConfigDict(env_prefix="SHOP_")

    folder: Path = Path()
