"""Writes small models in Hugging Face form, without weights: one function for each kind of tokenizer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from oruel.cli.model_source import bundled_model
from tests.gguf_models import CHATML, MISTRAL, SAMPLE
from training.hugging_face import write_texts

CHARACTERS = sorted(set(SAMPLE) | set("<>[]|_/'!?abcdefghijklmnopqrstuvwxyzINST▁é日") - {" ", "\n"})
WORDS = sorted({f"▁{word}" for word in SAMPLE.replace(".", " ").replace(",", " ").replace("?", " ").split()})
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def write_demo(folder: Path) -> Path:
    """The bundled model, without its weights."""
    folder.mkdir()
    write_texts(GGUFReader(bundled_model()), folder)
    return folder


def write_model(
    folder: Path,
    tokenizer: Tokenizer,
    *,
    bos: str | None,
    eos: str,
    template: str | None = CHATML,
    padding: int = 0,
    **settings: Any,
) -> Path:
    """`padding`: logits beyond the last token. `settings` go to tokenizer_config.json."""
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    size = max(tokenizer.get_vocab().values()) + 1
    write_json(folder / "config.json", {"vocab_size": size + padding, "eos_token_id": tokenizer.token_to_id(eos)})
    write_json(
        folder / "tokenizer_config.json", {"bos_token": bos, "eos_token": eos, "chat_template": template} | settings
    )
    return folder


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def special(*names: str) -> list[AddedToken]:
    return [AddedToken(name, normalized=False, special=True) for name in names]


def plain(*names: str) -> list[AddedToken]:
    return [AddedToken(name, normalized=False, special=False) for name in names]


def write_gpt2(folder: Path) -> Path:
    """Byte-level BPE with GPT-2's own pattern, as in GPT-2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    train(tokenizer)
    tokenizer.add_special_tokens(special("<|endoftext|>"))
    return write_model(folder, tokenizer, bos="<|endoftext|>", eos="<|endoftext|>", template=None)


def write_qwen(folder: Path) -> Path:
    """Byte-level BPE with NFC and user-defined tokens, and more logits than tokens, as in Qwen."""
    pattern = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    train(tokenizer)
    tokenizer.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    tokenizer.add_tokens(plain("<think>", "</think>", "<tool_call>", "<|fim_middle|>"))
    return write_model(folder, tokenizer, bos=None, eos="<|im_end|>", padding=5)


def train(tokenizer: Tokenizer) -> None:
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([SAMPLE], trainer)


def sentence_pieces() -> models.BPE:
    """Merges that spell the words of the sample from left to right, and tokens for all bytes."""
    tokens = ["<unk>", "<s>", "</s>", *BYTES, *CHARACTERS, "▁▁"]
    merges = [("▁", "▁")]
    for word in WORDS:
        for end in range(2, len(word) + 1):
            if word[:end] not in tokens:
                tokens.append(word[:end])
                merges.append((word[: end - 1], word[end - 1]))
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)


def begin_with(token: str, number: int) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(single=f"{token} $A", special_tokens=[(token, number)])


def write_llama2(folder: Path) -> Path:
    """BPE on whole texts, with byte fallback and a space before every text, as in Llama 2."""
    tokenizer = Tokenizer(sentence_pieces())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = begin_with("<s>", 1)
    tokenizer.add_special_tokens(special("<unk>", "<s>", "</s>", "[INST]", "[/INST]"))
    return write_model(folder, tokenizer, bos="<s>", eos="</s>", template=MISTRAL)


def write_mistral(folder: Path) -> Path:
    """The same with a space before the first text only, as in later Mistral models."""
    tokenizer = Tokenizer(sentence_pieces())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(special("<unk>", "<s>", "</s>", "[INST]", "[/INST]"))
    return write_model(folder, tokenizer, bos="<s>", eos="</s>", template=MISTRAL, add_bos_token=True)


def write_unigram(folder: Path) -> Path:
    """Unigram with byte fallback and Metaspace, as converted from SentencePiece."""
    pieces: Sequence[tuple[str, float]] = [
        *((name, 0.0) for name in ("<unk>", "<s>", "</s>")),
        *((name, -20.0) for name in BYTES),
        *((name, -9.0) for name in CHARACTERS),
        *((name, -len(name) / 2) for name in WORDS),
    ]
    tokenizer = Tokenizer(models.Unigram(list(pieces), unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always")])
    tokenizer.add_special_tokens(special("<unk>", "<s>", "</s>"))
    tokenizer.add_tokens(plain("<tag>"))
    return write_model(folder, tokenizer, bos="<s>", eos="</s>", template=None, add_bos_token=True)


FAMILIES = {
    "demo": write_demo,
    "gpt2": write_gpt2,
    "qwen": write_qwen,
    "llama2": write_llama2,
    "mistral": write_mistral,
    "unigram": write_unigram,
}
