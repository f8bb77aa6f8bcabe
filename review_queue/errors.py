"""What the rules refuse, as sentences that say the mend. `code` is for machines."""


class Refused(Exception):
    """Root of every refusal. `status` is the HTTP status that fits; `retry_after` the seconds to wait, where waiting helps."""

    code = "refused"
    status = 409
    retry_after: int | None = None


class NotFound(Refused):
    code = "not_found"
    status = 404


class Forbidden(Refused):
    code = "forbidden"
    status = 403


class Invalid(Refused):
    """The request itself is wrong."""

    code = "invalid"
    status = 422


class ClaimExpired(Refused):
    code = "claim_expired"


class AlreadyDecided(Refused):
    code = "already_decided"


class KeyReused(Refused):
    """The same key came with other content."""

    code = "key_reused"
    status = 422


class AnswerFirst(Refused):
    """A blind task takes a first answer before anything of the prediction is shown."""

    code = "answer_first"


class StrangeKey(Refused):
    """The process holds another secret than the one this database knows."""

    code = "strange_key"


class NotYet(Refused):
    """What was asked for is a promise of the design that does not exist yet."""

    code = "not_yet"
    status = 422


class Moved(Refused):
    """The rule in force has changed since the model was chosen; score again."""

    code = "moved"


class Full(Refused):
    """As much waits as the policy lets wait."""

    code = "backlog_full"
    status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
