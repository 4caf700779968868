/* The shop's own script: tells Segue what a page is about, and keeps "What Segue knows" as it is. */
(() => {
  const POLL_MS = 2000;
  const EVENT_VISIBLE_MS = 150;
  const panel = document.querySelector("[data-knows]");
  const known = panel.querySelector("[data-known]");
  const news = panel.querySelector("[data-news]");
  const toggle = panel.querySelector("[data-knows-toggle]");
  let shown = "";

  /** Calls the tracker; the id of the message, if there is one. */
  const tell = ({ method, arguments: said }) => window.segue?.[method]?.(...said);

  const localised = (root) => {
    const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
    const today = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    for (const element of root.querySelectorAll("time[data-local]")) {
      const instant = new Date(element.dateTime);
      const isToday = instant.toDateString() === new Date().toDateString();
      element.textContent = (isToday ? today : day).format(instant);
    }
  };

  const inside = () => new Map([...known.querySelectorAll("[data-segment]")].map((each) => [each.dataset.segment, each]));

  const announce = (before, after) => {
    const name = (element) => element.querySelector("h3").textContent;
    const entered = [...after].filter(([id]) => !before.has(id));
    const left = [...before].filter(([id]) => !after.has(id));
    entered.forEach(([, element]) => element.classList.add("entered"));
    if (!entered.length && !left.length) return;
    news.textContent = [
      ...entered.map(([, element]) => `You are now in ${name(element)}.`),
      ...left.map(([, element]) => `You are no longer in ${name(element)}.`),
    ].join(" ");
    delete panel.dataset.fresh;
    requestAnimationFrame(() => (panel.dataset.fresh = ""));
  };

  const show = (html) => {
    if (html === shown) return;
    shown = html;
    const before = inside();
    const open = [...known.querySelectorAll("details[open]")].map((each) => each.dataset.why ?? "others");
    const focused = known.contains(document.activeElement) && document.activeElement.closest("details");
    known.innerHTML = html;
    const again = (name) => known.querySelector(name === "others" ? "[data-others]" : `[data-why="${CSS.escape(name)}"]`);
    open.forEach((name) => again(name)?.setAttribute("open", ""));
    if (focused) again(focused.dataset.why ?? "others")?.querySelector("summary").focus();
    localised(known);
    announce(before, inside());
    panel.querySelector("[data-knows-count]").textContent = inside().size;
  };

  const refresh = async (after) => {
    try {
      const answer = await fetch(`/me/panel${after ? `?after=${encodeURIComponent(after)}` : ""}`);
      if (answer.ok) show(await answer.text());
    } catch {
      // The next round asks again.
    }
  };

  const explain = async (details) => {
    const answer = await fetch(`/me/segments/${encodeURIComponent(details.dataset.why)}/why`);
    const html = answer.ok ? await answer.text() : "<p>Segue does not answer at the moment.</p>";
    details.querySelector(".why").innerHTML = html;
  };

  /** Lets the server wait for what was just said before it decides what the next page shows. */
  const remember = (id) => {
    const seconds = id && window.segue?.anonymousId?.() ? 60 : 0;
    document.cookie = `last_message=${id};path=/;samesite=lax;max-age=${seconds}`;
  };

  /** What the last action left for this page is told: it is not for the next one. */
  const forgetNote = () => (document.cookie = "note=;path=/;max-age=0");

  /** Segue forgets first, then this browser: the tracker must say nothing more under the old id. */
  const erase = async (form) => {
    const answer = await fetch(form.action, { method: "POST" }).catch(() => undefined);
    if (!answer?.ok) {
      document.querySelector("[data-failed]").textContent = "That did not work. Please try again in a moment.";
      return;
    }
    const purposes = [...document.querySelectorAll(".switch")].map(({ id }) => [id, false]);
    window.segue?.reset?.();
    window.segue?.consent?.(Object.fromEntries(purposes));
    location.assign(answer.url);
  };

  const begin = () => {
    const viewed = window.segue.page(document.body.dataset.page);
    const id = JSON.parse(document.body.dataset.tells).map(tell).at(-1) ?? viewed;
    forgetNote();
    remember(id);
    refresh(id);
  };

  localised(document);
  toggle.addEventListener("click", () => {
    const open = panel.toggleAttribute("data-open");
    toggle.setAttribute("aria-expanded", open);
    toggle.textContent = open ? "Hide" : "Show";
  });
  panel.addEventListener("toggle", ({ target }) => target.open && target.dataset.why && explain(target), true);
  document.addEventListener("click", ({ target }) => {
    const element = target.closest?.("[data-tell]");
    if (!element) return;
    remember(tell(JSON.parse(element.dataset.tell)));
    setTimeout(refresh, EVENT_VISIBLE_MS);
  });
  document.addEventListener("keydown", ({ key }) => key === "Escape" && panel.hasAttribute("data-open") && toggle.click());
  document.querySelector("[data-erase]")?.addEventListener("submit", (event) => {
    event.preventDefault();
    erase(event.target);
  });
  setInterval(() => document.hidden || refresh(), POLL_MS);

  const tracker = document.querySelector('script[src="/segue.js"]');
  if (window.segue?.loaded) begin();
  else {
    tracker.addEventListener("load", begin);
    tracker.addEventListener("error", forgetNote);
  }
})();
