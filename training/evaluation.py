"""Evaluates an exported model on held-out questions, long contexts and repetition, and prints samples.

Run it from the project's root with `src` on the path. It uses the same libllama as the server. Answers are generated at
temperature 0 and unconstrained, unless the table says otherwise.
"""

import argparse
from collections import Counter
from pathlib import Path

from oruel.types import SamplingParams
from training import form_trials, memory_trials
from training.answers import ExportedModel
from training.corpus import PAGE
from training.families import FAMILIES, Family
from training.phrases import Conversation

MAX_ANSWER_TOKENS = 200
COMPARED_TOKENS = 250  # of an essay; longer essays repeat more, whatever the penalty
ESSAY: Conversation = [("user", "Write a long essay about space.")]
NOVEL: Conversation = [("user", "Write a creative opening line for a novel.")]
SYSTEMS = {"List 3 programming languages with their year of creation.": "Output valid JSON."}
SEEDS = range(1, 21)


def score_family(exported: ExportedModel, family: Family) -> tuple[int, int, list[str]]:
    """The number of correct answers, the number of questions, and a description of each wrong answer."""
    right, asked, wrong = 0, 0, []
    for conversation in family.questions():
        answer = exported.answer(conversation[:-1], limit=MAX_ANSWER_TOKENS, is_constrained=family.is_constrained)
        asked += 1
        if family.is_right(conversation, answer):
            right += 1
        else:
            wrong.append(f"{conversation[-2][1]!r}: {answer!r} for {conversation[-1][1]!r}")
    return right, asked, wrong


def print_table(exported: ExportedModel, shown: int, only: str) -> None:
    """Prints a row per family and `shown` wrong answers of each. Families with a goal of 90% are marked."""
    for family in FAMILIES:
        if only not in family.name:
            continue
        right, asked, wrong = score_family(exported, family)
        print(f"| {family.name}{' (goal: 90%)' if family.goal else ''} | {right} of {asked} | {right / asked:.0%} |")
        for line in wrong[:shown]:
            print(f"    {line}")


def print_forms(exported: ExportedModel, shown: int, only: str) -> None:
    """Prints a row per group of held-out forms and temperature, and `shown` wrong answers of each."""
    for name, trials in form_trials.TRIALS.items():
        for temperature in form_trials.TEMPERATURES:
            if only not in name:
                continue
            outcomes = [form_trials.outcome(exported, trial, temperature) for trial in trials()]
            asked, ended, right = (
                len(outcomes),
                sum(one.ended for one in outcomes),
                sum(one.is_right for one in outcomes),
            )
            print(f"| {name}, temperature {temperature:g} | {ended} of {asked} ended | {right} of {asked} right |")
            for line in [one.description for one in outcomes if not one.is_right][:shown]:
                print(f"    {line}")


def print_context(exported: ExportedModel) -> None:
    """Prints how often the model recalls facts from up to thousands of tokens earlier."""
    for tokens in memory_trials.DISTANCES:
        asked = list(memory_trials.conversations(exported, tokens))
        right = sum(exported.answer(each[:-1], limit=40).strip() == each[-1][1] for each in asked)
        print(f"| a fact said {tokens} tokens earlier | {right} of {len(asked)} | {right / len(asked):.0%} |")


def repeated_share(tokens: list[int], length: int) -> float:
    """The share of the n-grams of `length` tokens that occurred earlier in the same text."""
    runs = [tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1)]
    return 1 - len(Counter(runs)) / len(runs) if runs else 0.0


def print_repetition(exported: ExportedModel, penalty: float) -> None:
    """Prints how much the start of a long essay repeats itself, at temperature 0 and for several seeds at 0.7."""
    prompt = exported.prompt(ESSAY)
    settings = [SamplingParams(temperature=0.0, frequency_penalty=penalty)]
    settings += [SamplingParams(temperature=0.7, frequency_penalty=penalty, seed=seed) for seed in SEEDS]
    essays = [exported.generate(prompt, COMPARED_TOKENS, params) for params in settings]
    one, three = ([repeated_share(essay, length) for essay in essays] for length in (1, 3))
    lengths = sum(map(len, essays)) / len(essays)
    print(
        f"first {lengths:.0f} tokens of an essay, frequency_penalty {penalty:g}: "
        f"repeated tokens {sum(one) / len(one):.1%}, repeated trigrams {sum(three) / len(three):.1%}"
    )


def print_samples(exported: ExportedModel) -> None:
    """Prints answers to the parameter page's prompts at temperature 0, and novel openings at 0.8 and 2.0."""
    for prompt in PAGE:
        system = [("system", SYSTEMS[prompt])] if prompt in SYSTEMS else []
        print(f"\n--- {prompt}\n{exported.answer([*system, ('user', prompt)])}")
    for temperature, seed in ((0.8, 1), (0.8, 2), (2.0, 1)):
        params = SamplingParams(temperature=temperature, seed=seed)
        print(f"\n--- {NOVEL[0][1]} ({temperature:g})\n{exported.answer(NOVEL, 120, params)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the GGUF file")
    parser.add_argument("--wrong", type=int, default=1, help="how many wrong answers to show for each family")
    parser.add_argument("--only", default="", help="evaluate only families whose name contains this text")
    arguments = parser.parse_args()
    exported = ExportedModel(arguments.model)
    print_table(exported, arguments.wrong, arguments.only)
    print_forms(exported, arguments.wrong, arguments.only)
    if arguments.only:
        return
    print_context(exported)
    for penalty in (0.0, 0.5):
        print_repetition(exported, penalty)
    print_samples(exported)


if __name__ == "__main__":
    main()
