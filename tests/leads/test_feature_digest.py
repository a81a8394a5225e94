"""The hash of a feature: it changes when, and only when, its code or its inputs change."""

import ast
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from leadgate.leads.feature_digest import definitions, digest_of
from leadgate.leads.feature_parsing import parse_features
from leadgate.leads.schema import Feature, FeatureType, LeadSchema

NUMERIC, CATEGORICAL = FeatureType.NUMERIC, FeatureType.CATEGORICAL
SCHEMA = LeadSchema(
    id="id",
    timestamp="at",
    target="won",
    features=(
        Feature(name="visits", type=NUMERIC),
        Feature(name="pages", type=NUMERIC),
        Feature(name="source", type=CATEGORICAL),
    ),
)
CODE = '''"""What we make of leads."""
import math
from typing import Optional

_LEAST = 1.5
_UNUSED = 3


def _logged(value: float) -> float:
    """The logarithm."""
    return math.log(value + _LEAST)


def _other(value: float) -> float:
    return value


def pages_each(pages: float | None, visits: float | None) -> float | None:
    """Pages of a visit."""
    if pages is None or not visits:
        return None  # nobody came
    each = pages / visits
    label = f"{each:.1f} pages"
    return _logged(each) if label else None


def from_web(source: str | None) -> bool | None:
    """Whether it came by the web."""
    return None if source is None else _other(1.0) > 0 and source == "web"
'''
_HEAD, _WEB = CODE[: CODE.index("def pages_each")], CODE[CODE.index("def from_web") :]
_PAGES = CODE[len(_HEAD) : -len(_WEB)]


def made(code: str, schema: LeadSchema = SCHEMA) -> LeadSchema:
    """The schema with a features.py."""
    return schema.model_copy(update={"code": parse_features(code, schema)})


def replaced(old: str, new: str) -> str:
    """The code with one edit."""
    assert CODE.count(old) >= 1, old
    return CODE.replace(old, new)


SAME = {
    "a comment": replaced("# nobody came", "# no visit, no page"),
    "a comment more": replaced("_LEAST = 1.5", "# chosen by eye\n_LEAST = 1.5"),
    "a docstring": replaced('"""Pages of a visit."""', '"""Pages that a lead saw, for each visit."""'),
    "a docstring less": replaced('    """Pages of a visit."""\n', ""),
    "the docstring of a helper": replaced('"""The logarithm."""', "'A logarithm.'"),
    "the docstring of the file": replaced('"""What we make of leads."""', '"""Ours."""'),
    "layout": replaced("pages is None or not visits", "(\n        pages is None\n        or (not visits)\n    )"),
    "quotes": replaced('f"{each:.1f} pages"', "f'{each:.1f} pages'"),
    "a number written otherwise": replaced("_LEAST = 1.5", "_LEAST = 15e-1"),
    "the order of functions": _HEAD + _WEB + "\n\n" + _PAGES,
    "the order of helpers": replaced("_LEAST = 1.5\n_UNUSED = 3\n", "_UNUSED = 3\n_LEAST = 1.5\n"),
    "a helper that it does not reach": replaced("    return value\n", "    return value + 1\n"),
    "a constant that it does not reach": replaced("_UNUSED = 3", "_UNUSED = 4"),
    "an import that it does not reach": replaced("import math\n", "import math\nimport re\n"),
    "another import of the same line": replaced("import math\n", "import json, math\n"),
    "another function": CODE
    + "\n\ndef doubled(visits: float | None) -> float | None:\n    return visits and visits * 2\n",
    "an annotation that says the same": replaced("-> float | None:", "-> Optional[float]:"),
    "the annotation of a helper": replaced("def _logged(value: float) -> float:", "def _logged(value):"),
    "the annotation of a local": replaced("    each = pages", "    each: float = pages"),
}
CHANGED = {
    "an operator": replaced("pages / visits", "pages // visits"),
    "a literal": replaced(":.1f", ":.2f"),
    "text of an f-string": replaced(":.1f} pages", ":.1f} page"),
    "a condition": replaced("or not visits", "or visits is None"),
    "a helper that it calls": replaced("math.log(value", "math.log1p(value"),
    "a constant that its helper takes": replaced("_LEAST = 1.5", "_LEAST = 1.6"),
    "the type of a constant": replaced("_LEAST = 1.5", "_LEAST = '1.5'"),
    "what a name is imported from": replaced("import math\n", "import statistics as math\n"),
    "a default of its helper": replaced("_logged(value: float)", "_logged(value: float, more: float = 0)"),
    "the order of parameters": replaced(
        "pages: float | None, visits: float | None", "visits: float | None, pages: float | None"
    ),
    "what it gives": replaced("visits: float | None) -> float | None", "visits: float | None) -> bool | None"),
    "a local that hides a helper": replaced(
        "    each = pages / visits\n", "    _logged = abs\n    each = pages / visits\n"
    ),
    "a name": CODE.replace("pages_each", "pages_per_visit"),
}


@pytest.mark.parametrize("edit", SAME)
def test_what_computes_the_same_has_the_same_hash(edit: str) -> None:
    """Nobody retrains, or is alarmed, for a comment."""
    assert made(SAME[edit]).made_digests["pages_each"] == made(CODE).made_digests["pages_each"]


@pytest.mark.parametrize("edit", CHANGED)
def test_what_computes_otherwise_has_another_hash(edit: str) -> None:
    """No change of what a model sees goes unseen; the other feature stays."""
    now, then = made(CHANGED[edit]), made(CODE)
    assert then.made_digests["pages_each"] not in now.made_digests.values()
    assert now.made_digests["from_web"] == then.made_digests["from_web"]
    assert now.digest != then.digest


def test_the_hash_of_the_set_follows_its_features() -> None:
    """Order and comments leave it; a function more changes it; so does one that leadgate.yaml switches off."""
    then = made(CODE).digest
    assert made(SAME["the order of functions"]).digest == then
    assert made(SAME["another function"]).digest != then
    off = SCHEMA.model_validate({**SCHEMA.model_dump(), "made": [{"name": "from_web", "use": False}]})
    assert made(CODE, off).digest != then
    assert SCHEMA.digest == SCHEMA.model_copy(update={"code": None}).digest


def test_the_type_and_the_name_of_a_column_are_part_of_it() -> None:
    """A column of text where numbers were, or another column under the parameter, is another input."""
    code = "def there(source: str | None) -> bool | None:\n    return bool(source)\n"
    as_number = SCHEMA.model_copy(
        update={"features": (*SCHEMA.features[:2], Feature(name="source", type=NUMERIC))},
    )
    spaced = SCHEMA.model_copy(update={"features": (*SCHEMA.features[:2], Feature(name="Source", type=CATEGORICAL))})
    found = {
        made(code).made_digests["there"],
        made(code.replace("str |", "float |"), as_number).made_digests["there"],
        made(code, spaced).made_digests["there"],
    }
    assert len(found) == 3


def test_the_hash_does_not_come_from_how_python_prints_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """ast.dump prints other text in 3.12 and 3.13."""

    def refused(*_: object, **__: object) -> str:
        raise AssertionError("ast.dump was asked")

    then = made(CODE).made_digests
    monkeypatch.setattr(ast, "dump", refused)
    monkeypatch.setattr(ast, "unparse", refused)
    assert made(CODE).made_digests == then


def _with_type_parameters(module: ast.Module) -> None:
    """As 3.12 has them: an empty list of type parameters on each function."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and "type_params" not in node._fields:
            vars(node).update(_fields=(*node._fields, "type_params"), type_params=[])


def _with_split_text(module: ast.Module) -> None:
    """Text in f-strings in pieces, as some versions leave it."""
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            text = [part for part in node.values if isinstance(part, ast.Constant)]
            for part in text:
                where = node.values.index(part)
                node.values[where : where + 1] = [ast.Constant(str(part.value)[:2]), ast.Constant(str(part.value)[2:])]
            node.values.append(ast.Constant(""))


@pytest.mark.parametrize("as_elsewhere", (_with_type_parameters, _with_split_text))
def test_what_other_versions_of_python_parse_otherwise_has_the_same_hash(
    as_elsewhere: Callable[[ast.Module], None],
) -> None:
    """The trees of 3.11, 3.12 and 3.13 differ in fields that hold nothing and in how text is split."""
    here, there = ast.parse(CODE), ast.parse(CODE)
    as_elsewhere(there)
    assert digest_of("pages_each", definitions(there), []) == digest_of("pages_each", definitions(here), [])


def test_each_python_of_this_machine_finds_the_same_hash() -> None:
    """The file that takes it needs nothing but Python, so whatever versions are here can be asked.

    The first one is that of the tests. The hash is written down: were it another one in a later Leadgate, each version
    of today would look as if its features had changed.
    """
    spec = importlib.util.find_spec("leadgate.leads.feature_digest")
    assert spec is not None
    ask = (
        "import ast, importlib.util, json, sys\n"
        f"spec = importlib.util.spec_from_file_location('digests', {spec.origin!r})\n"
        "it = importlib.util.module_from_spec(spec); spec.loader.exec_module(it)\n"
        "code = json.load(sys.stdin)\n"
        "print(it.digest_of('pages_each', it.definitions(ast.parse(code)), [['pages', 'numeric']]))\n"
    )
    others = filter(None, (shutil.which(f"python3.{minor}") for minor in (11, 12, 13)))
    found = [
        subprocess.run([python, "-c", ask], input=json.dumps(CODE), capture_output=True, text=True, check=False)
        for python in (sys.executable, *others)
    ]
    # A name on the path may stand for a Python that is not installed.
    assert {done.stdout.strip() for done in found if done.returncode == 0} == {PINNED}
    assert found[0].returncode == 0


PINNED = "be20a30ab8b2c9aa606db3c1aa7a871b79c5fabd128071b8373e92c2bca158dc"
