output "address" {
  description = "What the A record of the domain has to be."
  value       = google_compute_global_address.public.address
}

output "images" {
  description = "Where the image is pushed to."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "secrets" {
  description = "The secrets whose values are added by hand, by the variables that functions know them as."
  value       = { for name, secret in google_secret_manager_secret.all : name => secret.secret_id }
}
