resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  display_name = each.key
  type         = "email"
  labels       = { email_address = each.key }
  depends_on   = [google_project_service.all]
}

locals {
  # An alert for each: the time series, how it is aligned over five minutes, what it may not exceed, and what to do then.
  alerts = {
    "Messages wait" = {
      filter  = "resource.type = \"pubsub_subscription\" AND metric.type = \"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      aligner = "ALIGN_MAX"
      above   = 300
      advice  = "A subscription's oldest message is older than five minutes; what is older than its retention is lost. See which function does not keep up, and why it refuses or lacks instances."
    }
    "Dead letters" = {
      filter  = "resource.type = \"pubsub_subscription\" AND metric.type = \"pubsub.googleapis.com/subscription/dead_letter_message_count\""
      aligner = "ALIGN_DELTA"
      above   = 0
      advice  = "A message was refused so often that it was given up: a bug, or a long outage. The table dead_letters of the archive has it."
    }
    "Events fail" = {
      filter  = "resource.type = \"cloud_run_revision\" AND metric.type = \"logging.googleapis.com/user/${google_logging_metric.counted["failed_events"].name}\""
      aligner = "ALIGN_DELTA"
      above   = 0
      advice  = "Something can never succeed as it is: `segue failed list` says what and why, and `segue failed replay` brings it back once that is mended."
    }
    "Answers fail" = {
      filter  = "resource.type = \"cloud_run_revision\" AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
      aligner = "ALIGN_RATE"
      above   = 1
      advice  = "A service answers more than one request a second with an error of its own."
    }
    "Lookups are slow" = {
      filter  = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"lookup\" AND metric.type = \"run.googleapis.com/request_latencies\""
      aligner = "ALIGN_PERCENTILE_99"
      above   = 300
      advice  = "One lookup in a hundred takes longer than 300 ms: deadlines of 150 ms are kept with default content."
    }
  }
}

resource "google_monitoring_alert_policy" "all" {
  for_each = local.alerts

  display_name          = "Segue: ${each.key}"
  combiner              = "OR"
  notification_channels = values(google_monitoring_notification_channel.email)[*].id

  conditions {
    display_name = each.key

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = "0s"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = each.value.aligner
      }
    }
  }

  documentation {
    content = each.value.advice
  }
}
