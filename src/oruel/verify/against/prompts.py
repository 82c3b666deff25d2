"""What both endpoints are asked. One prompt is long, since a quantised cache shows best there."""

from oruel.verify.probe import PROMPTS as SHORT

LONG = (
    "Continue this text. The harbour lay quiet when Ines came down the steps. She had been awake since four, mending "
    "a net that was older than she was, and her hands smelled of tar. Two boats were out; the third, her brother's, "
    "lay on the slip with its planks open to the wind. He had promised to be back by the end of the month with oak "
    "from the valley. It was now the ninth of the next. She counted the gulls on the wall, as their mother had done, "
    "eleven for luck and twelve for rain, and then she saw the letter"
)
PROMPTS = (
    *SHORT,
    "Describe a winter morning.",
    "Give me a piece of advice.",
    "What is there to see in Paris?",
    "Write a sentence with the word lantern.",
    "Why is the sky blue?",
    "Invent a recipe.",
    "Greet me in an unusual way.",
    "List three hobbies.",
    "What makes a good friend?",
    "Complete: Once upon a time",
    "How do I learn a language?",
    "Ask me a question.",
    LONG,
)
