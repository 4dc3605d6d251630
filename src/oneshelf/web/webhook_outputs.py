"""What the API says of the announcements of a channel."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class WebhooksOut(BaseModel):
    """What the channel announces to `address`, looked at `age_s` ago; of it `lost_count` were lost and made anew."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    address: str
    topics: list[str]
    refused: dict[str, str]
    age_s: float
    lost_count: int
    lost_topics: list[str]
    lost_at: datetime | None
