"""Every event that MADSci's programs tell of one of their things: emissions.py FOLDER, where the packages lie unpacked.
Prints JSON: [[package, type, message or null], …], from the syntax trees. The type is "?" where a variable holds it."""

import ast
import json
import pathlib
import sys

kinds = ("lab", "workcell", "node", "campaign", "experiment", "workflow", "action")
root = pathlib.Path(sys.argv[1]) / "madsci"


def types_of(value: ast.expr) -> list[str]:
    if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and value.value.id == "EventType":
        return [value.attr.lower()]
    if isinstance(value, ast.IfExp):
        return types_of(value.body) + types_of(value.orelse)
    return ["?"]


found = set()
for file in sorted(root.rglob("*.py")):
    package = file.relative_to(root).parts[0]
    for call in ast.walk(ast.parse(file.read_text())):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        first = call.args[0] if call.args else None
        message = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
        for keyword in call.keywords:
            if keyword.arg != "event_type":
                continue
            for event_type in types_of(keyword.value):
                if event_type == "?" and (name == "Event" or message is None):
                    continue
                if event_type == "?" or event_type.split("_")[0] in kinds:
                    found.add((package, event_type, None if name == "Event" else message))
print(json.dumps(sorted(found, key=str)))
