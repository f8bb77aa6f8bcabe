"""Why, for an image: its pieces coloured by their sign, one picture a method, beside the image as it came."""

from collections.abc import Sequence

from app.ui.draw import pictures
from app.ui.draw.case import pictured, tools
from app.ui.draw.reasons import Title, head, heads, named, unfold, usable
from app.ui.formats import text
from review_queue.explanations import Reason

USUAL = 2
"""Pictures that are kept free for reasons that are being made."""


def segments(uri: str | None, reasons: Sequence[Reason], *, pixels: bool, late: bool = False) -> str:
    """The plain image and, beside it, one per method with its segments coloured by their sign.

    One that is unstable stands behind an unfold; where reasons came `late` it keeps its room, without colour.
    """
    drawn = "".join(_one(uri, r, head(r), pixels) for r in usable(reasons) if late or not r.doubt)
    return _figures(uri, drawn, pixels, overlay=bool(drawn)) + _unfold(uri, reasons, pixels)


def beside(uri: str | None, reasons: Sequence[Reason], title_of: Title, *, pixels: bool) -> str:
    """One picture for each of some reasons, without the plain image."""
    found = usable(reasons)
    drawn = "".join(_one(uri, r, name, pixels) for r, name in zip(found, heads(found, title_of), strict=True))
    return f'<div class="so-figures">{drawn}</div>{_unfold(uri, reasons, pixels)}'


def _unfold(uri: str | None, reasons: Sequence[Reason], pixels: bool) -> str:
    return unfold(reasons, lambda r: f'<div class="so-figures">{_figure(uri, r, "", pixels)}</div>')


def _one(uri: str | None, reason: Reason, name: str, pixels: bool) -> str:
    return _blank(uri, name, pixels) if reason.doubt else _figure(uri, reason, name, pixels)


def waiting(uri: str | None, *, pixels: bool) -> str:
    """The image where it stands once there are reasons, before there are any."""
    return _figures(uri, _blank(uri, "&nbsp;", pixels) * USUAL, pixels, overlay=True)


def plain(uri: str | None, name: str, *, pixels: bool) -> str:
    """The image alone, to be looked into."""
    return pictured(uri, name, pixels=pixels) + (tools(overlay=False) if uri is not None else "")


def _figures(uri: str | None, drawn: str, pixels: bool, *, overlay: bool) -> str:
    first = _framed(pictured(uri, "the case", pixels=pixels), "as it came", "")
    return f'<div class="so-figures">{first}{drawn}</div>{tools(overlay=overlay)}'


def _blank(uri: str | None, caption: str, pixels: bool) -> str:
    return _framed(pictured(uri, "", pixels=pixels), caption, "so-blank")


def _framed(shown: str, caption: str, kind: str) -> str:
    return f'<figure class="{kind}">{shown}<figcaption>{caption}</figcaption></figure>'


def _figure(uri: str | None, reason: Reason, caption: str, pixels: bool) -> str:
    body = reason.body["contributions"]
    over, marks = pictures.overlay(body["segments"], list(body["weights"]))
    signs = "".join(
        f'<b class="so-sign" style="left:{left * 100:.1f}%;top:{top * 100:.1f}%">{"+" if weight > 0 else "−"}</b>'
        for left, top, weight in marks
    )
    layer = f'<img class="so-over" src="{text(over)}" alt="">{signs}'
    return _framed(pictured(uri, f"the case with what {named(reason)} found", pixels=pixels, over=layer), caption, "")
