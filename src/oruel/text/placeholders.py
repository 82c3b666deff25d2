"""Characters that stand for variable parts in the texts of a format, such as the id of a call."""

import re

NAME = "[a-zA-Z0-9_-]{1,64}"

# Placeholders in a format's texts: the id of the call, its index, what may announce JSON, the name again, an id of ten
# lower-case letters and digits, and the type of a value.
ID = "\ue000"
INDEX = "\ue001"
KIND = "\ue002"
NAME_AGAIN = "\ue003"
LOWER_ID = "\ue004"
TYPE = "\ue005"
CONSTRAIN = "<|constrain|>"
PATTERNS = {
    ID: "[a-zA-Z0-9_-]{1,64}",
    INDEX: "[0-9]{1,3}",
    KIND: rf"(?: ?{re.escape(CONSTRAIN)} ?json| json)?",
    NAME_AGAIN: NAME,
    LOWER_ID: "[a-zA-Z0-9_-]{1,64}",
    TYPE: "(?:number|boolean|null|object|array)",
}
PLACEHOLDERS = re.compile(f"([{''.join(PATTERNS)}])")


def regex_for(text: str) -> str:
    """A regular expression for a text of a format."""
    return "".join(PATTERNS.get(part) or re.escape(part) for part in PLACEHOLDERS.split(text))
