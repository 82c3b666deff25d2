"""Trains the network on the corpus. It can be stopped at any time and resumes from its checkpoint.

The learning rate depends on the share of the budget used, in minutes or tokens: warm-up, constant, then linear decay.
Training starts with rows that need copying; long rows follow. On a GPU, batches are larger, matrix products use
bfloat16, and the blocks are compiled.
"""

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from training import imported, probe
from training.induction import add_copying_layers
from training.model import Llama, Shape
from training.optimiser import Optimiser
from training.rows import ANSWER, OTHER, PADDING, Batch, Conversations, Recall, load_encoded, long_rows
from training.team import Team, run_team

OTHERS_SHARE = 0.08  # share of the tokens outside answers that also count in the loss
BEGINNING = 0.06  # share of the budget that is the first phase, when training from scratch
RECALL_SHARE, LATER_RECALL_SHARE = 0.2, 0.03
COPYING_SHARE = 0.8  # of the batches other than recall, in the first phase
WARM_UP, DECAY = 0.03, 0.5
BATCH_TOKENS = {"cpu": 2048, "cuda": 65_536}  # per process, including padding
SAVE_SECONDS = 60


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copies the tensor to the device, asynchronously on a GPU."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def mean_loss(model: Llama, tokens: torch.Tensor, learnt: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy, in nats per token, of the tokens selected by `learnt`."""
    device = model.embedding.weight.device
    chosen = learnt[:, 1:].flatten().nonzero()[:, 0]
    targets = tokens[:, 1:].flatten()[chosen]
    features = model.features(to_device(tokens[:, :-1].contiguous(), device)).flatten(0, 1)
    logits = model.logits(features[to_device(chosen, device)])
    return functional.cross_entropy(logits.float(), to_device(targets, device))


def rate_scale(progress: float) -> float:
    """The scale of the learning rate at a share of the budget: warm-up, constant, then linear decay to nearly 0."""
    return min(1.0, progress / WARM_UP + 0.05, (1.0 - progress) / DECAY + 0.005)


@dataclass(frozen=True)
class Budget:
    """The limit for all runs together, in minutes of training, tokens or both. Training ends at the first limit.

    Time counts while the process is suspended.
    """

    minutes: float | None
    tokens: float | None

    def share(self, seconds: float, seen: int) -> float:
        return max(seconds / (60 * self.minutes) if self.minutes else 0.0, seen / self.tokens if self.tokens else 0.0)


class Rows:
    """Selects the kind of each batch. `beginning` is the share of the budget that is the first phase, and `long` the
    share of the later batches that have long conversations.
    """

    def __init__(
        self, work: Path, tokenizer: Tokenizer, seed: int, team: Team, size: int, beginning: float, long: float
    ) -> None:
        self.beginning, self.long_share = beginning, long
        self.all = Conversations(work, "corpus", tokenizer, seed, team, size)
        self.copying = Conversations(work, "copying", tokenizer, seed, team, size)
        self.long = long_rows(work, tokenizer, seed, team, size)
        self.recall = Recall(tokenizer, seed + team.rank, size)
        self.random = Random(seed)

    def batch(self, progress: float) -> Batch:
        """The next batch. All processes draw the same kind, so that their steps take about the same time."""
        early = progress < self.beginning
        if not early and self.random.random() < self.long_share:
            return self.long.batch()
        if self.random.random() < (RECALL_SHARE if early else LATER_RECALL_SHARE):
            return self.recall.batch()
        return (self.copying if self.random.random() < (COPYING_SHARE if early else 0) else self.all).batch()

    @property
    def places(self) -> tuple[int, int, int]:
        return self.all.position, self.copying.position, self.long.position

    @places.setter
    def places(self, places: tuple[int, int, int]) -> None:
        self.all.position, self.copying.position, self.long.position = places


def initial_model(work: Path, tokenizer: Tokenizer, start: Path | None) -> Llama:
    """The model of the file `start`, or an untrained one. The copying layers are added if it doesn't have them."""
    shape = Shape(vocabulary=tokenizer.get_vocab_size())
    without = replace(shape, layers=shape.layers - 2)
    model = imported.load_gguf(start, work / "tokenizer.json") if start else Llama(without)
    if model.shape.layers == shape.layers:
        return model
    tokens, _ = load_encoded(work, "corpus", tokenizer)
    counts = torch.bincount(torch.from_numpy(tokens.astype("int64")), minlength=shape.vocabulary)
    return add_copying_layers(model, counts.float(), trained=start is not None)


class Training:
    """The state of a training run: model, optimiser, positions in the files, seconds, tokens and steps so far."""

    def __init__(self, work: Path, seed: int, team: Team, peak: float, start: Path | None, long: float) -> None:
        torch.manual_seed(seed)
        self.team, self.peak = team, peak
        tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = initial_model(work, tokenizer, start).to(self.device)
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
            torch.backends.cuda.enable_cudnn_sdp(False)  # it plans for 10 ms for every new shape
        self.optimiser = Optimiser(self.model, team)
        size = BATCH_TOKENS[self.device.type]
        self.rows = Rows(work, tokenizer, seed, team, size, 0.0 if start else BEGINNING, long)
        self.questions = probe.questions(tokenizer, seed)
        self.seconds, self.seen, self.steps = 0.0, 0, 0
        self.checkpoint, self.curve = work / "checkpoint.pt", work / "curve.tsv"

    def compile(self) -> None:
        """Compiles the blocks for rows of any length. The time doesn't count towards the budget."""
        for block in self.model.blocks:
            block.compile(dynamic=True)
        for tokens, marks in (self.rows.all.batch(), self.rows.long.batch(), self.rows.recall.batch()):
            with self.precision():
                mean_loss(self.model, tokens, marks == ANSWER).backward()
        self.model.zero_grad(set_to_none=True)

    def save(self) -> None:
        state = {
            "shape": asdict(self.model.shape),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state(),
            "place": (self.rows.places, self.seconds, self.seen, self.steps),
        }
        unfinished = self.checkpoint.with_suffix(".partial")
        torch.save(state, unfinished)
        os.replace(unfinished, self.checkpoint)

    def resume(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.device)
        self.model.load_state_dict(state["model"])
        self.optimiser.load(state["optimiser"])
        self.rows.places, self.seconds, self.seen, self.steps = state["place"]
        self.rows.random.seed(self.steps)

    def precision(self) -> AbstractContextManager[None]:
        return torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()

    def step(self, progress: float) -> torch.Tensor:
        """Updates the model once. Returns the loss of this process's batch, which a GPU computes asynchronously."""
        tokens, marks = self.rows.batch(progress)
        learnt = (marks == ANSWER) | ((marks == OTHER) & (torch.rand(marks.shape) < OTHERS_SHARE))
        with self.precision():
            loss = mean_loss(self.model, tokens, learnt)
        loss.backward()
        self.team.average(self.model.parameters())
        self.optimiser.step(self.peak * rate_scale(progress))
        self.seen += int((marks != PADDING).sum()) * self.team.size
        self.steps += 1
        return loss.detach()

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """The mean loss of answers in the held-out conversations."""
        tokens, marks = self.rows.all.held_out()
        return mean_loss(self.model, tokens, marks == ANSWER).item()

    def run(self, budget: Budget) -> Iterator[tuple[float, torch.Tensor]]:
        """Yields the share of the budget used and the loss for each step, until the budget is used up."""
        while (progress := self.team.broadcast(budget.share(self.seconds, self.seen))) < 1:
            began = time.monotonic()
            yield progress, self.step(progress)
            self.seconds += time.monotonic() - began

    def report(self, loss: float) -> None:
        """Prints a row of measurements and appends it to `curve.tsv`."""
        with torch.compiler.set_stance("force_eager"):  # compiling for these few shapes isn't worth it
            found, held_out = probe.correct_shares(self.model, self.questions), self.held_out_loss()
        fields = [f"{self.seconds / 60:.1f}", f"{self.steps}", f"{self.seen / 1e6:.2f}", f"{loss:.3f}"]
        fields += [f"{held_out:.3f}", *(f"{share:.2f}" for share in found.values())]
        if not self.curve.exists():
            self.curve.write_text("\t".join(["minutes", "steps", "M tokens", "loss", "held out", *found]) + "\n")
        with self.curve.open("a") as curve:
            curve.write("\t".join(fields) + "\n")
        print("\t".join(fields), flush=True)


def train(arguments: argparse.Namespace, team: Team) -> None:
    training = Training(arguments.work, arguments.seed, team, arguments.peak, arguments.start, arguments.long)
    if training.checkpoint.exists():
        training.resume()
    if training.device.type == "cuda":
        training.compile()
    budget = Budget(arguments.minutes, arguments.tokens and arguments.tokens * 1e6)
    reported, saved = budget.share(training.seconds, training.seen), training.seconds
    average = torch.tensor(8.0, device=training.device)
    for progress, loss in training.run(budget):
        average = average.lerp(loss, 0.05)
        if team.is_first and progress >= reported + 1 / arguments.reports:
            reported = progress
            training.report(average.item())
        if team.is_first and training.seconds >= saved + SAVE_SECONDS:
            saved = training.seconds
            training.save()
    if team.is_first:
        training.report(average.item())
        training.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder with corpus, tokenizer and checkpoint")
    parser.add_argument("--minutes", type=float, help="total training time, including earlier runs")
    parser.add_argument("--tokens", type=float, help="total number of tokens, including earlier runs, in millions")
    parser.add_argument("--start", type=Path, help="GGUF file to start from if there is no checkpoint")
    parser.add_argument("--peak", type=float, default=1.0, help="factor for the learning rate")
    parser.add_argument("--long", type=float, default=0.2, help="share of the batches with long conversations")
    parser.add_argument("--processes", type=int, default=1 if torch.cuda.is_available() else 2)
    parser.add_argument(
        "--reports", type=int, default=40, help="rows of the curve; one takes some ten seconds of a core"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not (arguments.minutes or arguments.tokens):
        parser.error("set --tokens, --minutes or both")
    for name in ("corpus", "copying", "long"):
        load_encoded(arguments.work, name, Tokenizer.from_file(str(arguments.work / "tokenizer.json")))
    run_team(arguments.processes, arguments.work / "meeting", partial(train, arguments))


if __name__ == "__main__":
    main()
