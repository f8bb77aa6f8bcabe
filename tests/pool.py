"""PostgreSQL databases that tests use one after the other: making one takes longer than bringing it back to how it was."""

import uuid
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

SHAPE = """SELECT md5(string_agg(part, ',' ORDER BY part)) FROM (
    SELECT concat_ws(' ', c.relname, c.reloptions, a.attname, a.atttypid, a.attnotnull) AS part FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT tgname FROM pg_trigger
    UNION ALL SELECT setconfig::text FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
        WHERE d.datname = current_database()) AS parts"""
"""What a test may not have changed: tables, columns, indexes, constraints, triggers, settings."""
KEEP = """DO $$ DECLARE t text; filled boolean; BEGIN
    CREATE SCHEMA kept;
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM public.%I)', t) INTO filled;
        IF filled THEN EXECUTE format('CREATE TABLE kept.%I AS TABLE public.%I', t, t); END IF;
    END LOOP; END $$"""
BACK = """DO $$ DECLARE t text; rows int; many text[] := '{}'; seen float; BEGIN
    SET LOCAL session_replication_role = replica;
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('SELECT count(*) FROM (SELECT 1 FROM public.%I LIMIT 1001) AS few', t) INTO rows;
        SELECT reltuples INTO seen FROM pg_class WHERE oid = format('public.%I', t)::regclass;
        IF rows > 1000 OR seen >= 0 THEN many := many || format('public.%I', t);
        ELSIF rows > 0 THEN EXECUTE format('DELETE FROM public.%I', t); END IF;
    END LOOP;
    IF cardinality(many) > 0 THEN EXECUTE 'TRUNCATE ' || array_to_string(many, ', ') || ' CASCADE'; END IF;
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'kept' LOOP
        EXECUTE format('INSERT INTO public.%I SELECT * FROM kept.%I', t, t);
    END LOOP;
    DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace);
    PERFORM setval(format('public.%I', sequencename)::regclass, start_value, false)
        FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL;
    END $$"""
"""Empties what is filled; cuts off what is long or was analyzed, so that plans are those of a new database. Then puts back what
the template holds, and starts ids anew."""
ALONE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@dataclass
class Pool:
    """Clones of a migrated template on one server."""

    server: str
    template: str
    free: list[str] = field(default_factory=list)
    shape: str = ""

    def take(self) -> str:
        """The name of a database as the template has it."""
        if self.free:
            return self.free.pop()
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._administrate(f"CREATE DATABASE {name} TEMPLATE {self.template}")
        with self._engine(name).begin() as connection:
            connection.execute(text(KEEP))
            self.shape = connection.execute(text(SHAPE)).scalar_one()
        return name

    def give_back(self, name: str) -> None:
        """Empty it for the next test; where its shape was changed, or it cannot be reached, it goes."""
        try:
            with self._engine(name).begin() as connection:
                as_it_was = self._emptied(connection)
        except DBAPIError:
            as_it_was = False
        if as_it_was:
            self.free.append(name)
        else:
            self._administrate(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _emptied(self, connection: Connection) -> bool:
        connection.execute(text(ALONE))
        if connection.execute(text(SHAPE)).scalar_one() != self.shape:
            return False
        connection.execute(text(BACK))
        return True

    def _administrate(self, statement: str) -> None:
        engine = create_engine(make_url(self.server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def _engine(self, name: str) -> Engine:
        return create_engine(make_url(self.server).set(database=name, drivername="postgresql+psycopg"), poolclass=NullPool)
