// What was said and is not acknowledged yet: kept in order, in the browser's own store, and sent until each has its answer.
const PREFIX = "signoff.deck";
const WAITS = [400, 800, 1500, 3000, 5000];

export const fresh = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("");
};

const read = (name) => { try { return JSON.parse(localStorage.getItem(name)) ?? []; } catch { return []; } };

export class Line {
  constructor(told, { body, heard }) {
    Object.assign(this, { told, body, heard, acts: [], busy: false, again: false, tried: 0, timer: null });
    this.family = `${PREFIX}.said.${told.person}.${told.project}.`;
    this.name = this.family + told.seat;
    navigator.locks?.request(`${PREFIX}.${told.seat}`, () => new Promise((done) => { this.let = done; })).catch(() => {});
  }

  // What an earlier page of this person left unsent goes first; the keys make a repeat no second act.
  async adopt() {
    const held = new Set(((await navigator.locks?.query().catch(() => null))?.held ?? []).map((lock) => lock.name));
    const names = Object.keys(localStorage).filter((name) => name.startsWith(this.family));
    const theirs = names.filter((name) => name === this.name || !held.has(`${PREFIX}.${name.slice(this.family.length)}`));
    this.acts = theirs.flatMap(read);
    this.keep();
    theirs.filter((name) => name !== this.name).forEach((name) => localStorage.removeItem(name));
  }

  keep() {
    try {
      if (this.acts.length) localStorage.setItem(this.name, JSON.stringify(this.acts));
      else localStorage.removeItem(this.name);
    } catch { /* a full or forbidden store: the page's own memory does */ }
  }

  say(act) {
    this.acts.push({ key: fresh(), ...act });
    this.keep();
    this.send();
    return this.acts.at(-1).key;
  }

  // One request at a time; whatever is said meanwhile goes with the next.
  async send() {
    if (this.busy || this.ended) { this.again = true; return; }
    clearTimeout(this.timer);
    this.busy = true;
    this.again = false;
    const sent = this.acts.slice(0, 100);
    const { status, answer } = await this.post("", { ...this.body(), said: sent });
    this.busy = false;
    if (this.ended) return;
    const done = new Map((answer?.acks ?? []).map((ack) => [ack.key, ack]));
    const settled = sent.filter((act) => done.has(act.key));
    this.acts = this.acts.filter((act) => !done.has(act.key));
    this.keep();
    const well = status === 200 && !answer.away;
    this.tried = well ? 0 : this.tried + 1;
    this.heard({ status, answer, well, settled: settled.map((act) => [act, done.get(act.key)]) });
    if (well && (this.again || this.acts.length)) this.send();
    else if (!well && status !== 403 && status !== 404) this.later();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), WAITS[Math.min(this.tried, WAITS.length) - 1] ?? WAITS[0]);
  }

  async post(path, body) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const headers = { "Content-Type": "application/json" };
    const sent = JSON.stringify({ seat: this.told.seat, person: this.told.person, zone, ...body });
    try {
      const stop = AbortSignal.timeout(20_000);
      const url = `/desk/${encodeURIComponent(this.told.project)}${path}`;
      const response = await fetch(url, { method: "POST", headers, body: sent, signal: stop, redirect: "error" });
      return { status: response.status, answer: await response.json().catch(() => null) };
    } catch {
      return { status: 0, answer: null };
    }
  }

  end() { this.ended = true; clearTimeout(this.timer); this.let?.(); }
}
