"""Whether anybody was ever given access: from then on nobody is answered who was not."""

from __future__ import annotations

from oneshelf.storage.database import Transaction, only_row


async def is_anybody_known(tx: Transaction) -> bool:
    """Whether there is, or was, a token. Revoking the last one does not open the door again."""
    found = await only_row(await tx.execute("select exists (select from api_tokens)"))
    return bool(found[0])
