"""Greetings, small talk, sentiment and translation."""

from random import Random

from training import texts
from training.phrases import Conversation, exchange, fill, fill_one

NAMES = texts.words("words")["names"]
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


def greeting(random: Random) -> Conversation:
    """A greeting, often followed by small talk."""
    conversation = [("user", random.choice(GREETINGS)), ("assistant", fill_one(random, GREETING_ANSWERS))]
    return conversation + small_talk(random) if random.random() < 0.3 else conversation


def small_talk(random: Random) -> Conversation:
    question, answer = random.choice(SMALL_TALK)
    return exchange(random, question, fill(random, answer))


def sentiment(random: Random) -> Conversation:
    """One or two texts classified with one word."""
    conversation: Conversation = []
    for _ in range(random.choice((1, 2))):
        label = random.choice(list(OPINIONS))
        text = fill_one(random, OPINIONS[label], thing=random.choice(THINGS))
        conversation += [("user", fill_one(random, SENTIMENT_REQUESTS, text=text)), ("assistant", label)]
    return conversation


def translation(random: Random) -> Conversation:
    """One to three words in French, Spanish or German."""
    conversation: Conversation = []
    for entry in random.sample(DICTIONARY, random.choice((1, 1, 2, 3))):
        choice = random.randrange(len(LANGUAGES))
        request = fill_one(random, TRANSLATION_REQUESTS, word=entry[0], language=LANGUAGES[choice])
        conversation += [("user", request), ("assistant", entry[choice + 1])]
    return conversation
