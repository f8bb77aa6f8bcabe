"""`signoff webhook`: where events are posted to."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import AsJson, Dir, Limit, ProjectName, noun

if TYPE_CHECKING:
    from app.workspace import Workspace
    from review_queue.deliveries import Answer
    from review_queue.webhooks import Hook

app = noun("Webhooks: where events are posted to.")
Number = Annotated[int, typer.Argument(metavar="WEBHOOK", help="Its number, as `signoff webhook list` shows it.")]
Seq = Annotated[int | None, typer.Option("--seq", envvar="SIGNOFF_SEQ", metavar="SEQ", help="One dead letter; default all.")]


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Of https, and at a public address.")],
    kinds: Annotated[
        str | None,
        typer.Option("--kinds", envvar="SIGNOFF_KINDS", metavar="KINDS", help="Kinds of events, by comma; default all."),
    ] = None,
    after: Annotated[
        int | None,
        typer.Option("--after", envvar="SIGNOFF_AFTER", metavar="SEQ", help="Begin after this position; default the present."),
    ] = None,
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """Post the events of a project there. Prints the secret that signs them."""
    from app.cli.console import chosen, note, opened, say
    from review_queue import addresses, webhooks

    wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()] if kinds is not None else None
    with opened(directory) as workspace:
        setting, private = chosen(workspace, project), workspace.settings.webhooks_private
        parts = addresses.check_url(url, private=private)
        addresses.lookup(str(parts.hostname), parts.port or 443, private=private)
        by, keys = workspace.local_actor("cli"), workspace.keys
        hook = workspace.database.write(webhooks.add, setting.id, url, keys=keys, kinds=wanted, after=after, by=by)
        secret = keys.webhook_secret(hook.id, hook.key_id)
    say(as_json, {"id": hook.id, "url": url, "kinds": hook.kinds, "position": hook.position, "secret": secret}, secret)
    if not as_json:
        note(f"webhook {hook.id} of {setting.name} is added; a worker posts to it. Keep the secret where it is received.")


@app.command("list")
def list_(project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """Webhooks and how they fare."""
    from app.cli.console import chosen, opened, say, table
    from review_queue import webhooks

    with opened(directory) as workspace:
        by, found = workspace.local_actor("cli"), workspace.database.read(webhooks.every, chosen(workspace, project).id)
        every = [each.as_seen_by(by) for each in found]
    head = ("webhook", "address", "state", "lag", "seconds", "waiting", "dead", "last error")
    rows = [(str(h.id), h.url, state(h), h.lag_events, h.lag_seconds, h.waiting, h.dead, h.last_error) for h in every]
    say(as_json, every, table(head, rows) if rows else "no webhook yet")


@app.command()
def show(
    number: Number,
    secret: Annotated[bool, typer.Option("--secret", envvar="SIGNOFF_SHOW_SECRET", help="Print its secret alone.")] = False,
    dead: Annotated[bool, typer.Option("--dead", envvar="SIGNOFF_DEAD", help="List dead letters alone.")] = False,
    limit: Limit = 50,
    project: ProjectName = None,
    directory: Dir = None,
    as_json: AsJson = False,
) -> None:
    """One webhook, with what it did not take: each event, how often it was tried, and what was said."""
    from app.cli.console import chosen, opened, say
    from review_queue import webhooks

    with opened(directory) as workspace:
        setting = chosen(workspace, project)
        if secret:
            by, keys = workspace.local_actor("cli"), workspace.keys
            text = workspace.database.write(webhooks.secret, setting.id, number, keys=keys, by=by)
            say(as_json, {"secret": text}, text)
            return
        hook = workspace.database.read(webhooks.get, setting.id, number).as_seen_by(workspace.local_actor("cli"))
        late = workspace.database.read(webhooks.undelivered, setting.id, number, dead=dead, limit=limit)
    say(as_json, {"webhook": hook, "undelivered": late}, _page(hook, late))


@app.command("test")
def try_(number: Number, project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """Post a made-up event of kind `test` from here, and say what came back."""
    from app.cli.console import Problem, chosen, opened, say
    from review_queue import webhooks

    with opened(directory) as workspace:
        hook = workspace.database.read(webhooks.get, chosen(workspace, project).id, number)
        answer = _try(workspace, hook)
        address = hook.as_seen_by(workspace.local_actor("cli")).url
    if answer.error is not None:
        raise Problem(f"{address} did not take it: {answer.error}")
    say(as_json, {"taken": True}, f"{address} took it")


@app.command()
def resend(number: Number, seq: Seq = None, project: ProjectName = None, directory: Dir = None, as_json: AsJson = False) -> None:
    """Try dead letters again. Later events of their items follow once they are taken."""
    from app.cli.console import chosen, opened, say
    from review_queue import webhooks

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        count = workspace.database.write(webhooks.resend, setting.id, number, seq=seq, by=by)
    say(as_json, {"resent": count}, f"{count:,} will be tried again; a worker does it" if count else "no dead letter")


@app.command()
def drop(
    number: Number,
    seq: Annotated[int, typer.Option("--seq", envvar="SIGNOFF_SEQ", metavar="SEQ", help="The dead letter.")],
    project: ProjectName = None,
    directory: Dir = None,
) -> None:
    """Forget a dead letter, so that later events of its item go on without it."""
    from app.cli.console import chosen, opened, say
    from review_queue import webhooks

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        workspace.database.write(webhooks.drop, setting.id, number, seq, by=by)
    say(False, None, f"{seq} is forgotten")


@app.command()
def remove(number: Number, project: ProjectName = None, directory: Dir = None) -> None:
    """Post nothing there any more, and forget what it did not take."""
    from app.cli.console import chosen, opened, say
    from review_queue import webhooks

    with opened(directory) as workspace:
        setting, by = chosen(workspace, project), workspace.local_actor("cli")
        workspace.database.write(webhooks.remove, setting.id, number, by=by)
    say(False, None, f"webhook {number} is ended")


def state(hook: "Hook") -> str:
    """How a webhook fares, in a word or two."""
    from app.cli.console import cell

    if hook.ended_at is not None:
        return "ended by its receiver"
    return "works" if hook.failing_since is None else f"fails since {cell(hook.failing_since)}"


def _page(hook: "Hook", late: "list[Any]") -> str:
    from app.cli.console import listed, table

    pairs = [("address", hook.url), ("kinds", hook.kinds or "all"), ("state", state(hook)), ("position", hook.position)]
    more = [("behind", f"{hook.lag_events:,} events, {hook.lag_seconds:,.0f} s"), ("waiting", hook.waiting), ("dead", hook.dead)]
    rows = [(str(e.seq), e.kind, e.external_id, e.state, e.attempts, e.next_at, e.last_error) for e in late]
    head = ("seq", "kind", "item", "state", "tries", "next", "last error")
    return listed([*pairs, *more, ("last error", hook.last_error)]) + (f"\n\n{table(head, rows)}" if rows else "")


def _try(workspace: "Workspace", hook: "Hook") -> "Answer":
    import asyncio

    from app.worker.posting import Poster
    from review_queue import clock
    from review_queue.events import Happened

    event = Happened(0, "test", {"webhook": str(hook.id)}, clock.now())

    async def post() -> "Answer":
        async with Poster(private=workspace.settings.webhooks_private) as poster:
            return await poster.post(hook.url, workspace.keys.webhook_secret(hook.id, hook.key_id), event)

    return asyncio.run(post())
