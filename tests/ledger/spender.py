"""A process that spends a balance with many requests at once: python -m tests.ledger.spender STORE KEY COUNT SEED."""

import asyncio
import random
import sys
import time

from oruel.errors import InsufficientFunds
from oruel.ledger.committer import Committer
from oruel.ledger.database import Database
from oruel.ledger.entries import Opening, Settlement
from oruel.ledger.instances import Instance
from oruel.ledger.store_writer import StoreWriter


async def main(location: str, key: str, count: int, seed: int) -> None:
    random.seed(seed)
    store = Database.open(location)
    instance = Instance(store)
    instance.register()
    writer = StoreWriter(store, instance)
    committer = Committer(writer.write, write_soon=writer.write_soon if store.has_pipeline else None)
    print("ready", flush=True)
    sys.stdin.readline()
    started = await asyncio.gather(*(spend(committer, f"{seed}-{index}", key) for index in range(count)))
    await committer.close()
    await writer.close()
    store.close()
    print(sum(started), flush=True)


async def spend(committer: Committer, id: str, key: str) -> bool:
    price = random.randint(1, 1000)
    opening = Opening(id, id, "acc_1", key, "demo", "standard", time.time_ns() // 1000, price, 10)
    outcome = await committer.open(opening)
    if outcome.refusal:
        assert isinstance(outcome.refusal, InsufficientFunds), outcome.refusal
        return False
    await asyncio.sleep(random.random() / 10)
    await committer.settle(Settlement(opening, "finished", price=price - random.randint(0, price // 4)))
    return True


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
