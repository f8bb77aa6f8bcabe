// The second step of an act: which label, which reason, which words, until when; and what else may be known about why.
import { grown, make } from "./deck-tree.js";

const MOST = 12;
const wide = (name, key, on) => make("button.so-button.so-wide", { type: "button", onclick: on }, make("span", {}, name), make("kbd", { "aria-hidden": "true" }, key));
const field = (name, properties) => { const held = make("input", { type: "text", autocomplete: "off", ...properties }); return [make("label.so-field", {}, name, held), held]; };
const onEnter = (held, act) => held.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.isComposing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); act(); }
});
const numbered = (pairs) => {
  const buttons = pairs.map(([name, on], n) => wide(name, String(n + 1), on));
  return { buttons, keys: new Map(buttons.slice(0, 9).map((button, n) => [String(n + 1), () => button.click()])) };
};

export const reason = (deck, verdict, label, reasons) => {
  const named = deck.told.labels.find((each) => each.label === label)?.title;
  const title = { reject: "Reject, because", skip: "Skip, because", correct: `Correct to ${named}, because` }[verdict];
  const [row, comment] = field("Comment (optional)", { maxLength: 2000, value: deck.current.draft?.comment ?? "" });
  const { buttons, keys } = numbered(reasons.map((each) => [each, () => deck.decide(verdict, label, each, comment.value.trim())]));
  return { title, nodes: [...buttons, row], keys, typed: () => comment.value, draft: () => ({ comment: comment.value }), confirm: () => deck.say("Choose a reason by its number.", "note") };
};

export const words = (deck) => {
  const [row, comment] = field("What should the lead know? (optional)", { maxLength: 2000, value: deck.current.draft?.comment ?? "" });
  const send = () => deck.decide("escalate", null, null, comment.value.trim());
  onEnter(comment, send);
  const button = make("button.so-button", { type: "button", onclick: send }, "Escalate to a lead");
  return { title: "Escalate", nodes: [row, button], keys: new Map(), focus: comment, typed: () => comment.value, draft: () => ({ comment: comment.value }), confirm: send };
};

export const until = (deck) => {
  const pairs = deck.parking.map(([name, moment]) => [name, () => deck.park(moment, null, null)]);
  const { buttons, keys } = numbered([...pairs, ["Another day, or with a note…", () => deck.open_(day(deck))]]);
  return { title: "Park until", nodes: buttons, keys };
};

const day = (deck) => {
  const { draft } = deck.current, noun = deck.told.noun;
  const [one, when] = field(`Until when? Empty: until the ${noun} changes`, { maxLength: 40, placeholder: "2026-12-01, or 5d", value: draft?.day ?? "" });
  const [two, note] = field("Note to yourself (optional)", { maxLength: 2000, value: draft?.note ?? "" });
  const send = () => deck.park(null, when.value.trim(), note.value.trim());
  [when, note].forEach((each) => onEnter(each, send));
  const button = make("button.so-button", { type: "button", onclick: send }, "Park it");
  return { title: "Park", nodes: [one, two, button], keys: new Map(), focus: when, typed: () => [when.value, note.value].filter(Boolean).join(" · "), draft: () => ({ day: when.value, note: note.value }), confirm: send };
};

// Labels found by typing: those that begin so, then those with a word that does, then those that hold it anywhere. Before
// anything is typed, those that stand on the case's buttons come first.
const found = (labels, typed, likely) => {
  const wanted = typed.trim().toLowerCase();
  if (!wanted) return [...likely, ...labels.filter((each) => !likely.includes(each))];
  const rank = ({ title, label }) => {
    const said = `${title} ${label}`.toLowerCase();
    if (title.toLowerCase().startsWith(wanted) || label.toLowerCase().startsWith(wanted)) return 0;
    return new RegExp(`[\\s_-]${wanted.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`).test(said) ? 1 : said.includes(wanted) ? 2 : 3;
  };
  return labels.map((each) => [rank(each), each]).filter(([n]) => n < 3).sort((a, b) => a[0] - b[0]).map(([, each]) => each);
};

export const label = (deck) => {
  const card = deck.current, list = make("ul.so-choices", { id: "deck-choices", role: "listbox", "aria-label": "Labels" });
  const [row, typed] = field(card.blind ? "Your answer" : "Correct to", { placeholder: "type to find a label", role: "combobox", "aria-controls": "deck-choices", "aria-expanded": "true", "aria-autocomplete": "list" });
  const guide = make("p.so-note", { role: "status" });
  const likely = card.buttons.map((name) => deck.told.labels.find((each) => each.label === name));
  let shown = [], at = 0;
  const pick = (each) => each && (card.blind ? deck.answer(each.label) : deck.choose(each.label === card.predicted ? "accept" : "correct", each.label));
  const mark = () => {
    [...list.children].forEach((item, n) => item.setAttribute("aria-selected", String(n === at)));
    list.children[at]?.scrollIntoView?.({ block: "nearest" });
    if (shown[at]) typed.setAttribute("aria-activedescendant", `deck-choice-${at}`);
    guide.textContent = shown.length ? shown[at]?.guideline ?? "" : "No label is called so.";
  };
  const draw = () => {
    const all = found(deck.told.labels, typed.value, likely);
    shown = all.slice(0, MOST);
    at = 0;
    const item = (each, n) => make("li", { id: `deck-choice-${n}`, role: "option", onclick: () => pick(each) }, make("span", {}, each.title), ...(each.key ? [make("kbd", {}, each.key)] : []));
    list.replaceChildren(...shown.map(item));
    mark();
    if (all.length > MOST) guide.textContent = `${guide.textContent} ${all.length - MOST} more; type on.`.trim();
  };
  typed.addEventListener("input", draw);
  typed.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !shown.length) return;
    event.preventDefault();
    at = (at + step + shown.length) % shown.length;
    mark();
  });
  onEnter(typed, () => pick(shown[at]));
  draw();
  return { title: card.blind ? "Your answer" : "Which label?", nodes: [row, list, guide], keys: new Map(), focus: typed, typed: () => typed.value, confirm: () => pick(shown[at]) };
};

// Below a case that is open in full: what was asked for, similar cases, and what may be asked for more.
export const more = (deck, card) => {
  const acts = make("div.so-deck-others");
  if (card.runner_up) {
    const { method, label: other, title } = card.runner_up, key = deck.told.keys.runner_up;
    const button = make("button.so-button", { type: "button", onclick: () => deck.ask(card, method, other, {}) }, make("span", {}, `Why not ${title}?`));
    if (key && !card.keys.has(key)) { button.append(make("kbd", { "aria-hidden": "true" }, key)); card.keys.set(key, () => button.click()); }
    acts.append(button);
  }
  const every = make("input", { type: "checkbox", checked: deck.full, onchange: () => { deck.full = every.checked; } });
  acts.append(make("label.so-check", {}, every, "Open every case in full"));
  return make("div", {}, acts, ...grown(card.below), ...(card.asks ? [ask(deck, card)] : []));
};

const select = (name, pairs) => {
  const held = make("select", {}, ...pairs.map(([value, title]) => make("option", { value }, title)));
  return [make("label.so-field", {}, name, held), held];
};

const ask = (deck, card) => {
  const { methods, labels, numbers } = card.asks;
  const [one, method] = select("Another method", methods.map((each) => [each.name, each.title]));
  const [two, towards] = select("for", labels);
  const [three, count] = select("Samples", [["", "as usual"], ...numbers]);
  const counted = () => methods.find((each) => each.name === method.value)?.count;
  const fit = () => { three.hidden = !counted(); three.firstChild.textContent = counted() === "evaluations" ? "Evaluations" : "Samples"; };
  method.addEventListener("change", fit);
  fit();
  const send = () => deck.ask(card, method.value, towards.value, counted() && count.value ? { [counted()]: Number(count.value) } : {});
  const button = make("button.so-button", { type: "button", onclick: send }, "Ask");
  return make("details", {}, make("summary", {}, "Another method, label or number"), make("div.so-deck-ask", {}, one, two, three, button));
};
