// From data to nodes: known tags and attributes, and text as text. Nothing is ever parsed as HTML.
const TAGS = new Set(("a b bdi br button caption code dd details div dl dt em figcaption figure h2 h3 h4 hr i img input kbd label li "
  + "mark ol p progress q s section small span strong sub summary sup table tbody td th thead time tr u ul wbr").split(" "));
const INSIDE = /^data:image\/(png|jpeg|webp|gif|svg\+xml)[;,]/;
const LINK = /^(https?:\/\/|[^:]*([/?#]|$))/i;

const safe = (tag, name, value) => {
  if (name.startsWith("on")) return false;
  if (name === "src") return tag === "img" && INSIDE.test(value);
  if (name === "href") return tag === "a" && LINK.test(value);
  return true;
};

const grow = (node) => {
  if (typeof node === "string") return document.createTextNode(node);
  const [tag, attributes, ...children] = node;
  if (!TAGS.has(tag)) return document.createTextNode("");
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (safe(tag, name, value)) made.setAttribute(name, value);
  made.append(...children.map(grow));
  return made;
};

export const grown = (trees) => (trees ?? []).map(grow);

// A small element: its tag with classes ("p.so-note"), its properties, its children as nodes or text.
export const make = (what, properties = {}, ...children) => {
  const [tag, ...classes] = what.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(made.dataset, value);
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
};
