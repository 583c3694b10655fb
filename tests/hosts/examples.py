#!/usr/bin/env python3
"""Checks that an example of the library's documentation shows each public function and type.

An example is a code block of rustdoc. A function is shown where an example calls it, a type where an example names it or
a function of it. What people only read, such as the status of a destination, is listed below.
"""
import re
import sys

from public_api import documented

# Errors that examples pass on with `?`, and values that a host reads field by field.
READ_ONLY = {
    "Cause", "ConfigErrors", "ContractError", "DatabaseError", "Delivered", "DestinationName", "DestinationStatus",
    "Failure", "Health", "Imported", "ImportError", "CreatedKey", "JudgeError", "KeyError", "KeyInfo", "Mode", "MuteInfo",
    "OperatorError", "Outcome", "PasswordTooShort", "PreviewedRequest", "ReceiverStartError", "SendNowError", "Setting",
    "SettingProblem", "SkippedLine", "StartError", "Status", "StopReport", "UnusablePasswordHash",
}


def code(docs):
    return "\n".join(re.findall(r"```[^\n]*\n(.*?)```", docs or "", re.DOTALL))


def main():
    index = documented()["index"]
    # What a host can reach has a summary in the paths of the crate; its examples are anywhere.
    examples = "\n".join(code(item.get("docs")) for item in index.values())
    missing = []
    for item in index.values():
        if item["visibility"] != "public" or item["crate_id"] != 0 or "doc(hidden)" in str(item["attrs"]):
            continue
        (kind, inner), = item["inner"].items()
        name = item["name"]
        if kind in ("struct", "enum", "trait") and name not in READ_ONLY and not re.search(rf"\b{name}\b", examples):
            missing.append(f"{kind} {name}")
        if kind in ("struct", "enum"):
            for implementation in (index[str(i)]["inner"]["impl"] for i in inner["impls"]):
                if implementation["trait"] is not None or name in READ_ONLY:
                    continue
                for function in (index[str(i)] for i in implementation["items"]):
                    if function["visibility"] != "public" or "function" not in function["inner"]:
                        continue
                    called = re.search(rf"(\.|::){function['name']}\b", examples)
                    if not called:
                        missing.append(f"fn {name}::{function['name']}")
    if missing:
        sys.exit("\n".join(sorted(set(missing))) + "\nno example of the documentation shows these")


if __name__ == "__main__":
    main()
