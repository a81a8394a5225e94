"""A digest of what a model file holds.

skops writes a pipeline as a ZIP of a tree in JSON and of arrays. The file differs each time, by the time of day and by
the addresses that the objects had in memory, which number nodes and name files. What it says does not.
"""

import hashlib
import json
from io import BytesIO
from typing import Any
from zipfile import ZipFile


def pipeline_digest(content: bytes) -> str:
    """SHA-256 of what a skops file says: the same pipeline, the same digest, whenever and wherever it was written."""
    with ZipFile(BytesIO(content)) as archive:
        tree = json.loads(archive.read("schema.json"))
        said = _said(tree, archive, {})
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _said(node: Any, archive: ZipFile, known: dict[int, Any]) -> Any:
    """A node without its address, its file by the file's content, and a repeated node by what it repeats.

    ``known`` holds, by address, what was said of the nodes before. A dictionary keeps its order: a list of pairs.
    """
    if isinstance(node, list):
        return [_said(item, archive, known) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("__loader__") == "CachedNode":
        return known[node["__id__"]]
    said = [[key, _said_of(key, value, archive, known)] for key, value in node.items() if key != "__id__"]
    if "__id__" in node:
        known[node["__id__"]] = said
    return said


def _said_of(key: str, value: Any, archive: ZipFile, known: dict[int, Any]) -> Any:
    if key == "file" and isinstance(value, str):
        return hashlib.sha256(archive.read(value)).hexdigest()
    return _said(value, archive, known)
