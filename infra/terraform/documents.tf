# Two databases: what is known of visitors, and the catalogue, which is all that ingest may read.

resource "google_firestore_database" "store" {
  name                              = "(default)"
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.protected ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.protected ? "ABANDON" : "DELETE"
  depends_on                        = [google_project_service.all]
}

resource "google_firestore_database" "catalog" {
  name                              = "catalog"
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.protected ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.protected ? "ABANDON" : "DELETE"
  depends_on                        = [google_project_service.all]
}

# The catalogue, too: states name the version that folded them, and one that is published anew begins with version 1.
resource "google_firestore_backup_schedule" "daily" {
  for_each = toset([google_firestore_database.store.name, google_firestore_database.catalog.name])

  database  = each.key
  retention = "${var.backup_days * 24 * 60 * 60}s"

  daily_recurrence {}
}

resource "google_firestore_index" "all" {
  for_each = { for index in local.topology.indexes : join("-", concat([index.collection], index.fields)) => index }

  database   = google_firestore_database.store.name
  collection = each.value.collection

  dynamic "fields" {
    for_each = each.value.fields

    content {
      field_path = fields.value
      order      = "ASCENDING"
    }
  }
}

# No field has an index of its own. (One exemption for all fields, `*`, the provider cannot make: its issue 19598.)
resource "google_firestore_field" "unindexed" {
  for_each = {
    for pair in setproduct(local.topology.collections, local.topology.fields) :
    "${pair[0]}-${pair[1]}" => { collection = pair[0], field = pair[1] }
  }

  database   = google_firestore_database.store.name
  collection = each.value.collection
  field      = each.value.field

  index_config {}
}
