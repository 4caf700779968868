# A schedule publishes a message; its id and its time are Pub/Sub's own, so that no two are the same.

resource "google_cloud_scheduler_job" "all" {
  for_each = local.topology.schedules

  name     = each.key
  region   = var.region
  schedule = "every ${local.seconds[each.value.every] / 60} minutes"

  pubsub_target {
    topic_name = google_pubsub_topic.all[each.value.topic].id
    data       = base64encode(jsonencode(each.value.data))

    attributes = {
      ce-type        = each.value.type
      ce-source      = each.value.source
      ce-specversion = "1.0"
      content-type   = "application/json"
    }
  }
}
