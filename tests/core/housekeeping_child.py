"""A process of its own whose housekeeping never has enough, and writes down whose each portion was: ``URL``."""

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
        # from here on: the installation has one of its own, to which the times that are meant for people apply
        housekeeping.LEASE, housekeeping.LEASE_SECONDS = "endless", 1
        housekeeping.FIRST_LOOK_SECONDS = housekeeping.LOOK_SECONDS = 0.1
        housekeeper = Housekeeper(house.ambient, [Feature(name="endless", sweep=sweep)])
        housekeeper.open()
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await housekeeper.close()


asyncio.run(main(*sys.argv[1:]))
