resource "google_pubsub_topic" "all" {
  for_each = local.topics

  name       = each.key
  depends_on = [google_project_service.all]
}

locals {
  # That of the dead letters has none itself: a message would come back to where it is.
  dead_lettered = {
    for name, subscription in local.subscriptions :
    name => subscription if subscription.topic != subscription.dead_letter.topic
  }
}

resource "google_pubsub_subscription" "pushes" {
  for_each = local.pushes

  name                       = each.key
  topic                      = google_pubsub_topic.all[each.value.topic].id
  ack_deadline_seconds       = local.seconds[each.value.ack_deadline]
  message_retention_duration = "${local.seconds[each.value.retention]}s"

  push_config {
    push_endpoint = "${google_cloud_run_v2_service.functions[each.value.function].uri}/"

    no_wrapper {
      write_metadata = true
    }

    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = local.audiences[each.value.function]
    }
  }

  retry_policy {
    minimum_backoff = "${local.seconds[each.value.minimum_backoff]}s"
    maximum_backoff = "${local.seconds[each.value.maximum_backoff]}s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.all[each.value.dead_letter.topic].id
    max_delivery_attempts = each.value.dead_letter.after_attempts
  }

  # It stays, however long nothing comes.
  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "archives" {
  for_each = local.archives

  name                       = each.key
  topic                      = google_pubsub_topic.all[each.value.topic].id
  ack_deadline_seconds       = local.seconds[each.value.ack_deadline]
  message_retention_duration = "${local.seconds[each.value.retention]}s"

  bigquery_config {
    table          = local.archive_tables[each.value.archive]
    write_metadata = true
  }

  retry_policy {
    minimum_backoff = "${local.seconds[each.value.minimum_backoff]}s"
    maximum_backoff = "${local.seconds[each.value.maximum_backoff]}s"
  }

  dynamic "dead_letter_policy" {
    for_each = contains(keys(local.dead_lettered), each.key) ? [each.value.dead_letter] : []

    content {
      dead_letter_topic     = google_pubsub_topic.all[dead_letter_policy.value.topic].id
      max_delivery_attempts = dead_letter_policy.value.after_attempts
    }
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [google_bigquery_dataset_iam_member.pubsub]
}

# Pub/Sub moves dead letters itself: it publishes them, and takes them off the subscription they were in.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  topic  = google_pubsub_topic.all[local.topology.push.dead_letter.topic].name
  role   = "roles/pubsub.publisher"
  member = local.pubsub
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each = local.dead_lettered

  subscription = try(google_pubsub_subscription.pushes[each.key], google_pubsub_subscription.archives[each.key]).name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub
}
