# A Cloud Run service for each function, all from one image.

locals {
  # Who a public function hears from: Cloud Run's own hop, and Google's front ends. Before them the load balancer says
  # whose request it is, and names itself last; whatever stands before that is the visitor's own word.
  hops = ["169.254.0.0/16", "130.211.0.0/22", "35.191.0.0/16"]

  environment = {
    for name in keys(local.functions) : name => merge(
      {
        SEGUE_PLATFORM         = "google"
        SEGUE_PROJECT          = var.project
        SEGUE_CATALOG_DATABASE = google_firestore_database.catalog.name
        SEGUE_ARCHIVE_DATASET  = google_bigquery_dataset.archive.dataset_id
        HOST                   = "0.0.0.0"
      },
      contains(keys(local.pushed), name) ? {
        SEGUE_PUSH_AUDIENCE = local.audiences[name]
        SEGUE_PUSH_ACCOUNT  = google_service_account.push.email
      } : {},
      # The load balancer sets these headers on every request, and nothing else can call a public function.
      contains(keys(local.public), name) ? {
        SEGUE_GEO_HEADERS   = "client-geo"
        FORWARDED_ALLOW_IPS = join(",", concat(local.hops, [google_compute_global_address.public.address]))
      } : {},
      # Which traces are recorded is said by the message that comes; of those that begin here, it is this share.
      var.trace_ratio > 0 ? {
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = "https://telemetry.googleapis.com/v1/traces"
        OTEL_RESOURCE_ATTRIBUTES           = "gcp.project_id=${var.project}"
        OTEL_TRACES_SAMPLER                = "parentbased_traceidratio"
        OTEL_TRACES_SAMPLER_ARG            = tostring(var.trace_ratio)
      } : {},
    )
  }
}

resource "google_cloud_run_v2_service" "functions" {
  for_each = local.functions

  name                = each.key
  location            = var.region
  ingress             = each.value.callers == "anyone" ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_INTERNAL_ONLY"
  custom_audiences    = try([local.audiences[each.key]], [])
  deletion_protection = var.protected

  template {
    service_account                  = google_service_account.functions[each.key].email
    timeout                          = "${local.seconds[each.value.timeout]}s"
    max_instance_request_concurrency = each.value.concurrency

    scaling {
      min_instance_count = try(var.instances[each.key].min, each.value.instances.min)
      max_instance_count = try(var.instances[each.key].max, each.value.instances.max)
    }

    containers {
      image   = var.image
      command = slice(local.commands[each.key], 0, 1)
      args    = slice(local.commands[each.key], 1, length(local.commands[each.key]))

      resources {
        limits            = { cpu = "1", memory = each.value.memory }
        startup_cpu_boost = true
        # What listens hears between requests, too.
        cpu_idle = !can(each.value.listens)
      }

      # The function's own server answers it, and asks nobody for that: while the store is down, no instance is ended.
      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 60

        http_get {
          path = "/health"
        }
      }

      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 5
        failure_threshold = 3

        http_get {
          path = "/health"
        }
      }

      dynamic "env" {
        for_each = local.environment[each.key]

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = toset(each.value.secrets)

        content {
          name = env.value

          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.all[env.value].secret_id
              version = "latest"
            }
          }
        }
      }
    }
  }

  # Releases are not Terraform's: they say which image runs, and who gets it.
  lifecycle {
    ignore_changes = [client, client_version, template[0].containers[0].image, template[0].revision, traffic]
  }

  depends_on = [google_project_service.all, google_secret_manager_secret_iam_member.functions]
}
