# The archive: every message as it was published, kept by subscriptions alone. Nobody's code is on the way.

resource "google_bigquery_dataset" "archive" {
  dataset_id                 = "archive"
  location                   = var.region
  description                = "Every event and every membership, as published."
  delete_contents_on_destroy = false
  depends_on                 = [google_project_service.all]
}

resource "google_bigquery_table" "archives" {
  for_each = local.archived_as

  dataset_id               = google_bigquery_dataset.archive.dataset_id
  table_id                 = replace(each.key, "-", "_")
  deletion_protection      = var.protected
  require_partition_filter = true

  time_partitioning {
    type          = "DAY"
    field         = "publish_time"
    expiration_ms = var.archive_days * 24 * 60 * 60 * 1000
  }

  # The columns that a subscription with metadata writes.
  schema = jsonencode([
    { name = "subscription_name", type = "STRING", mode = "REQUIRED" },
    { name = "message_id", type = "STRING", mode = "REQUIRED" },
    { name = "publish_time", type = "TIMESTAMP", mode = "REQUIRED" },
    { name = "attributes", type = "JSON", mode = "REQUIRED" },
    { name = "data", type = each.value, mode = "REQUIRED" },
  ])
}

locals {
  # What has become a dead letter may be no JSON.
  archived_as = {
    for name, subscription in local.archives :
    subscription.archive => contains(keys(local.dead_lettered), name) ? "JSON" : "BYTES"
  }

  archive_tables = {
    for name, table in google_bigquery_table.archives : name => "${table.project}.${table.dataset_id}.${table.table_id}"
  }
}

resource "google_bigquery_dataset_iam_member" "pubsub" {
  dataset_id = google_bigquery_dataset.archive.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = local.pubsub
  depends_on = [google_pubsub_topic.all]
}
