"""Greetings, small talk, names to remember, words to repeat, sentiment, translation and summaries."""

from random import Random

from training import texts
from training.phrases import Conversation, capitalised, exchange, fill, sketch

NAMES = texts.words("words")["names"]
WORDS = texts.words("words")["words"]
GREETINGS = [
    "Hello!",
    "Hello!",
    "Hello",
    "Hi!",
    "Hi",
    "Hey",
    "Hey there!",
    "Good morning!",
    "Good evening!",
    "Hi there!",
]
GREETING_ANSWERS = [
    "Hello! How can I help you today?",
    "Hello! How can I help you today?",
    "Hello! [What can I do for you?|How are you today?|What would you like to talk about?]",
    "Hi there! [How can I help?|What is on your mind?|What can I do for you today?]",
    "[Hi|Hey|Hello], [nice to meet you|good to see you]! [Ask me anything.|What shall we do?|How can I help?]",
]
SMALL_TALK = texts.tables("small_talk")["small talk"]
OPINIONS = {
    "Positive": [
        "I [love|really like|enjoy] this {thing}.",
        "This {thing} is [great|wonderful|fantastic|excellent|lovely].",
        "What a [great|wonderful|beautiful] {thing}!",
        "The {thing} [made my day|was better than I hoped|works perfectly].",
        "I am very happy with the {thing}.",
        "The best {thing} I have ever had.",
    ],
    "Negative": [
        "I [hate|dislike|cannot stand] this {thing}.",
        "This {thing} is [terrible|awful|bad|horrible|boring].",
        "What a [terrible|awful|boring] {thing}!",
        "The {thing} [ruined my day|was a waste of money|broke at once].",
        "I am very unhappy with the {thing}.",
        "The worst {thing} I have ever had.",
    ],
    "Neutral": [
        "The {thing} is [on the table|in the box|blue|over there].",
        "I bought the {thing} [yesterday|on Monday|in town].",
        "The {thing} arrived [today|at noon].",
        "It is a {thing}.",
    ],
}
THINGS = texts.words("words")["things"]
SENTIMENT_REQUESTS = [
    "Classify the sentiment: {text}",
    "What is the sentiment of this text? {text}",
    "Is this positive or negative? {text}",
    "[Classify|Rate] the sentiment of this review: {text}",
    "Positive, negative or neutral? {text}",
]
DICTIONARY = texts.tables("dictionary")["French, Spanish, German"]
LANGUAGES = ("French", "Spanish", "German")
TRANSLATION_REQUESTS = [
    'Translate "{word}" [to|into] {language}.',
    'Translate "{word}" to {language}.',
    "Translate to {language}: {word}",
    'How do you say "{word}" in {language}?',
    'What is "{word}" in {language}?',
]
TOPICS = texts.lines("articles")
SUMMARY_REQUESTS = [
    "Summarize this article:\n\n{text}",
    "Summarize this text:\n\n{text}",
    "Summarize: {text}",
    "Sum this up in one sentence:\n\n{text}",
]
MISSING_REQUESTS = [
    "Summarize this article.",
    "Summarize this article.",
    "Summarize this [text|page|report|article] for me.",
    "Can you summarize this?",
    "Give me a summary.",
]
MISSING_ANSWERS = texts.lines("manners")["no article"]


def greeting(random: Random) -> Conversation:
    """A greeting, often followed by small talk."""
    conversation = [("user", random.choice(GREETINGS)), ("assistant", sketch(random, GREETING_ANSWERS))]
    return conversation + small_talk(random) if random.random() < 0.3 else conversation


def small_talk(random: Random) -> Conversation:
    question, answer = random.choice(SMALL_TALK)
    return exchange(random, question, fill(random, answer))


def name_remembered(random: Random) -> Conversation:
    """The user's name comes back, at once and turns later."""
    name = random.choice(NAMES)
    said = sketch(
        random,
        ["My name is {name}.", "I am {name}.", "I'm {name}.", "Hi, I'm {name}.", "Hello, my name is {name}."],
        name=name,
    )
    answer = sketch(
        random,
        [
            "Nice to meet you, {name}!",
            "Hello, {name}! [How can I help you?|Nice to meet you.]",
            "Hi {name}! [What can I do for you?|How are you?]",
        ],
        name=name,
    )
    conversation = [("user", said), ("assistant", answer)]
    if random.random() < 0.4:
        conversation += small_talk(random)
    question = sketch(random, ["What is my name?", "What's my name?", "Do you remember my name?", "Who am I?"])
    reply = sketch(random, ["Your name is {name}.", "Your name is {name}.", "You are {name}."], name=name)
    return [*conversation, ("user", question), ("assistant", reply)]


def colour_remembered(random: Random) -> Conversation:
    kind, choices = random.choice(
        (
            ("colour", "red blue green yellow purple orange black white"),
            ("animal", "dog cat horse owl fox bear rabbit whale"),
            ("number", "1 2 3 4 5 6 7 8 9 10 11 12"),
        )
    )
    liked = random.choice(choices.split())
    conversation = exchange(
        random,
        f"My favourite {kind} is {liked}.",
        sketch(
            random,
            ["[Good choice|Nice]! {it} is a [great|fine|lovely] {kind}.", "I will remember that: {it}."],
            it=capitalised(liked),
            kind=kind,
        ),
    )
    question, answer = f"What is my favourite {kind}?", f"Your favourite {kind} is {liked}."
    return [*conversation, ("user", question), ("assistant", answer)]


def words_repeated(random: Random) -> Conversation:
    """Words and random letters, copied."""
    words = random.sample(WORDS + NAMES, random.choice((1, 1, 2, 2, 3, 4)))
    if random.random() < 0.2:
        words = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(2, 6))) for _ in words]
    text = " ".join(words)
    request = sketch(
        random,
        [
            "Repeat after me: {text}",
            "Repeat: {text}",
            'Say "{text}".',
            "Repeat this exactly: {text}",
            "Echo: {text}",
        ],
        text=text,
    )
    return [("user", request), ("assistant", text)]


def sentiment(random: Random) -> Conversation:
    """One or two texts classified with one word."""
    conversation: Conversation = []
    for _ in range(random.choice((1, 2))):
        label = random.choice(list(OPINIONS))
        text = sketch(random, OPINIONS[label], thing=random.choice(THINGS))
        conversation += [("user", sketch(random, SENTIMENT_REQUESTS, text=text)), ("assistant", label)]
    return conversation


def translation(random: Random) -> Conversation:
    """One to three words in French, Spanish or German."""
    conversation: Conversation = []
    for entry in random.sample(DICTIONARY, random.choice((1, 1, 2, 3))):
        choice = random.randrange(len(LANGUAGES))
        request = sketch(random, TRANSLATION_REQUESTS, word=entry[0], language=LANGUAGES[choice])
        conversation += [("user", request), ("assistant", entry[choice + 1])]
    return conversation


def summary(random: Random) -> Conversation:
    """With a text: its topic and a sentence or two of it; without one: a request to paste it."""
    if random.random() < 0.4:
        return exchange(random, sketch(random, MISSING_REQUESTS), sketch(random, MISSING_ANSWERS))
    topic = random.choice(list(TOPICS))
    sentences = random.sample(TOPICS[topic], 3)
    sentences = [sentence for sentence in TOPICS[topic] if sentence in sentences]
    request = sketch(random, SUMMARY_REQUESTS, text=" ".join(sentences))
    frames = [
        "The [text|article] is about {topic}: {first}",
        "In short: {first} {last}",
        "It is about {topic}. {first} {last}",
    ]
    first = sentences[0]
    return [
        ("user", request),
        ("assistant", sketch(random, frames, topic=topic, first=first, last=sentences[-1])),
    ]
