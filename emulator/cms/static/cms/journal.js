/*
 * The magazine's own script: asks for consent, tells Segue what is looked at and put into the bag, and fetches what was
 * made for the visitor anew when Segue says that something has changed.
 */
(() => {
  const CHOICE = "journal_choice";
  const AGAIN_MS = 10_000;
  const EXPOSED = "journal_exposed";
  const METHODS = ["track", "page", "identify", "group", "consent", "reset", "anonymousId"];
  if (!window.segue) {
    window.segue = [];
    for (const method of METHODS) window.segue[method] = (...said) => { window.segue.push([method, ...said]); };
  }
  const news = document.querySelector("[data-news]");
  const consent = document.querySelector("[data-asks]");
  const segue = new URL(document.querySelector("script[data-key]").src).origin;
  let stream;

  /** A hero as the server makes it at this moment, in place of what is shown, if it is another. */
  const refresh = async (place) => {
    const answer = await fetch(place.dataset.live).catch(() => undefined);
    if (!answer?.ok) return;
    const made = document.createElement("template");
    made.innerHTML = await answer.text();
    if (made.innerHTML.trim() === place.innerHTML.trim()) return;
    const hadFocus = place.contains(document.activeElement);
    place.replaceChildren(made.content);
    place.classList.add("changed");
    if (hadFocus) place.querySelector("a").focus();
    tellSeen(place);
    news.textContent = `New: ${place.querySelector("h1").textContent}`;
  };
  /** What the server decided has been shown: that somebody takes part in an experiment is told once. */
  const tellSeen = (place) => {
    for (const [event, said] of JSON.parse(place.querySelector("[data-tells]").dataset.tells)) {
      const told = localStorage.getItem(EXPOSED) ?? "";
      const exposure = event === "Experiment Viewed" ? ` ${said.experiment_id} ` : "";
      if (exposure && told.includes(exposure)) continue;
      if (exposure) localStorage.setItem(EXPOSED, told + exposure);
      window.segue.track(event, said);
    }
  };
  const refreshAll = () => document.querySelectorAll("[data-live]").forEach(refresh);

  const isKnown = () => document.cookie.includes("segue_anonymous_id=");

  /** Listens by a token of the visitor's own, and comes again with another when that has ended or nobody answers. */
  const follow = async () => {
    if (stream || !isKnown()) return;
    stream = true;
    const again = () => setTimeout(() => ((stream = undefined), follow()), AGAIN_MS);
    const answer = await fetch("/token").catch(() => undefined);
    if (!answer?.ok) return again();
    stream = new EventSource(`${segue}/v1/stream?token=${(await answer.json()).token}`);
    stream.onopen = stream.onmessage = refreshAll;
    stream.onerror = () => stream.readyState === EventSource.CLOSED && again();
  };

  /** Says it to Segue; the server waits for it, if need be, before it decides what the next page shows. */
  const track = (event, said) => {
    const id = window.segue.track(event, said);
    if (id && isKnown()) document.cookie = `last_message=${id};path=/;samesite=lax;max-age=60`;
    follow();
  };

  /** Nothing of who it was stays in the page. */
  const forget = () => {
    stream?.close?.();
    stream = undefined;
    document.cookie = "last_message=;path=/;max-age=0";
    localStorage.removeItem(EXPOSED);
    refreshAll();
  };

  const properties = ({ dataset: { product, name, category, price } }) =>
    ({ product_id: product, name, category, price: Number(price), currency: "EUR" });

  const choose = (said) => {
    localStorage.setItem(CHOICE, said);
    consent.hidden = true;
    window.segue.consent({ analytics: said === "yes", personalization: said === "yes" });
    if (said === "yes") follow();
    else forget();
  };

  consent.hidden = localStorage.getItem(CHOICE) !== null;
  document.querySelector("[data-choose]").addEventListener("click", () => (consent.hidden = false));
  consent.addEventListener("click", ({ target }) => target.dataset.choice && choose(target.dataset.choice));

  document.addEventListener("toggle", ({ target }) => {
    const product = target.closest("[data-product]");
    if (product && target.open) track("Product Viewed", properties(product));
  }, true);

  document.addEventListener("click", ({ target }) => {
    const product = target.closest("[data-add]")?.closest("[data-product]");
    if (!product) return;
    const bag = document.querySelector("[data-bag]");
    bag.textContent = Number(bag.textContent) + 1;
    news.textContent = `${product.dataset.name} is in your bag.`;
    track("Product Added", { ...properties(product), quantity: 1 });
  });

  document.querySelectorAll("[data-live]").forEach(tellSeen);
  follow();
})();
