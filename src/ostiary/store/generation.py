"""The store's generation. Each restore of a backup changes it, so that old data is not mistaken for current data."""

from ostiary.store.database import Reader, Transaction


async def generation(reader: Reader) -> int:
    row = await reader.one("select generation from store_generation")
    return int(row[0]) if row is not None else 0


async def raise_generation(tx: Transaction, *, now: int) -> int:
    """Raises the generation and returns it. Call it once after a restore. Every follower then takes a new snapshot.

    The new generation is ``now`` (microseconds since the epoch), not just one more. Otherwise, two restores of the same
    backup would get the same generation, and a follower of the first would continue in the second as if nothing were
    missing.
    """
    row = await tx.one(
        "update store_generation set generation = case when generation < $1 then $1 else generation + 1 end"
        " returning generation",
        now,
    )
    if row is None:
        raise LookupError("store_generation has no row")
    return int(row[0])
