"""Rewrites Cargo.toml so that no member of the workspace and no test takes part in the resolution. With the argument
`sender` the dependencies of the receiver take none either."""

import re
import sys

RECEIVER = [
    "actix-web", "askama", "async-trait", "getrandom", "prometheus-client", "serde_json_canonicalizer", "subtle"
]
# What actix-web 4.11 asks for. A host that mounts the receiver has at least these.
RAISED = {"actix-rt": "2.11", "tokio": "1.44.2"}

text = open("Cargo.toml").read()
text = re.sub(r"(?ms)^members = \[.*?\]\n", "", text, count=1)
text = re.sub(r"(?ms)^\[dev-dependencies\].*?(?=^\[)", "", text)
text = re.sub(r"(?ms)^\[\[(test|bench)\]\].*?(?=^\[|\Z)", "", text)
if sys.argv[1] == "sender":
    for name in RECEIVER:
        text, count = re.subn(rf"(?m)^{name} = \{{.*optional = true \}}\n", "", text)
        assert count == 1, name
    text = re.sub(r"(?ms)^receiver = \[.*?^\]\n", "", text)
else:
    for name, version in RAISED.items():
        text, count = re.subn(rf'(?m)^({name} = (?:\{{ version = )?)"[^"]*"', rf'\g<1>"{version}"', text)
        assert count == 1, name
open("Cargo.toml", "w").write(text)
