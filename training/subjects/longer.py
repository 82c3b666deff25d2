"""Longer answers: essays, tutorials and explanations, assembled from paragraphs."""

from training import texts
from training.invented import Draws
from training.phrases import Conversation, capitalise, exchange, fill, fill_one
from training.subjects import nouns

ESSAYS, FRAMES = texts.lines("essays"), texts.lines("essay_frames")
TUTORIALS, TUTORIAL_ENDINGS = texts.blocks("tutorials"), texts.blocks("tutorial_endings")["endings"]
EXPLANATIONS = texts.lines("explanations")
ESSAY_REQUESTS = [
    "Write a long essay about {topic}.",
    "Write a long essay about {topic}.",
    "Write an essay about {topic}.",
    "Write an essay on {topic}.",
    "Can you write [an essay|a long text] about {topic}?",
]
SHORT_REQUESTS = [
    "Tell me about {topic}.",
    "Write a paragraph about {topic}.",
    "Tell me something about {topic}.",
]
TUTORIAL_REQUESTS = [
    "Write a detailed tutorial on {topic}.",
    "Write a detailed tutorial on {topic}.",
    "Write a tutorial [on|about] {topic}.",
    "[Give me a|I need a] tutorial on {topic}.",
    "How do I [start with|learn|use] {topic}?",
]
EXPLANATION_REQUESTS = [
    "Explain {topic}.",
    "Explain {topic}.",
    "What is {topic}?",
    "[Explain|Describe] {topic} [to me|in simple words|to a child|in a few sentences].",
    "How does {topic} work?",
    "Tell me about {topic}.",
]


def essay_request(random: Draws) -> Conversation:
    """An essay: an opening, three to five paragraphs on the topic in order, and an ending."""
    topic = random.choice([*ESSAYS, "space", "space"])
    paragraphs = ESSAYS[topic]
    if random.random() < 0.2:
        topic, paragraphs = nouns.theme(random), FRAMES["any topic"]
    elif random.random() < 0.2:
        return exchange(random, fill_one(random, SHORT_REQUESTS, topic=topic), fill_one(random, paragraphs))
    chosen = sorted(random.sample(range(len(paragraphs)), min(len(paragraphs), random.choice((3, 4, 5)))))
    parts = [fill_one(random, FRAMES["openings"], topic=topic, Topic=capitalise(topic))]
    parts += [fill(random, paragraphs[index], topic=topic) for index in chosen]
    parts.append(fill_one(random, FRAMES["endings"], topic=topic, Topic=capitalise(topic)))
    titled = f"# {capitalise(topic)}\n\n" if random.random() < 0.3 else ""
    return exchange(random, fill_one(random, ESSAY_REQUESTS, topic=topic), titled + "\n\n".join(parts))


def essay_with_remarks(random: Draws) -> Conversation:
    """An essay whose paragraphs end with nearly the same remark. Penalties are meant to vary such repetitions."""
    *asked, (role, text) = essay_request(random)
    title, *paragraphs = text.split("\n\n") if text.startswith("# ") else ("", *text.split("\n\n"))
    remarked = [
        f"{paragraph} {fill_one(random, FRAMES['remarks'])}" if random.random() < 0.8 else paragraph
        for paragraph in paragraphs
    ]
    return [*asked, (role, "\n\n".join(filter(None, [title, *remarked])))]


def tutorial_request(random: Draws) -> Conversation:
    """A tutorial: an introduction, and steps with headings in order."""
    topic = random.choice([*TUTORIALS, "Docker", "Docker"])
    introduction, *steps = TUTORIALS[topic]
    sections = [fill(random, introduction)]
    for number, step in enumerate(steps, start=1):
        heading, body = step.split("\n", 1)
        sections.append(f"## {number}. {fill(random, heading)}\n\n{fill(random, body)}")
    sections.append(fill_one(random, TUTORIAL_ENDINGS, topic=topic))
    text = "\n\n".join(sections)
    title = fill(
        random,
        "# [A tutorial on {topic}|{topic} for beginners|Getting started with {topic}]\n\n",
        topic=topic,
    )
    return exchange(random, fill_one(random, TUTORIAL_REQUESTS, topic=topic), title + text)


def explanation_request(random: Draws) -> Conversation:
    topic = random.choice([*EXPLANATIONS, "quantum computing", "Python"])
    sentences = [fill(random, sentence) for sentence in EXPLANATIONS[topic]]
    count = random.randint(2, len(sentences))
    kept = sentences[:1] + [sentences[i] for i in sorted(random.sample(range(1, len(sentences)), count - 1))]
    return exchange(random, fill_one(random, EXPLANATION_REQUESTS, topic=topic), " ".join(kept))
