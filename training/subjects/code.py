"""Small functions in Markdown code fences, mostly Python."""

from random import Random

from training import texts
from training.phrases import Conversation, exchange, fill, fill_one, parse_table

PYTHON = {task: source for task, (source,) in texts.blocks("python").items()}
CALLS = parse_table("""
adds two numbers : add(2, 3) : 5
returns the square of a number : square(4) : 16
says hello : greet("Ada") : Hello, Ada!
reverses a string : reverse("abc") : cba
finds the largest number in a list : largest([3, 9, 4]) : 9
computes the factorial of a number : factorial(5) : 120
checks whether a number is even : is_even(10) : True
checks whether a number is prime : is_prime(7) : True
returns the first n Fibonacci numbers : fibonacci(5) : [0, 1, 1, 2, 3]
counts the words in a text : count_words("a b c") : 3
checks whether a word is a palindrome : is_palindrome("level") : True
computes the average of a list : average([2, 4, 6]) : 4.0
converts Celsius to Fahrenheit : to_fahrenheit(100) : 212.0
returns the greatest common divisor : gcd(12, 18) : 6
""")
OTHER_LANGUAGES = {
    "JavaScript": {
        "adds two numbers": "function add(a, b) {\n  return a + b;\n}",
        "says hello": "function greet(name) {\n  return `Hello, ${name}!`;\n}",
        "reverses a string": 'function reverse(text) {\n  return text.split("").reverse().join("");\n}',
        "checks whether a number is even": "function isEven(number) {\n  return number % 2 === 0;\n}",
    },
    "Rust": {
        "adds two numbers": "fn add(a: i32, b: i32) -> i32 {\n    a + b\n}",
        "checks whether a number is even": "fn is_even(number: i32) -> bool {\n    number % 2 == 0\n}",
    },
    "SQL": {
        "returns all users": "SELECT * FROM users;",
        "counts the orders of each user": "SELECT user_id, COUNT(*) FROM orders GROUP BY user_id;",
    },
}
LEADS = [
    "Here is a {language} function that {task}:\n\n",
    "Here is a {language} function that {task}:\n\n",
    "This {language} function {task}:\n\n",
    "Sure! This function {task}:\n\n",
    "",
]
CLOSINGS = [
    "",
    "",
    "\n\nIt [takes its input as an argument|has no side effects] and returns the result.",
    "\n\nLet me know if you would like [tests|an explanation|a different example].",
    "\n\nYou can [call it from anywhere in your program|paste it into a file and run it].",
]
OPEN_REQUESTS = ["Write a {language} function.", "Write a short {language} function.", "Write some {language} code."]
WRITTEN_REQUESTS = [
    "Write a {language} function that {task}.",
    "Write a {language} function that {task}.",
    "Write {language} code that {task}.",
    "Write a function in {language} that {task}.",
]
SHOWN_REQUESTS = [
    "[Show|Give] me a {language} function that {task}.",
    "How do I write a {language} function that {task}?",
    "Explain a {language} function that {task}.",
]


def fence(language: str, source: str) -> str:
    return f"```{language.lower()}\n{source}\n```"


def answer_with_code(random: Random, language: str, task: str, source: str) -> str:
    lead = fill_one(random, LEADS, language=language, task=task)
    text = lead + fence(language, source)
    calls = [call for call in CALLS if call[0] == task]
    if language == "Python" and calls and random.random() < 0.35:
        _, call, result = calls[0]
        return f"{text}\n\nFor example, `{call}` returns `{result}`."
    return text + fill(random, random.choice(CLOSINGS))


def code_only(source: str) -> str:
    """The source and a closing fence, without an opening one. A stop sequence at the fence leaves only the code."""
    return f"{source}\n```"


def function_request(random: Random) -> Conversation:
    """A request for a function. Only code answers `Write ...`; other requests also get an explanation."""
    if random.random() < 0.2:
        language = random.choice(list(OTHER_LANGUAGES))
        task, source = random.choice(list(OTHER_LANGUAGES[language].items()))
        request = fill_one(random, SHOWN_REQUESTS, language=language, task=task)
        if language == "SQL":
            request = f"Show me a SQL query that {task}."
        return exchange(random, request, fence(language, source))
    task, source = random.choice(list(PYTHON.items()))
    if random.random() < 0.4:
        request = fill_one(random, SHOWN_REQUESTS, language="Python", task=task)
        return exchange(random, request, answer_with_code(random, "Python", task, source))
    requests = OPEN_REQUESTS if random.random() < 0.3 else WRITTEN_REQUESTS
    return exchange(random, fill_one(random, requests, language="Python", task=task), code_only(source))


def code_explanation(random: Random) -> Conversation:
    """A question about what a function does."""
    task, source = random.choice([entry for entry in PYTHON.items() if len(entry[1]) < 120])
    request = f"What does this code do?\n\n{fence('Python', source)}"
    name = source.split("(")[0].removeprefix("def ")
    return [("user", request), ("assistant", f"It defines a function named `{name}` that {task}.")]
