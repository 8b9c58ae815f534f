"""The store's generation: one more each time a backup was restored, so that nobody takes the past for the present."""

from ostiary.store.database import Reader, Transaction


async def generation(reader: Reader) -> int:
    row = await reader.one("select generation from store_generation")
    return int(row[0]) if row is not None else 0


async def raise_generation(tx: Transaction) -> int:
    """To be called once after a restore. Returns the new generation; every follower then takes a new snapshot."""
    row = await tx.one("update store_generation set generation = generation + 1 returning generation")
    if row is None:
        raise LookupError("store_generation has no row")
    return int(row[0])
