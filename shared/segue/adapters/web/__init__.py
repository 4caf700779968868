"""Calls to the Internet, to addresses that users configure: webhooks and buckets."""

from segue.adapters.web.http import LONGEST_ANSWER, WebHttp
from segue.adapters.web.objects import WebObjects

__all__ = ["LONGEST_ANSWER", "WebHttp", "WebObjects"]
