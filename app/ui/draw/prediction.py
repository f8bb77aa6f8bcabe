"""What the model said, in words and bars."""

from collections.abc import Callable

from app.ui.draw import chances
from app.ui.formats import percent, text
from review_queue.cases import Predicted

TOP = 5
Title = Callable[[str], str]


def sentence(predicted: Predicted, title_of: Title) -> str:
    """`digit 7, about 2 in 3; next digit 1, about 1 in 5`, or why there is no answer."""
    if predicted.label is None:
        return predicted.reason[:1].upper() + predicted.reason[1:]
    title, chance = title_of(predicted.label), predicted.probabilities.get(predicted.label, predicted.confidence)
    if chance is None:
        return title
    others = [(label, p) for label, p in ranked(predicted) if label != predicted.label]
    said = chances.words(chance)
    if not others:
        return f"{title}, {said}"
    following, theirs = title_of(others[0][0]), chances.words(others[0][1])
    return f"{title} or {following}, {said} each" if said == theirs else f"{title}, {said}; next {following}, {theirs}"


def ranked(predicted: Predicted) -> list[tuple[str, float]]:
    """Labels with their probabilities, most probable first."""
    return sorted(predicted.probabilities.items(), key=lambda pair: -pair[1])


def bars(predicted: Predicted, title_of: Title) -> str:
    """The leading labels as bars."""
    rows = "".join(_bar(title_of(label), p, label == predicted.label) for label, p in ranked(predicted)[:TOP])
    rest = len(predicted.probabilities) - TOP
    more = f'<p class="so-note">and {rest} less probable</p>' if rest > 0 else ""
    return f'<div class="so-chances">{rows}</div>{more}' if rows else ""


def _bar(title: str, p: float, leads: bool) -> str:
    kind = "so-chance so-lead" if leads else "so-chance"
    return (
        f'<div class="{kind}"><span class="so-clip">{text(title)}</span>'
        f'<span class="so-track"><i style="width:{p * 100:.1f}%"></i></span><span class="so-num">{percent(p)}</span></div>'
    )


def heading(predicted: Predicted, title_of: Title) -> str:
    """The prediction as the page says it: the sentence, then the bars, and whose it is where it came from elsewhere."""
    kind = "so-unscored" if predicted.label is None else ""
    return f'<p class="so-said {kind}">{text(sentence(predicted, title_of))}</p>{bars(predicted, title_of)}{_sent(predicted)}'


def _sent(predicted: Predicted) -> str:
    if not predicted.external or predicted.label is None:
        return ""
    version, reason = text(predicted.model_version), text(predicted.reason)
    return f'<p class="so-note">Sent by the producer, version {version}. Here because: {reason}.</p>'
