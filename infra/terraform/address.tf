# One address for all that is public; paths decide the function, as in the topology.

resource "google_compute_global_address" "public" {
  name       = "segue"
  depends_on = [google_project_service.all]
}

resource "google_compute_region_network_endpoint_group" "functions" {
  for_each = local.public

  name                  = "segue-${each.key}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloud_run_v2_service.functions[each.key].name
  }
}

resource "google_compute_backend_service" "functions" {
  for_each = local.public

  name                  = "segue-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  security_policy       = google_compute_security_policy.limits[each.key].id

  # Set on every request, so that nobody can say where they are.
  custom_request_headers = [
    "X-Client-Geo-Country:{client_region}",
    "X-Client-Geo-Region:{client_region_subdivision}",
    "X-Client-Geo-City:{client_city}",
    "X-Client-Geo-CityLatLong:{client_city_lat_long}",
  ]

  backend {
    group = google_compute_region_network_endpoint_group.functions[each.key].id
  }

  # Its log has the addresses of visitors, and their tokens.
  log_config {
    enable = false
  }
}

resource "google_compute_url_map" "public" {
  name = "segue"

  # What is no function's path, ingest answers with 404.
  default_service = google_compute_backend_service.functions["ingest"].id

  host_rule {
    hosts        = [var.domain]
    path_matcher = "functions"
  }

  path_matcher {
    name            = "functions"
    default_service = google_compute_backend_service.functions["ingest"].id

    dynamic "path_rule" {
      for_each = local.public

      content {
        paths   = path_rule.value.paths
        service = google_compute_backend_service.functions[path_rule.key].id
      }
    }
  }
}

resource "google_compute_managed_ssl_certificate" "public" {
  name = "segue"

  managed {
    domains = [var.domain]
  }
}

resource "google_compute_ssl_policy" "modern" {
  name            = "segue"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_target_https_proxy" "public" {
  name             = "segue"
  url_map          = google_compute_url_map.public.id
  ssl_certificates = [google_compute_managed_ssl_certificate.public.id]
  ssl_policy       = google_compute_ssl_policy.modern.id
}

resource "google_compute_global_forwarding_rule" "https" {
  name                  = "segue-https"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.public.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.public.id
}

resource "google_compute_url_map" "to_https" {
  name = "segue-to-https"

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "PERMANENT_REDIRECT"
    strip_query            = false
  }
}

resource "google_compute_target_http_proxy" "to_https" {
  name    = "segue-to-https"
  url_map = google_compute_url_map.to_https.id
}

resource "google_compute_global_forwarding_rule" "http" {
  name                  = "segue-http"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.public.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.to_https.id
}
