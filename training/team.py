"""Data-parallel training: processes with one thread each, which average their gradients once per step.

On two busy cores, one process with two threads was no faster than one thread, because its threads synchronise at every
matrix product.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import distributed
from torch.multiprocessing import start_processes


class Team:
    """This process's rank among `size` processes. The first one reports and saves."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @torch.no_grad()
    def add(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replaces every tensor with its sum over all processes."""
        if self.size == 1:
            return
        together = torch.cat([tensor.view(-1) for tensor in tensors])
        distributed.all_reduce(together)
        for tensor, total in zip(tensors, together.split([each.numel() for each in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def average(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replaces every gradient with its mean over all processes."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        self.add(gradients)
        for gradient in gradients:
            gradient.div_(self.size)

    def broadcast(self, number: float) -> float:
        """Returns the first process's number in every process."""
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
    """Calls `work` in each of `size` forked processes, which find each other through the file `meeting`."""
    if size == 1:
        if torch.cuda.is_available():
            torch.set_num_threads(1)
        work(Team())
        return
    meeting.unlink(missing_ok=True)
    start_processes(run_member, args=(size, meeting, work), nprocs=size, start_method="fork")
