# One account for each function, with the rights that the topology names and no others. None has a key.

resource "google_service_account" "functions" {
  for_each = local.functions

  account_id   = "segue-${each.key}"
  display_name = "Segue's function ${each.key}"
}

resource "google_pubsub_topic_iam_member" "publishers" {
  for_each = local.publishing

  topic  = google_pubsub_topic.all[each.value.topic].name
  role   = "roles/pubsub.publisher"
  member = google_service_account.functions[each.value.function].member
}

locals {
  database_roles = { read = "roles/datastore.viewer", write = "roles/datastore.user" }

  # function-store and function-catalog, each with the one database that the right is about.
  reading = merge(
    {
      for name, function in local.functions : "${name}-store" => {
        function = name, role = local.database_roles[function.store], database = google_firestore_database.store.id
      } if can(function.store)
    },
    {
      for name, function in local.functions : "${name}-catalog" => {
        function = name, role = local.database_roles[function.catalog], database = google_firestore_database.catalog.id
      } if can(function.catalog)
    },
  )
}

resource "google_project_iam_member" "databases" {
  for_each = local.reading

  project = var.project
  role    = each.value.role
  member  = google_service_account.functions[each.value.function].member

  condition {
    title      = each.key
    expression = "resource.name == \"${each.value.database}\""
  }
}

locals {
  archive_roles = { read = "roles/bigquery.dataViewer", write = google_project_iam_custom_role.eraser.id }
  archiving     = { for name, function in local.functions : name => function.archive if can(function.archive) }
}

# Who erases changes rows. Google's own roles for that may delete the tables, too.
resource "google_project_iam_custom_role" "eraser" {
  role_id     = "segueEraser"
  title       = "Reads and changes what is archived"
  permissions = ["bigquery.tables.get", "bigquery.tables.getData", "bigquery.tables.updateData"]
}

resource "google_bigquery_dataset_iam_member" "functions" {
  for_each = local.archiving

  dataset_id = google_bigquery_dataset.archive.dataset_id
  role       = local.archive_roles[each.value]
  member     = google_service_account.functions[each.key].member
}

# A query is a job of the project, whatever it reads.
resource "google_project_iam_member" "queries" {
  for_each = local.archiving

  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.functions[each.key].member
}

resource "google_secret_manager_secret_iam_member" "functions" {
  for_each = local.knowing

  secret_id = google_secret_manager_secret.all[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.functions[each.value.function].member
}

# Who listens makes a subscription for itself and deletes it again. Pub/Sub knows no right to one's own alone.
resource "google_project_iam_custom_role" "listener" {
  role_id     = "segueListener"
  title       = "Listens by subscriptions of its own"
  permissions = ["pubsub.subscriptions.consume", "pubsub.subscriptions.create", "pubsub.subscriptions.delete"]
}

resource "google_project_iam_member" "listeners" {
  for_each = toset([for each in local.listening : each.function])

  project = var.project
  role    = google_project_iam_custom_role.listener.id
  member  = google_service_account.functions[each.key].member
}

resource "google_pubsub_topic_iam_member" "listeners" {
  for_each = local.listening

  topic  = google_pubsub_topic.all[each.value.topic].name
  role   = "roles/pubsub.subscriber"
  member = google_service_account.functions[each.value.function].member
}

# Who traces writes spans, and reads none.
resource "google_project_iam_member" "tracers" {
  for_each = var.trace_ratio > 0 ? local.functions : {}

  project = var.project
  role    = "roles/telemetry.tracesWriter"
  member  = google_service_account.functions[each.key].member
}

# Subscriptions push in the name of this account, and functions that are pushed to answer to nobody else.
resource "google_service_account" "push" {
  account_id   = "segue-push"
  display_name = "Segue's push subscriptions"
}

resource "google_service_account_iam_member" "push" {
  service_account_id = google_service_account.push.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub
  depends_on         = [google_pubsub_topic.all]
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  for_each = local.pushed

  name     = google_cloud_run_v2_service.functions[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.push.member
}

resource "google_cloud_run_v2_service_iam_member" "public" {
  for_each = local.public

  name     = google_cloud_run_v2_service.functions[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}
