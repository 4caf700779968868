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

  # What tells of one profile alone begins with its key: sorted by it, a history is a few blocks of each partition.
  # Few and large partitions make few blocks.
  clustering = each.value == "STRING" ? ["data"] : null

  time_partitioning {
    type  = "MONTH"
    field = "publish_time"
    # A month goes as a whole, counted from its first day: what came on its last is kept for so long.
    expiration_ms = (var.archive_days + 31) * 24 * 60 * 60 * 1000
  }

  # The columns that a subscription with metadata writes. Text is kept as it is, JSON would be written anew: a number
  # might come back as another.
  schema = jsonencode([
    { name = "subscription_name", type = "STRING", mode = "REQUIRED" },
    { name = "message_id", type = "STRING", mode = "REQUIRED" },
    { name = "publish_time", type = "TIMESTAMP", mode = "REQUIRED" },
    { name = "attributes", type = "JSON", mode = "REQUIRED" },
    { name = "data", type = each.value, mode = "REQUIRED" },
  ])
}

# Who is erased, and up to when (epoch ms): what comes of them later is in the tables, and never read.
resource "google_bigquery_table" "erasures" {
  dataset_id          = google_bigquery_dataset.archive.dataset_id
  table_id            = "erasures"
  deletion_protection = var.protected
  clustering          = ["key"]

  schema = jsonencode([
    { name = "key", type = "STRING", mode = "REQUIRED" },
    { name = "until", type = "INTEGER", mode = "REQUIRED" },
  ])
}

locals {
  # What has become a dead letter may be no text.
  archived_as = {
    for name, subscription in local.archives :
    subscription.archive => contains(keys(local.dead_lettered), name) ? "STRING" : "BYTES"
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
