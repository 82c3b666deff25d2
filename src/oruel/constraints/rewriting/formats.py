"""The formats of drafts 7 to 2020-12 as patterns. Each pattern matches only strings that are valid by the format's RFC;
where that language isn't regular, or validators disagree on it, a part of it.
"""

from typing import Any

from oruel.json_schema.keywords import Schema


def either(*options: str) -> str:
    return "(?:" + "|".join(options) + ")"


# RFC 3339. Without leap seconds, which are valid at few moments, and the year 0, which many libraries don't have.
YEAR = either("[0-9]{3}[1-9]", "[0-9]{2}[1-9]0", "[0-9][1-9]00", "[1-9]000")
MULTIPLE_OF_4 = either("0[48]", "[2468][048]", "[13579][26]")
LEAP_YEAR = either(f"[0-9]{{2}}{MULTIPLE_OF_4}", f"{MULTIPLE_OF_4}00")
DAY_OF_MONTH = either(
    "(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])", "(?:0[13-9]|1[0-2])-(?:29|30)", "(?:0[13578]|1[02])-31"
)
DATE = either(f"{YEAR}-{DAY_OF_MONTH}", f"{LEAP_YEAR}-02-29")
HOUR, SIXTIETH = either("[01][0-9]", "2[0-3]"), "[0-5][0-9]"
TIME = rf"{HOUR}:{SIXTIETH}:{SIXTIETH}(?:\.[0-9]{{1,9}})?(?:Z|[+-]{HOUR}:{SIXTIETH})"

# RFC 3339, appendix A. Without weeks beside other units.
COUNT = "[0-9]{1,9}"
DAYS = either(f"{COUNT}Y(?:{COUNT}M(?:{COUNT}D)?)?", f"{COUNT}M(?:{COUNT}D)?", f"{COUNT}D")
HOURS = "T" + either(f"{COUNT}H(?:{COUNT}M(?:{COUNT}S)?)?", f"{COUNT}M(?:{COUNT}S)?", f"{COUNT}S")
DURATION = "P" + either(f"{DAYS}(?:{HOURS})?", HOURS, f"{COUNT}W")


def dotted(label: str, *, characters: int) -> str:
    """Labels of at most `characters` each, few enough for 253 together."""
    return rf"{label}(?:\.{label}){{0,{253 // (characters + 1) - 1}}}"


def label(letter: str, *, most: int) -> str:
    """At most `most` letters and digits, with single hyphens between them. Two together would mark an encoded name."""
    return f"{letter}(?:-?{letter}){{0,{most - 1}}}"


# RFC 1123.
LETTER = "[a-zA-Z0-9]"
HOSTNAME = either(dotted(label(LETTER, most=31), characters=61), dotted(label(LETTER, most=12), characters=23))
# RFC 5891. Lower-case letters of scripts that are written from left to right, and in which each character is a letter.
LETTER_OF_ANY = "[a-z0-9ß-öø-ÿά-ώа-яёぁ-ゔァ-ヴ一-龥가-힣]"
IDN_HOSTNAME = dotted(label(LETTER_OF_ANY, most=8), characters=60)
# RFC 5321 and 6531: local parts without quotes, of at most 64 characters.
ATOM = r"a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~"


def local_part(atom: str) -> str:
    return rf"[{atom}]{{1,32}}(?:\.[{atom}]{{1,15}}){{0,2}}"


EMAIL = f"{local_part(ATOM)}@{HOSTNAME}"
IDN_EMAIL = f"{local_part(ATOM + 'ß-öø-ÿά-ώа-яё一-龥')}@{IDN_HOSTNAME}"

OCTET = either("25[0-5]", "2[0-4][0-9]", "1[0-9]{2}", "[1-9]?[0-9]")
IPV4 = rf"(?:{OCTET}\.){{3}}{OCTET}"
# RFC 4291, without an IPv4 address at the end.
GROUP = "[0-9a-fA-F]{1,4}"
IPV6 = either(
    f"(?:{GROUP}:){{7}}{GROUP}",
    *(
        f"{f'{GROUP}(?::{GROUP}){{{before - 1}}}' if before else ''}::(?:{GROUP}(?::{GROUP}){{0,{6 - before}}})?"
        for before in range(7)
    ),
)
HEX = "[0-9a-fA-F]"
UUID = "-".join(f"{HEX}{{{count}}}" for count in (8, 4, 4, 4, 12))

# RFC 3986 and 3987. `more`: further characters, as part of a class.
BEYOND_ASCII = "\u00a1-\ud7ff\uf900-\ufdcf\ufdf0-\uffef"


def segment(more: str, *, characters: str = ":@") -> str:
    return f"(?:[a-zA-Z0-9._~!$&'()*+,;={characters}{more}-]|%{HEX}{{2}})"


def authority(more: str) -> str:
    host = either(rf"\[{IPV6}\]", f"{segment(more, characters='')}*")
    return f"//(?:{segment(more, characters=':')}*@)?{host}(?::[0-9]{{0,5}})?(?:/{segment(more)}*)*"


def after_path(more: str) -> str:
    tail = f"{segment(more, characters=':@/?')}*"
    return rf"(?:\?{tail})?(?:#{tail})?"


def path(first: str, more: str) -> str:
    """An absolute path or one that begins with `first`."""
    rest = f"(?:/{segment(more)}*)*"
    return f"(?:/(?:{segment(more)}+{rest})?|{first}+{rest})?"


def absolute(more: str = "") -> str:
    return f"[a-zA-Z][a-zA-Z0-9+.-]*:{either(authority(more), path(segment(more), more))}{after_path(more)}"


def relative(more: str = "") -> str:
    # A colon in the first segment would make it a scheme.
    return f"{either(authority(more), path(segment(more, characters='@'), more))}{after_path(more)}"


# RFC 6570.
LITERAL = f"(?:[a-zA-Z0-9!#$&()*+,./:;=?@_~{BEYOND_ASCII}\\[\\]-]|%{HEX}{{2}})"
VARIABLE = r"[a-zA-Z0-9_]+(?:\.[a-zA-Z0-9_]+)*(?::[1-9][0-9]{0,2}|\*)?"
URI_TEMPLATE = rf"(?:{LITERAL}|\{{[+#./;?&]?{VARIABLE}(?:,{VARIABLE})*\}})*"
# RFC 6901.
JSON_POINTER = "(?:/(?:[^~/]|~[01])*)*"
RELATIVE_JSON_POINTER = f"(?:0|[1-9][0-9]?)(?:#|{JSON_POINTER})"

# Regular expressions of ECMA-262 that other dialects read in the same way, with two levels of groups.
CHARACTER = r"[a-zA-Z0-9 _@#%&=:;,<>/'\"!~-]"
ESCAPE = r"\\[dDwWsStnr.*+?^$|(){}\[\]\\/]"
IN_CLASS = r"(?:[a-zA-Z0-9 _@#%=:;,<>/.*+?$(){}]|a-z|A-Z|0-9|\\[dDwWsStnr.^\[\]\\-])"
REPEATED = r"(?:[*+?]\??|\{[1-9][0-9]{0,2},?\}\??)?"


def regex(levels: int) -> str:
    atoms = [CHARACTER, r"\.", ESCAPE, rf"\[\^?{IN_CLASS}+\]"]
    atoms += [rf"\((?:\?:)?{regex(levels - 1)}\)"] if levels else []
    sequence = rf"(?:{either(*atoms)}{REPEATED}|\\[bB])*"
    return rf"\^?{sequence}\$?(?:\|\^?{sequence}\$?)*"


LANGUAGES = {
    "date": DATE,
    "time": TIME,
    "date-time": f"{DATE}T{TIME}",
    "duration": DURATION,
    "email": EMAIL,
    "idn-email": IDN_EMAIL,
    "hostname": HOSTNAME,
    "idn-hostname": IDN_HOSTNAME,
    "ipv4": IPV4,
    "ipv6": IPV6,
    "uuid": UUID,
    "uri": absolute(),
    "uri-reference": either(absolute(), relative()),
    "iri": absolute(BEYOND_ASCII),
    "iri-reference": either(absolute(BEYOND_ASCII), relative(BEYOND_ASCII)),
    "uri-template": URI_TEMPLATE,
    "json-pointer": JSON_POINTER,
    "relative-json-pointer": RELATIVE_JSON_POINTER,
    "regex": regex(2),
}
FORMATS = {name: f"^(?:{language})$" for name, language in LANGUAGES.items()}


def format_as_pattern(schema: Schema) -> Schema:
    """The schema with `pattern` in place of `format`. Unknown formats restrict nothing."""
    if "format" not in schema:
        return schema
    kept: dict[str, Any] = {key: value for key, value in schema.items() if key != "format"}
    name = schema["format"]
    if not isinstance(name, str) or name not in FORMATS:
        return kept
    if "pattern" not in kept:
        return kept | {"pattern": FORMATS[name]}
    typed = {"type": kept["type"]} if "type" in kept else {}
    every = kept["allOf"] if isinstance(kept.get("allOf"), list) else []
    return kept | {"allOf": [*every, typed | {"pattern": FORMATS[name]}]}
