/**
 * slots.js is the part of segue.js that asks Segue what to show its visitor, and fills the slots of the page with it:
 * texts and a few attributes, in places that the page declares.
 *
 * The page's own content is there first, and stays wherever no answer comes, or none in time.
 */
const slotsOf = (host, options, kept, visitor, latest, add) => {
  /** So long may an answer take, and so long may the reader have seen the page's own content before it is replaced. */
  const DEADLINE_MS = +options.deadline || 2000;
  const SEEN_MS = 1000;
  const EXPIRES_SOON_MS = 30_000;
  const SLOT = "[data-segue-slot]";
  /** What content may become, and of which elements. */
  const PLACES = { text: ":not(script,style)", href: "a", src: "img", alt: "img", title: "*", "aria-label": "*" };
  /** Reasons of a decision that say only that nothing was found out. */
  const UNKNOWN = /deadline|store_unavailable/;

  let token = options.token;
  let expires = token ? Infinity : 0;
  let renewal;
  const renewed = async (whose) => {
    try {
      const answer = await fetch(options.tokenUrl, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ anonymous_id: whose }),
      });
      const issued = await answer.json();
      if (whose == visitor()) ({ token, expires_at: expires } = issued);
    } catch {}
    renewal = 0;
  };
  /** The visitor's token: the page's own until it is refused, and then what the site's endpoint gives. */
  const credential = async () => {
    const whose = visitor();
    if (whose && options.tokenUrl && !(expires - EXPIRES_SOON_MS > Date.now())) await (renewal ||= renewed(whose));
    return whose == visitor() && whose && token;
  };

  const asked = async (slots, after, deadline, again) => {
    const known = await credential();
    if (!known) return {};
    const answer = await fetch(host + "/v1/decide", {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: "Bearer " + known },
      body: JSON.stringify({ profile: { anonymous_id: visitor() }, slots, after, deadline_ms: Math.ceil(deadline / 2) }),
    });
    if (answer.ok) return answer.json();
    if (answer.status != 401 || again) return {};
    expires = 0;
    return asked(slots, after, deadline, true);
  };
  const decided = (slots, { after = latest(), deadline = DEADLINE_MS } = {}) =>
    Promise.race([
      asked(slots, after, deadline).catch(() => ({})),
      new Promise((resolve) => setTimeout(resolve, deadline, {})),
    ]);

  const isAddress = (text) => {
    try {
      return /^https?:$/.test(new URL(text, document.baseURI).protocol);
    } catch {}
  };
  /** Puts content into the places of a slot; what is missing there, or may not be there, is hidden. */
  const put = (content, slot) => {
    for (const place of [slot, ...slot.querySelectorAll("*")]) {
      let hidden;
      for (const name in PLACES) {
        const field = place.getAttribute("data-segue-" + name);
        if (field == null || !place.matches(PLACES[name])) continue;
        const value = content[field];
        const fits = /string|number/.test(typeof value) && (!/href|src/.test(name) || isAddress(value));
        hidden ||= !fits;
        if (name == "text") place.textContent = fits ? value : "";
        else if (fits) place.setAttribute(name, value);
        else place.removeAttribute(name);
      }
      if (hidden !== undefined) place.hidden = hidden;
    }
  };

  /** Of each slot that was filled: its decision, the page's own content, and what waits for it to have been seen. */
  const filled = new WeakMap();
  const show = (slot, decision) => {
    const { content, variant } = decision;
    const before = filled.get(slot);
    const said = JSON.stringify([variant, content]);
    if (before?.said == said) return;
    const templates = [...slot.children].filter((each) => each.localName == "template");
    const own = before?.own || [...slot.childNodes].filter((each) => !templates.includes(each));
    const template = templates.find(({ dataset }) => (dataset.segueVariant || variant) == variant);
    // A variant that stands there already was put there by the site's server.
    if (before || slot.dataset.segueVariant != variant) {
      slot.style.minHeight = getComputedStyle(slot).height;
      if (templates.length)
        slot.replaceChildren(...templates, ...(template ? [document.importNode(template.content, true)] : own));
      put(content, slot);
      slot.dataset.segueVariant = variant;
    }
    clearTimeout(before?.seen);
    filled.set(slot, { ...decision, said, own });
    sight.unobserve(slot);
    sight.observe(slot);
  };
  /** Half of it, for a second: then it was seen. */
  const sight = new IntersectionObserver(
    (entries) => {
      for (const { target, intersectionRatio } of entries) {
        const state = filled.get(target);
        clearTimeout(state.seen);
        if (intersectionRatio >= 0.5)
          state.seen = setTimeout(() => {
            sight.unobserve(target);
            exposed(state);
            add("track", {
              event: "Content Viewed",
              properties: { slot: target.dataset.segueSlot, variant: state.variant },
            });
          }, SEEN_MS);
      }
    },
    { threshold: 0.5 },
  );
  /** Tells of the visitor's arm, once: its message id is the visitor's and the experiment's. */
  const exposed = ({ experiment }) => {
    const exposure = experiment?.exposure;
    const told = kept("exposed") ?? "";
    if (exposure && !told.includes(exposure.messageId) && add("track", exposure))
      kept("exposed", told + exposure.messageId);
  };

  let turn = 0;
  /** Fills the page's slots. The reader has seen it since `since`; whoever asked last is answered. */
  const fill = async (since = performance.now()) => {
    const slots = [...document.querySelectorAll(SLOT)];
    const mine = ++turn;
    if (!slots.length || !visitor()) return;
    const decisions = await decided([...new Set(slots.map((slot) => slot.dataset.segueSlot))]);
    const isInTime = "live" in options || performance.now() < since + DEADLINE_MS;
    if (mine == turn)
      for (const slot of slots) {
        const decision = decisions[slot.dataset.segueSlot];
        if (decision?.content && !UNKNOWN.test(decision.reason))
          if (isInTime || slot.getBoundingClientRect().top > innerHeight) show(slot, decision);
      }
  };

  let stream;
  let followed;
  /** Listens for what changes while the page is seen; called again and again, it listens by a token that is good. */
  const follow = async () => {
    if (!("live" in options) || !document.querySelector(SLOT)) return;
    if (stream?.readyState == 2) followed = expires = 0; // refused, perhaps for the token
    const known = document.hidden ? 0 : await credential();
    if (known == followed) return;
    followed = known;
    stream?.close();
    if (!known) return;
    stream = new EventSource(`${host}/v1/stream?token=${known}`);
    stream.onopen = stream.onmessage = () => fill();
  };

  const begin = (since) => {
    fill(since);
    follow();
  };
  return {
    decide: async (slots, asked) => {
      const decisions = await decided(slots, asked);
      Object.values(decisions).forEach(exposed);
      return decisions;
    },
    begin,
    follow,
    /** The visitor is another, or nobody any more. */
    restart: () => {
      token = undefined;
      expires = renewal = 0;
      begin();
    },
  };
};
