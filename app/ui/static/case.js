// What a person does within a case: reasons off and on, images closer, from mark to mark, groups folded, fields found.
// Nothing of it is told to the server; it serves the plain page and the deck alike.
const typing = (node) => node && (node.isContentEditable || /^(input|textarea|select)$/i.test(node.tagName));
const STEPS = [1, 1.5, 2, 3, 4, 6, 8];

const shown = () => [...document.querySelectorAll(".so-case")].find((each) => each.offsetParent !== null);
const cased = (node) => node?.closest?.(".so-case") ?? shown();

// Reasons over a picture or text: off and on, for this case.
const overlay = (place) => {
  const off = place.dataset.overlay !== "off";
  place.dataset.overlay = off ? "off" : "on";
  for (const each of place.querySelectorAll('[data-act="overlay"]')) each.setAttribute("aria-pressed", String(!off));
};

// Every image of the case is looked into at the same place.
const lenses = (place) => [...place.querySelectorAll(".so-lens")];
const zoomed = (place) => Number(place.dataset.zoom ?? 1);
const zoom = (place, to, at = null) => {
  const all = lenses(place);
  if (!all.length) return;
  const [x, y] = at ?? middle(all[0]);
  if (to === 1) delete place.dataset.zoom;
  else place.dataset.zoom = to;
  place.style.setProperty("--zoom", to);
  for (const each of all) {
    if (to === 1) each.removeAttribute("tabindex");
    else each.tabIndex = 0;
    each.scrollLeft = x * each.scrollWidth - each.clientWidth / 2;
    each.scrollTop = y * each.scrollHeight - each.clientHeight / 2;
  }
  for (const each of place.querySelectorAll("[data-zoomed]")) each.textContent = to === 1 ? "" : `${to} times`;
};
const middle = (lens) => [
  (lens.scrollLeft + lens.clientWidth / 2) / lens.scrollWidth,
  (lens.scrollTop + lens.clientHeight / 2) / lens.scrollHeight,
];
const nearer = (place, step) => {
  const at = STEPS.indexOf(zoomed(place));
  zoom(place, STEPS[Math.min(STEPS.length - 1, Math.max(0, at + step))]);
};
const look = (place, lens, event) => {
  const box = lens.firstElementChild.getBoundingClientRect();
  const at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  zoom(place, zoomed(place) > 1 ? 1 : 3, at);
};
let leading = null;
document.addEventListener("scroll", (event) => {
  const lens = event.target;
  if (!lens.classList?.contains("so-lens") || (leading && leading !== lens)) return;
  leading = lens;
  for (const other of lenses(cased(lens))) {
    if (other !== lens) other.scrollTo(lens.scrollLeft, lens.scrollTop);
  }
  requestAnimationFrame(() => requestAnimationFrame(() => (leading = null)));
}, true);

// From mark to mark, the strongest first.
const into = (text, mark) => {
  text.scrollTop += mark.getBoundingClientRect().top - text.getBoundingClientRect().top - text.clientHeight / 2 + mark.offsetHeight / 2;
};
const marksOf = (section) => [...section.querySelectorAll("mark[data-rank]")].sort((a, b) => a.dataset.rank - b.dataset.rank);
const toMark = (section, wanted) => {
  const marks = marksOf(section);
  const mark = marks[Math.min(Math.max(0, wanted - 1), marks.length - 1)];
  if (!mark) return;
  for (const each of section.querySelectorAll(".so-here")) each.classList.remove("so-here");
  mark.classList.add("so-here");
  into(mark.closest(".so-marked"), mark);
  const said = section.querySelector("[data-marks]");
  if (said) said.textContent = `${mark.dataset.rank} of ${marks.length}: ${mark.title}, ${mark.textContent.replace(/[+−]$/, "")}`;
};
const step = (section, by) => {
  const here = section?.querySelector(".so-here");
  if (section) toMark(section, (here ? Number(here.dataset.rank) : 0) + by);
};

// Fields that hold what is typed.
const find = (field) => {
  const place = cased(field), wanted = field.value.trim().toLowerCase();
  const rows = [...place.querySelectorAll("[data-field]")];
  let found = 0, all = 0;
  for (const row of rows) {
    row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
    if (!row.closest(".so-unstable")) [found, all] = [found + !row.hidden, all + 1];
  }
  for (const group of place.querySelectorAll("details.so-group, details.so-rest")) unfold(group, wanted);
  const said = place.querySelector("[data-found]");
  if (said) said.textContent = wanted ? `${found} of ${all}` : "";
};
const unfold = (group, wanted) => {
  if (wanted === "") {
    if (group.dataset.was) group.open = group.dataset.was === "open";
    delete group.dataset.was;
    return;
  }
  group.dataset.was ??= group.open ? "open" : "shut";
  group.open = group.querySelector("[data-field]:not([hidden])") !== null;
};

// Whether a group is open is remembered here.
const FOLD = "signoff.fold.";
document.addEventListener("toggle", (event) => {
  const group = event.target;
  if (!group.dataset?.fold || group.dataset.was) return;
  if (group.open) localStorage.removeItem(FOLD + group.dataset.fold);
  else localStorage.setItem(FOLD + group.dataset.fold, "shut");
}, true);

const ACTS = {
  overlay: (place) => overlay(place),
  "zoom-in": (place) => nearer(place, 1),
  "zoom-out": (place) => nearer(place, -1),
  "mark-on": (place, node) => step(node.closest(".so-method"), 1),
  "mark-back": (place, node) => step(node.closest(".so-method"), -1),
  mark: (place, node) => toMark(node.closest(".so-method"), Number(node.dataset.to)),
};
document.addEventListener("click", (event) => {
  const node = event.target.closest?.("[data-act]"), place = cased(event.target);
  if (node && place && ACTS[node.dataset.act]) ACTS[node.dataset.act](place, node);
  const lens = event.target.closest?.(".so-lens");
  if (lens && place?.contains(lens)) look(place, lens, event);
});
document.addEventListener("input", (event) => event.target.dataset?.act === "search" && find(event.target));

// The keys: off and on and search as this person has them, and + and - and n, N wherever no label has them.
const press = (place, name) => {
  if (name === "search") {
    const field = place.querySelector('[data-act="search"]');
    field?.focus();
    return Boolean(field);
  }
  const node = place.querySelector(`[data-act="${name}"]`);
  node?.click();
  return Boolean(node);
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const field = document.activeElement;
  if (event.key === "Escape" && field?.dataset?.act === "search") {
    field.value = "";
    find(field);
    field.blur();
    event.stopPropagation();
  }
  const held = document.querySelector("[data-case-keys]"), place = shown();
  if (typing(field) || !held || !place) return;
  const name = Object.fromEntries(new URLSearchParams(held.dataset.caseKeys))[event.key];
  if (name && press(place, name)) event.preventDefault();
}, true);

// What was just drawn: folded as it was left, and a long text where its strongest mark is.
const fresh = (root) => {
  for (const group of root.querySelectorAll("details[data-fold]")) {
    if (localStorage.getItem(FOLD + group.dataset.fold) === "shut") group.open = false;
  }
  for (const text of root.querySelectorAll(".so-marked[data-strongest]")) {
    const mark = text.querySelector('mark[data-rank="1"]');
    if (mark && text.scrollHeight > text.clientHeight) into(text, mark);
  }
};
const seen = new WeakSet();
const arrive = () => {
  for (const place of document.querySelectorAll(".so-case")) {
    if (!seen.has(place)) { seen.add(place); fresh(place); }
  }
};
new MutationObserver(arrive).observe(document.documentElement, { childList: true, subtree: true });
arrive();
