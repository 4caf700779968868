locals {
  service      = "resource.type = \"cloud_run_revision\" AND metric.type = "
  subscription = "resource.type = \"pubsub_subscription\" AND metric.type = "
  topic        = "resource.type = \"pubsub_topic\" AND metric.type = "
  database     = "resource.type = \"firestore.googleapis.com/Database\" AND metric.type = "

  by_service      = ["resource.labels.service_name"]
  by_subscription = ["resource.labels.subscription_id"]

  # The charts, from left to right, two in a row.
  charts = [
    {
      title   = "Latency of each hop: 95th percentile, ms"
      filter  = "${local.service}\"run.googleapis.com/request_latencies\""
      aligner = "ALIGN_PERCENTILE_95", reducer = "REDUCE_MAX", by = local.by_service
    },
    {
      title   = "Latency of pushes: 95th percentile, µs"
      filter  = "${local.subscription}\"pubsub.googleapis.com/subscription/push_request_latencies\""
      aligner = "ALIGN_PERCENTILE_95", reducer = "REDUCE_MAX", by = local.by_subscription
    },
    {
      title   = "Backlog: messages"
      filter  = "${local.subscription}\"pubsub.googleapis.com/subscription/num_undelivered_messages\""
      aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = local.by_subscription
    },
    {
      title   = "Backlog: age of the oldest message, s"
      filter  = "${local.subscription}\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\""
      aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", by = local.by_subscription
    },
    {
      title   = "Dead letters"
      filter  = "${local.subscription}\"pubsub.googleapis.com/subscription/dead_letter_message_count\""
      aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = local.by_subscription
    },
    {
      title   = "Failed events"
      filter  = "${local.service}\"logging.googleapis.com/user/${google_logging_metric.counted["failed_events"].name}\""
      aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.labels.function"]
    },
    {
      title   = "Messages that come back"
      filter  = "${local.service}\"logging.googleapis.com/user/${google_logging_metric.counted["not_acknowledged"].name}\""
      aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["metric.labels.function"]
    },
    {
      title   = "Requests with events that are refused"
      filter  = "${local.service}\"logging.googleapis.com/user/${google_logging_metric.counted["refused_events"].name}\""
      aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = local.by_service
    },
    {
      title   = "Pushes by others"
      filter  = "${local.service}\"logging.googleapis.com/user/${google_logging_metric.counted["refused_pushes"].name}\""
      aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = local.by_service
    },
    {
      title   = "Answers a second, by status"
      filter  = "${local.service}\"run.googleapis.com/request_count\""
      aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.labels.service_name", "metric.labels.response_code_class"]
    },
    {
      title   = "Cost: seconds of instances, a second"
      filter  = "${local.service}\"run.googleapis.com/container/billable_instance_time\""
      aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = local.by_service
    },
    {
      title   = "Cost: bytes through topics, a second"
      filter  = "${local.topic}\"pubsub.googleapis.com/topic/byte_cost\""
      aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.labels.topic_id"]
    },
    {
      title   = "Cost: documents read, a second"
      filter  = "${local.database}\"firestore.googleapis.com/document/read_ops_count\""
      aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.labels.database_id"]
    },
    {
      title   = "Cost: documents written, a second"
      filter  = "${local.database}\"firestore.googleapis.com/document/write_ops_count\""
      aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["resource.labels.database_id"]
    },
  ]
}

resource "google_monitoring_dashboard" "segue" {
  dashboard_json = jsonencode({
    displayName = "Segue"
    mosaicLayout = {
      columns = 12
      tiles = [
        for index, chart in local.charts : {
          xPos   = index % 2 * 6
          yPos   = floor(index / 2) * 4
          width  = 6
          height = 4
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [{
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = chart.filter
                    aggregation = {
                      alignmentPeriod    = "60s"
                      perSeriesAligner   = chart.aligner
                      crossSeriesReducer = chart.reducer
                      groupByFields      = chart.by
                    }
                  }
                }
              }]
            }
          }
        }
      ]
    }
  })

  depends_on = [google_project_service.all]
}
