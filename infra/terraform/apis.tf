resource "google_project_service" "all" {
  for_each = toset([
    "artifactregistry",
    "bigquery",
    "billingbudgets",
    "cloudbuild",
    "cloudscheduler",
    "cloudtrace",
    "compute",
    "firestore",
    "iam",
    "logging",
    "monitoring",
    "ondemandscanning",
    "pubsub",
    "run",
    "secretmanager",
    "storage",
    "telemetry",
  ])

  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

locals {
  # The identity that Pub/Sub itself has in the project, once it was used there.
  pubsub = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}
