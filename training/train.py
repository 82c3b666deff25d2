"""Trains the network on the corpus; stops at any time and goes on from its checkpoint.

The learning rate follows the share of the budget used, in minutes or in tokens: warm-up, constant, then linear to
nothing. Rows that only copying helps with come first; long rows come in later. On a GPU the batches are larger, the
matrix products in bfloat16 and the blocks compiled.
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

OTHERS_SHARE = 0.08  # share of the tokens outside answers that are learnt too
BEGINNING = 0.06  # of the budget, where the model begins from nothing
RECALL_SHARE, LATER_RECALL_SHARE = 0.2, 0.03
COPYING_SHARE = 0.8  # of what isn't recall, in the beginning
LONG_SHARE = 0.2  # after it
WARM_UP, DECAY = 0.03, 0.5
BATCH_TOKENS = {"cpu": 2048, "cuda": 65_536}  # of each process, padding included
REPORTS, SAVE_SECONDS = 40, 60


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on the device, which need not have finished what it does for that."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def mean_loss(model: Llama, tokens: torch.Tensor, learnt: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy, in nats a token, of the tokens whose mark in `learnt` is set."""
    device = model.embedding.weight.device
    chosen = learnt[:, 1:].flatten().nonzero()[:, 0]
    targets = tokens[:, 1:].flatten()[chosen]
    features = model.features(to_device(tokens[:, :-1].contiguous(), device)).flatten(0, 1)
    logits = model.logits(features[to_device(chosen, device)])
    return functional.cross_entropy(logits.float(), to_device(targets, device))


def rate_scale(progress: float) -> float:
    """Learning-rate scale at a share of the budget: up, constant to the decay, then linear to 0."""
    return min(1.0, progress / WARM_UP + 0.05, (1.0 - progress) / DECAY + 0.005)


@dataclass(frozen=True)
class Budget:
    """What all sittings together may use; what is used up first counts. Minutes go on while the process is stopped."""

    minutes: float | None
    tokens: float | None

    def share(self, seconds: float, seen: int) -> float:
        return max(seconds / (60 * self.minutes) if self.minutes else 0.0, seen / self.tokens if self.tokens else 0.0)


class Rows:
    """Chooses what kind of rows comes next; up to a share of the budget, those for a model that is in its beginning."""

    def __init__(self, work: Path, tokenizer: Tokenizer, seed: int, team: Team, size: int, beginning: float) -> None:
        self.beginning = beginning
        self.all = Conversations(work, "corpus", tokenizer, seed, team, size)
        self.copying = Conversations(work, "copying", tokenizer, seed, team, size)
        self.long = long_rows(work, tokenizer, seed, team, size)
        self.recall = Recall(tokenizer, seed + team.rank, size)
        self.random = Random(seed)

    def batch(self, progress: float) -> Batch:
        """The batch of one step; its kind is the same for the whole team, so that nobody waits long."""
        early = progress < self.beginning
        if not early and self.random.random() < LONG_SHARE:
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
    """The model of the file `start`, or one that knows nothing; with the layers for copying where it has none yet."""
    shape = Shape(vocabulary=tokenizer.get_vocab_size())
    without = replace(shape, layers=shape.layers - 2)
    model = imported.load_gguf(start, work / "tokenizer.json") if start else Llama(without)
    if model.shape.layers == shape.layers:
        return model
    tokens, _ = load_encoded(work, "corpus", tokenizer)
    counts = torch.bincount(torch.from_numpy(tokens.astype("int64")), minlength=shape.vocabulary)
    return add_copying_layers(model, counts.float(), trained=start is not None)


class Training:
    """The state of one training: model, optimiser, places in the files, seconds, tokens and steps so far."""

    def __init__(self, work: Path, seed: int, team: Team, peak: float, start: Path | None) -> None:
        torch.manual_seed(seed)
        self.team, self.peak = team, peak
        tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = initial_model(work, tokenizer, start).to(self.device)
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")
            torch.backends.cuda.enable_cudnn_sdp(False)  # it plans for 10 ms whenever the shape is a new one
        self.optimiser = Optimiser(self.model, team)
        self.rows = Rows(work, tokenizer, seed, team, BATCH_TOKENS[self.device.type], 0.0 if start else BEGINNING)
        self.questions = probe.questions(tokenizer, seed)
        self.seconds, self.seen, self.steps = 0.0, 0, 0
        self.checkpoint, self.curve = work / "checkpoint.pt", work / "curve.tsv"

    def compile(self) -> None:
        """Compiles the blocks for rows of any length, in time that isn't counted."""
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
        """One update; returns the loss of this process's batch, which a GPU may not have computed yet."""
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
        """Mean loss of the answers in conversations that are never trained on."""
        tokens, marks = self.rows.all.held_out()
        return mean_loss(self.model, tokens, marks == ANSWER).item()

    def run(self, budget: Budget) -> Iterator[tuple[float, torch.Tensor]]:
        """Yields the share used and the loss of each step until the budget, earlier sittings included, is used."""
        while (progress := self.team.agreed(budget.share(self.seconds, self.seen))) < 1:
            began = time.monotonic()
            yield progress, self.step(progress)
            self.seconds += time.monotonic() - began

    def report(self, loss: float) -> None:
        """Prints a line, and adds it to the curve in the work folder."""
        with torch.compiler.set_stance("force_eager"):  # a few odd shapes aren't worth compiling for
            found, held_out = probe.correct_shares(self.model, self.questions), self.held_out_loss()
        fields = [f"{self.seconds / 60:.1f}", f"{self.steps}", f"{self.seen / 1e6:.2f}", f"{loss:.3f}"]
        fields += [f"{held_out:.3f}", *(f"{share:.2f}" for share in found.values())]
        if not self.curve.exists():
            self.curve.write_text("\t".join(["minutes", "steps", "M tokens", "loss", "held out", *found]) + "\n")
        with self.curve.open("a") as curve:
            curve.write("\t".join(fields) + "\n")
        print("\t".join(fields), flush=True)


def train(arguments: argparse.Namespace, team: Team) -> None:
    training = Training(arguments.work, arguments.seed, team, arguments.peak, arguments.start)
    if training.checkpoint.exists():
        training.resume()
    if training.device.type == "cuda":
        training.compile()
    budget = Budget(arguments.minutes, arguments.tokens and arguments.tokens * 1e6)
    reported, saved = budget.share(training.seconds, training.seen), training.seconds
    average = torch.tensor(8.0, device=training.device)
    for progress, loss in training.run(budget):
        average = average.lerp(loss, 0.05)
        if team.leads and progress >= reported + 1 / REPORTS:
            reported = progress
            training.report(average.item())
        if team.leads and training.seconds >= saved + SAVE_SECONDS:
            saved = training.seconds
            training.save()
    if team.leads:
        training.report(average.item())
        training.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of corpus, tokenizer and checkpoint")
    parser.add_argument("--minutes", type=float, help="training time in all, earlier sittings included")
    parser.add_argument("--tokens", type=float, help="tokens seen in all, in millions")
    parser.add_argument("--start", type=Path, help="GGUF file to go on from where there is no checkpoint")
    parser.add_argument("--peak", type=float, default=1.0, help="learning rate at its highest, of the usual one")
    parser.add_argument("--processes", type=int, default=1 if torch.cuda.is_available() else 2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not (arguments.minutes or arguments.tokens):
        parser.error("name --tokens, --minutes or both")
    for name in ("corpus", "copying", "long"):
        load_encoded(arguments.work, name, Tokenizer.from_file(str(arguments.work / "tokenizer.json")))
    run_team(arguments.processes, arguments.work / "meeting", partial(train, arguments))


if __name__ == "__main__":
    main()
