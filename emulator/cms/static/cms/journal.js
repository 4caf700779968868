/* The magazine's own script: asks for consent, and tells Segue what is looked at and put into the bag. */
(() => {
  const CHOICE = "journal_choice";
  const news = document.querySelector("[data-news]");
  const consent = document.querySelector("[data-asks]");
  const tracker = document.querySelector("script[data-key]");

  const properties = ({ dataset: { product, name, category, price } }) =>
    ({ product_id: product, name, category, price: Number(price), currency: "EUR" });

  /** Says it to Segue; the server waits for it, if need be, before it decides what the next page shows. */
  const track = (event, said) => {
    const id = window.segue?.track?.(event, said);
    if (id) document.cookie = `last_message=${id};path=/;samesite=lax;max-age=60`;
  };

  const choose = (purpose) => {
    localStorage.setItem(CHOICE, purpose);
    consent.hidden = true;
    window.segue?.consent?.({ analytics: purpose === "yes", personalization: purpose === "yes" });
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
})();
