# Functions log named events. Cloud Run's own log of requests, with visitors' addresses and tokens, is not kept.

resource "google_logging_project_exclusion" "requests" {
  name        = "segue-requests"
  description = "Visitors' addresses, and tokens in those of requests"
  filter      = "resource.type = \"cloud_run_revision\" AND log_id(\"run.googleapis.com/requests\")"
  depends_on  = [google_project_service.all]
}

locals {
  # The log's events that alerts and the dashboard count, by the metric's name.
  counted = {
    failed_events    = "message_recorded"
    not_acknowledged = "message_not_acknowledged"
    refused_events   = "events_refused"
    refused_pushes   = "push_refused"
  }
}

resource "google_logging_metric" "counted" {
  for_each = local.counted

  name             = each.key
  filter           = "resource.type = \"cloud_run_revision\" AND jsonPayload.event = \"${each.value}\""
  depends_on       = [google_project_service.all]
  label_extractors = { function = "EXTRACT(jsonPayload.function)" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"

    labels {
      key        = "function"
      value_type = "STRING"
    }
  }
}
