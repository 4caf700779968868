# The secrets, without their values: those are added by hand, so that no state file has them.

resource "google_secret_manager_secret" "all" {
  for_each = local.secrets

  secret_id = replace(lower(each.key), "_", "-")

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [google_project_service.all]
}
