#!/usr/bin/env python3
"""Lists the public API of the library, one item a line, and compares it with `public_api.txt`.

`public_api.py --write` writes the file anew: a change of it in a commit is a change of what hosts compile against. The
items come from rustdoc's JSON, which a stable toolchain writes with RUSTC_BOOTSTRAP=1.
"""
import difflib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("public_api.txt")


def documented():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "public-api"
    command = ["cargo", "rustdoc", "--package", "deployment-telemetry", "--lib", "--all-features", "--quiet", "--"]
    command += ["-Z", "unstable-options", "--output-format", "json"]
    env = {**os.environ, "RUSTC_BOOTSTRAP": "1", "CARGO_TARGET_DIR": str(target)}
    subprocess.run(command, cwd=ROOT, check=True, env=env)
    return json.loads((target / "doc/deployment_telemetry.json").read_text())


def arguments(args):
    if not args:
        return ""
    (kind, inner), = args.items() if isinstance(args, dict) else [(args, {})]
    if kind == "angle_bracketed":
        parts = [type_of(next(iter(arg.values()))) if "type" in arg else next(iter(arg.values()), "_")
                 for arg in inner["args"] if isinstance(arg, dict)]
        for constraint in inner["constraints"]:
            binding = constraint["binding"]
            if "equality" in binding:
                parts.append(f"{constraint['name']} = {term(binding['equality'])}")
            else:
                parts.append(f"{constraint['name']}: {bounds(binding['constraint'])}")
        return f"<{', '.join(map(str, parts))}>" if parts else ""
    if kind == "parenthesized":
        output = f" -> {type_of(inner['output'])}" if inner["output"] else ""
        return f"({', '.join(map(type_of, inner['inputs']))}){output}"
    return ""


def term(equality):
    return type_of(equality["type"]) if "type" in equality else str(equality)


def path(inner):
    return inner.get("path", inner.get("name")).split("::")[-1] + arguments(inner.get("args"))


def bounds(list_of_bounds):
    texts = []
    for bound in list_of_bounds:
        if "trait_bound" in bound:
            texts.append(("?" if bound["trait_bound"]["modifier"] == "maybe" else "") + path(bound["trait_bound"]["trait"]))
        elif "outlives" in bound:
            texts.append(bound["outlives"])
    return " + ".join(texts)


def type_of(ty):
    if ty is None:
        return "()"
    if isinstance(ty, str):
        return ty
    (kind, inner), = ty.items()
    match kind:
        case "resolved_path":
            return path(inner)
        case "generic" | "primitive":
            return inner
        case "tuple":
            return f"({', '.join(map(type_of, inner))})"
        case "slice":
            return f"[{type_of(inner)}]"
        case "array":
            return f"[{type_of(inner['type'])}; {inner['len']}]"
        case "impl_trait":
            return f"impl {bounds(inner)}"
        case "dyn_trait":
            texts = [path(bound["trait"]) for bound in inner["traits"]] + [t for t in [inner["lifetime"]] if t]
            return f"dyn {' + '.join(texts)}"
        case "borrowed_ref":
            lifetime = f"{inner['lifetime']} " if inner["lifetime"] else ""
            return f"&{lifetime}{'mut ' if inner['is_mutable'] else ''}{type_of(inner['type'])}"
        case "qualified_path":
            return f"{type_of(inner['self_type'])}::{inner['name']}"
    return kind


def generics(inner):
    params = [p for p in inner["params"] if "type" in p["kind"] and not p["kind"]["type"].get("is_synthetic")]
    names = f"<{', '.join(p['name'] for p in params)}>" if params else ""
    where = [f"{p['name']}: {bounds(p['kind']['type']['bounds'])}" for p in params if p["kind"]["type"]["bounds"]]
    for predicate in inner["where_predicates"]:
        if "bound_predicate" in predicate:
            bound = predicate["bound_predicate"]
            where.append(f"{type_of(bound['type'])}: {bounds(bound['bounds'])}")
    return names, f" where {', '.join(where)}" if where else ""


def function(name, inner):
    names, where = generics(inner["generics"])
    inputs = ", ".join(f"{argument}: {type_of(ty)}" for argument, ty in inner["sig"]["inputs"])
    output = f" -> {type_of(inner['sig']['output'])}" if inner["sig"]["output"] else ""
    head = "async fn" if inner["header"]["is_async"] else "fn"
    return f"{head} {name}{names}({inputs}){output}{where}"


def items(crate):
    index, lines = crate["index"], set()
    get = lambda key: index.get(str(key))

    def visit(item, prefix, name=None):
        name = name or item["name"]
        (kind, inner), = item["inner"].items()
        here = f"{prefix}::{name}" if prefix else name
        closed = "#[non_exhaustive] " if "non_exhaustive" in str(item["attrs"]) else ""
        if item.get("docs") is None and "doc(hidden)" in str(item["attrs"]):
            return
        match kind:
            case "module":
                lines.add(f"mod {here}")
                for child in inner["items"]:
                    if (child := get(child)) and child["visibility"] == "public":
                        visit(child, here)
            case "use":
                target = get(inner["id"]) if inner["id"] is not None else None
                if target:
                    visit(target, prefix, inner["name"])
                else:
                    lines.add(f"use {prefix}::{inner['name']} = {inner['source']}")
            case "struct":
                shape = inner["kind"]
                lines.add(f"{closed}struct {here}")
                fields = shape["plain"]["fields"] if "plain" in shape else shape["tuple"] if "tuple" in shape else []
                for field in filter(None, (get(f) for f in fields if f is not None)):
                    if field["visibility"] == "public":
                        lines.add(f"field {here}.{field['name']}: {type_of(field['inner']['struct_field'])}")
                implementations(inner["impls"], here)
            case "enum":
                lines.add(f"{closed}enum {here}")
                for variant in map(get, inner["variants"]):
                    form = variant["inner"]["variant"]["kind"]
                    fields = [] if form == "plain" else form["tuple"] if "tuple" in form else form["struct"]["fields"]
                    texts = [type_of(get(f)["inner"]["struct_field"]) for f in fields if f is not None and get(f)]
                    lines.add(f"variant {here}::{variant['name']}{'(' + ', '.join(texts) + ')' if texts else ''}")
                implementations(inner["impls"], here)
            case "trait":
                lines.add(f"trait {here}: {bounds(inner['bounds'])}")
                for member in map(get, inner["items"]):
                    lines.add(f"{here}::{describe(member)}")
            case "function":
                lines.add(f"{prefix}::{function(name, inner)}")
            case "type_alias":
                lines.add(f"type {here} = {type_of(inner['type'])}")
            case "constant":
                lines.add(f"const {here}: {type_of(inner['type'])}")
            case "macro":
                lines.add(f"macro {here}!")

    def describe(member):
        (kind, inner), = member["inner"].items()
        if kind == "function":
            return function(member["name"], inner)
        return f"{kind} {member['name']}: {type_of(inner.get('type'))}"

    def implementations(impls, here):
        for implementation in map(get, impls):
            inner = implementation["inner"]["impl"]
            if inner["is_synthetic"] or inner["blanket_impl"]:
                continue
            if inner["trait"] is None:
                for member in filter(None, map(get, inner["items"])):
                    if member["visibility"] == "public" and "doc(hidden)" not in str(member["attrs"]):
                        lines.add(f"{here}::{describe(member)}")
            elif not path(inner["trait"]).startswith(("Structural",)):
                lines.add(f"impl {path(inner['trait'])} for {here}")

    visit(get(crate["root"]), "")
    return sorted(lines)


def main():
    text = "\n".join(items(documented())) + "\n"
    if "--write" in sys.argv:
        GOLDEN.write_text(text)
        return
    difference = difflib.unified_diff(
        GOLDEN.read_text().splitlines(), text.splitlines(), "as committed", "as compiled", lineterm=""
    )
    if lines := list(difference):
        sys.exit("\n".join(lines) + "\nthe public API has changed; tests/hosts/public_api.py --write accepts it")


if __name__ == "__main__":
    main()
