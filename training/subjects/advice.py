"""Advice, recipes and short letters."""

from training import texts
from training.invented import Draws
from training.phrases import Conversation, exchange, fill, fill_one, sample_in_order

TIPS = texts.lines("tips")
TIP_REQUESTS = [
    "How can I {goal}?",
    "How do I {goal}?",
    "Give me [some |five |three |]tips to {goal}.",
    "I want to {goal}. What should I do?",
    "What is the best way to {goal}?",
]
RECIPES = texts.lines("recipes")
RECIPE_REQUESTS = ["How do I make {dish}?", "Give me a recipe for {dish}.", "How do you cook {dish}?"]
LETTERS = {task: body for task, (body,) in texts.lines("letters").items()}
LETTER_REQUESTS = [
    "Write an email to {task}.",
    "Write a short [email|message|letter] to {task}.",
    "Help me to {task}.",
]


def tips(random: Draws) -> Conversation:
    goal = random.choice(list(TIPS))
    request = fill_one(random, TIP_REQUESTS, goal=goal)
    count = 5 if "five" in request else 3 if "three" in request else random.randint(3, 6)
    chosen = [fill(random, tip) for tip in sample_in_order(random, TIPS[goal], count)]
    bullet = random.random() < 0.35
    lines = [f"- {tip}" if bullet else f"{number}. {tip}" for number, tip in enumerate(chosen, start=1)]
    lead = fill_one(
        random, ["", "Here are some tips:\n\n", "These [things|tips] may help you to {goal}:\n\n"], goal=goal
    )
    return exchange(random, request, lead + "\n".join(lines))


def recipe(random: Draws) -> Conversation:
    dish = random.choice(list(RECIPES))
    ingredients, *steps = RECIPES[dish]
    numbered = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))
    closing = fill(random, "[||\n\nEnjoy your meal!|\n\nThat is all!]")
    answer = f"You need: {ingredients}.\n\n{numbered}{closing}"
    return exchange(random, fill_one(random, RECIPE_REQUESTS, dish=dish), answer)


def letter(random: Draws) -> Conversation:
    name, (task, body) = random.known_or_invented("names"), random.choice(list(LETTERS.items()))
    greeting = fill(random, "[Dear|Dear|Hi|Hello] {name},", name=name)
    end = fill(random, "[Best wishes|Kind regards|Best regards|See you soon]")
    answer = f"{greeting}\n\n{fill(random, body)}\n\n{end}"
    request = fill_one(random, LETTER_REQUESTS, task=task.replace("{name}", name))
    return exchange(random, request, answer)
