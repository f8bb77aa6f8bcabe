// What Streamlit's own keys cannot do: help, going on by Ctrl+Enter, Escape out of a field, the caret into a field that
// just opened, a word where a key does nothing now, and a line where the product was updated under an open page.
import "./case.js";

const typing = (node) => node && (node.isContentEditable || /^(input|textarea|select)$/i.test(node.tagName));
const button = (name) => document.querySelector(`[class*="st-key-${name}-"] button`);
const goOn = () => document.querySelector('[class*="st-key-actions"] [data-testid="stFormSubmitButton"] button') ?? button("accept");

document.addEventListener("keydown", (event) => {
  const field = typing(document.activeElement);
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    if (document.querySelector(".so-deck") || document.activeElement?.closest("form")) return;
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
  if (field && !seen.has(field)) { seen.add(field); field.focus(); putBack(field); }
}).observe(document.documentElement, { childList: true, subtree: true });

// A popover hangs at the end of the page: who opens it by a key goes on in it, and with Tab past its last or first field to its button.
const POPOVER = '[data-testid="stPopoverBody"]';
const inside = (body) => [...body.querySelectorAll("input, button, select, textarea, a[href]")].filter((each) => each.tabIndex >= 0 && each.checkVisibility());
const opener = () => document.querySelector('[data-testid="stPopover"] button[aria-expanded="true"]');
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === " ") {
    if (document.activeElement?.closest('[data-testid="stPopover"]')) into(document.activeElement);
    return;
  }
  const body = event.key === "Tab" && document.activeElement?.closest(POPOVER), all = body ? inside(body) : [];
  if (document.activeElement !== (event.shiftKey ? all[0] : all.at(-1)) || !opener()) return;
  event.preventDefault();
  opener().focus();
});
const into = (from, left = 20) => setTimeout(() => {
  const body = document.querySelector(POPOVER), drawn = body && !body.querySelector('[data-testid="stSkeleton"]');
  const first = drawn && inside(body)[0];
  if (first && document.activeElement === from) first.focus();
  else if (left) into(from, left - 1);
}, 25);

// What is typed outlives a page that loses its server: it is put back where the same field of the same case opens again.
const about = () => document.querySelector(".so-title bdi")?.textContent;
const mine = (field) => field?.closest?.('[class*="st-key-actions"]') && field.ariaLabel;
document.addEventListener("input", ({ target }) => {
  if (mine(target)) sessionStorage.setItem("signoff.typed", JSON.stringify([about(), target.ariaLabel, target.value]));
});
const putBack = (field) => {
  const [of, label, text] = JSON.parse(sessionStorage.getItem("signoff.typed") ?? "[]");
  if (!text || field.value || of !== about() || label !== mine(field)) return;
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
};

const line = (name, text) => {
  const old = document.querySelector(`.so-line-${name}`);
  if (!text || old) return text ? old : old?.remove();
  const made = Object.assign(document.createElement("p"), { className: `so-bar-line so-line-${name}`, textContent: text });
  made.setAttribute("role", "status");
  document.body.append(made);
  return made;
};

const AWAY = "Signoff does not answer. What you typed is kept, and the page comes back by itself.";
let gone = 0;
setInterval(() => {
  const state = document.querySelector('[data-testid="stApp"]')?.dataset.testConnectionState;
  gone = !state || state === "CONNECTED" ? 0 : gone + 1;
  line("away", gone > 1 && AWAY);
}, 700);

const LOOK = 60_000;
const ours = document.querySelector('meta[name="signoff"]')?.content;
const look = async () => {
  const answer = await fetch("/healthz", { cache: "no-store" }).then((reply) => reply.json()).catch(() => null);
  if (!ours || !answer?.build || answer.build === ours || document.querySelector(".so-line-updated")) return;
  const again = Object.assign(document.createElement("button"), { textContent: "Load it anew when you are ready" });
  again.onclick = () => location.reload();
  line("updated", "Signoff was updated. ").append(again);
};
setInterval(look, LOOK);
document.addEventListener("visibilitychange", () => document.hidden || look());
