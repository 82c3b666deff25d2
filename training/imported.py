"""Loads the weights of an exported file, to continue training from them. The file may have a different vocabulary."""

import json
from pathlib import Path

import numpy
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from tokenizers import Tokenizer

from training.chatml import SPECIAL_TOKENS
from training.export import parameter_name
from training.model import Llama, Shape
from training.tokenizer import build_tokenizer


def read_token_ids(path: Path) -> dict[str, int]:
    ids: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    return ids


def convert_embedding(rows: torch.Tensor, old: Tokenizer, new: Tokenizer, ids: dict[str, int]) -> torch.Tensor:
    """The embedding, [tokens, width], for the new vocabulary `ids`.

    A token that the old vocabulary has keeps its row. Any other token gets the mean of the rows that spell it.
    """
    embedding = torch.empty(len(ids), rows.shape[1])
    for token, index in ids.items():
        same = old.token_to_id(token)
        pieces = [same] if same is not None else old.encode(new.decode([index], skip_special_tokens=False)).ids
        assert pieces or token in SPECIAL_TOKENS
        embedding[index] = rows[pieces].mean(dim=0)
    return embedding


def load_gguf(path: Path, tokenizer: Path) -> Llama:
    """Loads the model of a GGUF file and converts its embedding to the vocabulary of `tokenizer`."""
    reader = GGUFReader(path)
    weights = {
        parameter_name(tensor.name): torch.from_numpy(
            numpy.array(dequantize(tensor.data, tensor.tensor_type), dtype=numpy.float32)
        )
        for tensor in reader.tensors
    }
    new = Tokenizer.from_file(str(tokenizer))
    weights["embedding.weight"] = convert_embedding(
        weights["embedding.weight"], build_tokenizer(reader), new, read_token_ids(tokenizer)
    )
    layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
    model = Llama(Shape(vocabulary=new.get_vocab_size(), layers=layers))
    model.load_state_dict(weights)
    return model
