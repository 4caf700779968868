"""The demo shop: a small fashion shop that plays the site and its CMS before a running Segue."""
