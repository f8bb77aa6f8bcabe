"""A workspace full of cases: a wide table, a text, a picture, with reasons made by hand."""

import base64
import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from sqlalchemy import select

from app.settings import Settings
from app.workspace import Workspace, local_name, open_workspace
from contract.project import Project
from contract.records import Explanation, Prediction
from db import blobs
from db.tables import Item, ReasonRequest, Routing
from review_queue import batches, embeddings, explanations, intake, people, preferences, rules
from review_queue.projects import Setting
from tests import factories

WORDS = [
    "the",
    "driver",
    "says",
    "a",
    "parked",
    "car",
    "was",
    "hit",
    "at",
    "night",
    "near",
    "the",
    "station",
    "and",
    "a",
    "witness",
    "called",
    "the",
    "police",
    "before",
    "noon",
]
NASTY = (
    '<script>window.stolen = 1</script><img src=x onerror="window.stolen = 2"> **bold** [a](javascript:alert(1)) "quotes" שלום 🙂'
)
REGIONS = ("north", "south", "east", "west")
DIGITS = tuple("0123456789")


def workspace(folder: Path) -> Workspace:
    return open_workspace(Settings(dir=folder, secret_key=factories.SECRET))


def choose(held: Workspace, desk: preferences.Desk) -> None:
    """The person at this machine works in the deck, or on the page in Streamlit alone."""
    actor = held.database.write(people.local_actor, local_name(), "desk")
    held.database.write(preferences.choose, actor, preferences.Preferences(desk))


def claims_project(features: int = 30) -> Project:
    wide = {
        f"reading_{n}": {"type": "number", "title": f"Reading {n}", "unit": "mm" if n % 3 else None} for n in range(features - 4)
    }
    return factories.project(
        title="Motor claims",
        input={
            "type": "tabular",
            "features": {
                "amount": {"type": "number", "title": "Amount claimed", "unit": "EUR"},
                "region": {"type": "category", "title": "Region"},
                "opened": {"type": "date", "title": "Opened", "optional": True},
                "story": {"type": "text", "title": "Story"},
                **wide,
            },
            "show": {"page": {"type": "link", "title": "Claim page"}, "note": {"type": "text", "title": "Note"}},
            "groups": ["sex"],
        },
        labels={
            "deny": {"title": "Deny", "key": "d", "guideline": "The policy excludes it."},
            "inspect": {"title": "Inspect", "key": "i"},
            "pay": {"title": "Pay", "key": "y", "guideline": "Covered and plausible."},
        },
    )


def messages_project() -> Project:
    return factories.project(
        project="messages",
        title="Messages",
        noun="message",
        input={"type": "text"},
        labels=["ham", "spam"],
        reasons={"reject": ["illegible"]},
    )


def digits_project() -> Project:
    return factories.project(project="digits", title="Digits", noun="digit", input={"type": "image"}, labels=list(DIGITS))


def fill(held: Workspace, *, claims: int = 40, messages: int = 8, digits: int = 12, reasons: bool = True, **policy: Any) -> None:
    """Three projects with waiting cases."""
    if claims:
        table(held, claims, reasons, **policy)
    if messages:
        texts(held, messages, reasons, **policy)
    if digits:
        pictures(held, digits, reasons, **policy)


def table(held: Workspace, count: int, reasons: bool, **policy: Any) -> Setting:
    setting = factories.setting(held.database, claims_project(), factories.policy(**policy))
    rng = random.Random(7)
    items = []
    for n in range(count):
        given: dict[str, Any] = {
            name: round(rng.gauss(20, 9), 2) for name in setting.project.input.features if name.startswith("reading")
        }
        story = NASTY if n % 4 == 1 else " ".join(rng.choices(WORDS, k=60 if n % 2 else 12))
        given |= {
            "amount": round(rng.uniform(80, 9000), 2),
            "region": rng.choice(REGIONS),
            "opened": "2026-11-03",
            "story": story,
        }
        show = {"page": f"https://claims.example/{n}", "note": NASTY if n % 5 == 0 else "called twice"}
        items.append({"external_id": f"M-{1000 + n}", "input": given, "show": show})
    route(held, setting, items, [spread(rng, tuple(setting.project.labels)) for _ in items])
    if reasons:
        explain(
            held, setting, lambda given: [tabular(setting, given, method, rng) for method in ("shap.permutation", "lime.tabular")]
        )
    return setting


def texts(held: Workspace, count: int, reasons: bool, **policy: Any) -> Setting:
    setting = factories.setting(held.database, messages_project(), factories.policy(**policy))
    rng = random.Random(11)
    lines = [NASTY if n == 1 else " ".join(rng.choices([*WORDS, "winner", "free", "call", "now"], k=40)) for n in range(count)]
    items = [{"external_id": f"sms-{n}", "input": {"text": line}} for n, line in enumerate(lines)]
    route(held, setting, items, [spread(rng, ("ham", "spam")) for _ in items])
    if reasons:
        explain(held, setting, lambda given: [words(given["text"], method, rng) for method in ("shap.partition", "lime.text")])
    return setting


def pictures(held: Workspace, count: int, reasons: bool, **policy: Any) -> Setting:
    setting = factories.setting(held.database, digits_project(), factories.policy(**policy))
    rng = random.Random(13)
    items = []
    for n in range(count):
        sha = held.database.write(blobs.put, drawing(n), "image/png")
        items.append({"external_id": f"d-{n}", "input": {"image": {"blob": f"sha256:{sha}"}}})
    route(held, setting, items, [spread(rng, DIGITS) for _ in items])
    if reasons:
        explain(held, setting, lambda _: [segments(method, rng) for method in ("shap.partition", "lime.image")])
    return setting


def spread(rng: random.Random, labels: Sequence[str]) -> Prediction:
    """An unsure prediction."""
    raw = [rng.random() ** 3 + 0.01 for _ in labels]
    top = rng.randrange(len(labels))
    raw[top] += sum(raw) * rng.uniform(0.6, 1.4)
    return Prediction(tuple(labels), tuple(each / sum(raw) for each in raw))


def route(held: Workspace, setting: Setting, items: Sequence[dict[str, Any]], said: Sequence[Any]) -> None:
    """Take items in and route them as the worker does."""
    database = held.database
    database.write(intake.accept, setting, [intake.check(setting.project, item) for item in items])
    rule = database.read(rules.in_force, setting.id, setting.policy)
    assert rule is not None
    answers = dict(zip((item["external_id"] for item in items), said, strict=True))
    leased = database.write(batches.lease, setting.id, "score", "filling", limit=len(items), seconds=60)
    pairs = [(item, answers[item.external_id]) for item in leased]
    database.write(batches.write, setting.id, "filling", pairs, model_id=rule.model_id, keys=held.keys)


def explain(held: Workspace, setting: Setting, make: Any) -> None:
    """Reasons for all that waits, as a worker writes them."""
    held.database.write(explanations.order_ahead, setting.id)
    for leased in held.database.write(batches.lease, setting.id, "explain", "filling", limit=500, seconds=60):
        row = held.database.read(lambda session, item=leased.item_id: session.get(Routing, (item, 1)))
        assert row is not None
        made = [
            Explanation(**{**kept, "label": row.label or "", "seed": 0, "background_hash": "0" * 8, "seconds": 0.1})
            for kept in make(leased.input)
        ]
        held.database.write(explanations.store, leased.item_id, row.model_id, made)


def answer(held: Workspace, make: Any) -> int:
    """What somebody asked for, as a worker answers it; how many."""
    waiting = held.database.read(lambda session: session.scalars(select(ReasonRequest).filter_by(done_at=None)).all())
    for each in waiting:
        named = {"label": each.label, "seed": 0, "background_hash": "0" * 8, "seconds": 0.1, "params": {"asked": each.id}}
        held.database.write(explanations.answer, each.id, Explanation(**{**make(each.method), **named}))
    return len(waiting)


def embed(held: Workspace, setting: Setting, space: str = "the network's last hidden layer") -> None:
    """A vector for every item: the later two arrived, the nearer they are."""
    query = select(Routing.item_id, Routing.model_id).join(Item, Item.id == Routing.item_id)
    rows = held.database.read(lambda s: s.execute(query.where(Item.project_id == setting.id)).tuples().all())
    vectors = {item_id: np.array([np.cos(item_id / 50), np.sin(item_id / 50)], "<f4").tobytes() for item_id, _ in rows}
    held.database.write(embeddings.keep, rows[0][1], space, vectors)


def tabular(setting: Setting, given: dict[str, Any], method: str, rng: random.Random) -> dict[str, Any]:
    parts = [
        {"feature": name, "value": given.get(name), "contribution": rng.gauss(0, 1) ** 3 * 0.2}
        for name in setting.project.input.features
    ]
    quality = {"additivity_gap": 1e-12} if method.startswith("shap") else {"local_r2": rng.uniform(0.3, 0.95)}
    unit = "log-odds" if method.startswith("shap") else "probability"
    return {"method": method, "unit": unit, "base": 0.31, "contributions": parts, "params": {}, "quality": quality}


def words(line: str, method: str, rng: random.Random) -> dict[str, Any]:
    parts, at = [], 0
    for word in line.split(" "):
        parts.append({"start": at, "end": at + len(word), "text": word, "contribution": rng.gauss(0, 0.1)})
        at += len(word) + 1
    return {
        "method": method,
        "unit": "probability",
        "base": 0.4,
        "contributions": parts,
        "params": {},
        "quality": {},
        "modality": "text",
    }


def segments(method: str, rng: random.Random, edge: int = 28, cut: int = 7) -> dict[str, Any]:
    rows, columns = np.indices((edge, edge))
    numbers = (rows // cut) * (edge // cut) + columns // cut
    weights = [rng.gauss(0, 0.2) for _ in range(int(numbers.max()) + 1)]
    body = {"height": edge, "width": edge, "segments": png(numbers.astype(np.uint16)), "weights": weights}
    return {
        "method": method,
        "unit": "probability",
        "base": 0.1,
        "contributions": body,
        "params": {},
        "quality": {},
        "modality": "image",
    }


def png(numbers: Any) -> str:
    file = io.BytesIO()
    Image.fromarray(numbers).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


def drawing(n: int) -> bytes:
    """A small grey picture of a digit."""
    image = Image.new("L", (28, 28), 0)
    ImageDraw.Draw(image).text((9, 5), str(n % 10), fill=255, font_size=18)
    image.putpixel((0, 0), n)
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()
