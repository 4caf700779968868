project = "segue-staging"
domain  = "segue-staging.example.com"
image   = "europe-west1-docker.pkg.dev/segue-staging/segue/segue:first"

# Nothing waits for visitors, and little can be spent.
instances = {
  ingest   = { min = 0, max = 3 }
  evaluate = { min = 0, max = 3 }
  lookup   = { min = 0, max = 3 }
  stream   = { min = 0, max = 2 }
}
archive_days   = 30
backup_days    = 7
monthly_budget = 50
protected      = false
