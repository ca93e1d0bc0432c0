"use strict";
// Puts new parts in place of old ones as the sensor sends them. The page tells all without it, as of when it was loaded.
(() => {
  const state = document.getElementById("state");
  const words = document.createElement("span");
  const button = document.createElement("button");
  button.type = "button";
  state.replaceChildren(words, " ", button);
  const parser = new DOMParser();
  // What came while somebody was at work in the part that it belongs to.
  const waiting = new Map();
  let source = null;
  let isPressing = false;

  const say = (kind, text) => {
    state.dataset.kind = kind;
    if (words.textContent !== text) words.textContent = text;
  };

  /** Somebody marks text in it, or presses: a link that is another one by then takes no click. */
  const isBusy = (part) => {
    const marked = document.getSelection();
    return isPressing || (!marked.isCollapsed && marked.containsNode(part, true));
  };

  const put = (part, html) => {
    // Scripts in text parsed so never run, and the page's policy lets none run either.
    const fresh = parser.parseFromString(html, "text/html").body;
    const open = [...part.querySelectorAll("details[open]")].map((one) => one.id);
    const scrolled = [...part.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const all = (within) => [...within.querySelectorAll("a, summary, [tabindex]")];
    const place = focused && all(part).indexOf(focused);
    for (const one of fresh.querySelectorAll("details")) one.open = open.includes(one.id);
    part.replaceChildren(...fresh.childNodes);
    [...part.querySelectorAll(".scroll")].forEach((one, at) => (one.scrollLeft = scrolled[at] ?? 0));
    if (focused) {
      const address = focused.getAttribute("href");
      const same = address && all(part).find((one) => one.getAttribute("href") === address);
      (same || all(part)[place])?.focus({ preventScroll: true });
    }
  };

  const take = (event) => {
    const part = document.getElementById(event.type);
    if (isBusy(part)) waiting.set(part, event.data);
    else {
      waiting.delete(part);
      put(part, event.data);
    }
  };

  const catchUp = () => {
    for (const [part, html] of waiting) {
      if (isBusy(part)) continue;
      waiting.delete(part);
      put(part, html);
    }
  };
  document.addEventListener("selectionchange", catchUp);
  document.addEventListener("pointerdown", () => (isPressing = true));
  for (const end of ["pointerup", "pointercancel"]) {
    // The click comes after it.
    document.addEventListener(end, () => setTimeout(() => ((isPressing = false), catchUp())));
  }

  const follow = () => {
    const own = (source = new EventSource("/events" + location.search));
    for (const part of document.querySelectorAll("section > div[id]")) source.addEventListener(part.id, take);
    source.onopen = () => say("live", "Live");
    source.onerror = () => {
      say("lost", "No connection; what is shown may be old");
      // Refused for good, as after a restart with another token: the browser does not ask again by itself.
      if (own.readyState === EventSource.CLOSED) setTimeout(() => source === own && follow(), 5000);
    };
    button.textContent = "Pause";
  };

  button.addEventListener("click", () => {
    if (source) {
      source.close();
      source = null;
      waiting.clear();
      say("paused", `Paused at ${new Date().toISOString().slice(11, 19)} UTC`);
      button.textContent = "Go on";
    } else {
      say("waiting", "");
      follow();
    }
  });
  say("waiting", "");
  follow();
})();
