"""The few pages that are not drawn by Streamlit: the frame around it, and the sign-in page. Knows no screen."""

import hashlib
import html
import re
from functools import cache
from importlib import metadata, resources
from pathlib import Path

KEPT = Path(__file__).parent / "static"
"""Style and keys of the pages: every `.css` is linked, of the scripts `desk.js`, which imports what it needs of the others."""
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: Canvas; color: CanvasText; }
main { width: min(22rem, 88vw); } h1 { font-size: 1.4rem; font-weight: 600; margin: 0 0 1rem; }
label { display: block; margin: .8rem 0 .2rem; }
input { width: 100%; box-sizing: border-box; font: inherit; padding: .55rem .6rem; border: 1px solid #8888; border-radius: 6px; }
button { margin-top: 1.1rem; width: 100%; font: inherit; font-weight: 600; padding: .6rem; border: 0; border-radius: 6px;
  background: #1f5fa8; color: #fff; cursor: pointer; }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 3px solid #2f7fd0; outline-offset: 2px; }
.way { display: block; text-align: center; padding: .6rem; border: 1px solid #8888; border-radius: 6px; font-weight: 600;
  color: inherit; text-decoration: none; }
.way:hover { text-decoration: underline; } .or { text-align: center; margin: 1rem 0 0; font-size: .9rem; }
.trouble { border-left: 3px solid #c8701c; padding-left: .6rem; }
"""


@cache
def kept() -> tuple[str, ...]:
    """The names of the files that pages ask for, style sheets in the order in which they are linked."""
    return tuple(
        sorted((file.name for file in KEPT.iterdir() if file.suffix in (".css", ".js")), key=lambda n: (n != "desk.css", n))
    )


@cache
def build() -> str:
    """What is served here: pages that were loaded from another build are told so."""
    held = hashlib.sha256(f"{metadata.version('signoff')} {metadata.version('streamlit')}".encode())
    for name in kept():
        held.update((KEPT / name).read_bytes())
    return held.hexdigest()[:16]


@cache
def page() -> str:
    """Streamlit's page with our title, style and keys, and without any inline script."""
    frame = resources.files("streamlit").joinpath("static/index.html").read_text(encoding="utf-8")
    frame = re.sub(r"<script>.*?</script>", "", frame, flags=re.DOTALL)
    frame = re.sub(r'<link rel="service-desc"[^>]*>', "", frame)
    frame = re.sub(r"<title>.*?</title>", "<title>Signoff</title>", frame)
    styles = "".join(f'<link rel="stylesheet" href="./{name}">' for name in kept() if name.endswith(".css"))
    known = f'<meta name="color-scheme" content="light dark"><meta name="signoff" content="{build()}">'
    own = f'{known}{styles}<script type="module" src="./desk.js"></script>'
    return frame.replace("</head>", f"{own}</head>")


def sign_in(
    token: str,
    goal: str,
    trouble: str = "",
    name: str = "",
    *,
    provider: tuple[str, str] | None = None,
    passwords: bool = True,
) -> str:
    """The sign-in page; it needs no script. `provider`: what the OIDC provider is called, and the way to it."""
    said = f'<p class="trouble" role="alert">{html.escape(trouble)}</p>' if trouble else ""
    other = ""
    if provider is not None:
        between = '<p class="or"><span>or with a password of this desk</span></p>' if passwords else ""
        other = f'<a class="way" href="{html.escape(provider[1])}">Sign in with {html.escape(provider[0])}</a>{between}'
    return _plain("Sign in", f"{said}{other}{_password_form(token, goal, name) if passwords else ''}")


def _password_form(token: str, goal: str, name: str) -> str:
    return f"""<form method="post" action="/signin">
<input type="hidden" name="token" value="{html.escape(token)}"><input type="hidden" name="next" value="{html.escape(goal)}">
<label for="name">Name</label><input id="name" name="name" value="{html.escape(name)}" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">Sign in</button></form>"""


def signed_out(provider: str | None, way: str) -> str:
    """After signing out: at the provider the sign-in goes on until that is ended too."""
    there = (
        f'<p><a class="way" href="{html.escape(way)}">Sign out of {html.escape(provider or "")} too</a></p>' if provider else ""
    )
    said = "<p>You are signed out here.</p>"
    return _plain("Signed out", f'{said}{there}<p><a href="/signin">Sign in again</a></p>')


def sign_out(token: str) -> str:
    """The question before signing out."""
    form = f'<input type="hidden" name="token" value="{html.escape(token)}"><button type="submit">Sign out</button>'
    return _plain("Sign out", f'<form method="post" action="/signout">{form}</form><p><a href="/">Back to the desk</a></p>')


def _plain(title: str, body: str) -> str:
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title} · Signoff</title><style>{_STYLE}</style></head><body><main><h1>Signoff</h1>{body}</main></body></html>"
    )
