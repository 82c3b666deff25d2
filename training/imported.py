"""The weights of an exported F16 file, to go on training from."""

import json
from pathlib import Path

import numpy
import torch
from gguf import GGUFReader

from training.export import parameter_name


class AnotherTokenizer(Exception):
    """The file's tokens aren't those of the corpus, so its weights mean something else."""


def weights_of(path: Path, tokenizer: Path) -> dict[str, torch.Tensor]:
    """Weights by the names they have in torch. Raises AnotherTokenizer."""
    reader = GGUFReader(path)
    field = reader.fields["tokenizer.ggml.tokens"]
    tokens = [bytes(field.parts[index]).decode() for index in field.data]
    ids: dict[str, int] = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    if tokens != sorted(ids, key=ids.__getitem__):
        raise AnotherTokenizer(f"{path} has other tokens than {tokenizer}: train from nothing.")
    return {
        parameter_name(tensor.name): torch.from_numpy(numpy.array(tensor.data, dtype=numpy.float32))
        for tensor in reader.tensors
    }
