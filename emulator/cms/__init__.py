"""A magazine on Wagtail, whose home page asks Segue what to show: a site with a real CMS, in a process of its own."""
