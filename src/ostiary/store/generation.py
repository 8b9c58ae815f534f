"""The store's generation: another each time a backup was restored, so that nobody takes the past for the present."""

from ostiary.store.database import Reader, Transaction


async def generation(reader: Reader) -> int:
    row = await reader.one("select generation from store_generation")
    return int(row[0]) if row is not None else 0


async def raise_generation(tx: Transaction, *, now: int) -> int:
    """To be called once after a restore. Returns the new generation; every follower then takes a new snapshot.

    It becomes ``now`` (microseconds since the epoch), not only one more: from one backup that is restored twice, both
    would be the same, and who has followed the first would go on in the second as if nothing were missing.
    """
    row = await tx.one(
        "update store_generation set generation = case when generation < $1 then $1 else generation + 1 end"
        " returning generation",
        now,
    )
    if row is None:
        raise LookupError("store_generation has no row")
    return int(row[0])
