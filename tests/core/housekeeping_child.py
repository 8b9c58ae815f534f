"""A separate process with endless housekeeping that records which process ran each batch. Argument: ``URL``."""

import asyncio
import os
import sys

from ostiary.core import housekeeping
from ostiary.core.housekeeping import Housekeeper
from ostiary.core.plug import Feature
from ostiary.store.database import SWEEP_ROWS
from tests.core.installation import ostiary


async def sweep(tx, _now):
    await tx.execute("insert into portions (n, pid) select count(*) + 1, $1 from portions", os.getpid())
    return SWEEP_ROWS


async def main(url):
    async with ostiary(url).opened() as house:
        # set only now: the installation has its own housekeeper, which uses the normal times
        housekeeping.LEASE, housekeeping.LEASE_SECONDS = "endless", 1
        housekeeping.FIRST_LOOK_SECONDS = housekeeping.LOOK_SECONDS = 0.1
        housekeeper = Housekeeper(house.ambient, [Feature(name="endless", sweep=sweep)])
        housekeeper.open()
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await housekeeper.close()


asyncio.run(main(*sys.argv[1:]))
