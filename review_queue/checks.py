"""What must always hold in the database, whatever died: one query a rule over whole tables, and a sentence where it is broken."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.tables import Project
from review_queue import tallies

NAMED = 5
"""Rows that a sentence names."""
_JSON = {"sqlite": "json_extract({column}, '$.{member}')", "postgresql": "CAST({column} AS jsonb) ->> '{member}'"}
_REVISION, _DECISION = ("body", "revision"), ("before", "decision")
_ANSWERS = "('accept', 'correct', 'reject')"
_UNTOUCHED = "k.closed_at IS NULL"


@dataclass(frozen=True, slots=True)
class Rule:
    """`broken`: what is wrong with the rows that `query` gives, one column of numbers; `row`: what they are numbers of."""

    name: str
    row: str
    broken: str
    query: str


def problems(session: Session) -> list[str]:
    """Every rule that is broken, as a sentence that names the rows; empty where all is well. Reads whole tables.

    Call it on one consistent view: `database.read(checks.problems)`.
    """
    dialect = session.get_bind().dialect.name
    return [*(said for rule in RULES for said in _broken(session, rule, dialect)), *_miscounted(session)]


def _miscounted(session: Session) -> Iterator[str]:
    """Projects whose kept counts are not those of their tables."""
    for project in session.scalars(select(Project).order_by(Project.id)).all():
        if off := tallies.astray(session, project.id):
            named = ", ".join(f"{name} by {-n:+,}" for name, n in sorted(off.items())[:NAMED])
            yield f"the counts of {project.name} are not those of its tables ({named}); `signoff db check --recount` mends them"


def _broken(session: Session, rule: Rule, dialect: str) -> Iterator[str]:
    query = f"SELECT found.id, count(*) OVER () FROM ({_filled(rule.query, dialect)}) AS found ORDER BY found.id LIMIT {NAMED}"
    rows = session.execute(text(query)).all()
    if rows:
        count = rows[0][1]
        named = ", ".join(str(row[0]) for row in rows) + (", …" if count > len(rows) else "")
        yield f"{rule.broken}: {count:,} ({rule.row} {named})"


def _filled(query: str, dialect: str) -> str:
    """The query with its members of JSON as this database reads them."""
    for name, (column, member) in (("revision", _REVISION), ("undone", _DECISION)):
        query = query.replace(f"${name}", f"CAST({_JSON[dialect].format(column=column, member=member)} AS BIGINT)")
    return query


_TOLD = """
    SELECT item_id, kind, $revision AS revision, {place} AS place, {waits} AS waits FROM {table}
    WHERE kind IN ('outcome', 'revision'{more})
"""


def _told(more: str = "") -> str:
    """What was said of outcomes, and what is about to be."""
    left = _TOLD.format(place="seq", waits=0, table="event", more=more)
    return f"{left} UNION ALL {_TOLD.format(place='id', waits=1, table='outbox', more=more)}"


_STANDING = f"""
    SELECT d.id, d.task_id FROM decision d LEFT JOIN decision later ON later.supersedes_id = d.id
    WHERE d.stage = 'final' AND d.verdict IN {_ANSWERS} AND later.id IS NULL
"""
_ON_TASK = "t.item_id = r.item_id AND t.routing_n = r.n"
_ITEMS = (
    Rule(
        "content",
        "item",
        "items without their content",
        "SELECT k.item_id AS id FROM item_key k LEFT JOIN item i ON i.id = k.item_id WHERE i.id IS NULL",
    ),
    Rule(
        "lost",
        "item",
        "items that are neither waiting to be scored nor routed",
        f"""
        SELECT k.item_id AS id FROM item_key k
        LEFT JOIN work w ON w.item_id = k.item_id AND w.kind = 'score'
        LEFT JOIN routing r ON r.item_id = k.item_id AND r.n = 1
        WHERE {_UNTOUCHED} AND w.item_id IS NULL AND r.item_id IS NULL
        """,
    ),
    Rule(
        "scored twice",
        "item",
        "items that are routed and wait to be scored all the same",
        "SELECT w.item_id AS id FROM work w JOIN routing r ON r.item_id = w.item_id AND r.n = 1 WHERE w.kind = 'score'",
    ),
    Rule(
        "routing numbers",
        "item",
        "items with a route missing between two others",
        """
        SELECT r.item_id AS id FROM routing r LEFT JOIN routing before ON before.item_id = r.item_id AND before.n = r.n - 1
        WHERE r.n > 1 AND before.item_id IS NULL
        """,
    ),
    Rule(
        "replaced",
        "item",
        "replaced items without the revision that took their place",
        """
        SELECT k.item_id AS id FROM item_key k
        LEFT JOIN item_key next ON next.project_id = k.project_id AND next.external_id = k.shown_id
        WHERE k.shown_id IS NOT NULL AND (next.item_id IS NULL OR next.revision <= k.revision OR k.closed_at IS NULL)
        """,
    ),
    Rule(
        "open after the end",
        "item",
        "items that were replaced or cancelled, and that somebody is to score or decide all the same",
        """
        SELECT k.item_id AS id FROM item_key k JOIN work w ON w.item_id = k.item_id AND w.kind = 'score'
        WHERE k.closed_at IS NOT NULL
        UNION SELECT k.item_id AS id FROM item_key k JOIN task t ON t.item_id = k.item_id
        LEFT JOIN task audit ON audit.item_id = t.item_id AND audit.routing_n = t.routing_n AND audit.kind = 'audit'
        WHERE k.closed_at IS NOT NULL AND t.state IN ('pending', 'in_progress', 'parked')
            AND (t.kind NOT IN ('audit', 'adjudication') OR audit.id IS NULL)
        """,
    ),
)
_ROUTES = (
    Rule(
        "acted alone",
        "item",
        "items that acted alone and have no outcome of that",
        """
        SELECT r.item_id AS id FROM routing r
        LEFT JOIN outcome o ON o.item_id = r.item_id AND o.routing_n = r.n AND o.source = 'auto'
        WHERE r.route = 'auto' AND o.item_id IS NULL
        """,
    ),
    Rule(
        "outcome of a route",
        "item",
        "outcomes of acting alone without such a route",
        """
        SELECT o.item_id AS id FROM outcome o
        LEFT JOIN routing r ON r.item_id = o.item_id AND r.n = o.routing_n AND r.route = 'auto' AND r.label = o.label
        WHERE o.source = 'auto' AND r.item_id IS NULL
        """,
    ),
    Rule(
        "review",
        "item",
        "items sent to people without a task for it",
        f"""
        SELECT r.item_id AS id FROM routing r LEFT JOIN task t ON {_ON_TASK} AND t.kind = 'review' AND t.seat = 1
        WHERE r.route = 'review' AND t.id IS NULL
        """,
    ),
    Rule(
        "seats",
        "task",
        "tasks of a seat without the seat before it",
        """
        SELECT t.id FROM task t LEFT JOIN task before ON before.item_id = t.item_id AND before.routing_n = t.routing_n
            AND before.kind = t.kind AND before.seat = t.seat - 1
        WHERE t.seat > 1 AND before.id IS NULL
        """,
    ),
    Rule(
        "unasked",
        "task",
        "tasks that neither the route nor a draw nor a person asked for",
        """
        SELECT t.id FROM task t
        LEFT JOIN routing r ON r.item_id = t.item_id AND r.n = t.routing_n
            AND (t.kind = 'adjudication' OR r.route = CASE t.kind WHEN 'audit' THEN 'auto' ELSE 'review' END)
        LEFT JOIN draw d ON d.item_id = t.item_id AND d.n = t.routing_n
            AND (d.purpose = t.kind OR (t.kind = 'audit' AND d.purpose IN ('evidence', 'shadow')))
        WHERE t.requested IS NULL AND t.kind <> 'gold'
            AND (r.item_id IS NULL OR (t.kind IN ('audit', 'second') AND d.item_id IS NULL))
        """,
    ),
    Rule(
        "gold",
        "task",
        "gold that is not blind, is nobody's or for all, or is of one who has had a part in the case",
        """
        SELECT t.id FROM task t LEFT JOIN claim c ON c.task_id = t.id AND c.person_id <> t.assignee_id
        LEFT JOIN routing r ON r.item_id = t.item_id AND r.n = t.routing_n AND r.label IS NOT NULL
        WHERE t.kind = 'gold' AND (NOT t.blind OR t.requested IS NOT NULL OR t.assignee_id IS NULL
            OR t.assigned_until IS NOT NULL OR c.id IS NOT NULL OR r.item_id IS NULL)
        UNION SELECT t.id FROM task t JOIN task other ON other.item_id = t.item_id AND other.id <> t.id
        JOIN decision d ON d.task_id = other.id AND d.person_id = t.assignee_id AND d.task_id <> t.id
        WHERE t.kind = 'gold' AND t.state = 'in_progress'
        """,
    ),
    Rule(
        "outcome of gold",
        "item",
        "outcomes that rest on gold",
        "SELECT o.item_id AS id FROM outcome o JOIN decision d ON d.id = o.decision_id WHERE d.basis = 'gold'",
    ),
    Rule(
        "unanswerable draws",
        "item",
        "items drawn for a check or a second opinion without a task for it",
        f"""
        SELECT r.item_id AS id FROM draw d JOIN routing r ON r.item_id = d.item_id AND r.n = d.n
        LEFT JOIN task t ON {_ON_TASK} AND t.kind = CASE d.purpose WHEN 'second' THEN 'second' ELSE 'audit' END
        WHERE (d.purpose = 'second' OR r.route = 'auto') AND t.id IS NULL
        """,
    ),
    Rule(
        "draws",
        "item",
        "draws without their route, or with another chance than it had",
        """
        SELECT d.item_id AS id FROM draw d LEFT JOIN routing r ON r.item_id = d.item_id AND r.n = d.n
        WHERE r.item_id IS NULL
            OR d.p <> CASE d.purpose WHEN 'second' THEN r.p_second WHEN 'evidence' THEN r.p_evidence ELSE d.p END
        """,
    ),
    Rule(
        "resolved",
        "item",
        "draws whose end and loss do not fit",
        """
        SELECT d.item_id AS id FROM draw d WHERE NOT CASE
            WHEN d.resolved_at IS NULL THEN d.resolved_as IS NULL AND d.loss IS NULL
            WHEN d.purpose IN ('second', 'shadow') THEN d.resolved_as IN ('blind', 'overdue') AND d.loss IS NULL
            WHEN d.resolved_as IN ('adjudicated', 'truth') THEN coalesce(d.loss IN (0, 1), false)
            ELSE coalesce(d.loss = CASE d.resolved_as WHEN 'blind' THEN 0 WHEN 'overdue' THEN 1 END, false) END
        """,
    ),
    Rule(
        "failed",
        "item",
        "failed items that are not announced once as such",
        """
        SELECT r.item_id AS id FROM routing r LEFT JOIN (
            SELECT item_id FROM event WHERE kind = 'failed' UNION ALL SELECT item_id FROM outbox WHERE kind = 'failed'
        ) said ON said.item_id = r.item_id
        WHERE r.route = 'failed' GROUP BY r.item_id, r.n HAVING count(said.item_id) <> 1
        """,
    ),
)
_HOLDS = (
    Rule(
        "nobody holds",
        "task",
        "tasks in progress that nobody holds",
        """
        SELECT t.id FROM task t LEFT JOIN claim c ON c.task_id = t.id AND c.state = 'held'
        WHERE t.state = 'in_progress' AND c.id IS NULL
        """,
    ),
    Rule(
        "held in vain",
        "task",
        "tasks that somebody holds though they are not in progress",
        "SELECT t.id FROM claim c JOIN task t ON t.id = c.task_id WHERE c.state = 'held' AND t.state <> 'in_progress'",
    ),
    Rule(
        "held twice",
        "task",
        "tasks that are held twice",
        "SELECT task_id AS id FROM claim WHERE state = 'held' GROUP BY task_id HAVING count(*) > 1",
    ),
    Rule(
        "two seats",
        "item",
        "items on which one person has two seats",
        """
        SELECT item_id AS id FROM claim WHERE state IN ('held', 'answered', 'skipped')
        GROUP BY item_id, person_id HAVING count(*) > 1
        """,
    ),
    Rule(
        "claims astray",
        "claim",
        "claims on another item than their task is of, or that are held and ended, or neither",
        """
        SELECT c.id FROM claim c JOIN task t ON t.id = c.task_id
        WHERE c.item_id <> t.item_id OR (c.state = 'held') = (c.closed_at IS NOT NULL)
        """,
    ),
    Rule(
        "answered",
        "task",
        "tasks that are completed without one answer, or answered and not completed",
        f"""
        SELECT t.id FROM task t
        LEFT JOIN (SELECT task_id, count(*) AS n FROM claim WHERE state = 'answered' GROUP BY task_id) c ON c.task_id = t.id
        LEFT JOIN (SELECT task_id, count(*) AS n FROM ({_STANDING}) s GROUP BY task_id) d ON d.task_id = t.id
        WHERE CASE WHEN t.state = 'completed' THEN coalesce(c.n, 0) <> 1 OR coalesce(d.n, 0) <> 1 ELSE c.n > 0 END
        """,
    ),
    Rule(
        "ends",
        "task",
        "tasks that are at an end without a time of it, or open with one",
        "SELECT t.id FROM task t WHERE (t.state IN ('completed', 'cancelled')) <> (t.closed_at IS NOT NULL)",
    ),
    Rule(
        "parked",
        "task",
        "parked tasks without the time of it, or tasks that are not parked with one",
        """
        SELECT t.id FROM task t
        WHERE t.state <> 'cancelled' AND (t.state = 'parked') <> (t.parked_at IS NOT NULL)
        """,
    ),
)
_DECISIONS = (
    Rule(
        "undone",
        "decision",
        "answers that stand on an open task and were never taken back",
        f"""
        SELECT d.id FROM ({_STANDING}) d JOIN task t ON t.id = d.task_id
        LEFT JOIN (SELECT $undone AS id FROM activity WHERE verb = 'decision.undo') undone ON undone.id = d.id
        WHERE t.state IN ('pending', 'in_progress', 'parked') AND undone.id IS NULL
        """,
    ),
    Rule(
        "strangers",
        "decision",
        "decisions on another task, item or person than those of their claim",
        """
        SELECT d.id FROM decision d JOIN claim c ON c.id = d.claim_id
        WHERE d.task_id <> c.task_id OR d.item_id <> c.item_id OR d.person_id <> c.person_id
        """,
    ),
    Rule(
        "blind",
        "decision",
        "answers to a blind case without the blind first answer",
        f"""
        SELECT d.id FROM decision d LEFT JOIN decision first ON first.claim_id = d.claim_id AND first.stage = 'first'
        WHERE d.blind AND d.stage = 'final' AND d.verdict IN {_ANSWERS} AND first.id IS NULL
        """,
    ),
    Rule(
        "first twice",
        "claim",
        "claims with two first answers",
        "SELECT claim_id AS id FROM decision WHERE stage = 'first' GROUP BY claim_id HAVING count(*) > 1",
    ),
    Rule(
        "nothing to settle",
        "task",
        "adjudications before which no two answers differ",
        f"""
        SELECT t.id FROM task t LEFT JOIN (
            SELECT id FROM (
                SELECT t.id, coalesce(d.label, '') AS label FROM task t
                JOIN task other ON other.item_id = t.item_id AND other.routing_n = t.routing_n AND other.id <> t.id
                JOIN decision d ON d.task_id = other.id AND d.verdict IN {_ANSWERS} WHERE t.kind = 'adjudication'
                UNION SELECT t.id, coalesce(r.label, '') AS label FROM task t
                JOIN routing r ON r.item_id = t.item_id AND r.n = t.routing_n
                JOIN draw d ON d.item_id = r.item_id AND d.n = r.n AND d.purpose = 'evidence' WHERE t.kind = 'adjudication'
            ) said GROUP BY id HAVING count(*) > 1
        ) differ ON differ.id = t.id
        WHERE t.kind = 'adjudication' AND differ.id IS NULL
        """,
    ),
)
_OUTCOMES = (
    Rule(
        "unsettled",
        "item",
        "items that everybody answered, with neither an outcome nor an adjudication to wait for",
        f"""
        SELECT t.item_id AS id FROM (
            SELECT item_id, routing_n FROM task WHERE kind = 'review' GROUP BY item_id, routing_n
            HAVING count(*) = sum(CASE state WHEN 'completed' THEN 1 ELSE 0 END)
            UNION SELECT item_id, routing_n FROM task WHERE kind = 'adjudication' AND state = 'completed'
        ) t
        JOIN item_key k ON k.item_id = t.item_id
        LEFT JOIN outcome o ON o.item_id = t.item_id AND o.revision = 1
        LEFT JOIN task a ON a.item_id = t.item_id AND a.routing_n = t.routing_n AND a.kind = 'adjudication'
            AND a.state IN ('pending', 'in_progress', 'parked')
        WHERE {_UNTOUCHED} AND o.item_id IS NULL AND a.id IS NULL
        """,
    ),
    Rule(
        "revisions",
        "item",
        "items with an outcome missing before a later one",
        """
        SELECT o.item_id AS id FROM outcome o
        LEFT JOIN outcome before ON before.item_id = o.item_id AND before.revision = o.revision - 1
        WHERE o.revision > 1 AND before.item_id IS NULL
        """,
    ),
    Rule(
        "groundless",
        "item",
        "outcomes of people without a decision that says so",
        f"""
        SELECT o.item_id AS id FROM outcome o
        LEFT JOIN decision d ON d.id = o.decision_id AND d.item_id = o.item_id AND d.stage = 'final'
            AND d.verdict IN {_ANSWERS} AND coalesce(d.label, '') = coalesce(o.label, '')
        WHERE o.source <> 'auto' AND d.id IS NULL
        """,
    ),
    Rule(
        "announced",
        "item",
        "outcomes that are not announced once",
        f"""
        SELECT o.item_id AS id FROM outcome o
        LEFT JOIN ({_told()}) said ON said.item_id = o.item_id AND said.revision = o.revision
        GROUP BY o.item_id, o.revision HAVING count(said.item_id) <> 1
        """,
    ),
    Rule(
        "rumours",
        "item",
        "announcements of an outcome that there is not, or under the wrong name",
        f"""
        SELECT said.item_id AS id FROM ({_told(", 'confirmed', 'disputed'")}) said
        LEFT JOIN outcome o ON o.item_id = said.item_id AND o.revision = said.revision
        WHERE o.item_id IS NULL OR (said.kind = 'outcome' AND said.revision > 1) OR (said.kind = 'revision' AND said.revision = 1)
        """,
    ),
    Rule(
        "order",
        "item",
        "items whose outcomes leave in another order than they were made",
        f"""
        SELECT item_id AS id FROM (
            SELECT item_id, revision, lag(revision) OVER (PARTITION BY item_id ORDER BY waits, place) AS before
            FROM ({_told()}) told
        ) said WHERE before >= revision
        """,
    ),
)
_EVENTS = (
    Rule(
        "gap",
        "seq",
        "events after a gap in the sequence",
        """
        SELECT e.seq AS id FROM event e LEFT JOIN event before ON before.seq = e.seq - 1
        WHERE e.seq <> 1 AND before.seq IS NULL
        """,
    ),
    Rule(
        "head",
        "seq",
        "heads of the sequence that are not its last event",
        "SELECT h.seq AS id FROM event_head h WHERE h.seq <> (SELECT coalesce(max(seq), 0) FROM event)",
    ),
    Rule(
        "ahead",
        "webhook",
        "webhooks that are ahead of the events, or keep one for later that they have not come to",
        """
        SELECT w.id FROM webhook w WHERE w.position > (SELECT coalesce(max(seq), 0) FROM event)
        UNION SELECT w.id FROM webhook w JOIN delivery d ON d.webhook_id = w.id WHERE d.seq > w.position
        """,
    ),
)
_REASONS = (
    Rule(
        "asked in vain",
        "request",
        "explanations that were asked for and are done without result, or wait with one",
        """
        SELECT r.id FROM reason_request r
        WHERE (r.done_at IS NULL) <> (r.explanation_id IS NULL AND r.problem IS NULL)
        """,
    ),
    Rule(
        "forgotten",
        "request",
        "explanations that were asked for and that no worker is to make",
        """
        SELECT r.id FROM reason_request r LEFT JOIN work w ON w.item_id = r.item_id AND w.kind = 'explain'
        WHERE r.done_at IS NULL AND w.item_id IS NULL
        """,
    ),
    Rule(
        "another's reason",
        "request",
        "explanations of another item, model or label than was asked for",
        """
        SELECT r.id FROM reason_request r JOIN explanation e ON e.id = r.explanation_id
        WHERE e.item_id <> r.item_id OR e.model_id <> r.model_id OR e.label <> r.label
        """,
    ),
    Rule(
        "praise",
        "model",
        "models whose explanations are counted more often than there are",
        """
        SELECT q.model_id AS id FROM reason_quality q
        LEFT JOIN (SELECT model_id, method, count(*) AS n FROM explanation GROUP BY model_id, method) e
            ON e.model_id = q.model_id AND e.method = q.method
        WHERE q.made > coalesce(e.n, 0) AND NOT EXISTS (
            SELECT 1 FROM erased x JOIN model m ON m.project_id = x.project_id WHERE m.id = q.model_id
        ) OR q.failed + q.doubted > q.made OR q.fits > q.made
        """,
    ),
    Rule(
        "trials",
        "item",
        "items with an explanation that was tried again and is not there",
        """
        SELECT c.item_id AS id FROM reason_check c LEFT JOIN explanation e
            ON e.item_id = c.item_id AND e.model_id = c.model_id AND e.method = c.method AND e.label = c.label
        WHERE e.id IS NULL
        """,
    ),
    Rule(
        "vectors",
        "item",
        "items whose vector is not as long as the others of its model",
        """
        SELECT e.item_id AS id FROM embedding e
        JOIN (SELECT model_id, max(length(vector)) AS n FROM embedding GROUP BY model_id) longest ON longest.model_id = e.model_id
        WHERE length(e.vector) NOT IN (0, longest.n) OR length(e.vector) % 4 <> 0
        """,
    ),
)
_MANY = (
    Rule(
        "acts",
        "act",
        "acts over many cases that count other answers than they gave",
        """
        SELECT b.id FROM bulk b
        LEFT JOIN (SELECT bulk_id, count(*) AS n FROM bulk_decision GROUP BY bulk_id) d ON d.bulk_id = b.id
        WHERE b.done <> coalesce(d.n, 0) OR b.done > b.asked
        """,
    ),
    Rule(
        "one of many",
        "decision",
        "decisions of an act over many cases that are another person's or have another basis, or that no act knows",
        """
        SELECT d.id FROM decision d LEFT JOIN bulk_decision m ON m.decision_id = d.id LEFT JOIN bulk b ON b.id = m.bulk_id
        WHERE (d.basis = 'bulk') <> (m.decision_id IS NOT NULL)
            OR (b.id IS NOT NULL AND (b.person_id <> d.person_id OR b.project_id <> d.project_id OR b.verdict <> d.verdict))
        """,
    ),
    Rule(
        "flags",
        "flag",
        "flags on a case of another project",
        "SELECT f.id FROM flag f JOIN item i ON i.id = f.item_id WHERE i.project_id <> f.project_id",
    ),
)
_SHADOWS = (
    Rule(
        "disagreements",
        "item",
        "draws of a disagreement with another chance than its models in shadow gave it",
        """
        SELECT d.item_id AS id FROM draw d LEFT JOIN (
            SELECT item_id, n, CASE count(*) WHEN 1 THEN max(p) ELSE 1 - (1 - max(p)) * (1 - min(p)) END AS p
            FROM shadow WHERE p > 0 GROUP BY item_id, n
        ) s ON s.item_id = d.item_id AND s.n = d.n
        WHERE d.purpose = 'shadow' AND coalesce(abs(d.p - s.p) > 0.000000001, true)
        """,
    ),
    Rule(
        "compared",
        "item",
        "items of which a model in shadow is said to agree where it does not, or to differ where it agrees",
        """
        SELECT s.item_id AS id FROM shadow s JOIN challenge c ON c.id = s.challenge_id
        LEFT JOIN routing r ON r.item_id = s.item_id AND r.n = s.n AND r.model_id = c.against_id
        LEFT JOIN prediction p ON p.item_id = s.item_id AND p.model_id = c.model_id
        WHERE r.item_id IS NULL OR s.agrees <> coalesce(p.label = r.label, false)
        """,
    ),
    Rule(
        "beside",
        "challenge",
        "models that stand in shadow beside one that does not act",
        """
        SELECT c.id FROM challenge c
        LEFT JOIN model_alias a ON a.project_id = c.project_id AND a.alias = 'champion' AND a.model_id = c.against_id
        WHERE c.ended_at IS NULL AND a.model_id IS NULL
        """,
    ),
)
_AUTONOMY = (
    Rule(
        "signed",
        "step",
        "rises that act with fewer signatures than they need",
        """
        SELECT e.id FROM autonomy_event e LEFT JOIN autonomy_signature s ON s.event_id = e.id
        WHERE e.kind = 'rise' AND e.state = 'applied' GROUP BY e.id, e.signers HAVING count(s.person_id) < e.signers
        """,
    ),
    Rule(
        "allowed",
        "item",
        "items that acted alone under a rule by which nothing may",
        """
        SELECT r.item_id AS id FROM routing r JOIN routing_rule u ON u.id = r.routing_rule_id
        WHERE r.route = 'auto' AND u.level IN ('frozen', 'shadow', 'assist')
        """,
    ),
)
RULES = (*_AUTONOMY, *_SHADOWS, *_ITEMS, *_ROUTES, *_HOLDS, *_DECISIONS, *_OUTCOMES, *_EVENTS, *_REASONS, *_MANY)
