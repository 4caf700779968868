/**
 * segue.js tells Segue what visitors do on a page: page views, clicks, scroll depth, engaged time, videos, and what the
 * page itself says by `segue.track(…)`; slots.js, which is a part of it, shows them what Segue decides. Options are data
 * attributes of its script element; README.md has them all, and segue.d.ts has the methods.
 *
 * Three rules hold everywhere: without consent nothing is stored and nothing is sent; what people type is never read;
 * an event that was taken on is kept until Segue has answered for it, under one message id however often it is sent.
 */
(() => {
  const IDLE_MS = 30_000;
  const HEARTBEAT_MS = 15_000;
  const VIDEO_HEARTBEAT_MS = 10_000;
  const LONGEST_PAUSE_MS = 60_000;
  const MOST_EVENTS = 500;
  /** Characters of a batch: not more than 60 KB in UTF-8, of the 64 KiB that outlive a page. */
  const LARGEST_BATCH = 20_000;
  const DEPTHS = [25, 50, 75, 90, 100];
  const PREFIX = "segue_";
  const CLICKABLE = "a,button,[role=button],input[type=submit],[data-track]";
  const PRIVATE = "[data-no-track],[type=password],[autocomplete^=cc-]";
  const FIELDS = "input,textarea,select,[contenteditable],[data-no-track]";

  const segue = (window.segue ||= []);
  if (segue.loaded) return;
  segue.loaded = true;

  const script = document.currentScript;
  const options = script.dataset;
  const host = options.endpoint || new URL(script.src).origin;
  const address = host + "/v1/batch";
  const captures = (what) => !` ${options.off} `.includes(` ${what} `);
  const robot = navigator.webdriver || /Headless/.test(navigator.userAgent);

  const now = () => performance.now();
  const random = () =>
    [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, 0)).join("");
  const on = (target, names, listener) =>
    names.split(" ").forEach((name) => target.addEventListener(name, listener, { capture: true, passive: true }));

  /** The text kept under a name; with a text keeps it, with null forgets it. Where storage is refused, nothing is kept. */
  const kept = (name, text) => {
    try {
      if (text === undefined) return localStorage.getItem(PREFIX + name);
      if (text === null) localStorage.removeItem(PREFIX + name);
      else localStorage.setItem(PREFIX + name, text);
    } catch {}
  };
  const parsed = (text) => {
    try {
      return JSON.parse(text);
    } catch {}
  };

  /** What the visitor chose, as every event carries it: `{categoryPreferences, version}`, or nothing yet. */
  let choice = parsed(kept("consent")) || undefined;
  /** true: send and store. false: the visitor said no. undefined: not asked yet, events are held in memory. */
  const permission = () =>
    robot ? false : (choice?.categoryPreferences?.analytics ?? (options.consent == "required" ? undefined : true));
  let allowed;
  let anonymousId = null;
  let userId;
  /** What the site's backend signed of the visitor. It is a credential, so that the page brings it and nothing keeps it. */
  let identityToken = options.identityToken;

  /** Makes an id the visitor's, in storage and, where the page asks for one, in a cookie; null forgets it. */
  const rememberVisitor = (id) => {
    anonymousId = id;
    kept("anonymous_id", id);
    if ("cookie" in options)
      document.cookie =
        `${PREFIX}anonymous_id=${id};path=/;samesite=lax;max-age=${id ? 31536000 : 0}` +
        (location.protocol == "https:" ? ";secure" : "");
  };
  const idOfCookie = () => "cookie" in options && document.cookie.match(/\bsegue_anonymous_id=([\w-]+)/)?.[1];

  /** The time zone, kept with the offset that it has. To ask for it takes a browser longer than all else here. */
  let timezone;
  const offset = () => `${new Date().getTimezoneOffset()} `;
  const recallTimezone = () => {
    const known = kept("timezone");
    if (known?.startsWith(offset())) timezone = known.slice(offset().length);
  };
  const findTimezone = () => {
    if (timezone || !allowed) return;
    timezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    kept("timezone", offset() + timezone);
  };

  /**
   * Events that Segue has not answered for, the oldest first; those in `underway` are being sent. An event without the
   * visitor's id is held until they agree: it is neither sent nor kept.
   */
  let queue = [];
  const underway = new Set();
  const own = `queue_${random()}`;
  let failures = 0;
  let pause = 0;
  let soon = 0;
  /** The message id of what was taken on last: a decision is to include it. */
  let newest;

  /** Keeps what is not answered for, so that the next page sends it if this one ends. */
  const save = () => {
    const due = queue.filter((event) => event.anonymousId);
    kept(own, due.length ? JSON.stringify(due) : null);
  };

  /** What this and other pages kept so; it is kept no longer. */
  const takeKept = () => {
    try {
      return Object.keys(localStorage)
        .filter((name) => name.startsWith(PREFIX + "queue_"))
        .flatMap((name) => {
          const events = parsed(localStorage[name]) || [];
          localStorage.removeItem(name);
          return events;
        });
    } catch {
      return [];
    }
  };

  const send = (leaving) => {
    if (pause || (underway.size && !leaving)) return;
    let size = 0;
    const batch = [];
    for (const event of queue) {
      if (!event.anonymousId || underway.has(event)) continue;
      const { length } = JSON.stringify(event);
      if (batch.length && size + length > LARGEST_BATCH) break;
      size += length;
      batch.push(event);
      underway.add(event);
    }
    if (!batch.length) return;
    const body = JSON.stringify({
      writeKey: options.key,
      sentAt: new Date().toISOString(),
      context: {
        library: { name: "segue.js" },
        identityToken,
        locale: navigator.language,
        timezone,
        screen: { width: screen.width, height: screen.height, density: devicePixelRatio },
      },
      batch,
    });
    const answered = (answer) => {
      batch.forEach((event) => underway.delete(event));
      if (answer && answer.status != 429 && answer.status < 500) {
        queue = queue.filter((event) => !batch.includes(event));
        failures = 0;
        send();
      } else {
        const asked = answer?.headers.get("retry-after") * 1000;
        const wait = asked || Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** failures++);
        pause = setTimeout(resume, wait * (1 + Math.random() / 2));
      }
      save();
    };
    const outlives = "keepalive" in Request.prototype;
    if (leaving && !outlives) navigator.sendBeacon(address, body);
    else
      fetch(address, {
        method: "POST",
        headers: { "Content-Type": "text/plain" },
        credentials: "omit",
        keepalive: size <= LARGEST_BATCH,
        body,
      })
        // Read to its end, or Chromium goes on counting it among the 64 KiB that may outlive the page at a time.
        .then((answer) => answer.text().then(() => answer))
        .then(answered, () => answered());
    if (leaving) send(leaving);
  };
  const resume = () => {
    clearTimeout(pause);
    pause = 0;
    send();
  };

  /** Takes an event on; its message id, or undefined after a refusal. */
  const add = (type, said) => {
    if (allowed === false) return;
    const event = {
      type,
      messageId: random(),
      anonymousId,
      userId,
      timestamp: new Date().toISOString(),
      context: { page: { ...view.page, title: document.title }, consent: choice },
      ...said,
    };
    queue = [...queue, JSON.parse(JSON.stringify(event))].slice(-MOST_EVENTS);
    if (allowed)
      soon ||= setTimeout(() => {
        soon = 0;
        send();
      });
    return (newest = event.messageId);
  };
  const track = (event, properties) => add("track", { event, properties });
  const visitor = () => allowed && anonymousId;
  const latest = () => {
    send();
    return pause ? undefined : newest;
  };
  const slots = slotsOf(host, options, kept, visitor, latest, add);

  /** Begins to store and to send: what was held becomes the visitor's, and they have agreed to it. */
  const open = () => {
    rememberVisitor(kept("anonymous_id") || idOfCookie() || random());
    userId ??= kept("user_id") ?? undefined;
    if (userId) kept("user_id", userId);
    for (const event of queue)
      if (!event.anonymousId) {
        event.anonymousId = anonymousId;
        event.context.consent = choice;
      }
    allowed = true;
    recallTimezone();
    send();
  };

  /** The page view that events belong to. */
  let view;
  const url = () => location.href.split("#")[0];
  const begin = (referrer) => {
    const { pathname: path, search } = location;
    view = { id: random(), page: { path, search, url: url(), referrer }, engaged: 0, told: 0, sequence: 0, depth: 0 };
  };

  /** Engaged is who sees the page, has it in focus and did something in the last 30 seconds. */
  let counting;
  let counted = 0;
  let active = 0;
  const count = (activity) => {
    const time = now();
    if (counting) view.engaged += Math.max(0, Math.min(time, active + IDLE_MS) - counted);
    counted = time;
    counting = !document.hidden && document.hasFocus();
    if (activity) active = time;
  };
  const tellEngaged = () => {
    count();
    const total = Math.round(view.engaged);
    const delta = total - view.told;
    if (delta && captures("time")) {
      view.told = total;
      track("Page Engaged", {
        delta: delta / 1000,
        total: total / 1000,
        page_view_id: view.id,
        sequence: view.sequence++,
      });
    }
    if (!view.depth && document.documentElement.scrollHeight <= innerHeight) tellDepth(100, true);
  };
  const tellDepth = (depth, short_page) => {
    view.depth = depth;
    if (captures("scroll")) track("Page Scrolled", { depth, short_page, page_view_id: view.id });
  };
  const scrolled = () => {
    const depth = ((scrollY + innerHeight + 1) / document.documentElement.scrollHeight) * 100;
    DEPTHS.forEach((step) => step > view.depth && step <= depth && tellDepth(step));
  };

  const attributes = (element) => {
    const said = {};
    for (const { name, value } of element.attributes)
      if (name.startsWith("data-track-")) said[name.slice(11).replace(/-/g, "_")] = value;
    return said;
  };
  const clicked = (event) => {
    if (event.type == "click" ? event.detail > 1 : event.button != 1) return;
    const path = event.composedPath();
    const element = path.find((node) => node.matches?.(CLICKABLE));
    if (!element || path[0].isContentEditable || path.some((node) => node.matches?.(PRIVATE))) return;
    const { localName: tag, id, classList, dataset, host, origin, pathname } = element;
    track("Element Clicked", {
      ...attributes(element),
      track: dataset.track,
      tag,
      id: id || undefined,
      classes: [...classList].slice(0, 5),
      href: host ? origin + pathname : undefined,
      text:
        element.matches("a,button,[role=button]") && !element.querySelector(FIELDS)
          ? element.textContent.trim().replace(/\s+/g, " ").slice(0, 100)
          : undefined,
    });
  };

  /** Of each video that plays: its session, when it was last told of, and how many quarters were. */
  const videos = new WeakMap();
  const watched = ({ type, target: video }) => {
    if (video.localName != "video" || (video.loop && video.muted) || video.closest("[data-no-track]")) return;
    const { played, duration } = video;
    let seen = 0;
    for (let range = played.length; range--; ) seen += played.end(range) - played.start(range);
    const progress = seen / duration;
    const quarter = Math.floor(progress * 4);
    let state = videos.get(video);
    const tell = (...names) => {
      state.told = now();
      state.quarter = quarter;
      count(true);
      for (const name of names)
        track(`Video ${name}`, {
          session_id: state.id,
          asset_id: video.id || video.currentSrc.split(/[?#]/)[0],
          title: video.title || undefined,
          position: video.currentTime,
          total_length: duration,
          progress,
          ...attributes(video),
        });
    };
    if (!video.paused && !state) {
      videos.set(video, (state = { id: random() }));
      tell("Playback Started", "Content Started");
    } else if (!state) return;
    else if (type == "emptied") videos.delete(video);
    else if (type == "ended") {
      tell("Content Completed", "Playback Completed");
      videos.delete(video);
    } else if (type == "pause" && !video.ended && !video.seeking) {
      state.paused = true;
      tell("Playback Paused");
    } else if (type == "playing" && state.paused) {
      state.paused = false;
      tell("Playback Resumed", "Content Playing");
    } else if (type == "timeupdate" && !video.paused)
      if (quarter > state.quarter || now() - state.told >= VIDEO_HEARTBEAT_MS) tell("Content Playing");
  };

  const methods = {
    track,
    page: (name, properties) => {
      if (view.announced) {
        tellEngaged();
        begin(view.page.referrer);
      }
      view.announced = true;
      const title = document.title;
      return add("page", { name, properties: { ...view.page, title, page_view_id: view.id, ...properties } });
    },
    identify: (id, traits, { token = identityToken } = {}) => {
      identityToken = token;
      if (id != null) {
        userId = String(id);
        if (allowed) kept("user_id", userId);
      }
      return add("identify", { traits });
    },
    group: (groupId, traits) => add("group", { groupId, traits }),
    decide: slots.decide,
    consent: (given, { version = choice?.version } = {}) => {
      const before = allowed;
      const chosen = { categoryPreferences: { ...choice?.categoryPreferences, ...given }, version };
      if (robot || JSON.stringify(chosen) == JSON.stringify(choice)) return;
      choice = chosen;
      const after = permission();
      if (after && !before) open();
      if (after === false) queue = [];
      if (before || after) track("Segment Consent Preference Updated");
      allowed = after;
      if (after === false) {
        userId = identityToken = undefined;
        rememberVisitor(null);
        ["user_id", "consent", "timezone", "exposed"].forEach((name) => kept(name, null));
        takeKept();
        slots.restart();
      } else if (!before) slots.begin();
      // Where nobody is asked first, a refusal is all that is kept, since the next page could not know of it otherwise.
      if (after || options.consent != "required") kept("consent", JSON.stringify(choice));
    },
    reset: () => {
      userId = identityToken = undefined;
      newest = undefined;
      kept("user_id", null);
      if (allowed) rememberVisitor(random());
      slots.restart();
    },
    anonymousId: () => anonymousId,
  };

  /** The page is there; since when the visitor sees it, if that is not just now. */
  const announce = (since) => {
    if (!view.announced && captures("pages")) methods.page();
    slots.begin(since);
  };
  const navigated = () => {
    const previous = view.page.url;
    if (url() == previous) return;
    tellEngaged();
    begin(previous);
    setTimeout(announce);
  };
  const leave = () => {
    tellEngaged();
    send(true);
    save();
  };

  const start = () => {
    begin(document.referrer);
    count(true);
    queue = takeKept();
    allowed = permission();
    if (allowed) open();
    else send(); // a withdrawal that an earlier page could not deliver
    for (const name in methods)
      segue[name] = (...said) => {
        try {
          return methods[name](...said);
        } catch (error) {
          console.error("segue", error);
        }
      };
    // The snippet's own methods go on pushing where a page has taken hold of them.
    segue.push = ([name, ...said]) => (name.call ? slots.decide(...said).then(name) : segue[name](...said));
    segue.splice(0).forEach(segue.push);

    on(window, "pointerdown pointermove keydown wheel touchstart scroll focus blur", count);
    on(window, "pagehide", leave);
    on(document, "visibilitychange", () => {
      if (document.hidden) leave();
      else count(true);
      slots.follow();
    });
    on(window, "online", resume);
    on(window, "pageshow", (event) => {
      if (!event.persisted) return;
      underway.clear(); // no answer comes any more
      begin(document.referrer);
      announce();
    });
    // Another tab forgot the visitor, or gave them a new id.
    on(window, "storage", ({ key, newValue }) => {
      if (!allowed || key != PREFIX + "anonymous_id") return;
      anonymousId = newValue;
      userId = undefined;
      if (!newValue) {
        allowed = false;
        queue = [];
      }
      slots.restart();
    });
    setInterval(() => {
      findTimezone(); // once for a visitor, and not while a page starts
      tellEngaged();
      slots.follow();
    }, HEARTBEAT_MS);
    let frame;
    on(window, "scroll", () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        scrolled();
      });
    });
    if (captures("clicks")) on(document, "click auxclick", clicked);
    if (captures("video")) on(document, "playing timeupdate pause ended emptied", watched);
    if (captures("pages"))
      for (const name of ["pushState", "replaceState"]) {
        const original = history[name];
        history[name] = function (...said) {
          original.apply(this, said);
          navigated();
        };
      }
    on(window, "popstate", navigated);
    const first = () => announce(performance.getEntriesByType("paint").at(-1)?.startTime);
    if (document.readyState == "loading") on(document, "DOMContentLoaded", first);
    else first();
  };
  if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
  else start();
})();
