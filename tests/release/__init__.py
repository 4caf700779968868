"""How a release goes out, driven against a stand-in for `gcloud`, which is Google's program and not ours."""
