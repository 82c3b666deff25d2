"""Questions that the model can't answer. The answer says so and quotes the question's topic."""

from training import texts
from training.invented import Draws
from training.phrases import Conversation, capitalise, exchange, fill_one
from training.subjects.nouns import PEOPLE, PLACES, PLAIN, SUBJECTS, THEMES

FRAMES = [
    ("Who was {person}?", "{person}"),
    ("Who is {person}?", "{person}"),
    ("When was {person} born?", "{person}"),
    ("What did {person} do?", "{person}"),
    ("Tell me about {place}.", "{place}"),
    ("Where is {place}?", "{place}"),
    ("How many people live in {place}?", "{place}"),
    ("What is the weather in {place}?", "{place}"),
    ("What should I see in {place}?", "{place}"),
    ("How does {subject} work?", "{subject}"),
    ("Explain {subject}.", "{subject}"),
    ("What do you think about {subject}?", "{subject}"),
    ("Who invented {subject}?", "{subject}"),
    ("Why do people like {theme}?", "{theme}"),
    ("What do you know about {theme}?", "{theme}"),
    ("How much does {noun} cost?", "{noun}"),
    ("Where can I buy {noun}?", "{noun}"),
    ("What is {word}?", "{word}"),
    ("Who is {Word}?", "{Word}"),
    ("What does {word} mean?", "{word}"),
]
ANSWERS = texts.lines("manners")["unknown topic"]


def humble_answer(random: Draws) -> Conversation:
    question, topic = random.choice(FRAMES)
    word, noun = random.word(), random.choice(PLAIN)
    values = {
        "person": random.choice(PEOPLE) if random.random() < 0.4 else f"{random.name()} {random.name()}",
        "place": random.choice(PLACES) if random.random() < 0.4 else random.name(),
        "subject": random.choice(SUBJECTS),
        "theme": random.choice(THEMES),
        "noun": f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}",
        "word": word,
        "Word": capitalise(word),
    }
    topic = topic.format(**values)
    answer = fill_one(random, ANSWERS, topic=topic, Topic=capitalise(topic))
    return exchange(random, question.format(**values), answer)
