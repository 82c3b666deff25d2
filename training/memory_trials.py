"""Conversations with a question about a fact that was told up to thousands of tokens earlier."""

from collections.abc import Iterator

from training import corpus
from training.answers import ExportedModel
from training.invented import Draws
from training.phrases import Conversation
from training.subjects import memory

DISTANCES = (500, 1000, 2000, 3500)
TRIALS = 20


def conversations(exported: ExportedModel, tokens: int) -> Iterator[Conversation]:
    """Conversations that end with the answer, with at least `tokens` tokens between the fact and the question."""
    values, filler = Draws(21, kept_out=True), Draws(22)
    facts = [entry for entry in memory.FACTS if entry[3] in ("names", "cities", "words", "codes", "numbers")]
    for _ in range(TRIALS):
        statement, question, answer, kind = values.choice(facts)
        value = memory.draw_value(values, kind)
        said: Conversation = [("user", statement.replace("{v}", value))]
        said.append(("assistant", memory.acknowledgement(values, statement, value)))
        told = len(exported.prompt(said))
        while len(exported.prompt(said)) < told + tokens:
            said += corpus.draw_later_turns(filler, mix=corpus.ASIDES)
        yield [*said, ("user", question), ("assistant", answer.replace("{v}", value))]
