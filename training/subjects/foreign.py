"""System messages that ask for French, Spanish or German."""

from training import texts
from training.invented import Draws
from training.phrases import Conversation, fill_one, vary_prompt
from training.subjects.arithmetic import operands

LANGUAGES = ("French", "Spanish", "German")
SYSTEMS = texts.tables("languages")["systems"]
SENTENCES = texts.tables("languages")["sentences"]
MANNERS = texts.lines("manners")


def foreign_answer(random: Draws) -> Conversation:
    """One to three questions, answered in the language of the system message."""
    language, system = random.choice(SYSTEMS)
    conversation: Conversation = [("system", system)]
    for _ in range(random.choice((1, 1, 2, 3))):
        if random.random() < 0.15:
            a, sign, b, c = operands(random)
            question, answer = f"What is {a} {sign} {b}?", fill_one(random, MANNERS[f"sum in {language}"], c=c)
        else:
            entry, values = random.choice(SENTENCES), {"Name": random.known_or_invented("names")}
            question = vary_prompt(random, fill_one(random, entry[:1], **values))
            answer = fill_one(random, [entry[1 + LANGUAGES.index(language)]], **values)
        conversation += [("user", question), ("assistant", answer)]
    return conversation
