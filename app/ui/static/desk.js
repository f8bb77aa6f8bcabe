// What the pages' own keys cannot do: "?" for help, Escape out of a field, and the caret into a field that just opened.
(() => {
  const typing = (node) => node && (node.isContentEditable || /^(input|textarea|select)$/i.test(node.tagName));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && typing(document.activeElement)) document.activeElement.blur();
    if (event.key === "?" && !typing(document.activeElement)) document.querySelector('[class*="st-key-help-"] button')?.click();
  });
  const seen = new WeakSet();
  new MutationObserver(() => {
    const field = document.querySelector('[class*="st-key-focus-"] input');
    if (field && !seen.has(field)) { seen.add(field); field.focus(); }
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
