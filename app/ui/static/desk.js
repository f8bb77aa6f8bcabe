// What Streamlit's own keys cannot do: help, going on by Ctrl+Enter, Escape out of a field, the caret into a field that
// just opened, a word where a key does nothing now, and a line where the product was updated under an open page.
const typing = (node) => node && (node.isContentEditable || /^(input|textarea|select)$/i.test(node.tagName));
const button = (name) => document.querySelector(`[class*="st-key-${name}-"] button`);
const goOn = () => document.querySelector('[class*="st-key-actions"] [data-testid="stFormSubmitButton"] button') ?? button("accept");

document.addEventListener("keydown", (event) => {
  const field = typing(document.activeElement);
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    if (document.querySelector("[data-deck]") || document.activeElement?.closest("form")) return;
    event.preventDefault();
    goOn()?.click();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && field) document.activeElement.blur();
  if (field) return;
  if (event.key === "?") button("help")?.click();
  else say(event);
});

// A key of the desk that leads nowhere now says why, rather than nothing.
const say = (event) => {
  const place = document.querySelector("[data-dead]");
  const said = place && Object.fromEntries(new URLSearchParams(place.dataset.dead))[event.key];
  if (said) place.textContent = said;
};

const seen = new WeakSet();
new MutationObserver(() => {
  const field = document.querySelector('[class*="st-key-focus-"] input');
  if (field && !seen.has(field)) { seen.add(field); field.focus(); }
}).observe(document.documentElement, { childList: true, subtree: true });

const LOOK = 60_000;
const ours = document.querySelector('meta[name="signoff"]')?.content;
const look = async () => {
  const answer = await fetch("/healthz", { cache: "no-store" }).then((r) => r.json()).catch(() => null);
  if (!ours || !answer?.build || answer.build === ours || document.querySelector(".so-updated")) return;
  const line = Object.assign(document.createElement("p"), { className: "so-updated", textContent: "Signoff was updated. " });
  line.setAttribute("role", "status");
  const again = Object.assign(document.createElement("button"), { textContent: "Load it anew when you are ready" });
  again.onclick = () => location.reload();
  line.append(again);
  document.body.append(line);
};
setInterval(look, LOOK);
document.addEventListener("visibilitychange", () => document.hidden || look());
