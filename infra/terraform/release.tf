# What releases the image and the catalogue: cloudbuild.yaml, in the name of an account that can do this and nothing else.

resource "google_service_account" "release" {
  account_id   = "segue-release"
  display_name = "Segue's releases"
}

# A release makes a function's revisions and says which of them answers. It cannot say who may call it.
resource "google_cloud_run_v2_service_iam_member" "release" {
  for_each = local.functions

  name     = google_cloud_run_v2_service.functions[each.key].name
  location = var.region
  role     = "roles/run.developer"
  member   = google_service_account.release.member
}

# A revision runs in the name of its function.
resource "google_service_account_iam_member" "release" {
  for_each = local.functions

  service_account_id = google_service_account.functions[each.key].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.release.member
}

resource "google_artifact_registry_repository_iam_member" "release" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.release.member
}

# It publishes the catalogue, and cannot read what is known of visitors.
resource "google_project_iam_member" "release_catalog" {
  project = var.project
  role    = "roles/datastore.user"
  member  = google_service_account.release.member

  condition {
    title      = "release-catalog"
    expression = "resource.name == \"${google_firestore_database.catalog.id}\""
  }
}

# Rights that Google has for a whole project alone: scanning images, writing its own log, reading what functions log.
resource "google_project_iam_member" "release" {
  for_each = toset(["roles/ondemandscanning.admin", "roles/logging.logWriter", "roles/logging.viewer"])

  project = var.project
  role    = each.key
  member  = google_service_account.release.member
}

# What is in each released image, and what was known of it: written once, never changed.
resource "google_storage_bucket" "releases" {
  name                        = "${var.project}-segue-releases"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  depends_on                  = [google_project_service.all]
}

resource "google_storage_bucket_iam_member" "release" {
  bucket = google_storage_bucket.releases.name
  role   = "roles/storage.objectCreator"
  member = google_service_account.release.member
}

locals {
  # A push that changes nothing but the catalogue publishes it. Any other push is a release.
  triggers = {
    release = { filename = "cloudbuild.yaml", included = [], ignored = ["infra/catalog/**"] }
    catalog = { filename = "infra/release/catalog.yaml", included = ["infra/catalog/**"], ignored = [] }
  }
}

resource "google_cloudbuild_trigger" "all" {
  for_each = var.repository == "" ? {} : local.triggers

  name            = "segue-${each.key}"
  location        = var.region
  filename        = each.value.filename
  included_files  = each.value.included
  ignored_files   = each.value.ignored
  service_account = google_service_account.release.id
  substitutions   = each.key == "release" ? merge({ _REGION = var.region }, var.release) : {}

  repository_event_config {
    repository = var.repository

    push {
      branch = var.branch
    }
  }

  depends_on = [google_project_service.all]
}
