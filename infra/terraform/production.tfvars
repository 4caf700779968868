project = "segue-production"
domain  = "segue.example.com"
image   = "europe-west1-docker.pkg.dev/segue-production/segue/segue:first"

alert_emails   = ["segue-operations@example.com"]
monthly_budget = 2000
