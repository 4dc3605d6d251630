"""Whether anybody was ever given access: from then on nobody is answered who was not."""

from __future__ import annotations

from oneshelf.storage.database import Transaction, only_row


async def is_anybody_known(tx: Transaction) -> bool:
    """Whether there is, or was, a token or a user. Ending the last one does not open the door again."""
    asked = "select exists (select from api_tokens) or exists (select from users)"
    return bool((await only_row(await tx.execute(asked)))[0])
