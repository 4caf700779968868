# An environment is a project and a file of these: production.tfvars, staging.tfvars.

variable "project" {
  description = "The Google Cloud project, one for each environment."
  type        = string
}

variable "domain" {
  description = "The host name that sites send to and ask; its A record is the output `address`."
  type        = string
}

variable "image" {
  description = "The image that services are created with. From then on releases say which one runs."
  type        = string
}

variable "region" {
  description = "Where the services, the documents and the archive are. Documents and archive cannot move later."
  type        = string
  default     = "europe-west1"
}

variable "catalog" {
  description = "The folder of the catalogue, whose destinations have topics of their own; from this folder, or absolute."
  type        = string
  default     = "../catalog"
}

variable "instances" {
  description = "How few and how many instances a function has, where it is not as in the topology."
  type        = map(object({ min = number, max = number }))
  default     = {}
}

variable "requests_per_minute" {
  description = "How many requests of one address each public function takes a minute; more are answered 429."
  type        = map(number)
  default     = { ingest = 3000, lookup = 30000, stream = 300 }
}

variable "trace_ratio" {
  description = "The share of requests and messages from outside whose way through all functions is recorded, 0 to 1."
  type        = number
  default     = 0

  validation {
    condition     = var.trace_ratio >= 0 && var.trace_ratio <= 1
    error_message = "Expected a share, from 0 to 1."
  }
}

variable "archive_days" {
  description = "For how many days at least events and memberships are archived; then they go by whole months."
  type        = number
  default     = 395
}

variable "backup_days" {
  description = "For how many days the daily backups of the documents are kept."
  type        = number
  default     = 14
}

variable "protected" {
  description = "Whether documents, archive and services are protected from being destroyed."
  type        = bool
  default     = true
}

variable "alert_emails" {
  description = "Who is told of alerts and of the budget."
  type        = set(string)
  default     = []
}

variable "billing_account" {
  description = "The billing account that pays, for the budget; without one there is no budget."
  type        = string
  default     = ""
}

variable "monthly_budget" {
  description = "What a month should cost at most, in the billing account's currency; told at a half, nine tenths and all of it."
  type        = number
  default     = 500
}

variable "repository" {
  description = "The repository that releases are made from, as Cloud Build's connection names it: projects/…/repositories/…; without one nothing triggers a release."
  type        = string
  default     = ""
}

variable "branch" {
  description = "The branch that is released when it is pushed, as a regular expression."
  type        = string
  default     = "^main$"
}

variable "release" {
  description = "How releases go out where not as in cloudbuild.yaml: its substitutions _SHARE, _MINUTES, _ERRORS and _SCANNED_IN."
  type        = map(string)
  default     = {}
}
