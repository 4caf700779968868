# What one address may ask in a minute, before it costs an instance anything.

resource "google_compute_security_policy" "limits" {
  for_each = local.public

  name = "segue-${each.key}"

  rule {
    description = "So many requests of one address a minute, and no more."
    priority    = 1000
    action      = "throttle"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }

    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"

      rate_limit_threshold {
        count        = var.requests_per_minute[each.key]
        interval_sec = 60
      }
    }
  }

  rule {
    description = "The last rule, which a policy has to have."
    priority    = 2147483647
    action      = "allow"

    match {
      versioned_expr = "SRC_IPS_V1"

      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}
