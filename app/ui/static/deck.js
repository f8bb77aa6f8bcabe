// The deck: the next cases wait in the page, a key shows the next one at once, and what was said goes out in a line of its own.
import { grown, make } from "./deck-tree.js";
import { Line } from "./deck-line.js";
import * as steps from "./deck-steps.js";

const IDLE_LEASES = 3, PATIENCE = 900_000, LOOK = 1000, KEPT = 20, TROUBLES = 4, LEFT = 60_000, FRESH = 1000;
const typing = (node) => node && (node.isContentEditable || (/^(input|textarea|select)$/i.test(node.tagName) && node.type !== "checkbox"));
const sentence = (words) => (/[.!?]$/.test(words) ? words : `${words}.`);
const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

class Deck {
  constructor(told) {
    this.told = told;
    this.queue = [];
    this.past = new Map();
    this.stack = [];
    this.last = undefined;
    this.full = false;
    this.ready = false;
    this.touched = performance.now();
    this.build();
    this.open();
  }

  build() {
    const slot = (name) => make(`div.so-deck-${name}`);
    this.slots = Object.fromEntries(["said", "acts", "case", "more", "below"].map((name) => [name, slot(name)]));
    this.message = make("p.so-line", { role: "status" });
    this.net = make("p.so-line.so-deck-net", { role: "status" });
    this.counts = make("div");
    this.beside = make("div");
    this.help = make("div", { hidden: true }, ...grown(this.told.help));
    this.troubles = make("div", { role: "status" });
    const hand = make("div.so-deck-hand", {}, this.slots.acts, this.message, this.troubles, this.net);
    this.slots.more.append(this.counts, this.beside, this.help);
    const places = [this.slots.said, hand, this.slots.more, this.slots.case, this.slots.below];
    this.root = make("section.so-deck", { "aria-label": `Deck of ${this.told.heading}`, data: { deck: this.told.project } }, ...places);
    this.root.addEventListener("pointerdown", () => this.touch());
  }

  async open() {
    this.line = new Line(this.told, { body: () => this.body(), heard: (reply) => this.heard(reply) });
    await this.line.adopt();
    this.empty("Taking the next cases…");
    this.line.send();
    this.beat = setInterval(() => this.keep(), Math.min(60, this.told.lease / 3) * 1000);
  }

  // Another project, or another seat: nothing is shown or taken here any more, but what was said still goes out.
  end() {
    this.ended = true;
    clearInterval(this.beat);
    clearTimeout(this.watch);
    this.root.remove();
    if (!this.line?.acts.length) this.line?.end();
  }

  // Streamlit drew the page anew: the same deck goes on in it. With other keys its cases are drawn anew as well.
  put(told, parent, tell) {
    const back = !this.root.isConnected || (this.dry && this.told.round !== told.round);
    const moved = JSON.stringify(this.told.keys) !== JSON.stringify(told.keys);
    Object.assign(this, { told, tell });
    if (this.root.parentNode !== parent) parent.append(this.root);
    this.help.replaceChildren(...grown(told.help));
    if (moved) { this.queue = []; this.past.clear(); this.show(); }
    if ((back || moved) && this.line) { this.dry = false; this.shownAt = performance.now(); this.line.send(); }
  }

  // What the server is told with every request: which cases are here, and how many there should be.
  body() {
    if (this.ended) return { held: [], want: 0 };
    const here = this.queue.filter((card) => !card.revealing).map((card) => card.token);
    const said = this.line.acts.filter((act) => act.act === "decide" || act.act === "park").map((act) => act.token);
    return { held: [...new Set([...here, ...said])], want: this.told.deep, last: this.stack.length === 0, full: this.full };
  }

  get current() { return this.queue[0]; }

  touch() { this.touched = performance.now(); }

  // Leases go on while somebody is here; a page that nobody touches lets its cases go.
  keep() {
    if (this.root.isConnected && performance.now() - this.touched < IDLE_LEASES * this.told.lease * 1000) this.line.send();
  }

  heard({ status, answer, well, settled }) {
    if (this.ended) { if (!this.line.acts.length) this.line.end(); return; }
    const before = this.current;
    settled.forEach(([act, ack]) => (ack.ok ? this.stored(act, ack, answer.held) : this.refused(act, ack, answer.held ?? [])));
    if (well) this.dealt(answer);
    if (answer?.prompt) this.trouble(answer.prompt, "note");
    this.connected(status, answer);
    if (this.current !== before) this.show();
    if (well && !this.queue.length && !this.line.acts.length) this.runDry(answer);
  }

  // An answer after which nothing is shown is final: its case is in hand no more.
  stored(act, ack, held) {
    if (act.act === "answer" && held && !held.includes(act.token)) this.queue = this.queue.filter((each) => each.token !== act.token);
    if (act.act === "undo") this.front = ack.token;
    const back = act.act === "decide" || act.act === "park";
    if (back) this.settle(act.token);
    if (ack.words) this.say(back && this.told.keys.undo ? `${ack.words} · ${this.told.keys.undo} takes it back` : ack.words);
  }

  // Nothing was stored: say why; what was typed is shown, and the case comes back where it is still in hand.
  refused(act, ack, held) {
    this.stack = this.stack.filter((each) => each.key !== act.key);
    const { token } = act;
    const card = this.past.get(token) ?? this.queue.find((each) => each.token === token);
    const typed = [act.comment, act.day, act.note].filter(Boolean).join(" · ");
    this.trouble(`${card ? `${card.name}: ` : ""}${sentence(ack.words)}${typed ? ` You had written: “${typed}”` : ""}`, "trouble", token);
    if (act.act === "flag") this.flagged(act.item, !act.up);
    else if (act.act === "answer" || act.act === "undo") this.queue = this.queue.filter((each) => each.token !== token || held.includes(token));
    else if (card && held.includes(token) && !this.queue.includes(card)) this.queue.unshift(Object.assign(card, { draft: act }));
  }

  dealt(answer) {
    Object.assign(this, { parking: answer.parking, waiting: answer.waiting });
    if ("last" in answer) this.last = answer.last;
    this.counts.replaceChildren(...grown(answer.counts));
    answer.cases.forEach((card) => this.take(card));
    this.front = undefined;
    const spoken = new Set(this.line.acts.map((act) => act.token));
    for (const [token, sentence] of answer.lost) if (!spoken.has(token)) this.lose(token, sentence);
  }

  take(card) {
    if (this.line.acts.some((act) => act.token === card.token && act.act !== "undo")) return;
    this.dress(card);
    const at = this.queue.findIndex((each) => each.token === card.token);
    if (at >= 0) this.queue[at] = card;
    else if (card.token === this.front) this.queue.unshift(card);
    else this.queue.push(card);
  }

  lose(token, sentence) {
    const card = this.queue.find((each) => each.token === token);
    if (!card || card.lost) return;
    const unread = card === this.current && !this.step && performance.now() - this.shownAt < FRESH;
    if (card !== this.current || unread) { this.queue = this.queue.filter((each) => each !== card); return; }
    card.lost = true;
    this.trouble(sentence);
    const on = make("button.so-button", { type: "button", onclick: () => { this.queue.shift(); this.troubles.replaceChildren(); this.show(); this.line.send(); } },
      "Go on with the next case");
    this.keys = new Map([["enter", () => on.click()]]);
    const typed = this.step?.typed?.();
    this.slots.acts.replaceChildren(make("p.so-note", {}, typed ? `You had written: “${typed}”` : ""), on);
    this.step = null;
  }

  connected(status, answer) {
    const unsent = this.line.acts.length;
    const kept = unsent ? `Not sent yet: ${plural(unsent, "act")}. They are kept here and go out by themselves.` : "";
    const link = make("a", { href: `/signin?next=${encodeURIComponent(location.pathname + location.search)}`, target: "_self", onclick: () => { this.leaving = true; } }, "Sign in");
    const news = answer?.build && answer.build !== this.told.build;
    const said = {
      0: ["Signoff does not answer. ", kept || "Nothing is lost; this page goes on by itself."],
      401: ["You are signed out. ", link, ` again to go on. ${kept}`],
      503: [answer?.message ?? "", ` ${kept}`],
    };
    const line = status === 200 ? (answer.away ? [answer.message, ` ${kept}`] : news ? ["Signoff was updated. Load this page anew when you like; nothing is lost."] : [])
      : said[status] ?? [answer?.message ?? `Signoff answers with ${status}. `, ` ${kept}`];
    this.net.replaceChildren(...line);
    this.net.classList.toggle("so-trouble", line.length > 0);
    if (!this.current && status !== 200) this.empty("The next cases come as soon as Signoff answers.");
  }

  runDry() {
    if (this.dry) return;
    this.dry = true;
    this.empty("Nothing else waits for you here at the moment.");
    this.tell();
  }

  say(words, kind = "said") {
    this.message.className = `so-line so-${kind}`;
    this.message.textContent = words;
  }

  // What went wrong stays for a while beside what goes well; Escape takes it away, and a case that is dealt with its own.
  trouble(words, kind = "trouble", token = "") {
    const line = make(`p.so-line.so-${kind}`, { data: { token: token ?? "" } }, words);
    this.say("");
    this.troubles.append(line);
    if (this.troubles.children.length > TROUBLES) this.troubles.firstChild.remove();
    setTimeout(() => line.remove(), LEFT);
  }

  settle(token) {
    for (const line of [...this.troubles.children]) if (line.dataset.token === token) line.remove();
  }

  // The nodes of a case, made before it is shown.
  dress(card) {
    card.nodes = { case: make("div", {}, ...grown(card.case)), said: make("div", {}, ...grown(card.said)) };
    card.keys = new Map();
    card.acts = this.acts(card);
    card.seen = new Set(card.shown ?? []);
    this.fill(card);
    for (const picture of card.nodes.case.querySelectorAll("img")) picture.decode?.().catch(() => {});
  }

  fill(card) {
    card.nodes.more = card.full ? steps.more(this, card) : null;
  }

  acts(card) {
    const { told } = this, keys = told.keys, title = (label) => told.labels.find((each) => each.label === label)?.title ?? label;
    const button = (name, key, on, kind = "") => {
      const run = () => { this.touch(); on(); };
      const made = make(`button.so-button${kind}`, { type: "button", onclick: run }, make("span", {}, name));
      made.run = run;
      if (key && key !== name) made.append(make("kbd", { "aria-hidden": "true" }, key));
      if (key) { made.setAttribute("aria-keyshortcuts", key); card.keys.set(key, run); }
      return made;
    };
    const speak = (label) => (card.blind ? this.answer(label) : this.choose(card.predicted === label ? "accept" : "correct", label));
    const main = [];
    if (card.given) main.push(button(`Keep: ${card.first === null ? "no label fits" : title(card.first)}`, keys.accept, () => (card.first === null ? this.choose("reject", null) : speak(card.first)), ".so-wide"));
    else if (card.predicted !== null) main.push(button(`Accept: ${title(card.predicted)}`, keys.accept, () => this.choose("accept", null), ".so-wide"));
    card.confirm = main[0];
    const lead = card.blind ? "Your answer:" : card.given ? "Change to:" : card.predicted !== null ? "Correct to:" : "Answer:";
    const shown = card.buttons.map((label) => told.labels.find((each) => each.label === label));
    const labels = shown.map((each) => button(each.title, card.button_keys[each.label], () => speak(each.label)));
    for (const each of told.labels) if (each.key && !card.buttons.includes(each.label)) card.keys.set(each.key, () => speak(each.label));
    const quiet = ".so-quiet";
    const others = [
      button("Reject: no label fits", keys.reject, () => (card.blind ? this.answer(null) : this.choose("reject", null))),
      ...(card.given ? [] : [
        button("Skip", keys.skip, () => this.choose("skip", null), quiet),
        button("Escalate", keys.escalate, () => this.open_(steps.words(this)), quiet),
        button("Park", keys.park, () => this.open_(steps.until(this)), quiet),
      ]),
      card.flag = button(card.flagged ? "Flagged: take it down" : "Flag", keys.flag, () => this.turnFlag(card), quiet),
      button("Undo", keys.undo, () => this.undo(), quiet),
      ...(card.why ? [button(card.full ? "Less" : "Why, in full", keys.why, () => this.turnWhy(), quiet)] : []),
      button("Keys", keys.help, () => { this.help.hidden = !this.help.hidden; }, quiet),
    ];
    const choose = button("Choose…", keys.choose, () => this.open_(steps.label(this)), quiet);
    return make("div", {}, ...main, make("div.so-deck-labels", { role: "group", "aria-label": lead }, make("span.so-lead-in", {}, lead), ...labels, choose), make("div.so-deck-others", {}, ...others));
  }

  // Put the first case of the queue before the person; the nodes are there already.
  show() {
    const card = this.current;
    clearTimeout(this.watch);
    this.step = null;
    this.ready = false;
    if (!card) { this.empty(this.line.acts.length ? "The next cases come as soon as what you said is stored." : "Looking for the next case…"); return; }
    const page = this.root.closest('[data-testid="stMain"]'), scrolled = page?.scrollTop;  // asked before anything changes: no layout in between
    this.slots.case.replaceChildren(card.nodes.case);
    this.slots.said.replaceChildren(card.nodes.said);
    this.slots.acts.replaceChildren(card.acts);
    this.more(card);
    this.keys = card.keys;
    this.shownAt = performance.now();
    if (scrolled) page.scrollTo(0, 0);
    requestAnimationFrame(() => setTimeout(() => this.painted(card)));
  }

  painted(card) {
    if (card !== this.current) return;
    this.ready = true;
    this.settleFocus();
    if (card.why && card.full !== this.wanted(card)) this.look(card);
    this.watchReasons(card, true);
  }

  // Who was in something that is gone goes on at the head of the case, not at the head of the page.
  settleFocus() {
    const title = document.activeElement === document.body && this.current?.nodes.case.querySelector("h2");
    if (title) { title.tabIndex = -1; title.focus({ preventScroll: true }); }
  }

  more(card) {
    const place = this.told.below ? this.slots.below : this.beside;
    (this.told.below ? this.beside : this.slots.below).replaceChildren();
    place.replaceChildren(...(card.nodes.more ? [card.nodes.more] : []));
  }

  empty(words) {
    if (this.current) return;
    for (const slot of ["case", "said", "acts", "below"]) this.slots[slot].replaceChildren();
    this.keys = new Map(this.told.keys.undo ? [[this.told.keys.undo, () => this.undo()]] : []);
    this.ready = true;
    this.slots.case.append(make("p.so-empty", { role: "status" }, words));
  }

  get seconds() { return Math.max(0, Math.round((performance.now() - this.shownAt) / 10) / 100); }

  open_(step) {
    this.step = step;
    this.keys = new Map([...(this.told.keys.undo ? [[this.told.keys.undo, () => this.back()]] : []), ...step.keys]);
    const back = make("button.so-button.so-quiet", { type: "button", onclick: () => this.back() }, make("span", {}, "Back"), make("kbd", { "aria-hidden": "true" }, "Esc"));
    const group = make("div.so-deck-step", { role: "group", "aria-label": step.title, tabIndex: -1 }, make("p.so-lead-in", {}, step.title), ...step.nodes, back);
    this.slots.acts.replaceChildren(group);
    (step.focus ?? group).focus();
  }

  // What was typed in a step that is left is there when it opens again.
  back() {
    if (this.current) this.current.draft = { ...this.current.draft, ...this.step?.draft?.() };
    this.step = null;
    this.keys = this.current?.keys ?? new Map();
    if (this.current) this.slots.acts.replaceChildren(this.current.acts);
    this.settleFocus();
  }

  // A verdict was chosen: ask what is still open, else send it.
  choose(verdict, label) {
    const reasons = this.told.reasons[verdict] ?? [];
    if (reasons.length > 1) this.open_(steps.reason(this, verdict, label, reasons));
    else this.decide(verdict, label, reasons[0] ?? null, null);
  }

  decide(verdict, label, reason, comment) {
    const card = this.current, shown = card.shown === null ? null : [...card.seen];
    this.next(card, { act: "decide", task: card.task, token: card.token, verdict, label: verdict === "correct" ? label : null, reason, comment: comment || null,
      seconds: this.seconds, shown, opened: shown?.length ? Boolean(card.opened) : null });
  }

  park(until, day, note) {
    const card = this.current;
    this.next(card, { act: "park", task: card.task, token: card.token, until, day: day || null, note: note || null });
  }

  // The next case is shown first, and in the same frame; then what was said goes out.
  next(card, act) {
    this.queue.shift();
    this.remember(card);
    this.show();
    this.stack.push({ key: this.line.say(act), token: card.token, parked: act.act === "park" });
  }

  remember(card) {
    this.past.delete(card.token);
    this.past.set(card.token, card);
    if (this.past.size > KEPT) this.past.delete(this.past.keys().next().value);
  }

  answer(label) {
    const card = this.current, title = this.told.labels.find((each) => each.label === label)?.title ?? "no label fits";
    if (card.revealing) return;
    card.revealing = true;
    this.step = null;
    this.keys = new Map();
    this.slots.said.replaceChildren(make("p.so-said", {}, `You said ${title}.`), make("p.so-note", {}, "The model's answer comes as soon as yours is stored."));
    this.slots.acts.replaceChildren();
    this.line.say({ act: "answer", task: card.task, token: card.token, label, seconds: this.seconds });
  }

  undo() {
    const last = this.stack.pop() ?? (this.last && { key: this.last.decided, token: this.last.parked, parked: Boolean(this.last.parked) });
    if (!last) { this.say("There is nothing to take back.", "note"); return; }
    this.last = null;
    const card = this.past.get(last.token);
    if (card) { this.past.delete(last.token); this.queue.unshift(card); this.show(); }
    this.say("Taking back…", "note");
    this.line.say({ act: "undo", token: last.token ?? null, ...(last.parked ? { parked: last.token } : { decided: last.key }) });
  }

  turnFlag(card) {
    this.flagged(card.item, !card.flagged);
    this.line.say({ act: "flag", item: card.item, up: card.flagged });
  }

  flagged(item, up) {
    for (const card of [...this.queue, ...this.past.values()]) {
      if (card.item === item) { card.flagged = up; card.flag.firstChild.textContent = up ? "Flagged: take it down" : "Flag"; }
    }
  }

  async turnWhy() {
    const card = this.current;
    card.wants = !card.full;
    if (card.full) this.full = false;
    await this.look(card);
  }

  async ask(card, method, label, params) {
    const { status, answer } = await this.line.post("/ask", { token: card.token, method, label, params });
    if (status !== 200) this.say(answer?.message ?? "Signoff does not answer; ask again in a moment.", "trouble");
    else { card.wants = true; await this.look(card); }
  }

  // Whether a case is to be open in full: as it was turned itself, else as every case is.
  wanted(card) { return card.wants ?? this.full; }

  // The case as it stands now; drawn where something of it is new, and never into another order.
  async look(card, hurry = false) {
    const full = this.wanted(card), asked = { token: card.token, full, late: Boolean(card.late || card.awaited), hurry };
    const nth = card.looks = (card.looks ?? 0) + 1;
    const { status, answer } = await this.line.post("/look", asked);
    if (nth !== card.looks) return;  // somebody asked again meanwhile, and that answer counts
    if (status !== 200 || !answer?.card) { if (full !== card.full) this.say(answer?.message ?? "Signoff does not answer; try again in a moment.", "trouble"); return; }
    const same = (one, other) => JSON.stringify([one.case, one.below ?? null, one.awaited]) === JSON.stringify([other.case, other.below ?? null, other.awaited]);
    if (same(card, answer.card)) return;
    this.redraw(card, answer.card, asked.late);
  }

  redraw(card, fresh, late) {
    const { case: drawn, said, below, shown, full, opened, awaited, waits, runner_up, asks, why } = fresh;
    shown?.forEach((each) => card.seen.add(each));
    Object.assign(card, { case: drawn, said, below, shown, full, awaited, waits, runner_up, asks, why, late, opened: card.opened || opened });
    card.nodes.case.replaceChildren(...grown(drawn));
    card.nodes.said.replaceChildren(...grown(said));
    card.keys.clear();
    card.acts = this.acts(card);
    this.fill(card);
    if (card !== this.current) return;
    this.more(card);
    if (!this.step && !card.lost) { this.keys = card.keys; this.slots.acts.replaceChildren(card.acts); }
    this.settleFocus();
    this.watchReasons(card);
  }

  watchReasons(card, first = false) {
    clearTimeout(this.watch);
    if (!card.awaited && !card.waits) return;
    const look = async () => {
      if (card !== this.current || !this.root.isConnected || performance.now() - this.touched > PATIENCE) return;
      await this.look(card, first && card.awaited);
      if (card === this.current) this.watchReasons(card);
    };
    this.watch = setTimeout(look, first ? 0 : LOOK);
  }

  press(event) {
    const key = event.key.toLowerCase();
    if (event.key === "Escape") { if (typing(document.activeElement)) document.activeElement.blur(); if (this.step) this.back(); else this.troubles.replaceChildren(); return; }
    if (typing(document.activeElement) || event.repeat || !this.ready) return;
    if ((key === "enter" || key === " ") && document.activeElement?.closest("button, a, summary")) return;
    const act = this.keys?.get(key);
    if (!act) { this.nothing(event); return; }
    event.preventDefault();
    this.touch();
    act();
  }

  // A key that leads nowhere says so; Streamlit's own, and those that the page answers itself, are left alone.
  nothing(event) {
    const why = this.root.querySelector("[data-dead]")?.dataset.dead, { help } = this.told.keys;
    const told = event.defaultPrevented || this.told.left.includes(event.key) || new URLSearchParams(why ?? "").has(event.key);
    if (told || !/^\S$/u.test(event.key)) return;
    this.say(`Nothing is on ${event.key} ${this.step ? "in this choice" : "here"}${help && !this.step ? `; ${help} shows the keys` : ""}.`, "note");
  }

  goOn() {
    if (!this.ready) return;
    this.touch();
    if (this.step) this.step.confirm?.();
    else if (!this.current?.lost && !this.current?.revealing) this.current?.confirm?.run();
  }
}

let deck = null;

document.addEventListener("keydown", (event) => {
  if (!deck?.root.isConnected) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); deck.goOn(); }
  else if (!event.ctrlKey && !event.metaKey && !event.altKey) deck.press(event);
});
window.addEventListener("beforeunload", (event) => { if (deck?.line?.acts.length && !deck.leaving) event.preventDefault(); });
window.addEventListener("online", () => deck?.line?.send());
document.addEventListener("visibilitychange", () => { if (!document.hidden && deck?.root.isConnected) deck.line?.send(); });

const SAME = ["project", "person", "seat"];

export default function ({ data, parentElement, setTriggerValue }) {
  if (!deck || SAME.some((name) => deck.told[name] !== data[name])) { deck?.end(); deck = new Deck(data); }
  deck.put(data, parentElement, () => setTriggerValue("dry", true));
}
