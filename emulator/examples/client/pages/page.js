/* What the page tells of itself: its buttons stand for a shop. */
const product = (id) => ({ product_id: id, category: "trousers", price: 79.9, currency: "EUR" });

document.addEventListener("click", ({ target }) => {
  const { view, add, consent } = target.dataset;
  if (view) segue.track("Product Viewed", product(view));
  if (add) segue.track("Product Added", product(add));
  if (consent) segue.consent({ analytics: consent === "yes", personalization: consent === "yes" });
});
