"""Trains the network on the corpus; stops at any time and goes on from its checkpoint.

The learning rate follows the share of the budget used, in minutes or in tokens: warm-up, constant, then linear to
nothing. Rows that only copying helps with come first; long rows come in later, most of them in the last fifth.
"""

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from training import imported, probe
from training.induction import with_copying
from training.model import Llama, Shape
from training.optimiser import Optimiser
from training.rows import ANSWER, OTHER, PADDING, Batch, Conversations, Recall, long_rows, packed
from training.team import Team, run

OTHERS_SHARE = 0.08  # share of the tokens outside answers that are learnt too
COPYING_UNTIL = 0.25
RECALL_SHARE, LATER_RECALL_SHARE = 0.2, 0.04
COPYING_SHARE = 0.8  # of what isn't recall, in the same time
LONG_FROM, LONG_SHARE = 0.35, 0.03
MOST_LONG_FROM, MOST_LONG_SHARE = 0.8, 0.15
WARM_UP, DECAY = 0.03, 0.5
REPORT_STEPS, SAVE_STEPS = 100, 100


def loss_of(model: Llama, tokens: torch.Tensor, learnt: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy, in nats a token, of the tokens whose mark in `learnt` is set."""
    device = model.embedding.weight.device
    tokens, learnt = tokens.to(device), learnt.to(device)
    features = model.features(tokens[:, :-1])
    targets, chosen = tokens[:, 1:], learnt[:, 1:]
    return functional.cross_entropy(model.logits(features[chosen]), targets[chosen])


def rate_scale(progress: float) -> float:
    """Learning-rate scale at a share of the budget: up, constant to the decay, then linear to 0."""
    return min(1.0, progress / WARM_UP + 0.05, (1.0 - progress) / DECAY + 0.005)


@dataclass(frozen=True)
class Budget:
    """What all sittings together may use; the one named counts. Minutes go on while the process is stopped."""

    minutes: float | None
    tokens: float | None

    def share(self, seconds: float, seen: int) -> float:
        return max(seconds / (60 * self.minutes) if self.minutes else 0.0, seen / self.tokens if self.tokens else 0.0)


class Rows:
    """Chooses what kind of rows comes next."""

    def __init__(self, work: Path, tokenizer: Tokenizer, seed: int, team: Team) -> None:
        self.all = Conversations(work, "corpus", tokenizer, seed, team)
        self.copying = Conversations(work, "copying", tokenizer, seed, team)
        self.long = long_rows(work, tokenizer, seed, team)
        self.recall = Recall(tokenizer, seed + team.rank)
        self.random = Random(seed)

    def batch(self, progress: float) -> Batch:
        """The batch of one step; its kind is the same for the whole team, so that nobody waits long."""
        share = MOST_LONG_SHARE if progress > MOST_LONG_FROM else LONG_SHARE if progress > LONG_FROM else 0.0
        if self.random.random() < share:
            return self.long.batch()
        early = progress < COPYING_UNTIL
        if self.random.random() < (RECALL_SHARE if early else LATER_RECALL_SHARE):
            return self.recall.batch()
        return (self.copying if self.random.random() < (COPYING_SHARE if early else 0) else self.all).batch()

    @property
    def places(self) -> tuple[int, int, int]:
        return self.all.position, self.copying.position, self.long.position

    @places.setter
    def places(self, places: tuple[int, int, int]) -> None:
        self.all.position, self.copying.position, self.long.position = places


def beginning(work: Path, tokenizer: Tokenizer, start: Path | None) -> Llama:
    """The model of the file `start`, or one that knows nothing; with the layers for copying where it has none yet."""
    shape = Shape(vocabulary=tokenizer.get_vocab_size())
    without = replace(shape, layers=shape.layers - 2)
    model = imported.load(start, work / "tokenizer.json") if start else Llama(without)
    if model.shape.layers == shape.layers:
        return model
    tokens, _ = packed(work, "corpus", tokenizer)
    counts = torch.bincount(torch.from_numpy(tokens.astype("int64")), minlength=shape.vocabulary)
    return with_copying(model, counts.float(), trained=start is not None)


class Training:
    """The state of one training: model, optimiser, places in the files, seconds, tokens and steps so far."""

    def __init__(self, work: Path, seed: int, team: Team, peak: float, start: Path | None) -> None:
        torch.manual_seed(seed)
        self.team, self.peak = team, peak
        tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = beginning(work, tokenizer, start).to(self.device)
        self.optimiser = Optimiser(self.model, team)
        self.rows = Rows(work, tokenizer, seed, team)
        self.questions = probe.questions(tokenizer, seed)
        self.seconds, self.seen, self.steps = 0.0, 0, 0
        self.checkpoint, self.curve = work / "checkpoint.pt", work / "curve.tsv"

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

    def step(self, progress: float) -> float:
        """One update; returns the loss of this process's batch."""
        tokens, marks = self.rows.batch(progress)
        learnt = (marks == ANSWER) | ((marks == OTHER) & (torch.rand(marks.shape) < OTHERS_SHARE))
        loss = loss_of(self.model, tokens, learnt)
        loss.backward()
        self.team.average(self.model.parameters())
        self.optimiser.step(self.peak * rate_scale(progress))
        self.seen += int((marks != PADDING).sum()) * self.team.size
        self.steps += 1
        return loss.item()

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """Mean loss of the answers in conversations that are never trained on."""
        tokens, marks = self.rows.all.held_out()
        return loss_of(self.model, tokens, marks == ANSWER).item()

    def run(self, budget: Budget) -> Iterator[float]:
        """Yields the loss of each step until the budget, earlier sittings included, is used."""
        while (progress := self.team.agreed(budget.share(self.seconds, self.seen))) < 1:
            began = time.monotonic()
            yield self.step(progress)
            self.seconds += time.monotonic() - began

    def report(self, loss: float) -> None:
        """Prints a line, and adds it to the curve in the work folder."""
        found = probe.shares(self.model, self.questions)
        fields = [f"{self.seconds / 60:.1f}", f"{self.steps}", f"{self.seen / 1e6:.2f}", f"{loss:.3f}"]
        fields += [f"{self.held_out_loss():.3f}", *(f"{share:.2f}" for share in found.values())]
        if not self.curve.exists():
            self.curve.write_text("\t".join(["minutes", "steps", "M tokens", "loss", "held out", *found]) + "\n")
        with self.curve.open("a") as curve:
            curve.write("\t".join(fields) + "\n")
        print("\t".join(fields), flush=True)


def train(arguments: argparse.Namespace, team: Team) -> None:
    training = Training(arguments.work, arguments.seed, team, arguments.peak, arguments.start)
    if training.checkpoint.exists():
        training.resume()
    average = 8.0
    for loss in training.run(Budget(arguments.minutes, arguments.tokens and arguments.tokens * 1e6)):
        average += 0.05 * (loss - average)
        if team.leads and training.steps % REPORT_STEPS == 0:
            training.report(average)
        if team.leads and training.steps % SAVE_STEPS == 0:
            training.save()
    if team.leads:
        training.report(average)
        training.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of corpus, tokenizer and checkpoint")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="training time in all, earlier sittings included")
    budget.add_argument("--tokens", type=float, help="tokens seen in all, in millions")
    parser.add_argument("--start", type=Path, help="GGUF file to go on from where there is no checkpoint")
    parser.add_argument("--peak", type=float, default=1.0, help="learning rate at its highest, of the usual one")
    parser.add_argument("--processes", type=int, default=1 if torch.cuda.is_available() else 2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for name in ("corpus", "copying", "long"):
        packed(arguments.work, name, Tokenizer.from_file(str(arguments.work / "tokenizer.json")))
    run(arguments.processes, arguments.work / "meeting", partial(train, arguments))


if __name__ == "__main__":
    main()
