"""Why, for an image: its pieces coloured by their sign, one picture a method, beside the image as it came."""

from collections.abc import Sequence

from app.ui.draw import pictures
from app.ui.draw.case import picture
from app.ui.draw.reasons import Title, head, heads, named, unfold, usable
from app.ui.formats import text
from review_queue.explanations import Reason

USUAL = 2
"""Pictures that are kept free for reasons that are being made."""


def segments(uri: str | None, reasons: Sequence[Reason], *, pixels: bool) -> str:
    """The plain image and, beside it, one per method with its segments coloured by their sign; no colour where unstable."""
    drawn = "".join(_one(uri, r, head(r), pixels) for r in usable(reasons))
    return _figures(uri, drawn, pixels) + _unfold(uri, reasons, pixels)


def beside(uri: str | None, reasons: Sequence[Reason], title_of: Title, *, pixels: bool) -> str:
    """One picture for each of some reasons, without the plain image."""
    found = usable(reasons)
    drawn = "".join(_one(uri, r, name, pixels) for r, name in zip(found, heads(found, title_of), strict=True))
    return f'<div class="so-figures">{drawn}</div>{_unfold(uri, reasons, pixels)}'


def _unfold(uri: str | None, reasons: Sequence[Reason], pixels: bool) -> str:
    return unfold(reasons, lambda r: f'<div class="so-figures">{_figure(uri, r, "", pixels)}</div>')


def _one(uri: str | None, reason: Reason, name: str, pixels: bool) -> str:
    return _framed(picture(uri, "", pixels=pixels), name) if reason.doubt else _figure(uri, reason, name, pixels)


def waiting(uri: str | None, *, pixels: bool) -> str:
    """The image where it stands once there are reasons, before there are any."""
    return _figures(uri, _framed(picture(uri, "", pixels=pixels), "&nbsp;") * USUAL, pixels)


def _figures(uri: str | None, drawn: str, pixels: bool) -> str:
    plain = f"<figure>{picture(uri, 'the case', pixels=pixels)}<figcaption>as it came</figcaption></figure>"
    return f'<div class="so-figures">{plain}{drawn}</div>'


def _framed(shown: str, caption: str) -> str:
    return f'<figure class="so-blank"><div class="so-stack">{shown}</div><figcaption>{caption}</figcaption></figure>'


def _figure(uri: str | None, reason: Reason, caption: str, pixels: bool) -> str:
    body = reason.body["contributions"]
    over, marks = pictures.overlay(body["segments"], list(body["weights"]))
    signs = "".join(
        f'<b class="so-sign" style="left:{left * 100:.1f}%;top:{top * 100:.1f}%">{"+" if weight > 0 else "−"}</b>'
        for left, top, weight in marks
    )
    under = picture(uri, f"the case with what {named(reason)} found", pixels=pixels)
    layer = f'<img class="so-over" src="{text(over)}" alt="">'
    return f'<figure><div class="so-stack">{under}{layer}{signs}</div><figcaption>{caption}</figcaption></figure>'
