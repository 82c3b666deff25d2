"""Processes that train one model together, a thread each: they meet once a step, to average their gradients.

On two cores that other work keeps busy, threads that meet at every matrix product were no faster than one alone.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import distributed
from torch.multiprocessing import start_processes


class Team:
    """This process's place among `size`; its first member reports and saves."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def leads(self) -> bool:
        return self.rank == 0

    @torch.no_grad()
    def add(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replaces every tensor by the sum of all members'."""
        if self.size == 1:
            return
        together = torch.cat([tensor.view(-1) for tensor in tensors])
        distributed.all_reduce(together)
        for tensor, total in zip(tensors, together.split([each.numel() for each in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def average(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replaces every gradient by the mean of all members'."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        self.add(gradients)
        for gradient in gradients:
            gradient.div_(self.size)

    def agreed(self, number: float) -> float:
        """The first member's number."""
        if self.size == 1:
            return number
        shared = torch.tensor([number], dtype=torch.float64)
        distributed.broadcast(shared, src=0)
        return float(shared)


def run_member(rank: int, size: int, meeting: Path, work: Callable[[Team], None]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting.resolve()}", rank=rank, world_size=size)
    work(Team(rank, size))
    distributed.barrier()
    distributed.destroy_process_group()


def run_team(size: int, meeting: Path, work: Callable[[Team], None]) -> None:
    """Calls `work` in each of `size` processes, which meet through the file; forked, so that all have one name."""
    if size == 1:
        torch.set_num_threads(1 if torch.cuda.is_available() else os.cpu_count() or 1)
        work(Team())
        return
    meeting.unlink(missing_ok=True)
    start_processes(run_member, args=(size, meeting, work), nprocs=size, start_method="fork")
