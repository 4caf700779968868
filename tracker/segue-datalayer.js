/**
 * segue-datalayer.js lets a site that is tagged for Google Analytics, or that asks for consent by a platform of its own,
 * tell Segue what it tells them already. It stands beside segue.js and uses its methods alone.
 *
 * `data-reads` of its script element says what it reads: `commerce` (GA4's e-commerce events in `dataLayer`, the only one
 * unless it says otherwise), `google` (Consent Mode), `tcf` (IAB TCF 2), `gpc` (Global Privacy Control).
 */
(() => {
  const wanted = (document.currentScript.dataset.reads ?? "commerce").split(" ");
  const reads = (what) => wanted.includes(what);
  const segue = window.segue;
  const layer = (window.dataLayer ||= []);

  const product = (item) => ({
    product_id: item.item_id,
    name: item.item_name,
    brand: item.item_brand,
    category: item.item_category,
    variant: item.item_variant,
    price: number(item.price),
    quantity: number(item.quantity),
    coupon: item.coupon,
    position: number(item.index),
  });
  /** GA4 takes numbers as text too. */
  const number = (value) => (value == null || isNaN(value) ? undefined : Number(value));

  /** One call for each item: the product's own fields, and what it costs in which currency. */
  const each = (event, more) => (said) =>
    (said.items || []).forEach((item) => {
      const sold = product(item);
      const value = sold.price === undefined ? undefined : sold.price * (sold.quantity ?? 1);
      segue.track(event, { ...more?.(said), currency: said.currency, value, ...sold });
    });
  /** One call for all items. */
  const all = (event, more) => (said) =>
    segue.track(event, { ...more?.(said), currency: said.currency, products: (said.items || []).map(product) });
  const order = (said) => {
    const [revenue, shipping, tax] = [said.value, said.shipping, said.tax].map(number);
    return {
      order_id: said.transaction_id,
      affiliation: said.affiliation,
      total: revenue === undefined ? undefined : revenue + (shipping ?? 0) + (tax ?? 0),
      revenue,
      shipping,
      tax,
      coupon: said.coupon,
    };
  };
  const list = (said) => ({ list_id: said.item_list_id, category: said.item_list_name });
  const promotion = (event) => (said) =>
    (said.items?.length ? said.items : [said]).forEach((item) =>
      segue.track(event, {
        promotion_id: item.promotion_id ?? said.promotion_id,
        name: item.promotion_name ?? said.promotion_name,
        creative: item.creative_name ?? said.creative_name,
        position: item.creative_slot ?? said.creative_slot,
      }),
    );
  const search = (said) => segue.track("Products Searched", { query: said.search_term });

  /** GA4's e-commerce events, as Segment's specification has them. */
  const EVENTS = {
    view_item: each("Product Viewed"),
    select_item: each("Product Clicked", list),
    add_to_cart: each("Product Added"),
    remove_from_cart: each("Product Removed"),
    add_to_wishlist: each("Product Added to Wishlist"),
    view_item_list: all("Product List Viewed", list),
    view_cart: all("Cart Viewed", ({ value }) => ({ value: number(value) })),
    begin_checkout: all("Checkout Started", ({ value, coupon }) => ({ value: number(value), coupon })),
    add_shipping_info: all("Checkout Step Completed", (said) => ({ shipping_method: said.shipping_tier })),
    add_payment_info: all("Payment Info Entered", (said) => ({ payment_method: said.payment_type })),
    purchase: all("Order Completed", order),
    refund: all("Order Refunded", order),
    search,
    view_search_results: search,
    view_promotion: promotion("Promotion Viewed"),
    select_promotion: promotion("Promotion Clicked"),
  };

  const objected = reads("gpc") && navigator.globalPrivacyControl;
  const consent = (given) => segue.consent(objected ? { ...given, advertising: false } : given);

  /**
   * What the visitor answered. A default of Consent Mode is nobody's answer, and may hold elsewhere only; a purpose that
   * is not mentioned stays as it was.
   */
  const answered = (storage) => {
    const granted = (...names) => {
      const said = names.filter((name) => name in storage);
      return said.length ? said.every((name) => storage[name] == "granted") : undefined;
    };
    const purposes = {
      analytics: granted("analytics_storage"),
      personalization: granted("personalization_storage"),
      advertising: granted("ad_storage", "ad_user_data", "ad_personalization"),
    };
    consent(Object.fromEntries(Object.entries(purposes).filter(([, given]) => given !== undefined)));
  };

  /** An entry is gtag's arguments, or the object that a tag manager takes. */
  const read = (entry) => {
    const [command, name, said] =
      entry?.[0] !== undefined ? entry : ["event", entry?.event, entry?.ecommerce ?? entry];
    if (reads("google") && command == "consent" && name == "update") answered(said);
    if (reads("commerce") && command == "event" && Object.hasOwn(EVENTS, name)) EVENTS[name](said ?? {});
  };
  const safely = (entry) => {
    try {
      read(entry);
    } catch (error) {
      console.error("segue", error);
    }
  };

  if (objected) consent({});
  [...layer].forEach(safely);
  const push = layer.push;
  layer.push = (...entries) => {
    entries.forEach(safely);
    return push.apply(layer, entries);
  };

  if (reads("tcf"))
    window.__tcfapi?.("addEventListener", 2, (said, ok) => {
      if (!ok || !["tcloaded", "useractioncomplete"].includes(said.eventStatus)) return;
      const purposes = said.purpose?.consents ?? {};
      const agreed = (...numbers) => said.gdprApplies === false || numbers.every((number) => purposes[number] === true);
      consent({ analytics: agreed(1, 8, 9), personalization: agreed(1, 5, 6), advertising: agreed(1, 2, 3, 4, 7) });
    });
})();
