"""top_k, top_p and min_p, alone and in their order with each other and with temperature."""

from functools import partial

from oruel.verify.check import Check
from oruel.verify.checks.temperature import setting as temperature_setting
from oruel.verify.expected import at_least, at_temperature, intersection, min_p, top_k, top_p
from oruel.verify.first_tokens import IGNORED, Setting, check_settings, itself
from oruel.verify.statistics import Distribution

SHARES = tuple(percent / 100 for percent in range(15, 100, 4))
RATIOS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9)
COUNTS = (2, 3, 4, 5, 6, 8)
SHARPENING, FLATTENING = (0.5, 0.7), (1.5, 2)


def top_k_setting(size: int) -> Setting:
    return Setting(
        {"top_k": size},
        partial(top_k, count=size),
        {
            IGNORED: itself,
            "one token too many survives": partial(top_k, count=size + 1),
            "one token too few survives": partial(top_k, count=size - 1),
        },
    )


def top_p_setting(share: float) -> Setting:
    return Setting(
        {"top_p": share},
        partial(top_p, share=share),
        {
            IGNORED: itself,
            "it stops before the token that crosses the share": partial(top_p, share=share, more=-1),
            "one token too many survives": partial(top_p, share=share, more=1),
        },
    )


def min_p_setting(ratio: float) -> Setting:
    return Setting(
        {"min_p": ratio},
        partial(min_p, ratio=ratio),
        {IGNORED: itself, "the threshold is absolute": partial(at_least, bound=ratio)},
    )


TEMPERATURE = (temperature_setting(0.5, 0.7, 1),)
TOP_K = tuple(map(top_k_setting, COUNTS))
TOP_P = tuple(map(top_p_setting, SHARES))
MIN_P = tuple(map(min_p_setting, RATIOS))


def top_p_after_top_k(size: int, share: float) -> Setting:
    """The nucleus of the whole distribution, cut to K tokens, is also what top_p before top_k gives."""
    by_count, by_share = partial(top_k, count=size), partial(top_p, share=share)
    return Setting(
        {"top_k": size, "top_p": share},
        lambda base: top_p(top_k(base, size), share),
        {
            "top_p counts the probabilities before top_k": lambda base: intersection(base, by_count, by_share),
            "top_k is ignored": by_share,
            "top_p is ignored": by_count,
        },
        alone={"temperature": TEMPERATURE, "top_k": TOP_K, "top_p": TOP_P},
    )


def min_p_beside_top_p(ratio: float, share: float) -> Setting:
    """Where min_p leaves fewer tokens than top_p, ignoring top_p changes nothing: the check of top_p sees that."""
    by_ratio, by_share = partial(min_p, ratio=ratio), partial(top_p, share=share)
    return Setting(
        {"min_p": ratio, "top_p": share},
        lambda base: intersection(base, by_ratio, by_share),
        {
            "min_p acts first, and top_p on what it left": lambda base: top_p(min_p(base, ratio), share),
            "min_p is ignored": by_share,
        },
        alone={"temperature": TEMPERATURE, "min_p": MIN_P, "top_p": TOP_P},
    )


def temperature_before_top_p(temperature: float, share: float, size: int) -> Setting:
    """With top_k, every token that can be drawn is listed, so that all is known also above 1. There, the nucleus of the
    whole distribution contains all that top_k leaves.
    """

    def null(base: Distribution) -> Distribution:
        return top_p(at_temperature(top_k(base, size), temperature), share)

    def last(base: Distribution) -> Distribution:
        return at_temperature(top_p(top_k(base, size), share), temperature)

    return Setting(
        {"temperature": temperature, "top_k": size, "top_p": share},
        null,
        {
            "temperature acts after top_p": last,
            "top_p counts the probabilities before top_k": lambda base: at_temperature(top_k(base, size), temperature),
            "temperature is ignored": lambda base: top_p(top_k(base, size), share),
        },
        alone={"temperature": (temperature_setting(temperature, 1),), "top_k": TOP_K, "top_p": TOP_P},
    )


def temperature_before_top_p_alone(temperature: float, share: float) -> Setting:
    """Below 1, the unlisted tokens hardly count."""
    return Setting(
        {"temperature": temperature, "top_p": share},
        lambda base: top_p(at_temperature(base, temperature), share),
        {
            "temperature acts after top_p": lambda base: at_temperature(top_p(base, share), temperature),
            "temperature is ignored": partial(top_p, share=share),
            "top_p is ignored": partial(at_temperature, temperature=temperature),
        },
        alone={"temperature": (temperature_setting(temperature, 1),), "top_p": TOP_P},
    )


def temperature_before_min_p(temperature: float, ratio: float, size: int) -> Setting:
    return Setting(
        {"temperature": temperature, "top_k": size, "min_p": ratio},
        lambda base: min_p(at_temperature(top_k(base, size), temperature), ratio),
        {
            "temperature acts after min_p": lambda base: at_temperature(min_p(top_k(base, size), ratio), temperature),
            "temperature is ignored": lambda base: min_p(top_k(base, size), ratio),
            "min_p is ignored": lambda base: at_temperature(top_k(base, size), temperature),
        },
        alone={"temperature": (temperature_setting(temperature, 1),), "top_k": TOP_K, "min_p": MIN_P},
    )


SIZES = (4, 6, 8, 12, 20)

CHECKS: tuple[Check, ...] = (
    Check(
        "top_k",
        "top_k",
        "Are tokens drawn from the K most probable ones only, and from all of them?",
        "Draws first tokens with top_k, and compares them with the K most probable tokens, renormalised, and with what "
        "one more, one less or all tokens would give.",
        tokens=1500,
        run=check_settings("top_k", TOP_K, strictest={"top_k": 1}),
    ),
    Check(
        "top_p",
        "top_p",
        "Is the nucleus the smallest set of most probable tokens whose probability exceeds top_p?",
        "Draws first tokens with a top_p that lies inside one token's share, and compares them with the nucleus that "
        "includes this token, stops before it, goes one further, or doesn't exist.",
        tokens=1500,
        run=check_settings("top_p", TOP_P, strictest={"top_p": 0.01}),
    ),
    Check(
        "min_p",
        "min_p",
        "Are tokens discarded that have less than min_p times the probability of the most probable one?",
        "Draws first tokens with min_p, and compares them with the tokens above min_p × p_max, above min_p itself, and "
        "with all.",
        tokens=1500,
        run=check_settings("min_p", MIN_P, strictest={"min_p": 1}),
    ),
    Check(
        "top_p.after_top_k",
        "top_p",
        "Does top_p act within what top_k kept, on renormalised probabilities?",
        "Chooses K and a share for which the nucleus within the K tokens is smaller than that of the whole "
        "distribution, and compares drawn first tokens with both.",
        tokens=2500,
        run=check_settings("top_p.after_top_k", (top_p_after_top_k(k, p) for k in COUNTS[1:] for p in SHARES)),
        requires=("logprobs", "top_k", "top_p"),
    ),
    Check(
        "min_p.beside_top_p",
        "min_p",
        "Do min_p and top_p judge the same probabilities, so that their order doesn't matter?",
        "Chooses values for which top_p would keep fewer tokens if min_p acted first and its survivors were "
        "renormalised, and compares drawn first tokens with both.",
        tokens=2500,
        run=check_settings("min_p.beside_top_p", (min_p_beside_top_p(m, p) for m in RATIOS for p in SHARES)),
        requires=("logprobs", "min_p", "top_p"),
    ),
    Check(
        "temperature.before_top_p",
        "temperature",
        "Does temperature act before top_p?",
        "Chooses a temperature above 1 and a share for which the nucleus at that temperature differs from the one at "
        "1, and compares drawn first tokens with both. top_k limits them to tokens whose probability is known.",
        tokens=2500,
        run=check_settings(
            "temperature.before_top_p",
            (temperature_before_top_p(t, p, k) for t in FLATTENING for p in SHARES for k in SIZES),
        ),
        requires=("logprobs", "top_k", "top_p"),
    ),
    Check(
        "temperature.before_top_p_alone",
        "temperature",
        "Does temperature act before top_p, where no top_k is given?",
        "As temperature.before_top_p, at temperature 0.5, where the tokens that aren't listed hardly count.",
        tokens=2500,
        run=check_settings(
            "temperature.before_top_p_alone",
            (temperature_before_top_p_alone(t, p) for t in SHARPENING for p in SHARES),
        ),
        requires=("logprobs", "top_p"),
    ),
    Check(
        "temperature.before_min_p",
        "temperature",
        "Does temperature act before min_p?",
        "As temperature.before_top_p, with min_p in the place of top_p, and a temperature below 1.",
        tokens=2500,
        run=check_settings(
            "temperature.before_min_p",
            (temperature_before_min_p(t, m, k) for t in SHARPENING for m in RATIOS for k in SIZES),
        ),
        requires=("logprobs", "top_k", "min_p"),
    ),
)
