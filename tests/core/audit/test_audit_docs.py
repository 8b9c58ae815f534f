"""docs/core/audit.md names every event."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import ROOT, modules

PAGE = ROOT / "docs/core/audit.md"

NAMED_FIRST = {"Event", "_event"}
"""Calls whose first argument is an event type. Each slice has one of them."""


def literals(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def named_in_source() -> set[str]:
    """Every string in the code that looks like an event type. Some are passed indirectly, such as `Proof.event`."""
    trees = [module.tree for module in modules()]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    types = [text for call in calls if getattr(call.func, "id", "") in NAMED_FIRST for text in literals(call.args[0])]
    areas = "|".join(sorted({type_.partition(".")[0] for type_ in types}))
    return {text for tree in trees for text in literals(tree) if re.fullmatch(rf"({areas})\.[a-z_]+", text)}


def test_the_page_lists_exactly_the_events_that_the_code_can_record():
    table = [line.split("|")[1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = [name for cell in table for name in re.findall(r"`([^`]+)`", cell)]
    assert len(named) == len(set(named))
    found = named_in_source()
    assert {"accounts.enabled", "keys.created", "totp.recovery_code_used"} <= found, "the search works"
    assert set(named) == found
