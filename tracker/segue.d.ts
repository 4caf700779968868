/** The methods of `window.segue`: callable from the moment the snippet ran, whether the script is there yet or not, but for one. */

/** A value that JSON has. */
type Json = null | boolean | number | string | Json[] | { [name: string]: Json | undefined };

type Properties = { [name: string]: Json | undefined };

/** `analytics` decides whether anything is kept and sent; every purpose goes with each event. */
type Purposes = { analytics?: boolean; personalization?: boolean; advertising?: boolean; [purpose: string]: boolean | undefined };

/** What fills a slot, and why. `content` is data: put it into the page as text, never as HTML. */
interface Decision {
  content: { [field: string]: Json } | null;
  variant: string | null;
  reason: string;
  segment?: string;
  /** The arm that the visitor is in. That they are was told with the answer. */
  experiment?: { experiment: string; arm: string };
}

interface Segue {
  /**
   * Something happened, under a name such as `Product Added`.
   *
   * Like the others it returns the message id, which `/v1/decide` takes as `after`; undefined after a refusal, and before
   * the script is there.
   */
  track(event: string, properties?: Properties): string | undefined;

  /** A page is viewed. The first page view of an address needs no call; one that is made takes its place. */
  page(name?: string, properties?: Properties): string | undefined;

  /**
   * Who the visitor is, from now on and on later pages, and what is known of them; with null only the latter.
   *
   * `token` is what the site's backend signed of them, which a source that verifies asks for. It is not kept: each page
   * brings its own, here or as `data-identity-token`.
   */
  identify(userId: string | number | null, traits?: Properties, proof?: { token?: string }): string | undefined;

  /** The company, household or team that the visitor belongs to, and what is known of it. */
  group(groupId: string | number, traits?: Properties): string | undefined;

  /** What the visitor chose; purposes that are not named stay as they were. `version` is that of the text they read. */
  consent(purposes: Purposes, text?: { version?: string }): void;

  /** Forgets who the visitor is: a new anonymous id, no user id. Consent stays. */
  reset(): void;

  /**
   * What to show the visitor, for each slot that was asked for.
   *
   * It never rejects: without consent, without a token, where Segue does not answer or not within `deadline` (milliseconds,
   * 2,000 if left out), there are no decisions. The answer includes what happened up to the message `after`; all that the
   * page has told if left out.
   */
  decide(slots: string[], options?: { after?: string; deadline?: number }): Promise<{ [slot: string]: Decision }>;
  /** The visitor's id, null before consent. The method is there once the script is: `segue.anonymousId?.()`. */
  anonymousId?(): string | null;
}

interface Window {
  segue: Segue;
}

declare const segue: Segue;
