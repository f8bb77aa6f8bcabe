"""The card of a dataset version: what a reader must know before using the rows."""

import json
from collections.abc import Mapping
from typing import Any

from retrain.formats import hugging_face

READS = {"parquet": "pd.read_parquet({})", "jsonl": "pd.read_json({}, lines=True)", "csv": "pd.read_csv({})"}
ELSEWHERE = {
    "huggingface": 'from datasets import load_dataset\nfound = load_dataset(".")',
    "image-folder": 'from torchvision.datasets import ImageFolder\ntrain, test = ImageFolder("train"), ImageFolder("test")',
    "label-studio": "import json\nfrom pathlib import Path\n"
    'tasks = [task for part in sorted(Path().glob("tasks*.json")) for task in json.loads(part.read_text())]',
}
"""How a folder is read, by its format."""


def card(manifest: Mapping[str, Any]) -> str:
    """README.md of the folder of a version."""
    counts, rows = manifest["counts"], manifest["rows"]
    closed, opened = counts["window"].get("closed", 0), counts["window"].get("open", 0)
    head = hugging_face.head(manifest["data"]) if manifest["format"] == "huggingface" and manifest["data"] else ""
    return f"""{head}# {manifest["title"]}: decided cases

{rows} rows, one per item that people answered, up to position {manifest["watermark"]} of the event sequence.

| | |
| --- | --- |
| labels | {_listed(counts["label"])} |
| why a label exists | {_shares(counts["label_basis"], rows)} |
| who gave it | {_listed(manifest["reviewers"])} |
| split, for good | {_listed(counts["split"])} |
| models | {_listed(counts["model_version"])} |

{closed} rows are closed: every item that was to be answered by {manifest["complete_through"] or "then"} is, and each of them
stands for 1 / `review_probability` items of the traffic (`weight`). {opened} rows are open: only the most urgent part of the
queue was decided there, so they carry no weight; use them for training, not for estimates.

{_worth(manifest["weights"])}

Rows without a label were rejected by a person; `verdict` says so. What people answered only because somebody asked for a look
(`label_basis` requested), because two models differed (shadow), or many cases at once (bulk), has no weight, since no chance
brought it to them. Rows of the split `test` are never learned from; so are all whose answer measures people, and audits that were
answered too late. An id stands once for each of its revisions that people answered (`item_revision`): a label belongs to the
content beside it.

{_revised(counts["revises_watermark"])}
{_erased(manifest)}
{_rejected(manifest)}{_beside(manifest)}```python
{_loading(manifest["format"], manifest["data"])}
```
"""


def _worth(held: Mapping[str, Any] | None) -> str:
    """What the weights cost, and what cutting the largest would do."""
    if held is None:
        return "No row has a weight yet, so nothing can be estimated from them."
    cut = held["cut"]
    return f"""The {held["rows"]} rows with a weight tell as much as {held["effective"]:.1f} of a plain random sample would
(Kish's effective sample size, (sum w)^2 / sum w^2), {held["price"]:.0%} of their number. The largest weighs {held["largest"]:g}.
Nothing is cut: at their 99th percentile ({cut["at"]:g}) {cut["rows"]} weights would be smaller, and the rows would tell as much
as {cut["effective"]:.1f}, but no longer of the traffic as it is."""


def _erased(manifest: Mapping[str, Any]) -> str:
    if not manifest.get("erased"):
        return ""
    replaced = f" This version replaces the one named {manifest['replaces'][:16]}." if "replaces" in manifest else ""
    return f"\nItems that were answered and are in no row, because their content was erased: {manifest['erased']}.{replaced}\n"


def _rejected(manifest: Mapping[str, Any]) -> str:
    count = manifest["counts"]["label"].get("(none)", 0)
    if manifest["format"] != "image-folder" or not count:
        return ""
    return f"{count} images that no label fits are in `rejected/`, which is no split; all columns are in each `metadata.csv`.\n\n"


def _shares(counts: Mapping[str, int], rows: int) -> str:
    return ", ".join(f"{name}: {n} ({n / rows:.1%})" for name, n in counts.items())


def _beside(manifest: Mapping[str, Any]) -> str:
    if "reasons" not in manifest:
        return ""
    count = manifest["reasons"]["rows"]
    return f"""Files named `reasons` hold the {count} explanations that were on a screen when somebody decided, a row each:
`decision` is the number of the decision, `opened` whether the person opened them, `body` the explanation as it was shown, `hash`
its SHA-256.

"""


def _loading(format: str, names: list[str]) -> str:
    """The lines that read the rows."""
    if format not in READS:
        return ELSEWHERE[format]
    reads = READS[format]
    if len(names) == 1:
        return f"import pandas as pd\ndf = {reads.format(json.dumps(names[0]))}"
    found = f'sorted(Path().glob("data-*.{format}"))'
    joined = f"df = pd.concat([{reads.format('part')} for part in {found}], ignore_index=True)"
    return f"from pathlib import Path\nimport pandas as pd\n{joined}"


def _revised(counts: Mapping[str, int]) -> str:
    """Which earlier versions held other labels for some of these rows."""
    changed = {name: n for name, n in counts.items() if name != "(none)"}
    if not changed:
        return "No row had another label in an earlier version."
    named = ", ".join(f"{n} since position {name}" for name, n in changed.items())
    return f"Rows that had another label in an earlier version (`revises_watermark`): {named}."


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {n}" for name, n in counts.items())
