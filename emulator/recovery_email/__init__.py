"""An example receiver of webhooks: whoever leaves a cart gets one e-mail."""
