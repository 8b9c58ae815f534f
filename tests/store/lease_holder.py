"""A separate process that takes a lease, prints the result, and waits to be killed: ``URL NAME MICROSECONDS``."""

import asyncio
import sys

from ostiary.store.lease import Lease
from ostiary.store.open import database_from_url


async def main(url, name, lasts):
    database = database_from_url(url)
    await database.open()
    lease = Lease(name=name, holder="child", lasts=int(lasts))
    now = await database.now()
    print(await database.transaction(lambda tx: lease.take(tx, now=now)), flush=True)
    await asyncio.sleep(60)


asyncio.run(main(*sys.argv[1:]))
