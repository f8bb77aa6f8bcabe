"""Models in shadow: which stand there, until when, and the way back to the former champion."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from db.engine import Database
from db.tables import Activity, Model, Notice, Proposal, RoutingRule, Work
from db.tables import Challenge as ChallengeRow
from review_queue import acting, challenges, checks, projects, succession
from review_queue.activity import Actor
from review_queue.errors import Forbidden, NotFound, NotYet, Refused
from review_queue.projects import Setting
from tests import factories
from tests.review_queue.acting import Move, at_once


@pytest.fixture
def model(database: Database, held: Setting) -> int:
    """A version that plays no role."""
    return database.write(factories.version, held)


@pytest.fixture
def olga(database: Database) -> Actor:
    return factories.person(database, "olga", "owner")


def promote(database: Database, held: Setting, wanted: int, by: Actor | None = None) -> int:
    """Let a version act; the one that acted."""
    stood = database.read(acting.model_id, held.id)
    assert stood is not None
    key = factories.keys(database).draw_key_id
    database.write(succession.take_over, held.id, wanted, stood, by=by, draw_key_id=key, cause="promote")
    return stood


def standing(database: Database, held: Setting) -> list[tuple[str, int, int]]:
    return [(each.kind, each.model_id, each.against_id) for each in database.read(challenges.standing, held.id)]


def every(database: Database, held: Setting) -> list[ChallengeRow]:
    """Standing and ended, newest first."""
    query = select(ChallengeRow).where(ChallengeRow.project_id == held.id).order_by(ChallengeRow.id.desc())
    return database.read(lambda session: list(session.scalars(query)))


def test_a_challenger_stands_until_it_is_taken_out(database: Database, held: Setting, model: int, lea: Actor) -> None:
    stood = database.read(acting.model_id, held.id)
    made = database.write(challenges.begin, held, model, by=lea)
    assert (made.kind, made.share, made.against_id, made.until) == ("challenger", 0.1, stood, None)
    assert database.write(challenges.begin, held, model, by=lea) == made
    assert database.read(acting.model_id, held.id, "challenger") == model
    factories.routed(database, held, {"1": factories.says("pay", 0.97)})
    ended = database.write(challenges.end, held, by=lea)
    assert (ended.id, ended.ended_as) == (made.id, "withdrawn")
    assert database.read(acting.model_id, held.id, "challenger") is None
    assert database.read(lambda s: s.scalars(select(Work).where(Work.kind == "shadow")).all()) == []
    with pytest.raises(NotFound, match="signoff model shadow VERSION"):
        database.write(challenges.end, held, by=lea)
    verbs = database.read(lambda s: list(s.scalars(select(Activity.verb).where(Activity.verb.like("model.%")))))
    assert verbs == ["model.shadow", "model.shadow_end"]


def test_another_challenger_takes_its_place(database: Database, held: Setting, model: int) -> None:
    first = database.write(challenges.begin, held, model)
    other = database.write(factories.version, held)
    second = database.write(challenges.begin, held, other, share=0.5)
    assert database.read(challenges.challenge, first.id).ended_as == "replaced"
    assert [each.id for each in every(database, held)] == [second.id, first.id]
    assert second.share == 0.5
    assert database.read(checks.problems) == []


def test_what_cannot_stand_in_shadow_is_refused(database: Database, held: Setting, model: int, ann: Actor, lea: Actor) -> None:
    stood = database.read(acting.model_id, held.id)
    assert stood is not None
    with pytest.raises(Forbidden, match="by leads and up"):
        database.write(challenges.begin, held, model, by=ann)
    with pytest.raises(NotFound, match="no such model"):
        database.write(challenges.begin, held, 10**6)
    with pytest.raises(Refused, match="is the champion"):
        database.write(challenges.begin, held, stood)
    with pytest.raises(Refused, match=r"a share of 1\.5 is none"):
        database.write(challenges.begin, held, model, share=1.5)
    strange = database.write(factories.version, held, labels=["pay", "maybe"])
    with pytest.raises(Refused, match="'maybe', which the project no longer has"):
        database.write(challenges.begin, held, strange)
    elsewhere = database.write(factories.version, held, trainer="external")
    with pytest.raises(Refused, match="answers elsewhere"):
        database.write(challenges.begin, held, elsewhere)
    with pytest.raises(NotFound):
        database.read(challenges.challenge, 7)
    promote(database, held, model)
    with pytest.raises(Refused, match="as the former champion"):
        database.write(challenges.begin, held, stood)


def test_nothing_stands_beside_no_model(database: Database) -> None:
    applied = database.write(
        projects.apply, factories.project(), factories.policy(), "Read.", factories.keys(database).draw_key_id, by=None
    )
    model = database.write(factories.version, applied.setting)
    with pytest.raises(NotYet, match="no model acts yet"):
        database.write(challenges.begin, applied.setting, model)


def test_two_begin_at_once_and_one_stands(database: Database, held: Setting) -> None:
    models = [database.write(factories.version, held) for _ in range(4)]
    assert at_once([lambda m=m: database.write(challenges.begin, held, m) for m in models]) == []
    assert len(standing(database, held)) == 1
    assert database.read(checks.problems) == []


class TestPromotion:
    def test_the_former_champion_goes_into_shadow_for_its_time(
        self, database: Database, held: Setting, model: int, move: Move
    ) -> None:
        database.write(challenges.begin, held, model)
        before = promote(database, held, model)
        assert standing(database, held) == [("former", before, model)]
        (former,) = database.read(challenges.standing, held.id)
        assert former.until is not None
        assert former.until - former.begun_at == timedelta(days=14)
        assert database.read(acting.model_id, held.id, "challenger") is None
        assert [each.ended_as for each in every(database, held)] == [None, "promoted"]
        assert not database.read(challenges.is_over)
        move(timedelta(days=14, seconds=1))
        assert database.read(succession.way_back, held.id) is None
        assert database.read(challenges.is_over)
        assert database.write(challenges.end_over) == 1
        assert standing(database, held) == []
        assert database.read(checks.problems) == []

    def test_another_challenger_goes_on_beside_the_new_one(self, database: Database, held: Setting, model: int) -> None:
        other = database.write(factories.version, held)
        database.write(challenges.begin, held, other, share=0.3)
        before = promote(database, held, model)
        assert standing(database, held) == [("challenger", other, model), ("former", before, model)]
        assert database.read(challenges.standing, held.id)[0].share == 0.3
        assert database.read(acting.model_id, held.id, "challenger") == other
        assert database.read(checks.problems) == []

    def test_a_policy_without_it_keeps_none(self, database: Database) -> None:
        held = factories.setting(database, wished=factories.policy(shadow={"former": "off"}))
        promote(database, held, database.write(factories.version, held))
        assert standing(database, held) == []


class TestRollback:
    @pytest.fixture
    def before(self, database: Database, held: Setting, model: int) -> int:
        """The former champion, in shadow."""
        return promote(database, held, model)

    def back(self, database: Database, held: Setting, by: Actor) -> int:
        stood = database.read(succession.way_back, held.id)
        assert stood is not None
        key = factories.keys(database).draw_key_id
        return database.write(succession.step_back, stood, by=by, draw_key_id=key, why=f"{by.name} brought it back")

    def test_one_lead_brings_it_back_at_once(
        self, database: Database, held: Setting, model: int, before: int, lea: Actor
    ) -> None:
        proposal = database.read(lambda s: s.get(Proposal, self.back(database, held, lea)))
        assert proposal is not None
        assert (proposal.kind, proposal.state, proposal.signers, proposal.why) == (
            "rollback",
            "applied",
            1,
            "lea brought it back",
        )
        assert database.read(acting.model_id, held.id) == before
        assert database.read(acting.model_id, held.id, "previous") is None
        assert standing(database, held) == []
        assert database.read(lambda s: s.scalars(select(RoutingRule.cause).order_by(RoutingRule.id.desc())).first()) == "rollback"
        assert database.read(checks.problems) == []

    def test_a_reviewer_and_the_known_answers_do_not(self, database: Database, held: Setting, before: int, ann: Actor) -> None:
        with pytest.raises(Forbidden, match="by leads and owners"):
            self.back(database, held, ann)
        played = Actor(ann.id, "ann", "owner", "desk", known_answers=True)
        with pytest.raises(Forbidden, match="not the known answers"):
            self.back(database, held, played)
        assert database.read(acting.model_id, held.id) != before

    def test_the_evidence_brings_it_back_once(self, database: Database, held: Setting, model: int, before: int) -> None:
        key = factories.keys(database).draw_key_id
        assert database.write(succession.back_by_evidence, held.id, key, "its errors are above what is fit")
        assert database.read(acting.model_id, held.id) == before
        notice = database.read(lambda s: s.scalars(select(Notice)).one())
        assert notice.kind == "rollback"
        assert notice.body["said"].endswith("its errors are above what is fit.")
        assert not database.write(succession.back_by_evidence, held.id, key, "again")
        assert database.read(acting.model_id, held.id) == before

    def test_two_at_once_bring_it_back_once(
        self, database: Database, held: Setting, before: int, lea: Actor, olga: Actor
    ) -> None:
        stood = database.read(succession.way_back, held.id)
        assert stood is not None
        key = factories.keys(database).draw_key_id
        lost = at_once(
            [
                lambda by=by: database.write(succession.step_back, stood, by=by, draw_key_id=key, why="bad")
                for by in (lea, olga, None)
            ]
        )
        assert [type(each) for each in lost] == [Refused, Refused]
        assert database.read(acting.model_id, held.id) == before
        assert len(database.read(lambda s: s.scalars(select(Proposal)).all())) == 1

    def test_a_former_champion_with_strange_labels_does_not_come_back(
        self, database: Database, held: Setting, model: int, before: int
    ) -> None:
        database.write(lambda s: s.execute(update(Model).where(Model.id == before).values(labels=["pay", "maybe"])))
        assert database.read(succession.way_back, held.id) is None
        key = factories.keys(database).draw_key_id
        assert not database.write(succession.back_by_evidence, held.id, key, "its errors are above what is fit")
        assert database.read(acting.model_id, held.id) == model
