"""What generated schemas are made of: words for names, patterns with a text that each matches, and formats."""


def words(text: str) -> list[str]:
    return text.split()


NAMES = words("""
name version description title label kind type mode level status state source target path file folder include exclude
output input format encoding language locale region zone country city street host port url endpoint proxy timeout
retries interval delay limit count total size width height depth weight color theme font icon image thumbnail caption
author owner group role user account email phone address token secret key value default pattern prefix suffix
separator tags labels annotations metadata options settings features flags plugins rules presets extensions
dependencies packages modules commands scripts tasks steps stages jobs triggers events hooks filters actions branches
commit tag release build test deploy publish watch cache storage volume mount memory cpu replicas selector template
strategy schedule created updated published expires start end duration distance latitude longitude price currency
quantity discount tax amount balance order product category brand model serial device sensor session page referrer
campaign channel position score rating priority severity message reason code detail section content body header footer
summary parent children next previous visible enabled required strict verbose debug quiet dry incremental recursive
editable private archived optional
""")
HEADS = words("""
max min base root default custom local remote global auto allow use enable disable ignore primary secondary source
target first last is has on pre post sub main extra
""")
TAILS = ["Id", "Name", "Path", "Url", "Type", "Mode", "List", "Map", "Count", "Size", "Options", "Config", "At", "By"]
VALUES = words("""
auto always never none all error warn info debug low medium high small large left right center top bottom public
private internal draft review approved rejected active inactive pending running stopped failed succeeded linux windows
macos amd64 arm64 json yaml toml xml text html markdown utf-8 latin1 gzip brotli zstd http https tcp udp ipv4 ipv6
read write admin editor viewer daily weekly monthly red green blue black white node browser worker es5 es2015 es2022
commonjs module
""")
SENTENCES = [
    "The {} of the {}.",
    "Whether the {} is used for each {}. Defaults to the project's setting.",
    "A list of {} entries, applied in order to every {}.",
    "If set, overrides the {} that the {} inherits from its parent.",
    "Path of the {}, relative to the {}.",
    "The {} must be unique within the {}. It can't be changed after creation, and is shown to users as it stands.",
    "How the {} is chosen when more than one {} matches. More information in the manual, under “{}”.",
]

# Each with texts that match it.
PATTERNS: dict[str, tuple[str, ...]] = {
    "^[a-z][a-z0-9-]*$": ("main", "core-2"),
    "^[A-Za-z_][A-Za-z0-9_]*$": ("value_1", "Item"),
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": ("web", "a-1"),
    r"^\d+\.\d+\.\d+$": ("1.2.3", "0.10.0"),
    r"^v?\d+(\.\d+){0,2}(-[0-9A-Za-z.-]+)?$": ("v2", "1.0-rc.1"),
    "^#[0-9a-fA-F]{6}$": ("#00ff7F", "#123abc"),
    "^[A-Z]{2}$": ("DE", "FR"),
    "^[A-Z]{3}$": ("EUR", "USD"),
    "^[0-9a-f]{40}$": ("0123456789abcdef0123456789abcdef01234567",),
    r"^(\./|/)?[\w.-]+(/[\w.-]+)*$": ("src/app", "./a"),
    r"^https?://[^\s/]+(/\S*)?$": ("https://a.example/x", "http://b.example"),
    r"^\+?[0-9]{6,15}$": ("+4930123456", "123456"),
    r"^[0-9]+(ms|s|m|h)$": ("30s", "5m"),
    r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi)?$": ("512Mi", "2"),
    r"\.(js|ts|json)$": ("a.js", "main.ts"),
    r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$": ("a@b.example", "x.y@z.example"),
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$": ("2026-11-28", "1999-01-01"),
    "^arn:[a-z]+:[a-z0-9]+:[a-z0-9-]*:[0-9]{12}:.+$": ("arn:a:b::012345678901:c",),
    r"\S": ("x", "some text"),
}
LOOKAROUNDS: dict[str, tuple[str, ...]] = {
    r"^(?!\s*$).+": ("text", "two words"),
    "^(?!-)[a-z0-9-]{1,63}(?<!-)$": ("a-b", "web"),
    r"^(?!.*\.\.)[A-Za-z0-9._-]+$": ("a.b", "c"),
    "^(?=.*[A-Z])(?=.*[0-9]).{8,64}$": ("Password1", "ABCDEFG7"),
    r"^(?!(www|mail)\.)[a-z0-9-]+(\.[a-z0-9-]+)+$": ("shop.example", "a.b"),
}
KEY_PATTERNS: dict[str, tuple[str, ...]] = {
    "^x-": ("x-team", "x-1"),
    "^[a-z][a-z0-9_]*$": ("first", "second_2"),
    "^[A-Z_]+$": ("HOME", "CI"),
    "^.*$": ("any", "other key"),
    r"^\.[a-z]+$": (".js", ".py"),
}
FORMATS: dict[str, tuple[str, ...]] = {
    "date-time": ("2026-11-28T10:11:12Z", "1999-12-31T23:59:59.5+01:00"),
    "uri": ("https://a.example/b", "urn:a:b"),
    "email": ("a@b.example",),
    "uuid": ("01234567-89ab-cdef-0123-456789abcdef",),
    "ipv4": ("10.0.0.1", "192.168.1.254"),
    "ipv6": ("2001:db8::1",),
    "date": ("2026-11-28",),
    "time": ("10:11:12Z",),
    "hostname": ("a.example",),
    "uri-reference": ("../a", "https://a.example"),
    "regex": ("^a+$",),
}
# Annotations of particular tools, which no draft knows. Each with values for it.
VENDOR: dict[str, tuple[object, ...]] = {
    "x-order": (1, 7),
    "x-internal": (True,),
    "x-display-name": ("Display name",),
    "x-validation-message": ("Give it another name.",),
    "markdownDescription": ("The *name*, see [the manual](https://a.example/manual).",),
    "enumDescriptions": (["The first.", "The second."],),
    "deprecationMessage": ("Use the other one.",),
    "propertyOrder": (3, 20),
    "defaultSnippets": ([{"label": "new", "body": {"name": "$1"}}],),
}
