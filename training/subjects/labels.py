"""Classification with one of the labels in the question."""

from training import texts
from training.invented import Draws, held_out
from training.phrases import Conversation, fill_one

LABELS = texts.lines("labels")
TOPICS = [name for name in LABELS if name != "requests"]


def sentence(random: Draws, topic: str) -> str:
    """A sentence on the topic that is held out if and only if `random` draws held-out values."""
    while True:
        text = fill_one(random, LABELS[topic])
        if held_out(text) == random.kept_out:
            return text


def topic_label(random: Draws) -> Conversation:
    """One or two texts, each to be classified with one of two to four labels."""
    conversation: Conversation = []
    for _ in range(random.choice((1, 1, 2))):
        names = random.sample(TOPICS, random.choice((2, 3, 3, 4)))
        topic = random.choice(names)
        labels = f"{', '.join(names[:-1])} or {names[-1]}"
        request = fill_one(random, LABELS["requests"], labels=labels, text=sentence(random, topic))
        conversation += [("user", request), ("assistant", topic)]
    return conversation
