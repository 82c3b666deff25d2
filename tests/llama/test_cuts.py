import subprocess
import sys
from pathlib import Path

import pytest
from gguf import GGUFWriter

from oruel.llama.cuts import MAX_CHARACTERS
from oruel.llama.model import Model
from oruel.vocabulary.cuts import cut_text
from tests import gguf_models

TOKENIZE = """
import sys
from oruel.llama.model import Model
vocabulary = Model(sys.argv[1], vocabulary_only=True).vocabulary
text = sys.argv[2] * 100_000
assert b"".join(map(vocabulary.piece, vocabulary.tokenize(text))) == text.encode()
"""


@pytest.fixture(scope="module", params=["tekken", "gpt-4o", "deepseek-v3", "bloom"])
def recursive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose tokenizer splits words with a recursive regular expression."""
    folder = tmp_path_factory.mktemp(request.param)

    class Writer(GGUFWriter):
        def add_tokenizer_pre(self, pre: str) -> None:
            super().add_tokenizer_pre(request.param)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf_models, "GGUFWriter", Writer)
        return gguf_models.llama_model(folder)


@pytest.mark.model
@pytest.mark.parametrize("word", ["a", " ", "\n", "a;", "/\n"])
def test_a_very_long_word_does_not_kill_the_process(recursive: Path, word: str) -> None:
    run = subprocess.run([sys.executable, "-c", TOKENIZE, str(recursive), word], capture_output=True, check=False)
    assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.model
def test_cuts_between_words_do_not_change_tokens(recursive: Path) -> None:
    text = "It's the quick-brown fox: 12345 foxes, \"é漢字、かな\"! {'a':1,'b':[2]} def f(x):\n    return x\n\n" * 20
    assert 500 < len(text) < MAX_CHARACTERS
    with Model(recursive, vocabulary_only=True) as model:
        tokenize = model.vocabulary.tokenize
        assert [token for part in cut_text(text, 50) for token in tokenize(part)] == tokenize(text)
