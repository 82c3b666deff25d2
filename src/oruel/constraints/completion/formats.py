"""Patterns of strings that fit a format. Not all such strings match, but what begins like one nearly always can."""

DAYS = r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"

FORMATS = {
    "date": rf"^\d{{4}}-{DAYS}$",
    "time": rf"^{TIME}$",
    "date-time": rf"^\d{{4}}-{DAYS}T{TIME}$",
    "duration": r"^P(?:\d+W|(?:\d+Y)?(?:\d+M)?\d+D|\d+Y(?:\d+M)?|\d+M|T(?:\d+H)?(?:\d+M)?\d+S|T\d+H(?:\d+M)?|T\d+M)$",
    "email": rf"^[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*@(?:{LABEL}\.)+[A-Za-z]{{2,8}}$",
    "hostname": rf"^{LABEL}(?:\.{LABEL})*$",
    "ipv4": rf"^{OCTET}(?:\.{OCTET}){{3}}$",
    "ipv6": r"^(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}$",
    "uuid": r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
    "uri": r"^[a-z][a-z0-9+.-]*:(?://[A-Za-z0-9._~-]+(?::\d+)?)?/?[A-Za-z0-9._~%/?=&#+:@,;!$'()*-]*$",
}
